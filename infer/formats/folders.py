"""A folder of Parquet files: which of its files are rows.

In: a folder. Out: its files; or InputError, which names what would not be read.

- Its files are those that end in .parquet or .pq, directly in it, in the order of their names. Marks that writers
  leave beside them (`_SUCCESS`, `.crc`) are passed over; anything else is refused, as rows may lie in it.

    files_of(Path("ratings"))
"""

from fnmatch import fnmatchcase
from pathlib import Path

from infer.errors import InputError
from infer.formats.opening import is_parquet

MARKS = ("_SUCCESS", "_metadata", "_common_metadata", "_committed_*", "_started_*", ".*", "*.crc")


def files_of(folder: Path) -> list[Path]:
    """The Parquet files of a folder; raises InputError if there are none, or others beside them."""
    files = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and any(fnmatchcase(path.name, mark) for mark in MARKS):
            continue
        if not (path.is_file() and is_parquet(path)):
            kind = "folder" if path.is_dir() else "file" if path.is_file() else "pipe or device"
            raise InputError(
                f"{folder} holds the {kind} {path.name}, which would not be read; expected Parquet files alone, "
                "directly in it: move it elsewhere, or write the table anew"
            )
        files.append(path)
    if not files:
        raise InputError(f"{folder} is a folder without Parquet files; expected a file, or a folder of them")
    return files
