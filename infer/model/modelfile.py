"""Read a model file as if a stranger had written it: whole, unchanged, and nothing but arithmetic.

In: a path. Out: the bytes that are to be run and what they say of themselves; or InputError. The bytes are read
once: nothing that happens to the file afterwards matters.

    python -c "from pathlib import Path; from infer.model.modelfile import load; print(load(Path('hybrid.onnx'))[1])"

Refused are: a file that does not end with the checksum of all that stands before it (`with_checksum`); weights in
other files than the one beside it whose checksum it states (`infer.model.beside`); operators of other domains than
ONNX' own; graphs within graphs, which could loop for ever, except for the branches of an `If`, and the plain body of a
`Loop` whose rounds a constant bounds (`infer.model.loops`); tensors whose declared shape is not that of their values;
values that are not finite numbers, or so large that scores would overflow; and products of whole numbers that come out
differently on different CPUs. A checksum is no signature: it tells damage, not the author.
"""

import hashlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, TensorProto, numpy_helper

from infer.errors import InputError
from infer.model.beside import Data, is_apart, verified
from infer.model.beside import values as values_of
from infer.model.loops import check_loops
from infer.model.metadata import PREFIX, Metadata
from infer.model.signature import DROPPED, NOBODY

CHECKSUM_KEY = PREFIX + "sha256"
DOMAINS = ("", "ai.onnx")
TYPES = {
    TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.INT8, TensorProto.UINT8,
    TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL,
}  # fmt: skip
ATTRIBUTES = {
    AttributeProto.FLOAT, AttributeProto.INT, AttributeProto.STRING, AttributeProto.TENSOR, AttributeProto.FLOATS,
    AttributeProto.INTS, AttributeProto.STRINGS,
}  # fmt: skip
LARGEST_FILE = 2**31 - 1  # bytes of any protobuf message
MOST_NODES = 10_000
DEEPEST = 3  # branches: of whether all items are scored, of candidates, and among these of each user's own
# Products of two values below this, and sums of millions of them, are still finite in fp32.
LARGEST_VALUE = 1e15
# x86-64 CPUs without VNNI add two products of an unsigned and a signed byte in 16 bits, which saturate: with
# 2 * 255 * 64 they never do.
LARGEST_INT8 = 64
MOST_STEPS = 2
CHECKED_AT_ONCE = 2**22  # values
# Operators, and those that ONNX Runtime fuses into them, of whose weights this is not checked.
OTHER_INTEGER_PRODUCTS = {"ConvInteger", "QLinearConv", "QLinearMatMul", "QuantizeLinear", "DequantizeLinear"}


def with_checksum(content: bytes) -> bytes:
    """A serialized ModelProto followed by one more metadata entry: the SHA-256 of all bytes before it."""
    entry = onnx.ModelProto()
    entry.metadata_props.add(key=CHECKSUM_KEY, value=hashlib.sha256(content).hexdigest())
    whole: bytes = content + entry.SerializeToString()
    return whole


def load(path: Path) -> tuple[bytes, Metadata]:
    """The bytes of a model file and its metadata; raises InputError if anything about it is not as it should be."""
    content, metadata, _ = load_with_data(path)
    return content, metadata


def load_with_data(path: Path) -> tuple[bytes, Metadata, Data | None]:
    """The same, and the file beside it that holds its weights, if there is one."""
    content = _read(path)
    try:
        return _checked(path, content)
    except InputError:
        # Between reading the one and the other, both may have been replaced.
        newer = _read(path)
        if newer == content:
            raise
        return _checked(path, newer)


def _checked(path: Path, content: bytes) -> tuple[bytes, Metadata, Data | None]:
    try:
        proto = onnx.load_model_from_string(content)
        properties = {entry.key: entry.value for entry in proto.metadata_props}
    except (DecodeError, UnicodeDecodeError):
        raise InputError(f"{path} is not a readable ONNX model") from None
    if not proto.graph.node:
        raise InputError(f"{path} is not a readable ONNX model: it has no graph")
    metadata = Metadata.from_properties(properties, str(path))
    _check_checksum(path, content)
    data = verified(path, proto)
    _check_graph(path, proto, data)
    return content, metadata, data


def with_everybody(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a graph that scores also who has no known item, to tell what an only item contributes."""
    other = onnx.ModelProto()
    other.CopyFrom(proto)
    for tensor in other.graph.initializer:
        if tensor.name == NOBODY:
            tensor.CopyFrom(numpy_helper.from_array(np.ones(1, dtype=np.int64), NOBODY))
    return other


def _read(path: Path) -> bytes:
    """All bytes of a file that nobody is writing."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST_FILE:
            raise InputError(f"{path} has {size} bytes; an ONNX model has at most {LARGEST_FILE}")
        content = file.read(size + 1)
    if len(content) != size:
        raise InputError(f"{path} is being written ({size} bytes, then {len(content)}): wait until it is whole")
    return content


def _check_checksum(path: Path, content: bytes) -> None:
    """The file must end as `with_checksum` ends it."""
    length = len(with_checksum(b""))
    if with_checksum(content[:-length]) != content:
        raise InputError(
            f"{path} is damaged or was changed after its export: it is not what its checksum says; copy or export again"
        )


def _check_graph(path: Path, proto: onnx.ModelProto, data: Data | None) -> None:
    """Nothing but ONNX' own operators and values that stand in the file."""
    graphs = list(_graphs(path, proto.graph))
    nodes = [node for graph in graphs for node in graph.node]
    domains = {entry.domain for entry in proto.opset_import} | {node.domain for node in nodes}
    strange = sorted(map(str, domains - set(DOMAINS)))
    if strange:
        raise InputError(f"{path} has operators of the domain '{strange[0][:80]}'; expected ONNX' own")
    if len(nodes) > MOST_NODES:
        raise InputError(f"{path} has {len(nodes)} nodes; expected at most {MOST_NODES}")
    if proto.functions or proto.training_info or any(graph.sparse_initializer for graph in graphs):
        raise InputError(f"{path} has functions, training steps or sparse weights; expected a plain graph")
    check_loops(path, graphs)
    for graph in graphs:
        for tensor in _tensors(graph):
            _check_tensor(path, tensor, data if graph is proto.graph else None)
    _check_integer_products(path, nodes, [tensor for graph in graphs for tensor in graph.initializer], data)


def _graphs(path: Path, graph: onnx.GraphProto, depth: int = 0) -> Iterator[onnx.GraphProto]:
    """A graph and what is within it: branches, and bodies of loops, in which nothing is."""
    if depth > DEEPEST:
        raise InputError(f"{path} has branches within branches within branches; expected a plain graph")
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH and node.op_type in ("If", "Loop"):
                yield from _graphs(path, attribute.g, max(depth + 1, DEEPEST if node.op_type == "Loop" else 0))
            elif attribute.type not in ATTRIBUTES:
                raise InputError(f"{path} has a {node.op_type[:80]} with a graph within; expected a plain graph")


def _check_integer_products(
    path: Path, nodes: list[onnx.NodeProto], tensors: list[TensorProto], data: Data | None
) -> None:
    """Weights of products of whole numbers are so small that every CPU sums them exactly."""
    weights, makers = (
        {tensor.name: tensor for tensor in tensors},
        {node.output[0]: node for node in nodes if node.output},
    )
    for node in nodes:
        if node.op_type in OTHER_INTEGER_PRODUCTS:
            raise InputError(f"{path} has a {node.op_type}, which CPUs compute differently; expected a MatMulInteger")
        if node.op_type != "MatMulInteger":
            continue
        name = node.input[1]
        for _ in range(MOST_STEPS):  # from some columns of the weights, or their rows, to all of them
            maker = makers.get(name)
            if maker is None or maker.op_type not in ("Gather", "Transpose"):
                break
            name = maker.input[0]
        tensor = weights.get(name)
        values = None if tensor is None else values_of(tensor, data)
        if values is None or values.dtype != np.int8 or (np.abs(values.astype(np.int16)) > LARGEST_INT8).any():
            raise InputError(
                f"{path} multiplies by whole numbers beyond {LARGEST_INT8}, whose sums overflow on some CPUs: "
                "export it again with this version"
            )


def _tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """Every tensor of the graph: weights, and constants in attributes."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield attribute.t


def _check_tensor(path: Path, tensor: TensorProto, data: Data | None) -> None:
    """Values that stand in the file, or in that of its data, as many as declared, finite and not too large."""
    name, apart = tensor.name[:80], is_apart(tensor)
    if apart and data is None:
        raise InputError(f"{path} keeps the values of '{name}' in another file; expected all of them inside")
    if tensor.data_type not in TYPES:
        raise InputError(f"{path} has '{name}' of type {tensor.data_type}; expected numbers")
    if not apart and (any(size < 0 for size in tensor.dims) or math.prod(tensor.dims) > tensor.ByteSize()):
        raise InputError(f"{path} declares '{name}' as {list(tensor.dims)[:8]}, more than it holds")
    try:
        values = values_of(tensor, data)
    except (ValueError, TypeError, KeyError):
        raise InputError(f"{path} declares '{name}' as {list(tensor.dims)[:8]}, which is not what it holds") from None
    if values.dtype.kind != "f":
        return
    flat = values.reshape(-1)
    for start in range(0, flat.size, CHECKED_AT_ONCE):
        with np.errstate(over="ignore"):
            some = flat[start : start + CHECKED_AT_ONCE].astype(np.float32, copy=False)
        usable = (np.abs(some) <= LARGEST_VALUE) | (some == np.float32(DROPPED))
        if not usable.all():
            raise InputError(f"{path} holds {some[~usable][0]} in '{name}'; expected finite numbers below 1e15")
