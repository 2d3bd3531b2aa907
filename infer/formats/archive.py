"""The one table in a zip archive.

In: an archive. Out: its table, opened, and the table's name; or InputError, which names what lies in it.

    with opened_member(Path("ratings.zip")) as file: file.read()

No path that an archive states is used: only the last part of a member's name, for what it says of the content.
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from infer.errors import InputError
from infer.formats.layout import shown

TABLES = (".csv", ".tsv", ".dat", ".txt", ".inter", ".item", ".jsonl", ".ndjson", ".json", ".data")
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others are not unpacked within bounds


def member_name(path: Path) -> str:
    """The name of the table in an archive, without folders; raises InputError as `opened_member` does."""
    with zipfile.ZipFile(path) as archive:
        return PurePosixPath(_member(archive, path).filename).name


@contextmanager
def opened_member(path: Path) -> Iterator[IO[bytes]]:
    """The table in an archive, opened; raises InputError unless there is exactly one, and zipfile's errors."""
    with zipfile.ZipFile(path) as archive, archive.open(_member(archive, path)) as file:
        yield file


def _member(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    files = [info for info in archive.infolist() if not info.is_dir() and not _is_clutter(info.filename)]
    found = [info for info in files if PurePosixPath(info.filename).suffix.lower() in TABLES]
    if len(files) == 1:
        found = files
    if len(found) != 1:
        what = f"the files {shown([info.filename for info in files])}" if files else "no file"
        raise InputError(f"{path} holds {what}; expected exactly one table in it: unpack it, and name the table itself")
    if found[0].compress_type not in METHODS:
        raise InputError(
            f"{path} is packed by method {found[0].compress_type} of zip; expected deflate: unpack it first"
        )
    return found[0]


def _is_clutter(name: str) -> bool:
    """Whether it is what systems leave in archives beside the files that were meant."""
    return name.startswith("__MACOSX/") or PurePosixPath(name).name.startswith(".")
