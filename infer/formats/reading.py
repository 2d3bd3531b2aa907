"""Call Polars' readers on files that may be damaged: one line, whatever they make of them.

In: a lazy table and the file it is of. Out: its rows or names; or InputError, which names the file.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from infer.errors import InputError, first_line

STDERR = 2


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what Polars and the system say of a damaged file into an InputError that names it."""
    try:
        with _without_panics():
            yield
    except pl.exceptions.PanicException:
        raise InputError(f"{path} cannot be read: it is damaged") from None
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {first_line(error)}") from None


@contextmanager
def _without_panics() -> Iterator[None]:
    """Keep what Polars' native readers print when they panic from standard error: the exception says it."""
    try:
        kept = os.dup(STDERR)
    except OSError:  # there is none
        yield
        return
    _flush()
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), STDERR)
        panicked = False
        try:
            yield
        except pl.exceptions.PanicException:
            panicked = True
            raise
        finally:
            _flush()
            os.dup2(kept, STDERR)
            os.close(kept)
            if not panicked:
                said.seek(0)
                with contextlib.suppress(OSError):  # it may be full, or closed
                    os.write(STDERR, said.read())


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
