"""Lists as files: CSV and JSON lines, also packed, and Parquet; each appears whole, or stays as it was.

In: where to, and the names of segments. Out: a function that takes rows; the files, once the block ends.

    with written_files(target_of(Path("lists.csv"), ""), [""], empty, about) as write: write("", rows)

The files of several segments get their names when all are complete. Packed files have no time and no name within, so
the same lists give the same bytes.
"""

import gzip
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, cast

import polars as pl

from infer.delivery.receipts import announce, claim_text, confirm
from infer.delivery.shaping import PLURAL, for_json, without_lists
from infer.delivery.targets import CSV, PARQUET, Target
from infer.errors import InputError, first_line
from infer.system.files import replacing_together
from infer.system.ownership import MARK, claim_table
from infer.system.scratch import scratch
from infer.tables.columns import ITEM, RANK, USER

Write = Callable[[str, pl.DataFrame], None]
ROWS = 262_144  # of a group: the same rows give the same bytes, however they arrived
LEVEL = 6  # of gzip
BLOCK = 2**20  # bytes


def check_files(target: Target, segments: Sequence[str], inputs: Sequence[Path]) -> None:
    """Raises InputError if a file that is not this project's would be replaced, or an input, or cannot be written."""
    paths = [target.path(segment) for segment in segments]
    for path in paths:
        there = next(above for above in path.resolve().parents if above.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            why = "may not be written to" if there.is_dir() else "is no folder"
            raise InputError(f"cannot write {path}: {there} {why}")
        if not path.exists() or target.kind == PARQUET:
            claim_table(path, [{USER, of_lists} for of_lists in (RANK, PLURAL[ITEM])], "lists", inputs)
        else:
            same = next((place for place in inputs if place.exists() and path.samefile(place)), None)
            if same is not None:
                raise InputError(f"{path} would be written to, but {same} is an input: choose another place")
            claim_text(path)


@contextmanager
def written_files(
    target: Target, segments: Sequence[str], empty: pl.DataFrame, about: dict[str, dict[str, Any]]
) -> Iterator[Write]:
    """Gives a function that takes a segment and rows of it, with the columns of `empty`.

    about: what the receipt of each segment says, read when all rows are there.
    Raises InputError naming the file if the disk refuses; earlier files are unchanged then.
    """
    paths = {segment: target.path(segment) for segment in segments}
    announced: dict[Path, dict[str, Any]] = {}
    with replacing_together(list(paths.values()), owned=target.kind == PARQUET) as temporaries:
        places = dict(zip(paths, temporaries, strict=True))
        with ExitStack() as files:
            kind = _parquet if target.kind == PARQUET else _text
            writers = {s: files.enter_context(kind(target, paths[s], place, empty)) for s, place in places.items()}

            def write(segment: str, rows: pl.DataFrame) -> None:
                with _naming(paths[segment]):
                    writers[segment](rows)

            yield write
        if target.kind != PARQUET:
            for segment, path in paths.items():
                announced[path] = announce(path, places[segment], about[segment], claim_text(path))
    for path, content in announced.items():
        confirm(path, content)


@contextmanager
def _text(target: Target, path: Path, place: Path, empty: pl.DataFrame) -> Iterator[Callable[[pl.DataFrame], None]]:
    """Rows go through the packing into the file, in blocks of one size: on where they end, packed bytes depend."""
    waiting = bytearray()

    def put(text: str, all_of_it: bool = False) -> None:
        waiting.extend(text.encode())
        while len(waiting) >= BLOCK or (all_of_it and waiting):
            stream.write(waiting[:BLOCK])
            del waiting[:BLOCK]

    def write(rows: pl.DataFrame) -> None:
        if target.kind == CSV:
            put(without_lists(rows).write_csv(include_header=False))
        else:
            put(for_json(rows).write_ndjson())

    with _naming(path), _opened(place, target.packed) as stream:
        if target.kind == CSV:
            put(without_lists(empty).write_csv())
        yield write
        put("", all_of_it=True)


@contextmanager
def _opened(place: Path, packed: bool) -> Iterator[IO[bytes]]:
    with place.open("wb") as file:
        if not packed:
            yield file
            return
        with gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as packing:
            yield cast(IO[bytes], packing)


@contextmanager
def _parquet(target: Target, path: Path, place: Path, empty: pl.DataFrame) -> Iterator[Callable[[pl.DataFrame], None]]:
    """Rows go into files of their own, of which one is made: Polars adds no rows to a file."""
    folder = Path(tempfile.mkdtemp(dir=scratch()))
    parts: list[Path] = []

    def write(rows: pl.DataFrame) -> None:
        parts.append(folder / f"{len(parts)}.parquet")
        rows.write_parquet(parts[-1])

    try:
        with _naming(path):
            write(empty)
            yield write
            whole = pl.scan_parquet(parts, glob=False)
            whole.sink_parquet(place, row_group_size=ROWS, metadata=dict(MARK), maintain_order=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """What the system refuses, by the name of the file: several may be open."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise InputError(
            f"cannot write {path}: {reason}; earlier files are unchanged, free space or choose another place"
        ) from None
