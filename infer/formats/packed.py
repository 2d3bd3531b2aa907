"""Unpack gzip files, but not without bound: a small file must not fill the machine.

In: a text file, packed or not. Out: its content, in a file, or its first lines.

    unpack(Path("ratings.csv.gz"), Path("ratings.csv").open("wb"))

What is packed shows in the first bytes, whatever the name: Polars unpacks by them, and would know no limit.
"""

import gzip
import zlib
from pathlib import Path
from typing import BinaryIO

from infer.errors import InputError, first_line

# Tables of ids and timestamps shrink to a fifth; gzip itself can reach a thousandth.
MOST = 200
CHUNK = 2**20
GZIP = b"\x1f\x8b"
ZLIB, ZSTD = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"), b"\x28\xb5\x2f\xfd"
PACKINGS = {GZIP: "gzip", ZSTD: "zstd"} | dict.fromkeys(ZLIB, "zlib")


def is_packed(path: Path) -> bool:
    """Whether a file is to be unpacked with gzip: its name, in any case, or its first bytes say so."""
    if path.suffix.lower() == ".gz":
        return True
    with path.open("rb") as file:
        return file.read(len(GZIP)) == GZIP


def check_unpacked(start: bytes, path: Path) -> None:
    """Raises InputError if what should be text begins as a packed file does."""
    packing = next((name for mark, name in PACKINGS.items() if start.startswith(mark)), None)
    if packing is not None:
        raise InputError(f"{path} holds data packed with {packing}; expected text, or text packed once with gzip")


def unpack(path: Path, target: BinaryIO) -> None:
    """Write the content of `path` to `target`.

    Raises InputError if the file is damaged or cut, or holds more than MOST times its size.
    """
    limit, total = max(CHUNK, MOST * path.stat().st_size), 0
    try:
        with gzip.open(path) as packed:
            while chunk := packed.read(CHUNK):
                total += len(chunk)
                if total > limit:
                    raise InputError(f"{path} holds more than {MOST} times its size: unpack it first if that is right")
                target.write(chunk)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {first_line(error)}") from None


def first_lines(path: Path) -> bytes:
    """The lines with which a text file, packed or not, begins: about CHUNK bytes, or all there are.

    Raises InputError if a packed file is damaged there.
    """
    try:
        with gzip.open(path) if is_packed(path) else path.open("rb") as file:
            start: bytes = file.read(CHUNK)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {first_line(error)}") from None
    return start if len(start) < CHUNK else start[: start.rfind(b"\n") + 1] or start
