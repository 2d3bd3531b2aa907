"""Nodes of a graph, written one after the other, with names of their own.

In: a prefix of names and where constants go. Out: nodes in order; each call gives the name of what a node makes.

    nodes = Nodes("all", graph.initializer)
    best = nodes("ReduceMax", scores, nodes.constant([2]), keepdims=0)
"""

from collections.abc import MutableSequence, Sequence
from itertools import count
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

CONSTANT = "constant_"


class Nodes:
    """Nodes of a graph or of a branch. constants: of the outermost graph, which all branches see."""

    def __init__(self, prefix: str, constants: MutableSequence[TensorProto]) -> None:
        self.prefix, self.constants, self.nodes = prefix, constants, list[NodeProto]()
        self.shapes = list[ValueInfoProto]()

    def __call__(self, operator: str, *inputs: str, outputs: Sequence[str] = (), **attributes: Any) -> str:
        """Append a node; returns the name of its first output, made up unless `outputs` names them."""
        names = list(outputs) or [f"{self.prefix}_{len(self.nodes)}"]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names[0]

    def constant(self, values: Any, dtype: Any = np.int64) -> str:
        """A tensor of these values, which stands once in the graph."""
        array = np.asarray(values, dtype=dtype)
        for tensor in self.constants:
            if tensor.name.startswith(CONSTANT) and _same(numpy_helper.to_array(tensor), array):
                return str(tensor.name)
        taken = {tensor.name for tensor in self.constants}  # some may have gone since
        name = next(name for n in count(len(taken)) if (name := f"{CONSTANT}{n}") not in taken)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def size(self, tensor: str, axis: int) -> str:
        """(1,) the length of one axis."""
        return self("Shape", tensor, start=axis, end=axis + 1)

    def shaped(self, tensor: str, *shape: int | str) -> str:
        """The same tensor of floats with a stated shape: what overwrites a tensor of the same shape needs no copy."""
        self.shapes.append(helper.make_tensor_value_info(tensor, TensorProto.FLOAT, shape))
        return tensor

    def copied(self, nodes: Sequence[NodeProto], given: dict[str, str]) -> dict[str, str]:
        """Append copies of nodes that read what `given` says instead; returns the new name of all that they make."""
        names = dict(given)
        for node in nodes:
            own = NodeProto()
            own.CopyFrom(node)
            names |= {output: f"{self.prefix}_{output}" for output in node.output}
            own.name = ""
            del own.input[:], own.output[:]
            own.input.extend(names.get(name, name) for name in node.input)
            own.output.extend(names[name] for name in node.output)
            self.nodes.append(own)
        return names

    def branch(self, name: str, outputs: Sequence[ValueInfoProto], inputs: Sequence[ValueInfoProto] = ()) -> GraphProto:
        """The same as a branch of an `If`, or with inputs as the body of a `Loop`."""
        return helper.make_graph(self.nodes, name, inputs, outputs, value_info=self.shapes)


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and np.array_equal(one, other)
