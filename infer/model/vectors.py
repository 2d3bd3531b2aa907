"""The vectors inside a model file: each item's, and what the graph makes of each user, whose products are the scores.

In: an open model. Out: item vectors (items, dim), and a model that gives user vectors (users, dim) instead of lists; or
InputError for a file whose scores are no products of vectors, which its metadata say. Both are found by cutting the
graph down to the nodes that one tensor needs.

    python -m infer.vectors --model hybrid.onnx --output vectors.parquet
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, helper, numpy_helper

from infer.errors import InputError, first_line
from infer.histories.histories import Histories
from infer.model.beside import values, verified
from infer.model.session import Model

USER_VECTORS, ITEM_VECTORS = "user_vectors", "item_vectors"
# Of a graph that scores items in chunks, within its loops: indexes (n,) of a chunk's items, and their vectors (n, dim).
CHUNK_ITEMS, CHUNK_VECTORS = "chunk_items", "chunk_item_vectors"
# (items + 1,) of a graph whose items stand in another order: where each item stands.
PLACES = "place_of_item"


def item_vectors(model: Model) -> np.ndarray:
    """(items, dim) float32: row n is the item with index n + 1; dim is the sum of `metadata.vectors`.

    Raises InputError if the file has none, or is no longer the one that was opened.
    """
    check_vectors(model)
    proto = model.proto()
    stored = next((tensor for tensor in proto.graph.initializer if tensor.name == ITEM_VECTORS), None)
    if stored is not None:
        found = values(stored, verified(model.path, proto))
    else:
        found = _made(model, proto)
    places = next((numpy_helper.to_array(tensor) for tensor in proto.graph.initializer if tensor.name == PLACES), None)
    if places is not None and found.ndim == 2 and places.max(initial=0) < len(found):
        found = found[places]
    known = len(model.metadata.item_ids)
    if found.ndim != 2 or len(found) <= known or found.shape[1] != sum(model.metadata.vectors.values()):
        raise _strange(model)
    vectors = found[1 : known + 1].astype(np.float32)
    if not np.isfinite(vectors).all():
        raise InputError(f"{model.path} has item vectors that are not finite numbers: export it again")
    return vectors


def _made(model: Model, proto: ModelProto) -> np.ndarray:
    """(columns, dim): item vectors that the graph makes of its weights, of all at once or of a chunk."""
    part = cut(proto, ITEM_VECTORS)
    if part is not None and not part.graph.input:
        made: np.ndarray = model.opened(part).run([ITEM_VECTORS], {})[0]
        return made
    part = _cut_of_chunks(proto)
    if part is None:
        raise _strange(model)
    every = np.arange(len(model.metadata.item_ids) + 1)
    of_chunks: np.ndarray = model.opened(part).run([CHUNK_VECTORS], {CHUNK_ITEMS: every})[0]
    return of_chunks


def unit_vectors(model: Model) -> np.ndarray:
    """(items, dim) float32: the first part of each item's vector, what its encoder knows it by, of length 1; 0 of an
    item that training did not see. Raises InputError as `item_vectors` does."""
    vectors = item_vectors(model)[:, : next(iter(model.metadata.vectors.values()))]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: np.ndarray = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return unit


@dataclass(frozen=True)
class Directions:
    """Where the items of a model point to, read from its file once."""

    model: Model

    @cached_property
    def unit(self) -> np.ndarray:
        """(items, dim) float32 of length 1, or 0 of an item that training did not see."""
        return unit_vectors(self.model)


@dataclass(frozen=True)
class UserSide:
    """A model cut down to what makes user vectors."""

    model: Model

    def vectors(self, histories: Histories, user_index: np.ndarray) -> np.ndarray:
        """(users, dim) float32, whose products with `item_vectors` are the scores; arguments as of `Model.top`."""
        feeds = self.model.feeds(histories, user_index, k=1)
        try:
            found = self.model.session.run([USER_VECTORS], feeds)[0]
        except Exception as error:  # ONNX Runtime raises one class per status, all derived from Exception
            raise InputError(f"{self.model.path} fails on these users: {first_line(error)}") from None
        # Of a user alone the graph makes two rows (`export.guard`).
        vectors: np.ndarray = found[: len(histories)].astype(np.float32)
        if vectors.shape != (len(histories), sum(self.model.metadata.vectors.values())):
            raise _strange(self.model)
        return vectors


def user_side(model: Model) -> UserSide:
    """What makes user vectors, on the same device; raises InputError as `item_vectors` does."""
    check_vectors(model)
    part = cut(model.proto(), USER_VECTORS)
    if part is None:
        raise _strange(model)
    session = model.opened(part)
    return UserSide(replace(model, session=session, inputs=tuple(i.name for i in session.get_inputs())))


def check_vectors(model: Model) -> None:
    """Raises InputError if the file does not say that its scores are products of vectors."""
    metadata = model.metadata
    if metadata.vectors:
        return
    if metadata.precision == "int8":
        raise InputError(f"{model.path} has its vectors in int8 steps only: give the file in fp32 or fp16")
    raise InputError(
        f"{model.path} has no vectors: the scores of {metadata.kind} are no products of a user's and an item's; "
        "give mf, bert or hybrid"
    )


def _cut_of_chunks(proto: ModelProto) -> ModelProto | None:
    """The graph that makes the vectors of some items, as a loop does; None if none does."""
    bodies = [graph for graph in _within(proto.graph) if any(CHUNK_VECTORS in node.output for node in graph.node)]
    if not bodies:
        return None
    body = ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
    # With what is made outside, as vectors are that are put together from codes.
    body.graph.node.extend(proto.graph.node)
    body.graph.node.extend(node for node in bodies[0].node if CHUNK_ITEMS not in node.output)
    body.graph.initializer.extend(proto.graph.initializer)
    body.graph.input.append(helper.make_tensor_value_info(CHUNK_ITEMS, TensorProto.INT64, ["items"]))
    return cut(body, CHUNK_VECTORS)


def _within(graph: GraphProto) -> Iterator[GraphProto]:
    """Every graph within another."""
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield attribute.g
                yield from _within(attribute.g)


def cut(proto: ModelProto, name: str) -> ModelProto | None:
    """The graph that makes the tensor `name` (rows, dim), with what it needs; None if nothing makes it."""
    graph = proto.graph
    makers = {output: node for node in graph.node for output in node.output}
    if name not in makers:
        return None
    needed, wanted = set[str](), [name]
    while wanted:
        tensor = wanted.pop()
        if tensor and tensor not in needed:
            needed.add(tensor)
            wanted.extend(makers[tensor].input if tensor in makers else ())
    part = helper.make_graph(
        [node for node in graph.node if needed & set(node.output)],
        "part",
        [value for value in graph.input if value.name in needed],
        [onnx.ValueInfoProto(name=name)],  # of whatever type it has
        [tensor for tensor in graph.initializer if tensor.name in needed],
    )
    return helper.make_model(part, opset_imports=proto.opset_import, ir_version=proto.ir_version)


def _strange(model: Model) -> InputError:
    parts = ", ".join(f"{name} ({size})" for name, size in model.metadata.vectors.items())
    return InputError(f"{model.path} states vectors of {parts[:200]}, which its graph does not make: export it again")
