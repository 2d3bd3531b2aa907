"""Some rows of a table that a graph makes of others, taken from those: so that the whole is never made.

In: a graph that joins tables side by side (an item's vector, its part of a chain, its bias). Out: nodes that take rows
of each and join these. A runtime makes what follows from weights alone once, beside the weights: of a large catalogue
that is as much memory again.

    taken = Rows(graph).take(nodes, "item_vectors", columns)
"""

import numpy as np
from onnx import GraphProto, NodeProto, helper, numpy_helper

from export.nodes import Nodes

SMALL = 16  # values of a tensor that says how a node does something


class Rows:
    """Which tables of a graph are made of which, as it is now."""

    def __init__(self, graph: GraphProto) -> None:
        self.makers = {output: node for node in graph.node for output in node.output}
        self.stated = {
            tensor.name: numpy_helper.to_array(tensor)
            for tensor in graph.initializer
            if int(np.prod(tensor.dims)) <= SMALL
        }

    def named(self, nodes: Nodes, table: str, rows: str, name: str) -> str:
        """The same as `take`, called `name`."""
        return nodes("Identity", self.take(nodes, table, rows), outputs=[name])

    def take(self, nodes: Nodes, table: str, rows: str) -> str:
        """(n, ...) the rows (n,) of a table (m, ...)."""
        maker = self.makers.get(table)
        if maker is not None and self._is_whole(maker):
            return self.take(nodes, maker.input[0], rows)
        if maker is not None and maker.op_type == "Concat" and _attribute(maker, "axis") in (1, -1):
            return nodes("Concat", *[self.take(nodes, part, rows) for part in maker.input], axis=1)
        if maker is not None and maker.op_type == "Unsqueeze" and self._says(maker, 1, [1]):
            return nodes("Unsqueeze", self.take(nodes, maker.input[0], rows), nodes.constant([1]))
        return nodes("Gather", table, rows, axis=0)

    def _is_whole(self, node: NodeProto) -> bool:
        """Whether a node leaves rows as they are, the first ones at least."""
        if node.op_type == "Pad":
            return self._says(node, 1, [0, 0, 0, 0])
        cut = node.op_type == "Slice" and self._says(node, 1, [0]) and self._says(node, 3, [0])
        return cut and (len(node.input) < 5 or self._says(node, 4, [1]))

    def _says(self, node: NodeProto, place: int, values: list[int]) -> bool:
        """Whether an input of a node is a weight of these values."""
        found = self.stated.get(node.input[place]) if len(node.input) > place else None
        return found is not None and found.ravel().tolist() == values


def _attribute(node: NodeProto, name: str) -> int | None:
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), None)
