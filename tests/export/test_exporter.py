"""Export: one complete file, proven equal to PyTorch, or no file."""

import importlib.metadata
import logging
import platform
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from export import __main__ as command
from export import exporter
from export.exporter import file_content
from export.graph import ALL_SCORES, branches, export_graph, strip
from export.parity import TOLERANCE, check_parity
from export.ranking import BLOCK
from export.topk import append_top_k
from infer.errors import InputError
from infer.model.choice import Choice
from infer.model.metadata import Metadata
from infer.model.modelfile import with_everybody
from infer.model.session import open_model
from infer.model.signature import DROPPED
from infer.system.fingerprints import sha256
from infer.system.locks import BusyError
from tests.helpers.checkerboard import ROOT
from train.config import BertConfig
from train.models.base import ScoringModel
from train.models.bert import MiniBERT4Rec
from train.models.mf import MF
from train.models.registry import restore
from train.presets import PRESETS, configuration
from train.saved import checkpoint
from train.saved.places import Places

KINDS = ["mf", "bert", "hybrid"]


@pytest.fixture
def folder(artifacts: Path, tmp_path: Path) -> Path:
    return shutil.copytree(artifacts, tmp_path / "a")


def trained(folder: Path, kind: str) -> tuple[dict, torch.nn.Module]:
    state = checkpoint.read(Places(folder, kind).finished, "")
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
    assert metadata.config == state["provenance"]["config"]
    assert metadata.metrics["validation_ndcg_at_10"] == state["history"][-1]["validation_ndcg_at_10"]
    assert 0 <= metadata.parity["largest_score_difference"] <= TOLERANCE


def test_metadata_survives_the_round_trip(artifacts: Path) -> None:
    metadata = open_model(artifacts / "bert.onnx").metadata
    texts = Metadata(**{**vars(metadata), "item_ids": ["a", "é|\"'", "007"], "item_type": "String"})
    for one in (metadata, texts):
        assert Metadata.from_properties(one.to_properties(), "test") == one
    broken = Metadata(**{**vars(metadata), "item_type": "String"})
    with pytest.raises(InputError, match=r"damaged metadata \(item_type\)"):
        Metadata.from_properties(broken.to_properties(), "test")


def test_what_no_reader_would_take_is_not_written(artifacts: Path) -> None:
    model = open_model(artifacts / "mf.onnx")
    for name in ("売上\u3000表.csv", "a\u00a0b.csv", "so\u00adft.csv"):
        named = replace(model.metadata, dataset=name)
        assert Metadata.from_properties(named.to_properties(), "test") == named
    with pytest.raises(InputError, match=r"damaged metadata \(dataset\): prepare the data .* no file was written"):
        file_content(model.proto(), replace(model.metadata, dataset="a\x1bb.csv"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_is_complete_and_says_nothing_of_this_machine(kind: str, folder: Path) -> None:
    content = (folder / f"{kind}.onnx").read_bytes()
    assert not list(folder.glob("*.data"))
    for trace in (str(ROOT).encode(), b"site-packages", str(folder).encode()):
        assert trace not in content
    exporter.export(kind, folder)
    assert (folder / f"{kind}.onnx").read_bytes() == content, "exporting again must give the same bytes"
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("batch", "k"), [(1, 1), (7, 5), (33, 99)])
def test_the_graph_ranks_as_numpy_ranks_torch_scores(kind: str, batch: int, k: int, artifacts: Path) -> None:
    _, model = trained(artifacts, kind)
    rng = np.random.default_rng(batch)
    own = rng.integers(0, 25, (batch, 8)) if model.window else rng.integers(0, 41, batch)
    seen = rng.integers(0, 25, (batch, 6))
    everybody = with_everybody(onnx.load(artifacts / f"{kind}.onnx"))
    session = ort.InferenceSession(everybody.SerializeToString())
    (name,) = model.input_names
    items, scores = session.run(["items", "scores"], {name: own, **Choice(seen).inputs, "k": np.array([k])})
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
    config = BertConfig(dim=8, heads=2, feedforward=16, max_length=6, chain=5, chain_trained=True, initial_std=1.0)
    model = MiniBERT4Rec(20, config).eval()
    proto = export_graph(model, 20, precision)
    if precision == "fp32":
        assert check_parity(model, proto, 20, 1)["largest_score_difference"] <= TOLERANCE
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    window = torch.tensor([[0, 0, 3, 9, 4, 7], [1, 2, 3, 4, 5, 6]])
    given = {"window": window.numpy(), **Choice(np.zeros((2, 1), np.int64)).inputs, "k": np.array([20])}
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
    class Padded(ScoringModel):
        """Scores by how wide the window is, which no batch at the full width shows."""

        window, any_length = 8, True

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
    feeds = {ALL_SCORES: scores.reshape(2, columns), **Choice(drop).inputs, "k": np.array([k])}
    found, values = session.run(["items", "scores"], feeds)
    for row in range(2):
        unseen = [i for i in range(1, items + 1) if i not in drop[row]]
        best = sorted(unseen, key=lambda i: (-feeds[ALL_SCORES][row, i], i))[:k]
        kept = values[row] > DROPPED
        assert found[row, kept].tolist() == best and found.shape[1] == min(k, items + 1)
        assert kept[: len(best)].all() and not kept[len(best) :].any()


def test_a_catalogue_of_several_blocks_is_ranked_whole() -> None:
    assert BLOCK == 128
    torch.manual_seed(0)
    model = MF(3, 300, configuration("mf", dim=4)).eval()
    level = logging.getLogger("torch.onnx").level
    proto = export_graph(model, 300)
    assert model.extra_columns == 0 and logging.getLogger("torch.onnx").level == level
    assert any(node.op_type == "ReduceMax" for graph in branches(proto.graph) for node in graph.node), "by blocks"
    assert not any(n.doc_string or n.metadata_props for graph in branches(proto.graph) for n in graph.node)
    session = ort.InferenceSession(with_everybody(proto).SerializeToString())
    user, seen = np.array([2, 3, 0]), np.array([[1, 300], [128, 127], [0, 0]])
    with torch.no_grad():
        expected = model(torch.from_numpy(user)).numpy()
    assert expected.shape == (3, 301)
    np.put_along_axis(expected, seen, DROPPED, axis=1)
    expected[:, 0] = DROPPED
    for k in (1, 5, 200, 301, 500):
        items, scores = session.run(["items", "scores"], {"user": user, **Choice(seen).inputs, "k": np.array([k])})
        assert items.shape == scores.shape == (3, min(k, 301))
        np.testing.assert_allclose(scores, -np.sort(-expected, axis=1)[:, :k], atol=1e-6)
        np.testing.assert_allclose(np.take_along_axis(expected, items, axis=1), scores, atol=1e-6)
    # All the same: the user of padding has a score of 0 for every item.
    assert items[2, :300].tolist() == list(range(1, 301))


def test_nothing_is_printed_while_a_graph_is_made(capfd) -> None:
    torch.manual_seed(0)
    export_graph(MiniBERT4Rec(5, BertConfig(dim=4, heads=1, feedforward=4, max_length=3)).eval(), 5)
    assert capfd.readouterr() == ("", "")


def test_everything_that_the_exporter_says_of_this_machine_is_removed() -> None:
    def marked(part):
        part.doc_string = "/home/somebody"
        part.metadata_props.add(key="source", value="/home/somebody")
        return part

    value = helper.make_tensor_value_info
    graph = marked(
        helper.make_graph(
            [marked(helper.make_node("Own", ["x", "w"], ["y"], domain="own"))],
            "g",
            [marked(value("x", TensorProto.FLOAT, [1]))],
            [marked(value("y", TensorProto.FLOAT, [1]))],
            [marked(numpy_helper.from_array(np.ones(1, np.float32), "w"))],
            value_info=[marked(value("z", TensorProto.FLOAT, [1]))],
        )
    )
    inner = [marked(helper.make_node("Add", ["a", "b"], ["c"])), marked(helper.make_node("Abs", ["c"], ["d"]))]
    function = helper.make_function("own", "Own", ["a", "b"], ["d"], inner, [helper.make_opsetid("", 20)])
    function.value_info.append(marked(value("c", TensorProto.FLOAT, [1])))
    marked(function)
    proto = marked(helper.make_model(graph, functions=[function], opset_imports=[helper.make_opsetid("", 20)]))
    assert proto.SerializeToString().count(b"/home/somebody") == 2 * 11
    strip(proto)
    assert b"somebody" not in proto.SerializeToString() and proto.graph.initializer[0].name == "w"


def test_what_a_file_says_of_itself_is_what_the_checkpoint_says() -> None:
    config = configuration("bert", dim=8, max_length=6, append_mask=True, masking="cloze", seed=7, ratings="embedding")
    state = {
        "provenance": {
            "kind": "bert",
            "config": {"seed": 7, "dim": 8, "learning_rate": 0.01},
            "dataset": "ml",
            "dataset_checksum": "abc",
        },
        "retired": [2],
        "item_ids": ["a", "b"],
        "user_ids": ["u"],
        "rating_levels": [1.0, 2.5],
        "rules": {"repeats": "keep"},
        "best": {
            "epoch": 3,
            "train_loss": 0.9,
            "validation_loss": 0.7,
            "validation_ndcg_at_10": 0.2,
            "seconds": 5.0,
        },
        "history": [{"epoch": 4, "validation_ndcg_at_10": 0.1}],
    }
    model = MiniBERT4Rec(2, config, levels=2)
    assert vars(exporter.describe(state, model, {"users": 85}, "int8")) == {
        "kind": "bert",
        "item_ids": ["a", "b"],
        "user_ids": [],
        "item_type": "String",
        "user_type": "String",
        "rules": {"repeats": "keep"},
        "window": 5,
        "rating_levels": [1.0, 2.5],
        "padding": "left, index 0",
        "precision": "int8",
        "attribution": "deletion",
        "vectors": {},
        "chunk": 0,
        "retired": [2],
        "dataset": "ml",
        "dataset_checksum": "abc",
        "interactions": "interactions.parquet",
        "items": "items.parquet",
        "seed": 7,
        "config": state["provenance"]["config"],
        "metrics": {"epoch": 3, "validation_loss": 0.7, "validation_ndcg_at_10": 0.2},
        "parity": {"users": 85},
        "versions": {
            "python": platform.python_version(),
            "torch": importlib.metadata.version("torch").split("+")[0],
            "onnx": importlib.metadata.version("onnx"),
            "onnxruntime": importlib.metadata.version("onnxruntime"),
            "numpy": importlib.metadata.version("numpy"),
        },
        "probes": 0,
        "user_ids_are": "kept",
    }
    by_user = exporter.describe(state, MF(1, 2, configuration("mf", dim=2)), {})
    assert by_user.user_ids == ["u"] and by_user.rating_levels == [] and by_user.precision == "fp32"
    plain = exporter.describe(state, MiniBERT4Rec(2, configuration("bert", dim=8, max_length=6)), {})
    assert plain.user_ids == plain.rating_levels == [] and plain.window == 6


def test_models_that_are_not_there_are_refused_with_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "b.pt").touch()
    (tmp_path / "a.pt").touch()
    (tmp_path / "c.partial.pt").touch()
    (tmp_path / "b.state.pt").touch()
    for name in ("nobody", "../b", "c"):
        with pytest.raises(InputError, match=rf"no model is called '{name}'; .* holds a, b$"):
            command.main([name, f"--artifacts={tmp_path}"])
    with pytest.raises(InputError, match=r"nobody.* holds none: run `python -m train` first"):
        command.main(["nobody", f"--artifacts={tmp_path / 'empty'}"])


def test_a_graph_that_recommends_seen_items_is_refused(artifacts: Path) -> None:
    _, model = trained(artifacts, "mf")
    proto = export_graph(model, 24)
    for graph in branches(proto.graph):
        drops = [node for node in graph.node if node.op_type == "ScatterElements"][-1:]
        for node in graph.node if drops else []:
            node.input[:] = [drops[0].input[0] if name == drops[0].output[0] else name for name in node.input]
    with pytest.raises(InputError, match="drops other items than those seen"):
        check_parity(model, proto, 24, 40)


def test_a_model_that_fails_leaves_the_earlier_file(folder: Path, monkeypatch) -> None:
    before = (folder / "mf.onnx").read_bytes()
    monkeypatch.setattr("export.parity.TOLERANCE", -1.0)
    with pytest.raises(InputError, match="the file was not written"):
        exporter.export("mf", folder)
    assert (folder / "mf.onnx").read_bytes() == before


def test_a_file_is_not_replaced_by_that_of_an_older_checkpoint(folder: Path, monkeypatch) -> None:
    """Whose export began before the training ended that another export has read."""
    exporter.export("mf", folder)
    restored, earlier = exporter._restored, (folder / "mf.onnx").read_bytes()

    def another(state: dict) -> ScoringModel:
        monkeypatch.undo()
        newer = state | {"model": {name: weight * 2 for name, weight in state["model"].items()}}
        checkpoint.save(folder / "mf.pt", newer)
        with pytest.raises(BusyError, match="another process is working on"):
            exporter.export("mf", folder)
        return restored(state)

    monkeypatch.setattr(exporter, "_restored", another)
    exporter.export("mf", folder)
    assert (folder / "mf.onnx").read_bytes() == earlier
    exporter.export("mf", folder)
    assert (folder / "mf.onnx").read_bytes() != earlier and not (folder / "locks").exists()


def test_weights_that_are_not_numbers_are_refused(folder: Path) -> None:
    state, _ = trained(folder, "mf")
    before = (folder / "mf.onnx").read_bytes()
    for value in (torch.nan, -torch.inf, 1e20):
        state["model"]["items.weight"][3, 1] = value
        checkpoint.save(folder / "mf.pt", state)
        with pytest.raises(InputError, match=r"values in items\.weight that are not finite numbers below 1e15"):
            exporter.export("mf", folder)
    assert (folder / "mf.onnx").read_bytes() == before


def test_an_empty_window_has_finite_scores_and_does_not_disturb_others(artifacts: Path) -> None:
    everybody = with_everybody(onnx.load(artifacts / "bert.onnx"))
    session = ort.InferenceSession(everybody.SerializeToString())
    window = np.array([[0] * 8, [0, 0, 0, 0, 0, 3, 2, 1]])
    feeds = {"k": np.array([24])}
    nothing = np.zeros((2, 1), np.int64)
    _, both = session.run(["items", "scores"], {**feeds, "window": window, **Choice(nothing).inputs})
    _, alone = session.run(["items", "scores"], {**feeds, "window": window[1:], **Choice(nothing[1:]).inputs})
    assert np.isfinite(both).all()
    np.testing.assert_allclose(both[1], alone[0], atol=1e-5)


@pytest.mark.parametrize(("preset", "block"), [*((name, {}) for name in PRESETS), ("default", {"block": "hstu"})])
def test_every_preset_of_the_encoder_is_exported_as_pytorch_computes_it(preset: str, block: dict[str, str]) -> None:
    torch.manual_seed(0)
    sizes = {"dim": 8, "heads": 2, "feedforward": 16, "max_length": 6, "layers": 2} | block
    model = MiniBERT4Rec(20, configuration("bert", preset, **sizes)).eval()
    with torch.no_grad():
        for weight in model.encoder.parameters():
            weight += torch.randn(weight.shape) * 0.2
    assert check_parity(model, export_graph(model, 20), 20, 0)["largest_score_difference"] <= TOLERANCE
