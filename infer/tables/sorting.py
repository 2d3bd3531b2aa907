"""Bring a table of any length into the order of its users, a bounded number of rows at a time.

In: rows as they lie in a file. Out: the same rows, checked and of one type, in sorted files in a folder that belongs to
this very table: what a stopped run left there is used again.

    types, notes = check(rows, path, drop=False)
    rows, repeated = sorted_by_user(rows, types, path, folder)

First each block of rows is sorted alone and written as a run. Users taken from the runs at equal distances then say
which ranges of users have about as many rows as may be sorted at once; each range is collected from all runs. So
memory holds `ROWS` or about `SORTED_ROWS` rows, whatever the table's length; only the rows of one user, which are
not separated, may be more. The disk holds the runs beside the sorted files until all of these are there.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import polars as pl

from infer.errors import InputError
from infer.formats.reading import collect
from infer.system.files import replacing
from infer.system.progress import progress
from infer.tables.columns import ITEM, SPLIT, TIMESTAMP, USER
from infer.tables.notes import Notes
from infer.tables.tidy import are_canonical, checked, tidy

ROWS = 1_000_000  # read at once, and sorted into one run
SORTED_ROWS = 1_000_000  # in one sorted file, about
SAMPLES = 1_000  # users taken of as many rows
GROUP_ROWS = 16_384  # of a run: read in vain, at most, at each end of a range
REPEATED_KEY = "repeated"  # in a sorted file's metadata: how many rows repeated a pair
RUN, SORTED = "run-{:05}.parquet", "sorted-{:05}.parquet"


def check(rows: pl.LazyFrame, path: Path, drop: bool) -> tuple[dict[str, pl.DataType], Notes]:
    """Check every row; returns the types of ids, Int64 if all are canonical integers, else String; and what was found.

    drop: whether rows that cannot be used may be left out; else they raise InputError.
    """
    plain, notes, total = {USER: True, ITEM: True}, Notes(), 0
    for block in blocks(rows, path, "checking"):
        used, block_notes = checked(block, str(path), total)
        plain = {name: plain[name] and are_canonical(used[name]) for name in plain}
        notes.add(block_notes)
        total += block.height
    if not total:
        raise InputError(f"{path} has no rows")
    if not drop:
        notes.refuse(str(path))
    if notes.unusable.total() == total:
        raise InputError(f"{path} has no row that can be used: {notes}")
    return {name: pl.Int64() if plain[name] else pl.String() for name in plain}, notes


def cast_to(types: dict[str, pl.DataType]) -> list[pl.Expr]:
    """The columns in their types."""
    return [pl.col(name).cast(dtype) for name, dtype in types.items()]


def sorted_by_user(
    rows: pl.LazyFrame, types: dict[str, pl.DataType], path: Path, folder: Path
) -> tuple[list[Path], Notes]:
    """Files with the rows that can be used, each a range of users, tidy; and how many rows repeated a pair."""
    runs = _runs(rows, types, path, folder)
    files, notes = [], Notes()
    ranges = list(pairwise([None, *_bounds(runs, path), None]))
    for number, (first, stop) in enumerate(progress(ranges, desc=f"sorting {path.name}", unit=" parts")):
        files.append(folder / SORTED.format(number))
        if not files[-1].exists():  # from a run that was stopped
            inside = pl.scan_parquet(runs, glob=False)
            inside = inside if first is None else inside.filter(pl.col(USER) >= pl.lit(first))
            inside = inside if stop is None else inside.filter(pl.col(USER) < pl.lit(stop))
            tidied = tidy(collect(inside, path), str(path), number_ids=False)
            whole = tidied.interactions.with_columns(pl.col(TIMESTAMP).cast(pl.Float64))
            with replacing(files[-1]) as temporary:
                whole.write_parquet(temporary, metadata={REPEATED_KEY: str(tidied.repeated)})
        notes.add(Notes(repeated=int(pl.read_parquet_metadata(files[-1])[REPEATED_KEY])))
    return files, notes


def _runs(rows: pl.LazyFrame, types: dict[str, pl.DataType], path: Path, folder: Path) -> list[Path]:
    """Files with the rows that can be used, each sorted by user; rows of one user stay in the order of the table."""
    runs = []
    for number, block in enumerate(blocks(rows, path, "sorting blocks")):
        runs.append(folder / RUN.format(number))
        if not runs[-1].exists():  # from a run that was stopped
            used, _ = checked(block, str(path))
            texts = [pl.col(name).cast(pl.String) for name in (SPLIT,) if name in used.columns]
            used = used.with_columns(*cast_to(types | {TIMESTAMP: pl.Float64()}), *texts)
            with replacing(runs[-1]) as temporary:
                used.sort(USER, maintain_order=True).write_parquet(
                    temporary, compression="lz4", row_group_size=GROUP_ROWS
                )
    return runs


def _bounds(runs: list[Path], path: Path) -> list[int | str]:
    """Users, ascending, at which the ranges after the first begin."""
    step = max(1, SORTED_ROWS // SAMPLES)
    taken = pl.concat(collect(pl.scan_parquet(run, glob=False).select(USER), path).gather_every(step) for run in runs)
    users = taken[USER].sort()
    bounds = users.gather_every(max(1, SORTED_ROWS // step)).unique().sort()
    return bounds.to_list()[1:]  # the first is the least user of all


def blocks(rows: pl.LazyFrame, path: Path, what: str) -> Iterator[pl.DataFrame]:
    """Consecutive slices of at most `ROWS` rows, with a progress bar."""
    total = collect(rows.select(pl.len()), path).item()
    for start in progress(range(0, total, ROWS), desc=f"{what} of {path.name}", unit=" parts", leave=False):
        yield collect(rows.slice(start, ROWS), path)
