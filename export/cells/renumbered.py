"""A graph whose items stand in another order than those of whoever asks it.

In: a whole graph in an order of its own. Out: the same graph, which takes and gives indexes of the file's ids.

    renumbered(proto.graph, order)
"""

import numpy as np
from onnx import GraphProto, TensorProto, numpy_helper

from export.guard import inside, rename
from export.nodes import Nodes
from infer.model.signature import (
    BOOSTED_INPUT,
    CANDIDATES_INPUT,
    ITEMS_OUTPUT,
    OWN_INPUT,
    SEEN_INPUT,
    WINDOW_INPUT,
)
from infer.model.vectors import PLACES

OF_ITEMS = (WINDOW_INPUT, SEEN_INPUT, CANDIDATES_INPUT, OWN_INPUT, BOOSTED_INPUT)


def renumbered(graph: GraphProto, item_at: np.ndarray) -> None:
    """Put nodes before and behind those of a graph.  item_at: (items + 1,) the item at each of the graph's indexes,
    0 at 0; indexes that are none are taken for 0."""
    before, behind = Nodes("placed", graph.initializer), Nodes("named", graph.initializer)
    items = len(item_at) - 1
    graph.initializer.append(numpy_helper.from_array(np.argsort(item_at).astype(np.int32), PLACES))
    names = {ITEMS_OUTPUT: f"placed_{ITEMS_OUTPUT}"}
    for name in (value.name for value in graph.input if value.name in OF_ITEMS):
        known = before("Mul", name, inside(before, name, items))
        names[name] = before("Cast", before("Gather", PLACES, known), to=TensorProto.INT64)
    rename(graph.node, names)
    # The other way round follows from weights alone: a runtime makes it once, and the file need not hold it.
    scalars = [behind.constant(number) for number in (0, items + 1, 1)]
    every = behind("Range", *scalars)
    item = behind("ScatterElements", every, behind("Cast", PLACES, to=TensorProto.INT64), every)
    behind("Gather", item, names[ITEMS_OUTPUT], outputs=[ITEMS_OUTPUT])
    nodes = [*before.nodes, *graph.node, *behind.nodes]
    del graph.node[:]
    graph.node.extend(nodes)
