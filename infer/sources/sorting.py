"""Bring a table of any length into the order of its users, a bounded number of rows at a time.

In: rows as they lie in a file. Out: the same rows, checked and of one type, in sorted files in a folder that belongs to
this very table: what a stopped run left there is used again.

    rules, types, notes = check(scanned, path, options, Known())
    rows, found = sorted_by_user(scanned.rows, types, rules, path, folder)

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
from infer.tables.columns import TIMESTAMP, USER
from infer.tables.ids import IDS, IdTypes, Known, Written, id_types
from infer.tables.interactions import Scanned
from infer.tables.notes import Notes
from infer.tables.options import TableOptions
from infer.tables.tidy import Rules, checked, in_order, rules_of, told

ROWS = 1_000_000  # read at once, and sorted into one run
SORTED_ROWS = 1_000_000  # in one sorted file, about
SAMPLES = 1_000  # users taken of as many rows
GROUP_ROWS = 16_384  # of a run: read in vain, at most, at each end of a range
# In a sorted file's metadata: how many rows repeated a pair, and how many were held out but are not measured.
REPEATED_KEY, FURTHER_KEY = "repeated", "further"
RUN, SORTED = "run-{:05}.parquet", "sorted-{:05}.parquet"


def check(scanned: Scanned, path: Path, options: TableOptions, known: Known) -> tuple[Rules, IdTypes, Notes]:
    """Check every row; returns how its rows are to be read, the types of its ids, and what was found.

    Rows that cannot be used raise InputError, unless they may be dropped.
    """
    rules, notes, total = Rules(str(path), options), Notes(), 0
    written = {name: Written() for name in IDS if name in scanned.untyped}
    for block in blocks(scanned.rows, path, "checking"):
        if not total:
            rules = rules_of(block, str(path), options)
        used, block_notes = checked(block, rules, total)
        for name, found in written.items():
            found.add(used[name])
        notes.add(block_notes)
        total += block.height
    if not total:
        raise scanned.nothing(path, options)
    if not options.drop_bad_rows:
        notes.refuse(str(path), scanned.place)
    if notes.left_out == total:
        raise InputError(f"{path} has no row that can be used: {notes}")
    schema = scanned.rows.collect_schema()
    types = id_types(schema, written, scanned.untyped, known)
    notes.said += told(schema, types, rules, written)
    return rules, types, notes


def sorted_by_user(
    rows: pl.LazyFrame, types: IdTypes, rules: Rules, path: Path, folder: Path
) -> tuple[list[Path], Notes]:
    """Files with the rows that count, each a range of users, tidy; and what was found out meanwhile."""
    runs = _runs(rows, types, rules, path, folder)
    files, notes = [], Notes()
    ranges = list(pairwise([None, *_bounds(runs, path), None]))
    for number, (first, stop) in enumerate(progress(ranges, desc=f"sorting {path.name}", unit=" parts")):
        files.append(folder / SORTED.format(number))
        if not files[-1].exists():  # from a run that was stopped
            inside = pl.scan_parquet(runs, glob=False)
            inside = inside if first is None else inside.filter(pl.col(USER) >= pl.lit(first))
            inside = inside if stop is None else inside.filter(pl.col(USER) < pl.lit(stop))
            found = Notes()
            whole = in_order(collect(inside, path), rules, found)
            counts = {REPEATED_KEY: str(found.repeated or 0), FURTHER_KEY: str(found.further)}
            with replacing(files[-1]) as temporary:
                whole.write_parquet(temporary, metadata=counts)
        about = pl.read_parquet_metadata(files[-1])
        notes.add(Notes(repeated=int(about[REPEATED_KEY]), further=int(about[FURTHER_KEY])))
    return files, notes


def _runs(rows: pl.LazyFrame, types: IdTypes, rules: Rules, path: Path, folder: Path) -> list[Path]:
    """Files with the rows that count, each sorted by user; rows of one user stay in the order of the table."""
    runs = []
    for number, block in enumerate(blocks(rows, path, "sorting blocks")):
        runs.append(folder / RUN.format(number))
        if not runs[-1].exists():  # from a run that was stopped
            used, _ = checked(block, rules)
            used = used.with_columns(*types.to_read(), pl.col(TIMESTAMP).cast(pl.Float64))
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
