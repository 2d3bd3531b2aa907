"""What was found out about a table, kept in its folder, so that a later run neither checks nor sorts it again.

In: a folder that belongs to one table, one choice of columns and one size of parts. Out: a `Prepared`, or None.

    write_prepared(folder, Prepared(None, types, Notation(), True, True, parts, notes)); read_prepared(folder)
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from infer.formats.opening import UNPACKED
from infer.sources.cutting import Part, part_after
from infer.system.files import write_text
from infer.tables.ids import IdTypes
from infer.tables.notes import Notes
from infer.tables.timestamps import Notation

FILE, FORMAT = "source.json", 3
TEXT, ABOUT = "text.parquet", "text.json"
TEMPORARY = (TEXT, ABOUT, UNPACKED, "run-*.parquet")
INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
TYPES: dict[str, pl.DataType] = {str(kind()): kind() for kind in (pl.String, *INTEGERS)}


@dataclass(frozen=True)
class Prepared:
    """files: names of those in the folder that hold the rows; None if they are read where they lie.  notation: how
    times are written.  sorted: whether ids have the types already in which they are read.  types, ordered, parts,
    notes: as of `infer.sources.source.Source`."""

    files: list[str] | None
    types: IdTypes
    notation: Notation
    sorted: bool
    ordered: bool
    parts: list[Part]
    notes: Notes


def write_prepared(folder: Path, prepared: Prepared) -> None:
    """Write it once all its files are there, and remove those that only led to them."""
    content = {
        "format": FORMAT,
        "files": prepared.files,
        "types": {
            "read": {name: str(dtype) for name, dtype in prepared.types.read.items()},
            "own": {name: str(dtype) for name, dtype in prepared.types.own.items()},
            "zeros": prepared.types.zeros,
            "beside_numbers": prepared.types.beside_numbers,
        },
        "notation": asdict(prepared.notation),
        "sorted": prepared.sorted,
        "ordered": prepared.ordered,
        "parts": [[part.users, part.rows] for part in prepared.parts],
        "notes": vars(prepared.notes),
    }
    write_text(folder / FILE, json.dumps(content) + "\n")
    _remove_temporary(folder, prepared)


def read_prepared(folder: Path) -> Prepared | None:
    """What was written; None if nothing was, if it is damaged or of another format, or lacks one of its files."""
    if not (folder / FILE).is_file():
        return None
    try:
        prepared = _prepared(json.loads((folder / FILE).read_text(encoding="utf-8")))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    if not all((folder / name).is_file() for name in prepared.files or []):
        return None
    _remove_temporary(folder, prepared)  # which a run that was stopped just then left
    return prepared


def _prepared(content: dict[str, Any]) -> Prepared:
    if content["format"] != FORMAT:
        raise ValueError("another format")
    parts: list[Part] = []
    for users, rows in content["parts"]:
        parts.append(part_after(parts, users, rows))
    notes = Notes(**content["notes"])
    notes.unusable, notes.units = Counter(notes.unusable), Counter(notes.units)
    notes.first = (int(notes.first[0]), str(notes.first[1])) if notes.first else None
    read, own = ({n: TYPES[dtype] for n, dtype in content["types"][key].items()} for key in ("read", "own"))
    told = (tuple(content["types"][name]) for name in ("zeros", "beside_numbers"))
    types, notation = IdTypes(read, own, *told), Notation(**content["notation"])
    return Prepared(content["files"], types, notation, content["sorted"], content["ordered"], parts, notes)


def _remove_temporary(folder: Path, prepared: Prepared) -> None:
    for pattern in TEMPORARY:
        for path in folder.glob(pattern):
            if path.name not in (prepared.files or []):
                path.unlink(missing_ok=True)
