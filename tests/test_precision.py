"""Other precisions: what they cost is measured and bounded, and what is dropped stays dropped."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import polars as pl
import pytest
from markov import write_model
from onnx import TensorProto, helper, numpy_helper

from export import __main__ as command
from export.graph import ALL_SCORES, append_top_k
from export.precision import in_precision
from export.quality import check_quality
from infer import batch
from infer.errors import InputError
from infer.schema import DROPPED
from infer.session import open_model

PRECISIONS = ["int8", "fp16"]
LOOSE = 1.0  # the checkerboard's models are trained for a moment; any loss is let through


@pytest.fixture(scope="module")
def folder(artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(artifacts, tmp_path_factory.mktemp("precision") / "a")


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
    feeds = {"state": state.astype(np.float32), "seen": np.tile(seen, (len(state), 1)), "k": np.array([k])}
    return run.run(["items", "scores"], feeds)


def test_whole_steps_are_exact_in_int8() -> None:
    # Weights and states that are whole multiples of a 127th of their largest lose nothing.
    weights = np.array([[0, 127, 0, -64], [0, 1, 127, 127]]) / 127
    items, scores = top(session(weights, "int8"), np.array([[127, 0], [0, -254]]) / 127, 3)
    assert items.tolist() == [[1, 2, 3], [1, 2, 3]]
    np.testing.assert_allclose(scores, [[1, 0, -64 / 127], [-2 / 127, -2, -2]], atol=1e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_scores_are_near_and_do_not_depend_on_the_rest_of_the_batch(precision: str) -> None:
    rng = np.random.default_rng(0)
    weights, state = rng.normal(size=(16, 41)), rng.normal(size=(5, 16))
    state[3] *= 1000  # one scale for the whole batch would round the others to nothing
    run = session(weights, precision)
    items, scores = top(run, state, 40)
    expected = np.take_along_axis(state @ weights, items, 1)
    assert (np.abs(scores - expected) < 0.03 * np.abs(expected).max(1, keepdims=True)).all()
    for row in range(5):
        alone = top(run, state[row : row + 1], 40)
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


@pytest.mark.parametrize(("kind", "precision"), [("mf", "int8"), ("hybrid", "int8"), ("bert", "fp16")])
def test_a_file_in_another_precision_is_whole_smaller_and_says_what_it_lost(
    folder: Path, kind: str, precision: str
) -> None:
    path, metadata = command.export(kind, folder, precision, LOOSE)
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
        command.export("hybrid", folder, "int8", LOOSE)
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
    path, _ = command.export("mf", folder, "int8", LOOSE)
    before = path.read_bytes()
    command.export("mf", folder, "int8", LOOSE)
    assert path.read_bytes() == before, "the same model gives the same file"
    monkeypatch.setattr(command, "check_quality", lambda *_: {}["refused"])
    with pytest.raises(KeyError, match="refused"):
        command.export("mf", folder, "int8", LOOSE)
    assert path.read_bytes() == before


def test_without_the_table_there_is_nothing_to_measure_on(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "bert.pt", tmp_path)
    with pytest.raises(InputError, match=r"interactions\.parquet, on which the loss of another precision is measured"):
        command.export("bert", tmp_path, "int8", LOOSE)
    assert [p.name for p in tmp_path.iterdir()] == ["bert.pt"]


def test_a_graph_without_a_last_product_is_refused() -> None:
    proto = product(np.ones((2, 3)))
    proto.graph.node[-1].output[0] = "before"
    proto.graph.node.append(helper.make_node("Relu", ["before"], [ALL_SCORES]))
    with pytest.raises(InputError, match="--precision int8 is for models that end in a product of states and items"):
        in_precision(proto, "int8")


def test_an_unknown_precision_is_refused_with_those_there_are(folder: Path, run, refused) -> None:
    done = run("export", "mf", f"--artifacts={folder}", "--precision=int4")
    refused(done, "--precision is one of fp32, int8, fp16; found 'int4'")
