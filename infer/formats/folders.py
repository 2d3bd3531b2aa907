"""A folder as one table: which of its files are rows.

In: a folder. Out: its files and their rows; or InputError, which names what would not be read.

- Parquet files directly in it, in the order of their names, or below folders named `key=value` (`infer.formats.hive`);
  or text files of one kind, each with its header. Marks that writers leave beside them (`_SUCCESS`, `.crc`) are passed
  over; anything else is refused, as rows may lie in it.
- A Delta or Iceberg table (`infer.formats.lakes`): the files of its latest version.

    files_of(Path("ratings"))
"""

from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from infer.errors import InputError
from infer.formats import lakes
from infer.formats.hive import check_partitions, is_partition
from infer.formats.layout import shown
from infer.formats.opening import PARQUET, is_parquet, suffix_of

MARKS = ("_SUCCESS", "_metadata", "_common_metadata", "_committed_*", "_started_*", ".*", "*.crc")
LINES = (".jsonl", ".ndjson", ".json")
TEXT = (".csv", ".tsv", ".txt", ".dat", *LINES)
ARROW = (".arrow", ".feather", ".ipc")
# Folders of writers, and why what lies beside them is not the table.
WRITERS = {
    "_temporary": "a writer has not finished, or was stopped: let it finish, or move it elsewhere",
    "_spark_metadata": "its log says which files count, and is not read: write the table anew as Parquet",
    ".hoodie": "a Hudi table, which is not read: write the table anew as Parquet",
    "_hudi": "a Hudi table, which is not read: write the table anew as Parquet",
}
STAGING = (".hive-staging*", "_staging*", ".spark-staging*", "_tmp*", ".tmp*")


def files_of(folder: Path) -> list[Path]:
    """The files that decide which rows a folder has: those with rows and, of a lake's table, its log.

    Raises InputError if there are none, or others beside them.
    """
    lake = lakes.kind_of(folder)
    return lakes.files_of(folder, lake) if lake else members(folder)


def members(folder: Path) -> list[Path]:
    """The files of a plain folder, all of one kind; raises InputError as `files_of` does."""
    files = sorted(_walk(folder, folder))
    if not files:
        raise InputError(
            f"{folder} is a folder without Parquet files; expected a file, or a folder of Parquet files or text files"
        )
    kinds = {file: _kind(file) for file in files}
    tables = Counter(kind for kind in kinds.values() if kind in (PARQUET[0], *TEXT, *ARROW))
    kind = PARQUET[0] if PARQUET[0] in tables else next((kind for kind, _ in tables.most_common(1)), None)
    strange = next((file for file in files if kinds[file] != kind), None)
    if strange is not None:
        expected = "Parquet files alone" if kind == PARQUET[0] else "Parquet files, or text files of one kind, alone"
        raise _unread(folder, "file", strange.name, expected)
    check_partitions((file.relative_to(folder) for file in files), folder)
    return files


def _walk(folder: Path, table: Path) -> Iterator[Path]:
    """All files but marks, of a folder and of those in it that are partitions."""
    for path in folder.iterdir():
        if path.is_file() and any(fnmatchcase(path.name, mark) for mark in MARKS):
            continue
        if path.is_file():
            yield path
        elif path.is_dir() and is_partition(path.name):
            yield from _walk(path, table)
        else:
            raise _unread(table, "folder" if path.is_dir() else "pipe or device", path.name)


def _kind(file: Path) -> str:
    return PARQUET[0] if is_parquet(file) else suffix_of(file)


def _unread(folder: Path, kind: str, name: str, expected: str = "Parquet files alone") -> InputError:
    why = WRITERS.get(name)
    if kind == "folder" and any(fnmatchcase(name, pattern) for pattern in STAGING):
        why = WRITERS["_temporary"]
    if kind == "folder" and why is not None:
        return InputError(f"{folder} holds the folder {name}: {why}")
    return InputError(
        f"{folder} holds the {kind} {shown([name])}, which would not be read; expected {expected}, "
        "directly in it or in folders named key=value: move it elsewhere, or write the table anew"
    )
