"""Export: one complete file, proven equal to PyTorch, or no file."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from checkerboard import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from export import __main__ as command
from export.graph import ALL_SCORES, append_top_k, export_graph
from export.parity import TOLERANCE, check_parity
from infer.errors import InputError
from infer.files import sha256
from infer.schema import DROPPED, Metadata
from infer.session import open_model
from train import checkpoint
from train.bert import MiniBERT4Rec
from train.config import BertConfig
from train.models import restore

KINDS = ["mf", "bert", "hybrid"]


@pytest.fixture
def folder(artifacts: Path, tmp_path: Path) -> Path:
    return shutil.copytree(artifacts, tmp_path / "a")


def trained(folder: Path, kind: str) -> tuple[dict, torch.nn.Module]:
    state = checkpoint.read(checkpoint.finished(folder, kind), "")
    return state, restore(state)


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_says_where_it_comes_from(kind: str, artifacts: Path) -> None:
    metadata = open_model(artifacts / f"{kind}.onnx").metadata
    state, _ = trained(artifacts, kind)
    assert metadata.kind == kind and metadata.dataset == "ratings.csv" and metadata.seed == 0
    assert metadata.dataset_checksum == sha256(artifacts / "interactions.parquet")
    assert metadata.item_ids == list(range(1001, 1025))
    assert metadata.user_ids == (list(range(101, 141)) if kind == "mf" else [])
    assert metadata.window == (0 if kind == "mf" else 8)
    assert metadata.config == state["origin"]["config"]
    assert metadata.metrics["validation_ndcg_at_10"] == state["history"][-1]["validation_ndcg_at_10"]
    assert 0 <= metadata.parity["largest_score_difference"] <= TOLERANCE


def test_metadata_survives_the_round_trip(artifacts: Path) -> None:
    metadata = open_model(artifacts / "bert.onnx").metadata
    texts = Metadata(**{**vars(metadata), "item_ids": ["a", "é|\"'", "007"]})
    for one in (metadata, texts):
        assert Metadata.from_properties(one.to_properties(), "test") == one


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_is_complete_and_says_nothing_of_this_machine(kind: str, folder: Path) -> None:
    content = (folder / f"{kind}.onnx").read_bytes()
    assert not list(folder.glob("*.data"))
    for trace in (str(ROOT).encode(), b"site-packages", str(folder).encode()):
        assert trace not in content
    command.export(kind, folder)
    assert (folder / f"{kind}.onnx").read_bytes() == content, "exporting again must give the same bytes"
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("batch", "k"), [(1, 1), (7, 5), (33, 99)])
def test_the_graph_ranks_as_numpy_ranks_torch_scores(kind: str, batch: int, k: int, artifacts: Path) -> None:
    _, model = trained(artifacts, kind)
    rng = np.random.default_rng(batch)
    own = rng.integers(0, 25, (batch, 8)) if model.window else rng.integers(0, 41, batch)
    seen = rng.integers(0, 25, (batch, 6))
    session = ort.InferenceSession(artifacts / f"{kind}.onnx")
    (name,) = model.input_names
    items, scores = session.run(["items", "scores"], {name: own, "seen": seen, "k": np.array([k])})
    with torch.no_grad():
        expected = model(torch.from_numpy(own)).numpy()
    np.put_along_axis(expected, seen, DROPPED, axis=1)
    expected[:, 0] = DROPPED
    assert items.shape == scores.shape == (batch, min(k, 25))
    np.testing.assert_allclose(scores, -np.sort(-expected, axis=1)[:, :k], atol=TOLERANCE)
    np.testing.assert_allclose(np.take_along_axis(expected, items, axis=1), scores, atol=TOLERANCE)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_chain_is_exported_with_the_encoder(precision: str) -> None:
    torch.manual_seed(0)
    config = BertConfig(dim=8, heads=2, feedforward=16, window=6, chain=5, chain_trained=True, initial_std=1.0)
    model = MiniBERT4Rec(20, config).eval()
    proto = export_graph(model, 20, precision)
    if precision == "fp32":
        assert check_parity(model, proto, 20, 1)["largest_score_difference"] <= TOLERANCE
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    window = torch.tensor([[0, 0, 3, 9, 4, 7], [1, 2, 3, 4, 5, 6]])
    given = {"window": window.numpy(), "seen": np.zeros((2, 1), np.int64), "k": np.array([20])}
    items, scores = session.run(["items", "scores"], given)
    with torch.no_grad():
        expected = model(window).numpy()
    error = np.abs(np.take_along_axis(expected, items, 1) - scores).max()
    assert error <= (TOLERANCE if precision == "fp32" else 0.05 * expected[:, 1:].std())


def test_a_graph_with_other_weights_is_refused(artifacts: Path) -> None:
    _, model = trained(artifacts, "hybrid")
    proto = export_graph(model, 24)
    model.head.bias.data += 1e-3
    with pytest.raises(InputError, match=r"differs from PyTorch by 1\.00e-03, above 1e-04"):
        check_parity(model, proto, 24, 40)


def test_a_graph_whose_scores_change_with_the_padding_is_refused(artifacts: Path) -> None:
    class Padded(torch.nn.Module):
        """Scores by how wide the window is, which no batch at the full width shows."""

        window, any_length, input_names = 8, True, ("window",)

        def forward(self, window: torch.Tensor) -> torch.Tensor:
            return torch.ones(window.shape[0], 25) * window.shape[1]

    model = Padded()
    with pytest.raises(InputError, match=r"differs from PyTorch by 4\.00e\+00"):
        check_parity(model, export_graph(model, 24), 24, 40)


@settings(max_examples=60, deadline=None)
@given(items=st.integers(1, 13), k=st.integers(1, 15), block=st.integers(2, 5), data=st.data())
def test_the_top_k_by_blocks_is_the_top_k_of_all_with_ties_in_ascending_order(items, k, block, data) -> None:
    columns = -(-(items + 1) // block) * block
    scores = np.array(data.draw(st.lists(st.integers(0, 3), min_size=2 * columns, max_size=2 * columns)), np.float32)
    drop = np.array(data.draw(st.lists(st.integers(0, items), min_size=4, max_size=4))).reshape(2, 2)
    value = helper.make_tensor_value_info(ALL_SCORES, TensorProto.FLOAT, ["batch", columns])
    graph = helper.make_graph([], "top", [value], [])
    append_top_k(graph, items, block)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(proto, full_check=True)
    session = ort.InferenceSession(proto.SerializeToString())
    feeds = {ALL_SCORES: scores.reshape(2, columns), "seen": drop, "k": np.array([k])}
    found, values = session.run(["items", "scores"], feeds)
    for row in range(2):
        unseen = [i for i in range(1, items + 1) if i not in drop[row]]
        best = sorted(unseen, key=lambda i: (-feeds[ALL_SCORES][row, i], i))[:k]
        kept = values[row] > DROPPED
        assert found[row, kept].tolist() == best and found.shape[1] == min(k, items + 1)
        assert kept[: len(best)].all() and not kept[len(best) :].any()


def test_a_graph_that_recommends_seen_items_is_refused(artifacts: Path) -> None:
    _, model = trained(artifacts, "mf")
    proto = export_graph(model, 24)
    for node in proto.graph.node:
        node.input[:] = ["all_scores" if name == "unseen_scores" else name for name in node.input]
    with pytest.raises(InputError, match="drops other items than those seen"):
        check_parity(model, proto, 24, 40)


def test_a_model_that_fails_leaves_the_earlier_file(folder: Path, monkeypatch) -> None:
    before = (folder / "mf.onnx").read_bytes()
    monkeypatch.setattr("export.parity.TOLERANCE", -1.0)
    with pytest.raises(InputError, match="the file was not written"):
        command.export("mf", folder)
    assert (folder / "mf.onnx").read_bytes() == before


def test_weights_that_are_not_numbers_are_refused(folder: Path) -> None:
    state, _ = trained(folder, "mf")
    before = (folder / "mf.onnx").read_bytes()
    for value in (torch.nan, -torch.inf, 1e20):
        state["model"]["items.weight"][3, 1] = value
        checkpoint.save(folder / "mf.pt", state)
        with pytest.raises(InputError, match=r"values in items\.weight that are not finite numbers below 1e15"):
            command.export("mf", folder)
    assert (folder / "mf.onnx").read_bytes() == before


def test_an_empty_window_has_finite_scores_and_does_not_disturb_others(artifacts: Path) -> None:
    session = ort.InferenceSession(artifacts / "bert.onnx")
    window = np.array([[0] * 8, [0, 0, 0, 0, 0, 3, 2, 1]])
    feeds = {"seen": np.zeros((2, 1), np.int64), "k": np.array([24])}
    _, both = session.run(["items", "scores"], {**feeds, "window": window})
    _, alone = session.run(["items", "scores"], {**feeds, "window": window[1:], "seen": feeds["seen"][1:]})
    assert np.isfinite(both).all()
    np.testing.assert_allclose(both[1], alone[0], atol=1e-5)
