"""Whether this project wrote a file, so that no command replaces anything else, nor what it reads.

In: paths. Out: nothing, or InputError. What is written carries a mark: the key `generator` in JSON and in the metadata
of Parquet, a `generator` meta in HTML. Interactions are told by the name of their data set, which their checksum has
always been taken with, and by their columns; models and checkpoints end with checksums of themselves. Files of earlier
versions without any of these are not known from other people's, and stay.

    claim([Path("artifacts/hybrid.onnx")], inputs=[Path("artifacts/hybrid.pt")])
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from infer.errors import InputError
from infer.system.inputs import check_path
from infer.system.project import PROJECT

# What the metadata of a Parquet file, or the keys of a JSON file, start with.
MARK = {"generator": PROJECT}
HTML_MARK = f'<meta name="generator" content="{PROJECT}">'
# A model ends with a metadata entry of its checksum, in hexadecimal digits (`infer.model.modelfile.with_checksum`), and
# the file of its weights with a page that says no more than the name of that entry.
ONNX_MARK = b"recommender.sha256"
HEX = 64  # digits
ENTRY = b"r" + bytes([len(ONNX_MARK) + HEX + 4, 10, len(ONNX_MARK)]) + ONNX_MARK + bytes([18, HEX])
WEIGHTS_END = b"\0" * (4096 - len(ONNX_MARK)) + ONNX_MARK
DIGEST = 32  # bytes of the checksum that ends a checkpoint

# Of interactions: keys of the metadata that are together, and columns.
KEYS = ({"dataset", "tidy"}, {"dataset", "protocol"})
COLUMNS = {"user", "item"}


def claim(outputs: Iterable[Path], inputs: Iterable[Path | None] = ()) -> None:
    """Raise InputError if one of the outputs exists and is not this project's, is one of the inputs, or is not UTF-8.

    For the begin of a command: afterwards `infer.system.files.replacing` asks for each file again.
    """
    read = [path for path in inputs if path is not None and path.exists()]
    for path in outputs:
        check_path(path)
        for place in read:
            if path.exists() and path.samefile(place):
                raise InputError(f"{path} would be written to, but {place} is an input: choose another place")
            if place.is_dir() and any(folder.exists() and folder.samefile(place) for folder in path.parents):
                raise InputError(f"{path} would be written into the input {place}: choose another place")
        if path.is_dir():
            raise InputError(f"cannot write {path}: it is a folder")
        refuse_foreign(path)


def claim_table(path: Path, columns: Iterable[set[str]], what: str, inputs: Iterable[Path | None] = ()) -> None:
    """`claim`, for a Parquet file whose place is chosen freely: what is there has all of one of these sets of columns.

    what: rows of such a table, for the message. Else items and interactions, which are ours as well, would be lost.
    """
    claim([path], inputs)
    names = set(pl.read_parquet_schema(path)) if path.exists() else set()
    if names and not any(needed <= names for needed in columns):
        raise InputError(f"{path} exists and holds no {what}, but {', '.join(sorted(names)[:5])}: choose another place")


def refuse_foreign(path: Path) -> None:
    """Raise InputError if `path` exists and was not written by this project."""
    if path.exists() and not path.is_dir() and not is_ours(path):
        raise InputError(f"{path} exists and was not written by this project: move it away or choose another place")


def is_ours(path: Path) -> bool:
    """Whether a file is one that this project writes, whole and with its mark; raises InputError if it is unreadable.

    Only regular files are looked into.
    """
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            begin = file.read(4096)
        if begin.startswith(b"PAR1"):
            return _is_our_table(path)
        if begin.startswith(b"{"):
            return _is_marked(json.loads(path.read_bytes()))
        if b"<html" in begin.lower():
            return HTML_MARK.encode() in begin
        if begin.startswith(b"PK"):
            content = memoryview(path.read_bytes())
            return hashlib.sha256(content[:-DIGEST]).digest() == content[-DIGEST:]
        return _is_model(path)
    except OSError as error:
        raise InputError(f"cannot read {path}, which would be replaced: {error.strerror}; move it away") from None
    except (ValueError, RecursionError):
        return False


def _is_our_table(path: Path) -> bool:
    try:
        about = pl.read_parquet_metadata(path)
        stated = any(keys <= set(about) for keys in KEYS)
        return _is_marked(about) or (stated and set(pl.read_parquet_schema(path)) >= COLUMNS)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return False


def _is_model(path: Path) -> bool:
    """Whether it ends as a model or its weights do; weights are not read whole, which may be many gigabytes."""
    with path.open("rb") as file:
        file.seek(-min(len(WEIGHTS_END), path.stat().st_size), os.SEEK_END)
        end = file.read()
    if end == WEIGHTS_END:
        return True
    if end[-HEX - len(ENTRY) : -HEX] != ENTRY:
        return False
    content = memoryview(path.read_bytes())
    return hashlib.sha256(content[: -HEX - len(ENTRY)]).hexdigest().encode() == end[-HEX:]


def _is_marked(values: Any) -> bool:
    return isinstance(values, dict) and values.get("generator") == PROJECT
