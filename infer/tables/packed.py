"""Unpack gzip files, but not without bound: a small file must not fill the machine.

In: a `.gz` file. Out: its content, in memory or in a file.

    unpack(Path("ratings.csv.gz"), Path("ratings.csv").open("wb"))
"""

import gzip
import zlib
from pathlib import Path
from typing import BinaryIO

from infer.errors import InputError, first_line

# Tables of ids and timestamps shrink to a fifth; gzip itself can reach a thousandth.
MOST = 200
CHUNK = 2**20


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
