"""Unpack gzip, bz2, xz, zstd and zip, but not without bound: a small file must not fill the machine.

In: a file, packed or not. Out: its content, a chunk at a time.

    for chunk in chunks(Path("ratings.csv.gz"), "gzip"): target.write(chunk)

What is packed, and with what, shows in the first bytes, whatever the name.
"""

import bz2
import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from infer.errors import InputError, first_line
from infer.formats.archive import opened_member

# Tables of ids and timestamps shrink to a fifth; gzip itself can reach a thousandth.
MOST = 200
CHUNK = 2**20
XZ_MEMORY = 2**28  # a file says itself how much its unpacking takes
ZSTD_WINDOW = 2**27
ZSTD_FEED = 2**10  # zstd unpacks all it is fed at once: four bytes can become 128 KiB
MAGIC = {
    "gzip": rb"\x1f\x8b",
    "bz2": rb"BZh[1-9](1AY&SY|\x17rE8P\x90)",
    "xz": rb"\xfd7zXZ\x00",
    "zstd": rb"(\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18)",
    "zip": rb"PK(\x03\x04|\x05\x06)",
    "zlib": rb"\x78[\x01\x5e\x9c\xda]",  # which Polars unpacks by itself, without a limit
}
DAMAGES = (
    EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError, zipfile.BadZipFile, RuntimeError, ValueError,
)  # fmt: skip


def packing_of(start: bytes) -> str | None:
    """What a file that begins with these bytes is packed with; None if it is not."""
    return next((name for name, mark in MAGIC.items() if re.match(mark, start)), None)


def packing_in(path: Path, stated: str | None = None) -> str | None:
    """What a file is to be unpacked with: what is stated (`none`: nothing), else what its first bytes say."""
    if stated is not None:
        return None if stated == "none" else stated
    with path.open("rb") as file:
        found = packing_of(file.read(10))
    return None if found == "zlib" else found


def check_unpacked(start: bytes, path: Path) -> None:
    """Raises InputError if what should be text begins as a packed file does."""
    packing = packing_of(start)
    if packing is not None:
        raise InputError(
            f"{path} holds data packed with {packing}; expected text, or text packed once with gzip, bz2, xz, zstd or "
            "zip: unpack it first"
        )


def chunks(path: Path, packing: str | None) -> Generator[bytes, None, None]:
    """The content of a file, unpacked, at most about CHUNK bytes at a time.

    Raises InputError if it is damaged or cut, or holds more than MOST times its size.
    """
    limit, total = max(CHUNK, MOST * path.stat().st_size), 0
    try:
        with closing(_unpacked(path, packing)) as pieces:
            for piece in pieces:
                total += len(piece)
                if packing is not None and total > limit:
                    raise InputError(f"{path} holds more than {MOST} times its size: unpack it first if that is right")
                yield piece
    except DAMAGES as error:
        raise InputError(f"{path} cannot be read: {first_line(error)}") from None


def beginning(path: Path, packing: str | None) -> tuple[bytes, bool]:
    """The first CHUNK bytes of a file's content, and whether they are all of it; errors as of `chunks`."""
    start = b""
    with closing(chunks(path, packing)) as pieces:
        for piece in pieces:
            start += piece
            if len(start) > CHUNK:
                return start[:CHUNK], False
    return start, True


def _unpacked(path: Path, packing: str | None) -> Generator[bytes, None, None]:
    if packing == "zip":
        with opened_member(path) as file:
            yield from iter(lambda: file.read(CHUNK), b"")
    elif packing in (None, "gzip"):
        with path.open("rb") if packing is None else gzip.open(path) as plain:
            yield from iter(lambda: plain.read(CHUNK), b"")
    else:
        with path.open("rb") as file:
            if packing == "zstd":
                decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW)
                yield from _streams(file, decompressor.decompressobj, lambda stream, data: stream.decompress(data))
            else:
                new = bz2.BZ2Decompressor if packing == "bz2" else _xz
                yield from _streams(file, new, lambda stream, data: stream.decompress(data, CHUNK))


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)


def _streams(file: BinaryIO, new: Callable[[], Any], step: Callable[[Any, bytes], bytes]) -> Iterator[bytes]:
    """What streams that follow each other hold; `gzip` does as much by itself."""
    data = file.read(ZSTD_FEED)
    while data:
        stream = new()
        while not stream.eof:
            if not data and getattr(stream, "needs_input", True):
                data = file.read(ZSTD_FEED)
                if not data:
                    raise EOFError("it is cut off")
            yield step(stream, data)
            data = b""
        data = stream.unused_data.lstrip(b"\0")  # streams of xz may have zeros between them
        while not data and (more := file.read(ZSTD_FEED)):
            data = more.lstrip(b"\0")
