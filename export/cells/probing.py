"""The lists of `export.topk` by scoring few items: those of the cells that a user's vector is nearest to.

In: the head of a graph whose items stand in the order of their cells (`export.cells.cells`). Out: nodes that make
lists, and say whether they are whole.

    found = search(nodes, graph, head, Probes(cells, 32), items, k)
    chosen(nodes, found, otherwise, made, outputs)

Lists longer than `SHORT` search as many times more cells. Where rules ask for certain items (boosts, each user's own
candidates, few candidates), where that would be many cells, and for a user who would get fewer than k, all items are
scored as without cells. So a user's list does not depend on whose others are asked for.
"""

import math
from dataclasses import dataclass

import numpy as np
from onnx import GraphProto, TensorProto, ValueInfoProto, helper, numpy_helper

from export.cells.cells import Cells
from export.head import Head
from export.nodes import Nodes
from export.ranking import best_of_all, lists, only_known
from infer.errors import InputError
from infer.histories.vocabulary import PAD
from infer.model.loops import MOST_ROUNDS
from infer.model.signature import (
    BOOSTED_INPUT,
    CANDIDATES_INPUT,
    DROPPED,
    OWN_INPUT,
    SEEN_INPUT,
)
from infer.scoring.one import EXCLUDE

SHORT = 16
CELLS = 16  # to score one in so many cells takes as long as to score all items at once
CENTRES = "cell_centres"


@dataclass(frozen=True)
class Probes:
    """cells: in whose order a graph's items stand, from index 1.  number: how many of them a user's list is from."""

    cells: Cells
    number: int


@dataclass(frozen=True)
class Found:
    """items, values: lists (users, k).  whole: (users, 1) bool, whether they have k items."""

    items: str
    values: str
    whole: str


def chosen(nodes: Nodes, found: Found, otherwise: Nodes, made: list[str], outputs: list[str]) -> None:
    """Append what gives the lists that were found, and of users whose are not whole those of all items.

    otherwise: nodes that give these lists, whose names are `made`; they run only where a list is not whole.
    """
    same, searched = Nodes("probed", nodes.constants), (found.items, found.values)
    names = [same("Identity", name) for name in searched]
    joined = [otherwise("Where", found.whole, *both) for both in zip(searched, made, strict=True)]
    missing = nodes("Cast", nodes("Not", found.whole), to=TensorProto.INT64)
    missing = nodes("ReduceSum", missing, nodes.constant([0, 1]), keepdims=0)
    nodes(
        "If",
        nodes("Equal", missing, nodes.constant(0)),
        outputs=outputs,
        then_branch=same.branch("probed_lists", lists(*names)),
        else_branch=otherwise.branch("every", lists(*joined)),
    )


def search(nodes: Nodes, graph: GraphProto, head: Head, probes: Probes, items: int, k: str) -> Found:
    """Append what makes lists of the nearest cells, if they may be asked; else lists of nothing, none of them whole.

    Raises InputError if scores are no products of vectors.
    """
    if head.users is None:
        raise InputError("cells are searched by vectors, and the scores of this graph are no products of these")
    cells, zero, one = probes.cells, nodes.constant([0]), nodes.constant([1])
    longer = nodes("Div", nodes("Add", k, nodes.constant([SHORT - 1])), nodes.constant([SHORT]))
    number = nodes("Mul", nodes("Max", longer, one), nodes.constant([probes.number]))
    count = nodes.size(CANDIDATES_INPUT, 0)
    # Of fewer, too few are in the nearest cells. Of so many, a single history's others are dropped as seen ones are:
    # either way the same cells are to be searched.
    many = nodes("GreaterOrEqual", count, nodes.constant([math.ceil(EXCLUDE * items)]))
    asks = [
        nodes("Or", nodes("Equal", count, zero), many),
        nodes("Equal", nodes.size(BOOSTED_INPUT, 0), zero),
        nodes("Equal", nodes.size(OWN_INPUT, 1), zero),
        nodes("LessOrEqual", nodes("Mul", number, nodes.constant([CELLS])), nodes.constant([len(cells.centres)])),
        nodes("LessOrEqual", k, nodes("Mul", number, nodes.constant([cells.size]))),
    ]
    may = asks[0]
    for also in asks[1:]:
        may = nodes("And", may, also)
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(cells.centres.T), CENTRES))
    near, nothing = Nodes("near", graph.initializer), Nodes("far", graph.initializer)
    found = _nearest(near, graph, head, probes, items, k, number)
    shape = nothing("Concat", nothing.size(SEEN_INPUT, 0), k, axis=0)
    none = Found(
        nothing("Expand", zero, shape),
        nothing("Expand", nothing.constant([DROPPED], "float32"), shape),
        nothing("Expand", nothing("Less", one, zero), nothing("Concat", nothing.size(SEEN_INPUT, 0), one, axis=0)),
    )
    names = Found("near_items", "near_values", "near_whole")
    branches = {
        name: made.branch(name, [*lists(its.items, its.values), _of_users(its.whole)])
        for name, made, its in (("then_branch", near, found), ("else_branch", nothing, none))
    }
    nodes("If", may, outputs=[names.items, names.values, names.whole], **branches)
    return names


def _of_users(name: str) -> ValueInfoProto:
    """Of each user one bool."""
    return helper.make_tensor_value_info(name, TensorProto.BOOL, ["batch", 1])


def _nearest(nodes: Nodes, graph: GraphProto, head: Head, probes: Probes, items: int, k: str, number: str) -> Found:
    """Lists of the items of each user's nearest cells."""
    cells = probes.cells
    size, one, zero = cells.size, nodes.constant([1]), nodes.constant([0])
    assert head.users is not None, "as `search` has asked"
    scores = nodes("MatMul", head.users, CENTRES)
    nodes("TopK", scores, number, outputs=["near_scores", "near_cells"], axis=1)
    # In their order, so that of equal scores those of lower indexes come first.
    nodes("TopK", "near_cells", number, outputs=["near_cell", "near_places"], axis=1, largest=0)  # (users, probes)
    rounds = nodes("Min", number, nodes.constant([MOST_ROUNDS]))
    nodes("Loop", rounds, "", outputs=["near_found"], body=_cell(graph, head, cells, items))
    users = nodes.size(head.users, 0)
    width = nodes("Mul", number, nodes.constant([size]))
    flat = nodes("Concat", users, width, axis=0)
    scores = nodes("Reshape", nodes("Transpose", "near_found", perm=[1, 0, 2]), flat)
    first = nodes("Unsqueeze", _starts(nodes, cells, "near_cell"), nodes.constant([2]))
    row = nodes("Add", first, nodes.constant(range(size)))  # (users, probes, size)
    end = nodes("Unsqueeze", _starts(nodes, cells, nodes("Add", "near_cell", one)), nodes.constant([2]))
    there = nodes("Reshape", nodes("Less", row, end), flat)
    row = nodes("Reshape", nodes("Min", row, nodes.constant([items])), flat)
    there = nodes("And", there, nodes("Gather", _candidates(nodes, items), row))
    nothing = nodes.constant([DROPPED], "float32")
    scores = nodes("Where", there, scores, nothing)
    # One more column, for what is seen and in no cell that is searched.
    last = nodes("Expand", nothing, nodes("Concat", users, one, axis=0))
    scores = nodes("Concat", scores, last, axis=1)
    seen = _seen(nodes, cells, users, number, width)
    dropped = nodes("Expand", nothing, nodes("Shape", seen))
    scores = nodes("ScatterElements", scores, seen, dropped, axis=1)
    place, values = best_of_all(nodes, scores, k)
    row = nodes("Concat", row, nodes("Expand", zero, nodes("Concat", users, one, axis=0)), axis=1)
    listed = nodes("GatherElements", row, place, axis=1)
    least = nodes("ReduceMin", values, one, keepdims=1)
    return Found(listed, values, nodes("Greater", least, nothing))


def _cell(graph: GraphProto, head: Head, cells: Cells, items: int) -> GraphProto:
    """The body of a loop: its number -> scores (users, size) of the items of each user's cell of that number."""
    assert head.users is not None, "as `search` has asked"
    nodes = Nodes("cell", graph.initializer)
    one = nodes.constant([1])
    number = nodes("Reshape", "cell_number", one)
    cell = nodes("Gather", "near_cell", number, axis=1)  # (users, 1)
    row = nodes("Add", _starts(nodes, cells, cell), nodes.constant(range(cells.size)))
    row = nodes("Reshape", nodes("Min", row, nodes.constant([items])), nodes.constant([-1]))
    taken = head.vectors(nodes, row)
    taken = nodes("Reshape", taken, nodes.constant([-1, cells.size, cells.centres.shape[1]]))
    products = nodes("MatMul", taken, nodes("Unsqueeze", head.users, nodes.constant([2])))
    scores = nodes("Squeeze", products, nodes.constant([2]))
    still = nodes("Identity", "cell_going")
    kinds: tuple[tuple[str, int, list], ...] = (
        ("cell_number", TensorProto.INT64, []),
        ("cell_going", TensorProto.BOOL, []),
    )
    inputs = [helper.make_tensor_value_info(*kind) for kind in kinds]
    outputs = [
        helper.make_tensor_value_info(still, TensorProto.BOOL, []),
        helper.make_tensor_value_info(scores, TensorProto.FLOAT, ["batch", cells.size]),
    ]
    return nodes.branch("cell", outputs, inputs)


def _starts(nodes: Nodes, cells: Cells, cell: str) -> str:
    """The same shape: the index of the first item of a cell, or of the end of the one before."""
    full = nodes("Min", cell, nodes.constant([cells.full]))
    start = nodes("Mul", cell, nodes.constant([cells.size - 1]))
    return nodes("Add", nodes("Add", start, full), nodes.constant([1]))


def _candidates(nodes: Nodes, items: int) -> str:
    """(items + 1,) bool: what anybody may get of what is in cells."""
    given = only_known(nodes, CANDIDATES_INPUT, items)
    none = nodes("Equal", nodes.size(given, 0), nodes.constant([0]))
    may = nodes("Expand", none, nodes.constant([items + 1]))
    yes = nodes("Expand", nodes.constant([True], bool), nodes("Shape", given))
    return nodes("ScatterElements", may, given, yes)


def _seen(nodes: Nodes, cells: Cells, users: str, number: str, width: str) -> str:
    """(users, n): the column of each seen item among those of the user's cells, `width` if it is in none of them."""
    count, size, one, zero = len(cells.centres), cells.size, nodes.constant([1]), nodes.constant([0])
    known = nodes("LessOrEqual", SEEN_INPUT, nodes.constant([len(cells.order)]))
    known = nodes("And", known, nodes("Greater", SEEN_INPUT, nodes.constant([PAD])))
    place = nodes("Sub", nodes("Mul", SEEN_INPUT, nodes("Cast", known, to=TensorProto.INT64)), one)
    place = nodes("Max", place, zero)
    in_full, edge = nodes("Div", place, nodes.constant([size])), nodes.constant([cells.full * size])
    after = nodes("Div", nodes("Max", nodes("Sub", place, edge), zero), nodes.constant([max(size - 1, 1)]))
    cell = nodes("Where", nodes("Less", place, edge), in_full, nodes("Add", after, nodes.constant([cells.full])))
    slot = nodes("Sub", nodes("Add", place, one), _starts(nodes, cells, cell))
    ranks = nodes("Add", nodes("Range", *_scalars(nodes, zero, number, one)), one)
    ranks = nodes("Expand", ranks, nodes("Concat", users, number, axis=0))
    at = nodes("Expand", zero, nodes("Concat", users, nodes.constant([count]), axis=0))
    at = nodes("ScatterElements", at, "near_cell", ranks, axis=1)  # (users, cells): from 1, 0 if it is not searched
    rank = nodes("GatherElements", at, cell, axis=1)
    found = nodes("And", nodes("Greater", rank, zero), known)
    column = nodes("Add", nodes("Mul", nodes("Sub", rank, one), nodes.constant([size])), slot)
    return nodes("Where", found, column, width)


def _scalars(nodes: Nodes, *given: str) -> list[str]:
    shape = nodes.constant([])
    return [nodes("Reshape", one, shape) for one in given]
