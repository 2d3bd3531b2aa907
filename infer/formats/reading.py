"""Call Polars' readers on files that may be damaged: one line, whatever they make of them.

In: a lazy table and the file it is of. Out: its rows or names; or InputError, which names the file.
"""

import contextlib
import csv
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from infer.errors import InputError, first_line

STDERR = 2
MORE_FIELDS = "found more fields than defined"  # what Polars says of a text
SEPARATORS = ",;\t|"


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what Polars and the system say of a damaged file into an InputError that names it."""
    try:
        with _without_panics():
            yield
    except pl.exceptions.PanicException:
        raise InputError(f"{path} cannot be read: it is damaged") from None
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        said = _too_wide(path) if MORE_FIELDS in str(error) else first_line(error)
        raise InputError(f"{path} cannot be read: {said}") from None


def _too_wide(path: Path) -> str:
    """Which row of a text has more fields than its first line, in words; not which if it is packed or in a folder."""
    failures = (OSError, ValueError, csv.Error)  # no UTF-8, for one
    with contextlib.suppress(*failures), path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        rows = csv.reader(file, delimiter=max(SEPARATORS, key=first.count))
        names = next(rows, [])
        number, row = next(((n, row) for n, row in enumerate(rows, 1) if len(row) > len(names)), (0, []))
        if number:
            return f"row {number} has {len(row)} fields, the first line {len(names)}: '{','.join(row)[:80]}'"
    return "a row has more fields than the first line"


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
