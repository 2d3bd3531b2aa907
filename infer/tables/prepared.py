"""What was found out about a table, kept in its folder, so that a later run neither checks nor sorts it again.

In: a folder that belongs to one table, one choice of columns and one size of parts. Out: a `Prepared`, or None.

    write_prepared(folder, Prepared(None, {}, True, parts, notes)); read_prepared(folder)
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from infer.formats.opening import UNPACKED
from infer.system.files import write_text
from infer.tables.cutting import Part, part_after
from infer.tables.notes import Notes

FILE, FORMAT = "source.json", 1
TYPES = {"Int64": pl.Int64(), "String": pl.String()}
TEXT = "text.parquet"
TEMPORARY = (TEXT, UNPACKED, "run-*.parquet")


@dataclass(frozen=True)
class Prepared:
    """files: names of those in the folder that hold the rows; None if they are read where they lie.  types: of the ids,
    where they are to be cast.  ordered, parts, notes: as of `infer.tables.source.Source`."""

    files: list[str] | None
    types: dict[str, pl.DataType]
    ordered: bool
    parts: list[Part]
    notes: Notes


def write_prepared(folder: Path, prepared: Prepared) -> None:
    """Write it once all its files are there, and remove those that only led to them."""
    content = {
        "format": FORMAT,
        "files": prepared.files,
        "types": {name: str(dtype) for name, dtype in prepared.types.items()},
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
    counts = content["notes"]
    notes = Notes(Counter(counts["unusable"]), counts["first"], Counter(counts["units"]), counts["repeated"])
    types = {name: TYPES[dtype] for name, dtype in content["types"].items()}
    return Prepared(content["files"], types, content["ordered"], parts, notes)


def _remove_temporary(folder: Path, prepared: Prepared) -> None:
    for pattern in TEMPORARY:
        for path in folder.glob(pattern):
            if path.name not in (prepared.files or []):
                path.unlink(missing_ok=True)
