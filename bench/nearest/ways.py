"""The ways themselves: graphs that end as model files do, and indexes of faiss.

In: a `World`. Out: a `Way`, whose `find` gives users their ten items.
"""

from collections.abc import Callable
from dataclasses import dataclass

import faiss
import numpy as np
import onnxruntime as ort
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper

from bench.nearest.world import World
from export.cells.cells import Cells, cells_of, item_at
from export.cells.probing import Probes
from export.cells.renumbered import renumbered
from export.chunks import CHUNK
from export.head import ALL_SCORES
from export.nodes import Nodes
from export.precision import in_precision
from export.topk import BLOCK, append_top_k
from infer.model.choice import Choice
from infer.model.signature import ITEMS_OUTPUT, K_INPUT, SEEN_INPUT
from train.models.coded import CODES, NUMBER, CodedVectors
from train.models.codes import start_vectors

K = 10
GIVEN = "given_users"
POINTS = 64  # items by which a list's centre is found


@dataclass(frozen=True)
class Way:
    """find: users (users, dim) to their items (users, K).  size: bytes of all items."""

    find: Callable[[np.ndarray], np.ndarray]
    size: int


def _columns(items: int) -> int:
    return -(-items // BLOCK) * BLOCK


def _padded(rows: np.ndarray) -> np.ndarray:
    """The same with rows of zeros up to whole blocks."""
    return np.pad(rows, [(0, _columns(len(rows)) - len(rows)), *[(0, 0)] * (rows.ndim - 1)])


def _in_graph(world: World, nodes: Nodes, precision: str = "fp32") -> Way:
    """`nodes` make scores (users, columns) of GIVEN (users, dim); the ten best are taken as in a model file."""
    dim = world.items.shape[1]
    users = helper.make_tensor_value_info(GIVEN, TensorProto.FLOAT, ["batch", dim])
    scores = helper.make_tensor_value_info(ALL_SCORES, TensorProto.FLOAT, ["batch", _columns(len(world.items))])
    graph = helper.make_graph(nodes.nodes, "nearest", [users], [scores], list(nodes.constants))
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    proto = in_precision(proto, precision)
    append_top_k(proto.graph, len(world.items) - 1, BLOCK, fixed=K)
    session = _session(proto)

    def find(users: np.ndarray) -> np.ndarray:
        nothing = np.zeros((len(users), 1), np.int64)
        found: np.ndarray = session.run([ITEMS_OUTPUT], {GIVEN: users, SEEN_INPUT: nothing})[0]
        return found

    return Way(find, proto.ByteSize())


def _session(proto: ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _stored(nodes: Nodes, name: str, values: np.ndarray) -> str:
    nodes.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
    return name


def _with_one(nodes: Nodes) -> str:
    """(users, dim + 1): vectors with a 1, which the bias is multiplied by."""
    shape = nodes("Concat", nodes.size(GIVEN, 0), nodes.constant([1]), axis=0)
    ones = nodes("Expand", nodes.constant([1], np.float32), shape)
    return nodes("Concat", GIVEN, ones, axis=1)


def whole(world: World, precision: str) -> Way:
    """One product with all vectors, as files without codes have it."""
    nodes = Nodes("made", [])
    vectors = _padded(np.concatenate([world.items, world.bias[:, None]], 1))
    nodes("MatMul", _with_one(nodes), _stored(nodes, "vectors", vectors.T), outputs=[ALL_SCORES])
    return _in_graph(world, nodes, precision)


def cut(world: World, parts: int, seed: int = 0) -> CodedVectors:
    """The items' codes, and what they stand for, as training finds them for given vectors."""
    table = CodedVectors(len(world.items), world.items.shape[1], parts)
    start_vectors(table, torch.from_numpy(world.items[1:]), world.counts, seed)
    return table.requires_grad_(False)


def unpacked(world: World, table: CodedVectors) -> Way:
    """As `whole`, of vectors that the graph puts together, as files with codes do."""
    nodes = Nodes("made", [])
    found = _put_together(nodes, _padded(table.codes.numpy()), table, _padded(world.bias))
    nodes("MatMul", _with_one(nodes), nodes("Transpose", found, perm=[1, 0]), outputs=[ALL_SCORES])
    return _in_graph(world, nodes)


def _put_together(nodes: Nodes, codes: np.ndarray, table: CodedVectors, bias: np.ndarray) -> str:
    """(rows, dim + 1) vectors and bias of items, of their codes (rows, NUMBER + parts)."""
    places = nodes("Cast", _stored(nodes, "codes", codes), to=TensorProto.INT32)
    begin, end = nodes.constant([NUMBER]), nodes.constant([codes.shape[1]])
    parts = nodes("Slice", places, begin, end, nodes.constant([1]))
    parts = nodes("Add", parts, _stored(nodes, "first", table.first.numpy()))
    found = nodes("Gather", _stored(nodes, "parts", table.weight.flatten(0, 1).numpy()), parts, axis=0)
    found = nodes("Reshape", found, nodes.constant([len(codes), -1]))
    number = [nodes("Gather", places, nodes.constant(place), axis=1) for place in range(NUMBER)]
    number[1] = nodes("Mul", number[1], nodes.constant(CODES, np.int32))
    whole = nodes("Gather", _stored(nodes, "whole", table.whole.half().numpy()), nodes("Add", *number), axis=0)
    found = nodes("Add", found, nodes("Cast", whole, to=TensorProto.FLOAT))
    short = nodes("Cast", _stored(nodes, "bias", bias[:, None].astype(np.float16)), to=TensorProto.FLOAT)
    return nodes("Concat", found, short, axis=1)


def summed(world: World, table: CodedVectors) -> Way:
    """PQTopK: each user's products with whole vectors and parts, looked up and summed for each item."""
    nodes, parts = Nodes("made", []), len(table.weight)
    users = nodes("Reshape", GIVEN, nodes.constant([0, parts, -1]))
    users = nodes("Transpose", users, perm=[1, 0, 2])
    stored = _stored(nodes, "parts", table.weight.transpose(1, 2).numpy())
    products = nodes("MatMul", users, stored)  # (parts, users, CODES)
    codes = _padded(table.codes.numpy())
    number = codes[:, 0] + CODES * codes[:, 1].astype(np.uint16)
    whole = nodes("MatMul", GIVEN, _stored(nodes, "whole", table.whole.T.numpy()))
    scores = nodes("Gather", whole, nodes("Cast", _stored(nodes, "number", number), to=TensorProto.INT32), axis=1)
    scores = nodes("Add", scores, _stored(nodes, "bias", _padded(world.bias)[None]))
    shape = nodes("Concat", nodes.size(GIVEN, 0), nodes.constant([_columns(len(world.items))]), axis=0)
    for part, column in enumerate(codes[:, NUMBER:].T):
        places = nodes("Expand", _stored(nodes, f"codes_{part}", column[None]), shape)
        places = nodes("Cast", places, to=TensorProto.INT32)
        own = nodes("Gather", products, nodes.constant(part), axis=0)
        last = [ALL_SCORES] if part == parts - 1 else []
        scores = nodes("Add", nodes("GatherElements", own, places, axis=1), scores, outputs=last)
    return _in_graph(world, nodes)


def in_cells(world: World, table: CodedVectors | None = None) -> Cells:
    """The items in cells, by other users than those who are asked for.

    table: of `cut`, whose vectors stand for the items'; None: their own.
    """
    users, vectors = np.pad(world.others, ((0, 0), (0, 1)), constant_values=1), world.items
    if table is not None:
        vectors = table(slice(0, len(vectors))).numpy()
    return cells_of(np.concatenate([vectors, world.bias[:, None]], 1)[1:], users)


def searched(world: World, cells: Cells, number: int, table: CodedVectors | None = None) -> Way:
    """So many of each user's nearest cells, as files of `--probes` search them.  table: as of `in_cells`."""
    nodes, count = Nodes("made", []), len(world.items) - 1
    order = item_at(cells, count)
    if table is None:
        rows = _stored(nodes, "rows", np.concatenate([world.items, world.bias[:, None]], 1)[order])
    else:
        rows = _put_together(nodes, table.codes.numpy()[order], table, world.bias[order])
    vectors = nodes("Transpose", rows, perm=[1, 0])
    nodes("MatMul", _with_one(nodes), vectors, outputs=[ALL_SCORES])
    dim = world.items.shape[1]
    users = helper.make_tensor_value_info(GIVEN, TensorProto.FLOAT, ["batch", dim])
    scores = helper.make_tensor_value_info(ALL_SCORES, TensorProto.FLOAT, ["batch", count + 1])
    graph = helper.make_graph(nodes.nodes, "nearest", [users], [scores], list(nodes.constants))
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    append_top_k(proto.graph, count, chunk=CHUNK, probes=Probes(cells, number))
    renumbered(proto.graph, order)
    session = _session(proto)

    def find(users: np.ndarray) -> np.ndarray:
        given = Choice(np.zeros((len(users), 1), np.int64)).inputs | {GIVEN: users, K_INPUT: np.array([K])}
        found: np.ndarray = session.run([ITEMS_OUTPUT], given)[0]
        return found

    return Way(find, proto.ByteSize())


class Inverted:
    """An index of faiss: items in lists around centres, whole or cut into parts, the bias being one more part."""

    def __init__(self, world: World, lists: int, parts: int = 0) -> None:
        dim = world.items.shape[1]
        self.width = dim + (dim // parts if parts else 1)
        centres = faiss.IndexFlatIP(self.width)
        args = centres, self.width, lists
        self.index: faiss.IndexIVF
        if parts:
            self.index = faiss.IndexIVFPQ(*args, parts + 1, 8, faiss.METRIC_INNER_PRODUCT)
        else:
            self.index = faiss.IndexIVFFlat(*args, faiss.METRIC_INNER_PRODUCT)
        self.index.cp.max_points_per_centroid, self.index.cp.min_points_per_centroid = POINTS, 1
        vectors = self._wide(world.items[1:], world.bias[1:])
        self.index.train(vectors)
        self.index.add(vectors)

    def _wide(self, vectors: np.ndarray, last: np.ndarray) -> np.ndarray:
        joined = np.concatenate([vectors, last[:, None]], 1)
        return np.ascontiguousarray(np.pad(joined, ((0, 0), (0, self.width - joined.shape[1]))), dtype=np.float32)

    def searching(self, probes: int) -> Way:
        """The way that looks into so many lists."""

        def find(users: np.ndarray) -> np.ndarray:
            self.index.nprobe = probes
            found: np.ndarray = self.index.search(self._wide(users, np.ones(len(users))), K)[1] + 1
            return found

        return Way(find, len(faiss.serialize_index(self.index)))
