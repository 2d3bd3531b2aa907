"""What a graph makes of inputs that are no indexes, of nobody, of windows of any length and of a row alone."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.graph import ALL_SCORES, export_graph
from export.guard import Sizes, guard
from export.topk import append_top_k
from infer.model.choice import Choice
from infer.model.modelfile import with_everybody
from infer.model.signature import DROPPED
from train.models.linear import Neighbours
from train.presets import configuration

ITEMS, WINDOW = 5, 3


def sums(any_length: bool, everybody: bool = False) -> ort.InferenceSession:
    """Score of item i: i times the sum of the window's indexes as the model reads them, and of its length."""
    nodes = [
        helper.make_node("ReduceSum", ["window", "axis"], ["total"], keepdims=1),
        helper.make_node("Shape", ["window"], ["length"], start=1, end=2),
        helper.make_node("Mul", ["length", "hundred"], ["hundreds"]),
        helper.make_node("Add", ["total", "hundreds"], ["whole"]),
        helper.make_node("Cast", ["whole"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "each"], [ALL_SCORES]),
    ]
    weights = {"axis": np.array([1]), "hundred": np.array([100]), "each": np.arange(ITEMS + 1, dtype=np.float32)}
    given = helper.make_tensor_value_info("window", TensorProto.INT64, ["batch", "n" if any_length else WINDOW])
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "sums", [given], [], constants)
    append_top_k(graph, ITEMS)
    guard(graph, Sizes(ITEMS, window=WINDOW, any_length=any_length))
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(proto, full_check=True)
    return ort.InferenceSession((with_everybody(proto) if everybody else proto).SerializeToString())


def best(session: ort.InferenceSession, window: list, seen: list | None = None, **more) -> list:
    """(item, score) of the two best of every row."""
    rows = np.array(window, dtype=np.int64)
    drop = np.array(seen if seen is not None else [[0]] * len(rows), dtype=np.int64)
    given = {name: np.array(value) for name, value in more.items()}
    feeds = {"window": rows, **Choice(drop).inputs, "k": np.array([2])} | given
    items, scores = session.run(["items", "scores"], feeds)
    return [list(zip(*row, strict=True)) for row in zip(items.tolist(), scores.tolist(), strict=True)]


NOTHING = [(0, pytest.approx(DROPPED))] * 2


@pytest.mark.parametrize("any_length", [True, False])
def test_what_is_no_index_counts_as_padding_and_is_no_seen_item(any_length: bool) -> None:
    session = sums(any_length)
    assert best(session, [[0, 2, 1]]) == [[(5, 5 * 303), (4, 4 * 303)]]
    for wrong in (-1, ITEMS + 1, 2**62, -(2**63)):
        assert best(session, [[wrong, 2, 1]], [[wrong]]) == [[(5, 5 * 303), (4, 4 * 303)]]
        assert best(session, [[0, 2, 1]], [[wrong, 5]]) == [[(4, 4 * 303), (3, 3 * 303)]]
        assert best(session, [[0, 2, 1]], boosted=[wrong], boosts=np.array([[9, 9]], np.float32)) == [
            [(5, 5 * 303), (4, 4 * 303)]
        ]


def test_nobody_gets_nothing_unless_it_is_asked_for() -> None:
    session = sums(True)
    some = [(5, 5 * 301), (4, 4 * 301)]
    assert best(session, [[0, 0, 0], [0, 0, 1], [-1, 99, 0]]) == [NOTHING, some, NOTHING]
    assert best(session, [[0, 0, 0]], own_candidates=[[2]]) == [NOTHING]
    assert best(sums(True, everybody=True), [[0, 0, 0], [0, 0, 1]]) == [[(5, 1500), (4, 1200)], some]


def test_windows_of_any_length_are_cut_to_the_newest_or_filled_up() -> None:
    for any_length in (True, False):
        session = sums(any_length)
        assert [value.shape for value in session.get_inputs() if value.name == "window"] == [["batch", "length"]]
        assert best(session, [[4, 4, 4, 1, 2, 3]])[0][0] == (5, 5 * 306)
        assert best(session, [[1]])[0][0] == (5, 5 * (101 if any_length else 301))


def test_a_row_alone_is_read_as_two_and_given_as_one() -> None:
    proto = export_graph(Neighbours(ITEMS, configuration("markov", max_length=WINDOW, neighbours=2)).eval(), ITEMS)
    proto.graph.output.append(helper.make_tensor_value_info(ALL_SCORES, TensorProto.FLOAT, None))
    session = ort.InferenceSession(proto.SerializeToString())
    for rows, read in ((1, 2), (2, 2), (3, 3)):
        feeds = {"window": np.ones((rows, 2), np.int64), **Choice(np.zeros((rows, 1), np.int64)).inputs}
        items, _, inside = session.run(None, feeds | {"k": np.array([1])})
        assert len(items) == rows and len(inside) == read


def test_a_fixed_number_needs_no_k_and_has_no_rules() -> None:
    model = Neighbours(ITEMS, configuration("markov", max_length=WINDOW, neighbours=2)).eval()
    proto = export_graph(model, ITEMS, fixed=2)
    onnx.checker.check_model(proto, full_check=True)
    session = ort.InferenceSession(proto.SerializeToString())
    assert [(value.name, value.shape[0]) for value in session.get_inputs()] == [("window", "batch"), ("seen", "batch")]
    assert session.get_outputs()[0].shape == ["batch", 2]
    items, scores = session.run(None, {"window": np.array([[1], [0]]), "seen": np.array([[1], [0]])})
    assert items.tolist() == [[2, 3], [0, 0]] and scores[0].tolist() == [0, 0] and (scores[1] <= DROPPED).all()
