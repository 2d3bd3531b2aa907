"""Standard input, output and error that are closed, full or not read any more, without a traceback.

In: the streams as the shell gave them. Out: streams that can be written to, and what went wrong when they were.

    python -m infer --help >/dev/full
"""

import contextlib
import os
import sys
from pathlib import Path
from typing import TextIO


def ready() -> None:
    """Open the null device where a stream is closed, or else the next file to be opened would take its place.

    A character that the encoding of standard output lacks is written as `?`.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # the lowest number that is free is the one that is given
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    # Not by their numbers: what was imported before may have opened something of its own there.
    null = Path(os.devnull)
    sys.stdin = sys.stdin or null.open(encoding="utf-8")
    sys.stdout = sys.stdout or null.open("w", encoding="utf-8")
    sys.stderr = sys.stderr or null.open("w", encoding="utf-8")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")


def flush(stream: TextIO) -> OSError | None:
    """Write what is left; if that fails say why, and drop it, since the interpreter would try again at its end."""
    try:
        stream.flush()
    except OSError as error:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return error
    return None


def can_write(stream: TextIO) -> bool:
    """Whether an empty line can be written."""
    try:
        stream.write("\n")
        stream.flush()
    except OSError:
        return False
    return True


def complain(line: str) -> None:
    """One line on standard error, if it can be written."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{line}\n")
    flush(sys.stderr)
