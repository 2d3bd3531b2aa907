"""What a graph makes of any input: indexes that are none, rows without an item, windows of any length, a row alone.

In: a whole graph. Out: the same graph, in which

    an index of `window`, `levels`, `user` or `seen` that is none counts as padding: it would wrap, or fail;
    a window is cut to its newest items, or filled with padding, as far as the model reads;
    a row without a known item, or of an unknown user, is nobody: none of its scores is above `DROPPED`;
    what is no recommendation is item 0;
    a row alone is scored as one of two equal rows: it would take another way through products of matrices.

    guard(proto.graph, Sizes(items=9_724, window=50))
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, numpy_helper

from export.nodes import Nodes
from infer.model.signature import (
    DROPPED,
    FOR_ALL,
    ITEMS_OUTPUT,
    K_INPUT,
    LEVELS_INPUT,
    NOBODY,
    SCORES_OUTPUT,
    SEEN_INPUT,
    USER_INPUT,
    WINDOW_INPUT,
)

LAST = np.iinfo(np.int64).max  # beyond the end of any axis


@dataclass(frozen=True)
class Sizes:
    """items, users, levels: the largest index of each.  window: how many items the model reads.  any_length: whether
    its own nodes take fewer."""

    items: int
    users: int = 0
    levels: int = 0
    window: int = 0
    any_length: bool = False


def guard(graph: GraphProto, sizes: Sizes) -> None:
    """Put nodes before and behind those of a graph, whose inputs and outputs have the names of the contract."""
    before = Nodes("given", graph.initializer)
    rows = before.size(SEEN_INPUT, 0)
    missing = before("Max", before("Sub", before.constant([2]), rows), before.constant([0]))
    largest = {
        WINDOW_INPUT: sizes.items,
        SEEN_INPUT: sizes.items,
        USER_INPUT: sizes.users,
        LEVELS_INPUT: sizes.levels,
    }
    read, known = dict[str, str](), None
    for value in graph.input:
        name = value.name
        if name in FOR_ALL:
            continue
        given = before("Concat", name, before("Slice", name, before.constant([0]), missing), axis=0)
        if name in (WINDOW_INPUT, LEVELS_INPUT):
            given = _fitted(before, given, sizes)
            value.type.tensor_type.shape.dim[1].Clear()
            value.type.tensor_type.shape.dim[1].dim_param = "length"
        if name in largest:
            known_ones = inside(before, given, largest[name])
            given = before("Mul", given, known_ones)
            if name == WINDOW_INPUT:
                known = before("ReduceMax", known_ones, before.constant([1]), keepdims=1)
            elif name == USER_INPUT:
                known = before("Unsqueeze", known_ones, before.constant([1]))
        read[name] = given
    made = {name: f"made_{name}" for name in (ITEMS_OUTPUT, SCORES_OUTPUT)}
    rename(graph.node, read | made)
    behind = Nodes("lists", graph.initializer)
    items, scores = made[ITEMS_OUTPUT], made[SCORES_OUTPUT]
    if known is not None:
        if any(value.name == K_INPUT for value in graph.input):
            graph.initializer.append(numpy_helper.from_array(np.zeros(1, dtype=np.int64), NOBODY))
            known = behind("Max", known, NOBODY)
        scores = behind("Where", behind("Cast", known, to=TensorProto.BOOL), scores, _dropped(behind))
    # NaN is not dropped: whoever reads the list is to see it.
    items = behind("Where", behind("LessOrEqual", scores, _dropped(behind)), behind.constant(0), items)
    for name, whole in ((ITEMS_OUTPUT, items), (SCORES_OUTPUT, scores)):
        behind("Slice", whole, behind.constant([0]), rows, outputs=[name])
    nodes = [*before.nodes, *graph.node, *behind.nodes]
    del graph.node[:]
    graph.node.extend(nodes)


def _fitted(nodes: Nodes, window: str, sizes: Sizes) -> str:
    """(users, length) to the newest of `sizes.window`; filled up on the left for a model that takes no fewer."""
    if not sizes.any_length:
        shape = nodes("Concat", nodes.size(window, 0), nodes.constant([sizes.window]), axis=0)
        padding = nodes("ConstantOfShape", shape, value=numpy_helper.from_array(np.zeros(1, dtype=np.int64)))
        window = nodes("Concat", padding, window, axis=1)
    first, last, axis = nodes.constant([-sizes.window]), nodes.constant([LAST]), nodes.constant([1])
    return nodes("Slice", window, first, last, axis)


def inside(nodes: Nodes, given: str, largest: int) -> str:
    """The same shape: 1 where an index is between 1 and the largest, else 0."""
    least = nodes("GreaterOrEqual", given, nodes.constant([1]))
    return nodes(
        "Cast", nodes("And", least, nodes("LessOrEqual", given, nodes.constant([largest]))), to=TensorProto.INT64
    )


def _dropped(nodes: Nodes) -> str:
    return nodes.constant([DROPPED], "float32")


def rename(nodes: Iterable[NodeProto], names: dict[str, str]) -> None:
    """Let nodes, and those of branches, read and make tensors of other names. Branches make none of these names."""
    for node in nodes:
        for side in (node.input, node.output):
            renamed = [names.get(name, name) for name in side]
            del side[:]
            side.extend(renamed)
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                rename(attribute.g.node, names)
