"""Weights that are too large for one ONNX file, in a second one beside it (`infer.model.beside`).

In: a traced program. Out: its weights taken out of it, and written; the graph names that file.

    proto = written_apart(program, Path("artifacts/hybrid.onnx"))     # hybrid.0123456789abcdef.data
    clean(Path("artifacts/hybrid.onnx"))                               # once hybrid.onnx is there, or will not be

The data file is written first, under a name of its own; the model, which names it, then replaces the earlier one in one
step. Whatever happens between, the model that is there and its data fit.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto

from infer.model import modelfile
from infer.model.beside import KEY, stated_in
from infer.system.files import replacing
from infer.system.ownership import WEIGHTS_END, is_ours

LEAST = 2**20  # bytes of a weight that is taken out
ALIGNED = 4096  # bytes, as a page of memory
# Of what a file may hold; ids, titles, golden vectors and what the graph adds need the rest.
WEIGHTS = 0.75


def too_large(program: Any) -> bool:
    """Whether the weights of a program should not stand in its file.  program: a `torch.onnx.ONNXProgram`."""
    weights = program.model.graph.initializers.values()
    return sum(value.const_value.nbytes for value in weights) > WEIGHTS * modelfile.LARGEST_FILE


def written_apart(program: Any, path: Path) -> onnx.ModelProto:
    """The graph of a program, whose large weights are written into a file beside `path`.

    They are never copied: what is written are the weights of the model in PyTorch.
    """
    path, taken = path.resolve(), dict[str, np.ndarray]()
    for name, value in program.model.graph.initializers.items():
        if value.const_value.nbytes >= LEAST:
            weight = value.const_value
            taken[name] = weight.numpy()
            value.const_value = ir.ExternalTensor(
                name, 0, weight.nbytes, ir.DataType(weight.dtype), shape=weight.shape, name=name, base_dir=""
            )
    proto: onnx.ModelProto = program.model_proto
    offsets, size = {}, 0
    for name, values in taken.items():
        offsets[name] = size
        size += -(-values.nbytes // ALIGNED) * ALIGNED
    digest = hashlib.sha256()
    for piece in _pieces(taken):
        digest.update(piece)
    file = path.with_name(f"{path.stem}.{digest.hexdigest()[:16]}.data")
    with replacing(file, owned=True) as temporary, temporary.open("wb") as written:
        for piece in _pieces(taken):
            written.write(piece)
    for tensor in proto.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            places = {
                "location": file.name,
                "offset": str(offsets[tensor.name]),
                "length": str(taken[tensor.name].nbytes),
            }
            del tensor.external_data[:]
            for key, said in places.items():
                tensor.external_data.add(key=key, value=said)
    about = {"file": file.name, "bytes": size + len(WEIGHTS_END), "sha256": digest.hexdigest()}
    proto.metadata_props.add(key=KEY, value=json.dumps(about))
    return proto


def _pieces(taken: dict[str, np.ndarray]) -> Any:
    """The bytes of a data file, some after the other."""
    for values in taken.values():
        flat = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        for start in range(0, len(flat), modelfile.CHECKED_AT_ONCE):
            yield flat[start : start + modelfile.CHECKED_AT_ONCE]
        yield b"\0" * (-len(flat) % ALIGNED)
    yield WEIGHTS_END  # by which the file is known to be this project's


def clean(path: Path) -> None:
    """Remove data files of a model that it does not name: of those before it, and of exports that were killed.

    For who alone exports that model: what another process has written is not named yet.
    """
    path = path.resolve()
    try:
        kept = (stated_in(path) or {}).get("file") if path.exists() else None
    except OSError:  # nobody knows what it names
        return
    name = re.compile(re.escape(path.stem) + r"\.[0-9a-f]{16}\.data")
    for file in path.parent.iterdir():
        if name.fullmatch(file.name) and file.name != kept and not file.is_symlink() and is_ours(file):
            file.unlink()
