"""Items scored some after the other: the lists of all items scored at once, to the last bit and in their order."""

import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from export.carried import Carried
from export.chunks import AT_ONCE, CHUNK, chunk_of
from export.exporter import export
from export.graph import ALL_SCORES, branches, export_graph, in_chunks
from export.parity import check_parity
from export.precision import in_precision
from export.topk import append_top_k
from infer.errors import InputError
from infer.model.choice import Choice
from infer.model.golden import differences, stored
from infer.model.session import open_model
from infer.model.signature import DROPPED
from infer.model.vectors import CHUNK_ITEMS, item_vectors
from infer.recommender import Recommender
from infer.scoring.lists import batches
from tests.helpers.chunked import write_chunked
from tests.helpers.networks import write_network
from train.config import BertConfig, MFConfig
from train.models.bert import MiniBERT4Rec
from train.models.linear import Neighbours
from train.models.mf import MF
from train.presets import configuration

ITEMS, USERS, DIM = 2_500, 5, 3
CHUNKS = [1_023, 1_407, 2_499]  # the last chunks have 454 items, 1,093 and 1


def product(dim: int = DIM, items: int = ITEMS, seed: int = 0) -> onnx.ModelProto:
    """(batch, dim) @ (dim, items + 1) whole numbers, so that any order of a sum is exact and very many scores tie."""
    rng = np.random.default_rng(seed)
    stored = rng.integers(-2, 3, (items + 1, dim)).astype(np.float32)
    state = helper.make_tensor_value_info("state", TensorProto.FLOAT, ["batch", dim])
    scores = helper.make_tensor_value_info(ALL_SCORES, TensorProto.FLOAT, ["batch", items + 1])
    nodes = [
        helper.make_node("Transpose", ["stored"], ["weights"], perm=[1, 0]),
        helper.make_node("MatMul", ["state", "weights"], [ALL_SCORES]),
    ]
    graph = helper.make_graph(nodes, "product", [state], [scores], [numpy_helper.from_array(stored, "stored")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@cache
def session(
    chunk: int, precision: str = "fp32", fixed: int | None = None, retired: tuple[int, ...] = ()
) -> ort.InferenceSession:
    proto = in_precision(product(), precision)
    append_top_k(proto.graph, ITEMS, fixed=fixed, chunk=chunk, retired=retired)
    onnx.checker.check_model(proto, full_check=True)
    assert in_chunks(proto) == (chunk > 0)
    return ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])


def choices() -> dict[str, Choice]:
    """Rules of all kinds: sets, orders, repetitions, indexes that are none, and items on the edges of chunks."""
    rng = np.random.default_rng(1)
    drop = rng.integers(0, ITEMS + 1, (USERS, 40))
    drop[:, :4] = [1, 1_023, 1_024, ITEMS]
    some = rng.permutation(ITEMS)[:1_800] + 1
    odd = np.concatenate([some, some[:100], [0, -1, ITEMS + 1, 2**40]])
    own = np.sort(rng.permuted(np.tile(np.arange(1, ITEMS + 1), (USERS, 1)), axis=1)[:, :300], axis=1)
    own[0, 3:] = 0
    boosted = np.concatenate([rng.permutation(ITEMS)[:300] + 1, [-4, ITEMS + 9]])
    boosts = rng.choice(np.array([0.5, 1, 2, 4], dtype=np.float32), (len(boosted), 2))
    return {
        "no rule": Choice(drop),
        "nothing seen": Choice(drop[:, :0]),
        "candidates": Choice(drop, some),
        "few candidates": Choice(drop, np.sort(some[:7])),
        "candidates that are none, or come twice": Choice(drop, odd),
        "none is left": Choice(drop, np.array([0, -1])),
        "own candidates": Choice(drop, own=own),
        "own among candidates": Choice(drop, np.sort(some), own),
        "boosts": Choice(drop, boosted=boosted, boosts=boosts),
        "boosts of candidates": Choice(drop, some, boosted=boosted, boosts=boosts),
        "boosts of own candidates": Choice(drop, own=own, boosted=boosted, boosts=boosts),
        "all seen": Choice(np.tile(np.arange(1, ITEMS + 1), (USERS, 1))),
    }


def listed(run: ort.InferenceSession, choice: Choice, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Items and scores; what is no recommendation is item 0."""
    state = np.random.default_rng(2).integers(-3, 4, (USERS, DIM)).astype(np.float32)
    given: dict[str, Any] = {"state": state, **choice.inputs, "k": np.array([k])}
    items, scores = run.run(None, {value.name: given[value.name] for value in run.get_inputs()})
    return np.where(scores > DROPPED, items, 0), scores


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("name", choices())
def test_lists_are_those_of_all_items_at_once(chunk: int, name: str) -> None:
    chunked = session(chunk)
    for k in (1, 10, 1_100, 2 * ITEMS):  # within a chunk, beyond one, and beyond the items
        items, scores = listed(session(0), choices()[name], k)
        found, values = listed(chunked, choices()[name], k)
        assert found.shape == (USERS, min(k, ITEMS + 1))
        np.testing.assert_array_equal(values, scores)
        np.testing.assert_array_equal(found, items)


@pytest.mark.parametrize("chunk", [0, *CHUNKS])
def test_what_is_retired_is_listed_by_no_rule(chunk: int) -> None:
    gone = [1, 5, 1_023, 1_024, ITEMS]
    for name, choice in choices().items():
        for k in (10, 1_100):
            # As one that everybody has seen, and that is no candidate.
            seen = np.concatenate([choice.seen, np.tile(gone, (USERS, 1))], 1)
            expected = listed(session(0), replace(choice, seen=seen), k)
            found = listed(session(chunk, retired=tuple(gone)), choice, k)
            assert not np.isin(found[0], gone).any(), name
            np.testing.assert_array_equal(found[1], expected[1])
            np.testing.assert_array_equal(found[0], expected[0])
    drop = choices()["no rule"]
    for wide in (session(chunk, fixed=ITEMS, retired=tuple(gone)), session(chunk, fixed=9, retired=tuple(gone))):
        assert not np.isin(listed(wide, drop, 0)[0], gone).any()


def test_ties_on_both_sides_of_a_chunk_come_in_order_of_items() -> None:
    items, scores = listed(session(1_023), Choice(np.zeros((USERS, 1), np.int64)), 60)
    edges = items[:, :-1][(scores[:, 1:] == scores[:, :-1]) & (items[:, :-1] <= 1_023) & (items[:, 1:] > 1_023)]
    assert len(edges), "some ties lie in two chunks"
    assert ((np.diff(items, axis=1) > 0) | (np.diff(scores, axis=1) < 0)).all()


@pytest.mark.parametrize("precision", ["fp16", "int8"])
@pytest.mark.parametrize("name", ["no rule", "candidates", "own candidates", "boosts of candidates"])
def test_lists_are_the_same_in_other_precisions(precision: str, name: str) -> None:
    for k in (10, 1_100):
        expected = listed(session(0, precision), choices()[name], k)
        found = listed(session(1_023, precision), choices()[name], k)
        np.testing.assert_array_equal(found[1], expected[1])
        np.testing.assert_array_equal(found[0], expected[0])


def test_a_fixed_number_is_listed_in_chunks() -> None:
    drop = choices()["no rule"]
    expected, found = listed(session(0, fixed=9), drop, 9), listed(session(1_023, fixed=9), drop, 9)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize(
    ("precision", "options"),
    [
        ("fp32", {}),
        ("int8", {}),
        ("fp32", {"head": "separate"}),
        ("fp32", {"item_bias": False}),
        ("fp32", {"masking": "cloze", "mask_ratio": 0.2, "append_mask": True, "chain": 0}),
    ],
)
def test_a_model_with_chain_and_bias_is_pytorchs(precision: str, options: dict) -> None:
    torch.manual_seed(0)
    config = BertConfig(
        dim=8, heads=2, feedforward=8, max_length=5, layers=1, initial_std=1.0, **{"chain": 4} | options
    )
    model = MiniBERT4Rec(2_500, config).eval()
    proto = export_graph(model, 2_500, precision, chunk=1_023)
    assert model.joined is None
    if precision == "fp32":
        tables = sum(int(np.prod(tensor.dims)) for tensor in proto.graph.initializer if tensor.dims[:1] >= [2_500])
        expected = sum(weight.numel() for weight in model.state_dict().values() if weight.shape[:1] >= (2_500,))
        assert tables <= expected + 2, "each number of an item is in the file once"
        nodes = [node for g in branches(proto.graph) if "chunk" in g.name for node in g.node]
        assert {node.input[0] for node in nodes if node.input[1:2] == [CHUNK_ITEMS]} == {"joined"}, "beside its others"
    joined = [
        node.input for g in branches(proto.graph) if "chunk" in g.name for node in g.node if "Gather" in node.op_type
    ]
    assert not any("item_vectors" in inputs for inputs in joined), "parts are taken from the tables that they are of"
    assert in_chunks(proto) and check_parity(model, proto, 2_500, 0, exact=precision == "fp32")["users"] == 85


def test_the_scorer_lists_the_same_from_a_file_in_chunks_in_larger_batches(tmp_path: Path, monkeypatch) -> None:
    files = write_chunked(tmp_path)
    lists = [Recommender(path).score(tmp_path / "interactions.parquet", k=20) for path in files]
    assert lists[0].height == 8 * 20 and lists[0].drop("score").equals(lists[1].drop("score"))
    chunked, at_once = map(open_model, files)
    assert (chunked.metadata.chunk, chunked.scored_at_once(10), chunked.scored_at_once(2_000)) == (1_023, 1_024, 2_001)
    assert (at_once.metadata.chunk, at_once.scored_at_once(10), chunked.scored_at_once(9_999)) == (0, 3_001, 3_001)
    monkeypatch.setattr("infer.scoring.lists.LARGEST_SCORES", 4 * 1_024)
    sizes = [[len(rows) for rows in batches(model, np.ones(8, np.int64), 256, k=10)] for model in (chunked, at_once)]
    assert sizes == [[4, 4], [1] * 8]
    for path in files:
        assert not differences(stored(path.read_bytes(), str(path)), open_model(path).session)


def test_the_vectors_of_a_file_in_chunks_are_those_of_all_at_once(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = BertConfig(dim=4, heads=1, feedforward=4, max_length=3, chain=2, item_bias=True, layers=1)
    model = MiniBERT4Rec(1_500, config).eval()
    found = []
    for name, chunk in (("chunked", 1_023), ("at_once", 0)):
        path = open_model(write_network(tmp_path / f"{name}.onnx", model, 1_500, chunk=chunk))
        found.append(item_vectors(path))
    assert found[0].shape == (1_500, 7)
    np.testing.assert_array_equal(*found)


def test_nothing_that_no_list_needs_is_left_in_a_graph_in_chunks() -> None:
    model = MF(4, 3_000, MFConfig(dim=4)).eval()
    for fixed in (None, 5):
        proto = export_graph(model, 3_000, fixed=fixed, chunk=1_023)
        read = {name for graph in branches(proto.graph) for node in graph.node for name in node.input}
        read |= {output.name for graph in branches(proto.graph) for output in graph.output}
        assert all(read & set(node.output) for node in proto.graph.node), "it would be computed in every batch"


def test_a_checkpoint_is_exported_in_chunks_if_its_scores_are_products(models: Path, tmp_path: Path) -> None:
    for name in ("mf.pt", "hybrid.pt", "interactions.parquet"):
        shutil.copy(models / name, tmp_path)
    path, metadata = export("hybrid", tmp_path, carried=Carried(chunk_items=9))
    expected = Recommender(models / "hybrid.onnx").recommend([1001, 1004, 1003], k=5)
    assert metadata.chunk == 9 and Recommender(path).recommend([1001, 1004, 1003], k=5).equals(expected)


def test_scores_that_are_no_product_are_made_at_once() -> None:
    model = Neighbours(20, configuration("markov", max_length=3, neighbours=2)).eval()
    assert not in_chunks(export_graph(model, 20, chunk=4))


def test_chunks_of_scores_that_are_no_product_are_refused(models: Path, tmp_path: Path, run) -> None:
    shutil.copy(models / "interactions.parquet", tmp_path)
    assert run("train", "markov", f"--artifacts={tmp_path}").returncode == 0
    with pytest.raises(InputError, match="--chunk-items is for models whose scores are products"):
        export("markov", tmp_path, carried=Carried(chunk_items=2))
    assert not (tmp_path / "markov.onnx").exists()


def test_the_chunk_follows_from_the_catalogue_unless_it_is_given() -> None:
    assert [chunk_of(items) for items in (9_724, AT_ONCE, AT_ONCE + 1, 10**7)] == [0, 0, CHUNK, CHUNK]
    assert [chunk_of(1_000, asked) for asked in (0, 999, 1_000, 5_000)] == [0, 999, 0, 0]
    assert chunk_of(10**6, 0) == 0
    assert (CHUNK + 1) % 128 == 0
