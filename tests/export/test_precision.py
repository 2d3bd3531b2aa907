"""Other precisions: what they cost is measured and bounded, and what is dropped stays dropped."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import polars as pl
import pytest
from onnx import TensorProto, helper, numpy_helper

from export import exporter
from export.graph import ALL_SCORES
from export.precision import BIAS_ROWS, in_precision
from export.quality import check_quality
from export.topk import append_top_k
from infer import batch
from infer.errors import InputError
from infer.model.choice import Choice
from infer.model.modelfile import LARGEST_INT8
from infer.model.session import open_model
from infer.model.signature import DROPPED
from tests.helpers.markov import write_model
from train.presets import configuration
from train.trainer import train

PRECISIONS = ["int8", "fp16"]
LOOSE = 1.0  # the checkerboard's models are trained for a moment; any loss is let through


@pytest.fixture(scope="module")
def folder(artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = shutil.copytree(artifacts, tmp_path_factory.mktemp("precision") / "a")
    config = configuration("bert", artifacts=folder, block="hstu", dim=16, max_length=8, epochs=1)
    train("bert", config, "hstu")  # which many users have
    exporter.export("hstu", folder)
    return folder


def product(weights: np.ndarray) -> onnx.ModelProto:
    """(batch, dim) @ weights (dim, items + 1), which come out of a transposition, as exported ones do."""
    state = helper.make_tensor_value_info("state", TensorProto.FLOAT, ["batch", weights.shape[0]])
    scores = helper.make_tensor_value_info(ALL_SCORES, TensorProto.FLOAT, ["batch", weights.shape[1]])
    nodes = [
        helper.make_node("Transpose", ["stored"], ["weights"], perm=[1, 0]),
        helper.make_node("MatMul", ["state", "weights"], [ALL_SCORES]),
    ]
    stored = numpy_helper.from_array(weights.T.astype(np.float32).copy(), "stored")
    graph = helper.make_graph(nodes, "product", [state], [scores], [stored])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def session(weights: np.ndarray, precision: str) -> ort.InferenceSession:
    proto = in_precision(product(weights), precision)
    append_top_k(proto.graph, weights.shape[1] - 1)
    onnx.checker.check_model(proto, full_check=True)
    return ort.InferenceSession(proto.SerializeToString())


def top(
    run: ort.InferenceSession, state: np.ndarray, k: int, seen: tuple[int, ...] = (0,)
) -> tuple[np.ndarray, np.ndarray]:
    feeds = {"state": state.astype(np.float32), **Choice(np.tile(seen, (len(state), 1))).inputs, "k": np.array([k])}
    return run.run(["items", "scores"], feeds)


def test_whole_steps_are_exact_in_int8() -> None:
    # Weights of whole 64ths of their largest and states of whole 127ths lose nothing.
    weights = np.array([[0, 64, 0, -32], [0, 1, 64, 64]]) / 64
    items, scores = top(session(weights, "int8"), np.array([[127, 0], [0, -254]]) / 127, 3)
    assert items.tolist() == [[1, 2, 3], [1, 2, 3]]
    np.testing.assert_allclose(scores, [[1, 0, -0.5], [-2 / 64, -2, -2]], atol=1e-6)


def byte_product(weights: np.ndarray) -> ort.InferenceSession:
    """(batch, dim) unsigned bytes @ weights (dim, items) of signed ones, as int8 files have it."""
    nodes = [helper.make_node("MatMulInteger", ["state", "weights"], ["scores"])]
    state = helper.make_tensor_value_info("state", TensorProto.UINT8, ["batch", len(weights)])
    scores = helper.make_tensor_value_info("scores", TensorProto.INT32, ["batch", weights.shape[1]])
    stored = numpy_helper.from_array(weights.astype(np.int8), "weights")
    graph = helper.make_graph(nodes, "bytes", [state], [scores], [stored])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return ort.InferenceSession(proto.SerializeToString())


@pytest.mark.processor
@pytest.mark.parametrize("dim", [4, 7, 16, 64, 257])
@pytest.mark.parametrize("batch", [1, 2, 33])
def test_the_largest_bytes_are_summed_exactly_on_this_processor(dim: int, batch: int) -> None:
    """Depends on the processor: without VNNI, x86-64 gives 65,534 for four products of 255 and 127, not 129,540."""
    weights = np.tile([LARGEST_INT8, -LARGEST_INT8, 1], (dim, 30))
    found = byte_product(weights).run(None, {"state": np.full((batch, dim), 255, np.uint8)})[0]
    assert (found == 255 * weights.sum(0)).all()


def pairs_in_16_bits(state: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """state (batch, dim) @ weights (dim, items) as x86-64 without VNNI adds it: by pairs, which saturate."""
    products = state[:, :, None].astype(np.int64) * weights.astype(np.int64)
    products = np.pad(products, ((0, 0), (0, -products.shape[1] % 2), (0, 0)))
    pairs = products[:, ::2] + products[:, 1::2]
    return np.clip(pairs, -(2**15), 2**15 - 1).sum(1)


def test_int8_weights_fit_into_16_bits_by_pairs_whatever_processor_this_is() -> None:
    rng = np.random.default_rng(0)
    graph = in_precision(product(rng.normal(size=(65, 50))), "int8").graph
    whole = next(numpy_helper.to_array(t) for t in graph.initializer if t.name == "int8_rows").T.astype(np.int64)
    assert np.abs(whole).max() == LARGEST_INT8
    worst = np.where(whole.T > 0, 255, 0)  # each item's own worst state
    assert np.array_equal(pairs_in_16_bits(worst, whole), worst @ whole)
    assert not np.array_equal(pairs_in_16_bits(worst, 2 * whole), worst @ (2 * whole)), "8 bits would not"


@pytest.mark.processor
def test_equal_weights_and_states_score_their_number() -> None:
    """Depends on the processor: without VNNI, x86-64 gives half, if weights ever have 8 bits again."""
    for value in (1.0, -3.0):
        _, scores = top(session(np.full((64, 9), value), "int8"), np.full((2, 64), 2.0), 8)
        np.testing.assert_allclose(scores, 128 * value, rtol=1e-6)


def with_bias(weights: np.ndarray, bias: np.ndarray) -> onnx.ModelProto:
    """`product` with the bias as a last row of weights, and ones appended to the state, as exported models have it."""
    proto = product(np.concatenate([weights, bias[None]]))
    graph = proto.graph
    graph.input[0].type.tensor_type.shape.dim[1].dim_value = len(weights)
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.array([1], np.int64), "width"),
            numpy_helper.from_array(np.array([1], np.float32), "one"),
        ]
    )
    graph.node[1].input[0] = "biased"
    for place, node in enumerate(
        [
            helper.make_node("Shape", ["state"], ["rows"], start=0, end=1),
            helper.make_node("Concat", ["rows", "width"], ["shape"], axis=0),
            helper.make_node("Expand", ["one", "shape"], ["ones"]),
            helper.make_node("Concat", ["state", "ones"], ["biased"], axis=1),
        ]
    ):
        graph.node.insert(place, node)
    return proto


def test_a_bias_far_larger_than_the_weights_takes_nothing_from_their_steps() -> None:
    rng = np.random.default_rng(0)
    weights, bias = rng.normal(size=(16, 41)) / 10, rng.normal(size=41) * 3
    state = rng.normal(size=(40, 16)) * np.array([0.001, 1, 10, 100])[np.arange(40) % 4, None]
    proto = in_precision(with_bias(weights, bias), "int8")
    append_top_k(proto.graph, 40)
    items, scores = top(ort.InferenceSession(proto.SerializeToString()), state, 40)
    expected = np.take_along_axis(state @ weights + bias, items, 1)
    # Half a step of the weights at each of 16 places, of the state, and of the bias.
    largest = np.maximum(np.abs(state).max(1), 1)
    steps = (np.abs(state).sum(1) + 16) * np.maximum(np.abs(weights).max(), np.abs(bias).max() / BIAS_ROWS) / 128
    steps = steps + largest / 127 * np.abs(weights).sum(0).max()
    assert (np.abs(scores - expected).max(1) < steps).all()
    alone = np.abs(scores - expected)[np.arange(40) % 4 == 0].max()
    assert alone <= np.abs(bias).max() / BIAS_ROWS / 128 + 0.002, "of a small state only the bias is left, and is exact"


@pytest.mark.processor
@pytest.mark.parametrize("precision", PRECISIONS)
def test_scores_are_near_and_do_not_depend_on_the_rest_of_the_batch(precision: str) -> None:
    """To the last bit, which depends on the processor: it decides how ONNX Runtime cuts a product into blocks."""
    rng = np.random.default_rng(0)
    weights, state = rng.normal(size=(16, 41)), rng.normal(size=(5, 16))
    state[3] *= 1000  # one scale for the whole batch would round the others to nothing
    run = session(weights, precision)
    items, scores = top(run, state, 40)
    expected = np.take_along_axis(state @ weights, items, 1)
    assert (np.abs(scores - expected) < 0.03 * np.abs(expected).max(1, keepdims=True)).all()
    for row in range(5):
        alone = top(run, state[[row, row]], 40)  # as the scorer runs a single user
        assert np.array_equal(alone[0][0], items[row]) and np.array_equal(alone[1][0], scores[row])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_seen_items_and_padding_keep_the_finite_sentinel(precision: str) -> None:
    weights = np.full((2, 6), 300.0)
    items, scores = top(session(weights, precision), np.array([[200.0, 200.0]]), 6, (2, 5))
    assert sorted(items[0, :3]) == [1, 3, 4] and (scores[0, 3:] == np.float32(DROPPED)).all()
    assert sorted(items[0, 3:]) == [0, 2, 5] and (scores[0, :3] > 0).all()


def test_a_state_of_zeros_has_scores() -> None:
    _, scores = top(session(np.ones((3, 4)), "int8"), np.zeros((1, 3)), 3)
    assert (scores == 0).all()


@pytest.mark.parametrize(
    ("kind", "precision"), [("mf", "int8"), ("hybrid", "int8"), ("bert", "fp16"), ("hstu", "int8"), ("hstu", "fp16")]
)
def test_a_file_in_another_precision_is_whole_smaller_and_says_what_it_lost(
    folder: Path, kind: str, precision: str
) -> None:
    path, metadata = exporter.export(kind, folder, precision, LOOSE)
    assert path == folder / f"{kind}.{precision}.onnx" and (folder / f"{kind}.onnx").exists()
    assert metadata.precision == precision and open_model(path).metadata == metadata
    assert 0.7 < metadata.parity["overlap@10"] <= 1 and metadata.parity["ndcg@10"] > 0
    assert metadata.parity["size"] == pytest.approx(
        path.stat().st_size / (folder / f"{kind}.onnx").stat().st_size, abs=0.05
    )
    assert str(folder).encode() not in path.read_bytes()


def test_the_scorer_takes_it_like_any_other(folder: Path) -> None:
    path = folder / "hybrid.int8.onnx"
    if not path.exists():
        exporter.export("hybrid", folder, "int8", LOOSE)
    batch.main([f"--model={path}", "--k=4"])
    lists = pl.read_parquet(folder / "hybrid.int8.topk.parquet")
    assert lists.group_by("user").len()["len"].to_list() == [4] * 40
    seen = pl.read_parquet(folder / "interactions.parquet").filter(pl.col("split") != "test")
    assert lists.join(seen, on=["user", "item"]).is_empty()


def test_a_loss_beyond_the_stated_share_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "interactions.parquet"
    rows = [("u", "a", 1, "train"), ("u", "b", 2, "validation"), ("u", "c", 3, "test")]
    pl.DataFrame(rows, schema=["user", "item", "timestamp", "split"], orient="row").write_parquet(table)
    # After a, the first lists b c d and the second c b d: NDCG 1 and 1 / log2(3).
    exact = write_model(tmp_path / "exact.onnx", list("abcd"), np.tile([9, 0, 3, 2, 1], (5, 1)), table)
    other = write_model(tmp_path / "other.onnx", list("abcd"), np.tile([9, 0, 2, 3, 1], (5, 1)), table)
    found = check_quality(exact, other, table, 0.37)
    assert found == {"ndcg@10_fp32": 1.0, "ndcg@10": pytest.approx(1 / np.log2(3)), "overlap@10": 1.0}
    with pytest.raises(InputError, match=r"falls from 1\.0000 to 0\.6309, by more than --largest-loss 0\.36: the file"):
        check_quality(exact, other, table, 0.36)


def test_a_refused_export_leaves_the_earlier_file(folder: Path, monkeypatch) -> None:
    path, _ = exporter.export("mf", folder, "int8", LOOSE)
    before = path.read_bytes()
    exporter.export("mf", folder, "int8", LOOSE)
    assert path.read_bytes() == before, "the same model gives the same file"
    monkeypatch.setattr(exporter, "check_quality", lambda *_: {}["refused"])
    with pytest.raises(KeyError, match="refused"):
        exporter.export("mf", folder, "int8", LOOSE)
    assert path.read_bytes() == before


def test_without_the_table_there_is_nothing_to_measure_on(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "mf.pt", tmp_path)
    with pytest.raises(InputError, match=r"interactions\.parquet, on which its loss is measured"):
        exporter.export("mf", tmp_path, "int8", LOOSE)
    assert [p.name for p in tmp_path.iterdir()] == ["mf.pt"]


def test_a_graph_without_a_last_product_is_refused() -> None:
    proto = product(np.ones((2, 3)))
    proto.graph.node[-1].output[0] = "before"
    proto.graph.node.append(helper.make_node("Relu", ["before"], [ALL_SCORES]))
    with pytest.raises(InputError, match="--precision int8 is for models that end in a product of states and items"):
        in_precision(proto, "int8")


def test_an_unknown_precision_is_refused_with_those_there_are(folder: Path, run, refused) -> None:
    done = run("export", "mf", f"--artifacts={folder}", "--precision=int4")
    refused(done, "--precision is one of fp32, int8, fp16; found 'int4'")
