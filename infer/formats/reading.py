"""Call Polars' readers on files that may be damaged: one line, whatever they make of them.

In: a lazy table and the file it is of. Out: its rows or names; or InputError, which names the file.
"""

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import polars as pl

from infer.errors import InputError, unread

STDERR = 2
MORE_FIELDS = "found more fields than defined"  # what Polars says of a text
TOO_WIDE = "a row has more fields than the first line"


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what Polars and the system say of a damaged file into an InputError that names it."""
    try:
        with _without_panics():
            yield
    except pl.exceptions.PanicException:
        raise InputError(f"{path} cannot be read: it is damaged") from None
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise InputError(unread(path, error, TOO_WIDE if MORE_FIELDS in str(error) else "")) from None


class _Quiet:
    """Standard error of the process, put aside while any thread is within a block of `_without_panics`."""

    def __init__(self) -> None:
        self.lock, self.inside, self.panicked = threading.Lock(), 0, False
        self.kept, self.said = -1, cast("IO[bytes]", None)

    def enter(self) -> bool:
        """Whether there is one to put aside."""
        with self.lock:
            if not self.inside:
                try:
                    self.kept = os.dup(STDERR)
                except OSError:  # there is none
                    return False
                _flush()
                self.said, self.panicked = tempfile.TemporaryFile(), False
                os.dup2(self.said.fileno(), STDERR)
            self.inside += 1
        return True

    def leave(self, panicked: bool) -> None:
        """The last thread to leave puts it back, with what was written meanwhile, unless Polars panicked."""
        with self.lock:
            self.inside -= 1
            self.panicked |= panicked
            if self.inside:
                return
            _flush()
            os.dup2(self.kept, STDERR)
            os.close(self.kept)
            with self.said:
                if not self.panicked:
                    self.said.seek(0)
                    with contextlib.suppress(OSError):  # it may be full, or closed
                        os.write(STDERR, self.said.read())


_QUIET = _Quiet()


@contextmanager
def _without_panics() -> Iterator[None]:
    """Keep what Polars' native readers print when they panic from standard error: the exception says it."""
    entered, panicked = _QUIET.enter(), False
    try:
        yield
    except pl.exceptions.PanicException:
        panicked = True
        raise
    finally:
        if entered:
            _QUIET.leave(panicked)


def _flush() -> None:
    with contextlib.suppress(OSError):
        sys.stderr.flush()


def collect(rows: pl.LazyFrame, path: Path) -> pl.DataFrame:
    """The rows in memory; raises InputError naming `path` if they cannot be read."""
    with reading(path):
        return rows.collect(engine="streaming")


def collect_names(rows: pl.LazyFrame, path: Path) -> list[str]:
    """The column names; raises InputError naming `path` if they cannot be read."""
    with reading(path):
        return rows.collect_schema().names()
