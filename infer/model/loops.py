"""Loops that end: the only ones that a model file may hold.

In: all graphs of a file. Out: nothing, or InputError.

    check_loops(path, graphs)

How often a loop goes round must come from a `Min` of the same graph of which one input is a constant: a weight of the
outermost graph that no input and no other node can replace, and at most `MOST_ROUNDS`. That a body holds no further
graph is checked where graphs are found (`infer.model.modelfile`).
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from onnx import GraphProto, NodeProto, TensorProto, numpy_helper

from infer.errors import InputError

LOOP = "Loop"
MOST_ROUNDS = 2**16


def check_loops(path: Path, graphs: Sequence[GraphProto]) -> None:
    """Raise InputError if a loop of a file could go round more than `MOST_ROUNDS` times.

    graphs: the outermost, then all within it.
    """
    if not any(node.op_type == LOOP for graph in graphs for node in graph.node):
        return
    defined = Counter(name for graph in graphs for name in _defined(graph))
    bounds = {tensor.name for tensor in graphs[0].initializer if defined[tensor.name] == 1 and _is_bound(tensor)}
    for graph in graphs:
        makers = {output: node for node in graph.node for output in node.output}
        for node in graph.node:
            if node.op_type == LOOP and not _is_bounded(node, makers, defined, bounds):
                raise InputError(
                    f"{path} has a Loop that no constant of at most {MOST_ROUNDS} rounds bounds; expected one that ends"
                )


def _is_bounded(node: NodeProto, makers: dict[str, NodeProto], defined: Counter[str], bounds: set[str]) -> bool:
    rounds = node.input[0] if node.input else ""
    maker = makers.get(rounds)
    return maker is not None and defined[rounds] == 1 and maker.op_type == "Min" and bool(bounds & set(maker.input))


def _is_bound(tensor: TensorProto) -> bool:
    """Whether a weight is one whole number that may bound a loop."""
    if tensor.data_type != TensorProto.INT64 or list(tensor.dims) not in ([], [1]) or tensor.external_data:
        return False
    try:
        return bool(numpy_helper.to_array(tensor).item() <= MOST_ROUNDS)
    except (ValueError, TypeError):  # of other values than declared
        return False


def _defined(graph: GraphProto) -> list[str]:
    """Every name that a graph gives a value."""
    made = [output for node in graph.node for output in node.output if output]
    return [*made, *(value.name for value in graph.input), *(tensor.name for tensor in graph.initializer)]
