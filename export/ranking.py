"""Steps that turn scores into lists inside a graph, whichever items the scores are of.

In: nodes and the names of tensors. Out: further nodes, and the names of what they make.

    columns, values = best_of_blocks(nodes, without(nodes, scores, seen, padding), k)
"""

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto, helper

from export.nodes import Nodes
from export.precision import ROW_SCALE
from infer.histories.vocabulary import PAD
from infer.model.signature import DROPPED, OWN_INPUT

# Items whose largest score is found first: the top k lie in the k blocks with the largest, and a
# maximum over all scores takes a third of the time of a top k over them.
BLOCK = 128
# Columns at least that candidates fill: of fewer, a product of matrices sums in another order when threads share it.
LEAST = 1024


def lists(items: str, scores: str, k: int | str = "top_k") -> list:
    """What a graph or branch gives: (batch, k) items and scores."""
    return [
        helper.make_tensor_value_info(items, TensorProto.INT64, ["batch", k]),
        helper.make_tensor_value_info(scores, TensorProto.FLOAT, ["batch", k]),
    ]


def offered(nodes: Nodes, items: int, retired: Sequence[int]) -> str:
    """(items + 1,) bool: what anybody may get, which neither padding nor a retired item is."""
    mask = np.ones(items + 1, dtype=bool)
    mask[[PAD, *retired]] = False
    return nodes.constant(mask, bool)


def only_known(nodes: Nodes, given: str, items: int) -> str:
    """The same indexes, with padding instead of what is no item's."""
    above = nodes("GreaterOrEqual", given, nodes.constant([1]))
    known = nodes("And", above, nodes("LessOrEqual", given, nodes.constant([items])))
    return nodes("Mul", given, nodes("Cast", known, to=TensorProto.INT64))


def with_boosts(nodes: Nodes, scores: str, columns: str, boosts: str, scaled: bool) -> str:
    """Scores (users, columns) with those of some columns (n,) times a factor, plus a number: `boosts` (n, 2).

    Scores below 0 are divided by the factor, so that more than 1 always lifts.
    """
    shape = nodes("Concat", nodes.size(scores, 0), nodes.size(columns, 0), axis=0)
    factor, added = (nodes("Gather", boosts, nodes.constant(column), axis=1) for column in (0, 1))
    values = nodes("Gather", scores, columns, axis=1)
    below = nodes("Less", values, nodes.constant([0], "float32"))
    values = nodes("Where", below, nodes("Div", values, factor), nodes("Mul", values, factor))
    values = nodes("Add", values, nodes("Div", added, ROW_SCALE) if scaled else added)
    return nodes("ScatterElements", scores, nodes("Expand", columns, shape), values, axis=1)


def without(nodes: Nodes, scores: str, seen: str, dead: str) -> str:
    """Scores without those of each user's `seen` (users, n) and of all users' `dead` (1, n) columns.

    One scatter drops both, whatever their number.
    """
    shape = nodes("Concat", nodes.size(scores, 0), nodes.size(dead, 1), axis=0)
    drop = nodes("Concat", seen, nodes("Expand", dead, shape), axis=1)
    values = nodes("Expand", nodes.constant([DROPPED], "float32"), nodes("Shape", drop))
    return nodes("ScatterElements", scores, drop, values, axis=1)


def best_of_all(nodes: Nodes, scores: str, k: str) -> tuple[str, str]:
    """Columns and values (users, k), best first."""
    values, columns = f"{nodes.prefix}_best_values", f"{nodes.prefix}_best_columns"
    nodes("TopK", scores, k, outputs=[values, columns], axis=1)
    return columns, values


def best_of_blocks(nodes: Nodes, scores: str, k: str, block: int = BLOCK, least: str | None = None) -> tuple[str, str]:
    """The same among the columns of the k best blocks, in ascending order, so that equal scores come out as without
    blocks.

    least: (users, 1) what is not above it need not be found; then lists are as long as it takes, k at most.
    """
    size = nodes.constant([block])
    blocks = nodes("Div", nodes.size(scores, 1), size)
    shape = nodes("Concat", nodes.size(scores, 0), blocks, size, axis=0)
    block_best = nodes("ReduceMax", nodes("Reshape", scores, shape), nodes.constant([2]), keepdims=0)
    count = nodes("Min", k, blocks)
    if least is not None:
        above = nodes("Cast", nodes("Not", nodes("LessOrEqual", block_best, least)), to=TensorProto.INT64)
        most = nodes("ReduceMax", nodes("ReduceSum", above, nodes.constant([1])), nodes.constant([0, 1]), keepdims=0)
        most = nodes("Reshape", most, nodes.constant([1]))
        count = nodes("Min", count, nodes("Max", most, nodes.constant([1])))
    best, ordered = f"{nodes.prefix}_blocks", f"{nodes.prefix}_ordered"
    nodes("TopK", block_best, count, outputs=[f"{best}_values", best], axis=1)
    nodes("TopK", best, count, outputs=[ordered, f"{ordered}_places"], axis=1, largest=0)
    starts = nodes("Unsqueeze", nodes("Mul", ordered, size), nodes.constant([2]))
    candidates = nodes("Add", starts, nodes.constant(range(block)))
    width = nodes("Mul", count, size)
    if least is not None:
        k = nodes("Min", k, width)
    candidates = nodes("Reshape", candidates, nodes("Concat", nodes.size(scores, 0), width, axis=0))
    places, values = best_of_all(nodes, nodes("GatherElements", scores, candidates, axis=1), k)
    return nodes("GatherElements", candidates, places, axis=1), values


def best_of_own(nodes: Nodes, scores: str, column_of: str, items: int, k: str) -> tuple[str, str]:
    """The same among each user's own candidates, filled up to k with padding."""
    own = nodes("Gather", column_of, only_known(nodes, OWN_INPUT, items))
    missing = nodes("Max", nodes("Sub", k, nodes.size(own, 1)), nodes.constant([0]))
    shape = nodes("Concat", nodes.size(own, 0), missing, axis=0)
    own = nodes("Concat", own, nodes("Expand", nodes.constant([[0]]), shape), axis=1)
    places, values = best_of_all(nodes, nodes("GatherElements", scores, own, axis=1), k)
    return nodes("GatherElements", own, places, axis=1), values


def unscaled(nodes: Nodes, items: str, values: str, scaled: bool) -> tuple[str, str]:
    """Scores in the model's unit, where the graph divides them by `ROW_SCALE`."""
    if scaled:
        listed = nodes("Greater", values, nodes.constant([DROPPED], "float32"))
        values = nodes("Where", listed, nodes("Mul", values, ROW_SCALE), values)
    return items, values
