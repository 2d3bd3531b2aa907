"""The weights of a model that one file cannot hold: a second file in the same folder, named by its content.

In: a model whose metadata name a data file, with its bytes and SHA-256. Out: these bytes, verified; or InputError.

    data = verified(path, proto)      # None of a model that is whole by itself
    values(tensor, data)

`hybrid.onnx` names `hybrid.0123456789abcdef.data`, 16 digits of its SHA-256, and its own checksum covers that. So a
newer data file never takes the place of the one that a model needs. The file is read from the folder in which the model
itself lies, links resolved; it may be no link. ONNX Runtime maps it into memory, which processes share: unlike a model
file it must not be written to while a model is open.
"""

import contextlib
import hashlib
import json
import math
import mmap
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from infer.errors import InputError
from infer.model.metadata import PREFIX
from infer.system.progress import progress

KEY = PREFIX + "data"
NAME = re.compile(r"[^/\\\0]+\.[0-9a-f]{16}\.data")
FOLDER_ENTRY = "session.model_external_initializers_file_folder_path"  # of ONNX Runtime
PIECE = 2**26  # bytes read at once


@dataclass(frozen=True)
class Data:
    """A verified data file. content: (bytes,) uint8, mapped.  mark: device, inode, bytes and time of the last write."""

    path: Path
    content: np.ndarray
    mark: tuple[int, ...]


def stated(proto: onnx.ModelProto) -> dict[str, str | int] | None:
    """What a model says of its data file: file, bytes, sha256; None if it has none.

    Raises ValueError if that is not what this project writes.
    """
    text = next((entry.value for entry in proto.metadata_props if entry.key == KEY), None)
    if text is None:
        return None
    said = json.loads(text)
    kinds = {"file": str, "bytes": int, "sha256": str}
    if not isinstance(said, dict) or {name: type(value) for name, value in said.items()} != kinds:
        raise ValueError("expected file, bytes and sha256")
    if not NAME.fullmatch(said["file"]) or said["file"] != Path(said["file"]).name or said["bytes"] < 1:
        raise ValueError("expected the name of a file beside the model")
    return said


def stated_in(path: Path) -> dict[str, str | int] | None:
    """What a model file says of its data file; None if it has none, or is no model. Raises OSError if it cannot be
    read."""
    with contextlib.suppress(ValueError, RecursionError, DecodeError):
        return stated(onnx.load(path, load_external_data=False))
    return None


def verified(path: Path, proto: onnx.ModelProto) -> Data | None:
    """The data file of a model, whose bytes are those that it states; raises InputError if they are not."""
    try:
        said = stated(proto)
    except (ValueError, RecursionError):
        raise InputError(f"{path} has damaged metadata (data): export it again") from None
    if said is None:
        return None
    file = folder_of(path) / str(said["file"])
    advice = f"copy it beside {path.name} again, or export again"
    try:
        with _opened(file) as handle:
            about = os.fstat(handle)
            if not stat.S_ISREG(about.st_mode):
                raise InputError(f"{file}, which holds the weights of {path}, is no file: {advice}")
            if about.st_size != said["bytes"]:
                raise InputError(
                    f"{file}, which holds the weights of {path}, has {about.st_size} bytes, not "
                    f"{said['bytes']}: {advice}"
                )
            content = np.frombuffer(mmap.mmap(handle, 0, access=mmap.ACCESS_READ), np.uint8)
    except OSError as error:
        reason = "is a link" if file.is_symlink() else (error.strerror or "cannot be read").lower()
        raise InputError(f"{file}, which holds the weights of {path}, cannot be read ({reason}): {advice}") from None
    if _sha256(content, file.name) != said["sha256"]:
        raise InputError(f"{file} is not what {path} says of it, its checksum is another: {advice}")
    return Data(file, content, _mark(about))


def check_unchanged(path: Path, data: Data) -> None:
    """Raise InputError if a data file is no longer the one that was verified."""
    with contextlib.suppress(OSError):
        if _mark(data.path.lstat()) == data.mark:
            return
    raise InputError(f"{data.path}, which holds the weights of {path}, was changed while it was opened: run again")


def values(tensor: TensorProto, data: Data | None) -> np.ndarray:
    """The values of a tensor, which lie in the model or its data file; raises ValueError if they do not."""
    if tensor.data_location != TensorProto.EXTERNAL and not tensor.external_data:
        return numpy_helper.to_array(tensor)
    places = {entry.key: entry.value for entry in tensor.external_data}
    if data is None or set(places) != {"location", "offset", "length"} or places["location"] != data.path.name:
        raise ValueError("in another file")
    offset, length = int(places["offset"]), int(places["length"])
    dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    if tensor.raw_data or any(size < 0 for size in tensor.dims) or math.prod(tensor.dims) * dtype.itemsize != length:
        raise ValueError("not as many values as declared")
    if offset < 0 or offset % dtype.itemsize or offset + length > len(data.content):
        raise ValueError("beyond the end")
    return data.content[offset : offset + length].view(dtype).reshape(tuple(tensor.dims))


def refuse_apart(path: Path, content: bytes, who: str) -> None:
    """Raise InputError if the model file of these bytes has a data file, which `who` cannot take."""
    if any(entry.key == KEY for entry in onnx.load_model_from_string(content).metadata_props):
        raise InputError(
            f"{path} has its weights in a second file beside it, and {who} takes one: use fewer items or "
            "dimensions, or serve it with `python -m infer.serve`"
        )


def is_apart(tensor: TensorProto) -> bool:
    """Whether a tensor says that its values lie elsewhere."""
    return tensor.data_location == TensorProto.EXTERNAL or bool(tensor.external_data)


def folder_of(path: Path) -> Path:
    """Where the data file of a model lies: with the model itself, wherever links to that may be."""
    return path.resolve().parent


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[int]:
    # Nothing is waited for, where a pipe has the name.
    handle = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        yield handle
    finally:
        os.close(handle)


def _sha256(content: np.ndarray, name: str) -> str:
    digest = hashlib.sha256()
    with progress(total=len(content), unit="B", unit_scale=True, desc=f"checking {name}", delay=2) as bar:
        for start in range(0, len(content), PIECE):
            piece = content[start : start + PIECE]
            digest.update(piece.data)
            bar.update(len(piece))
    return digest.hexdigest()


def _mark(about: os.stat_result) -> tuple[int, ...]:
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns
