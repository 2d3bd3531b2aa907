"""Bring a table of any length into the order of its users, a bounded number of rows at a time.

In: rows as they lie in a file. Out: the same rows, checked and of one type; or sorted, in temporary files in a folder
that belongs to this very table: what a stopped run left there is used again.
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from infer.errors import InputError
from infer.system.files import replacing
from infer.system.progress import progress
from infer.tables.columns import ITEM, TIMESTAMP, USER
from infer.tables.notes import Notes
from infer.tables.reading import collect
from infer.tables.tidy import are_canonical, checked, tidy

ROWS = 4_000_000  # read at once
SORTED_ROWS = 8_000_000  # sorted at once
REPEATED_KEY = "repeated"  # in a sorted file's metadata: how many rows repeated a pair


def typed(rows: pl.LazyFrame, path: Path, folder: Path, drop: bool) -> tuple[pl.LazyFrame, Notes]:
    """Check every row; ids become Int64 if all are canonical integers, else String.

    drop: leave rows out that cannot be used.
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
    if notes.unusable.total():
        rows = _without_bad_rows(rows, path, folder)
        if not collect(rows.head(1), path).height:
            raise InputError(f"{path} has no row that can be used: {notes}")
    return rows.with_columns(pl.col(name).cast(pl.Int64 if plain[name] else pl.String) for name in plain), notes


def _without_bad_rows(rows: pl.LazyFrame, path: Path, folder: Path) -> pl.LazyFrame:
    """The rows that can be used, from temporary files."""
    files = []
    for number, block in enumerate(blocks(rows, path, "dropping bad rows")):
        files.append(folder / f"checked-{number:05}.parquet")
        if not files[-1].exists():  # from a run that was stopped
            used, _ = checked(block, str(path))
            with replacing(files[-1]) as temporary:
                used.with_columns(pl.col(TIMESTAMP).cast(pl.Float64)).write_parquet(temporary)
    return pl.scan_parquet(files, glob=False)


def sorted_by_user(rows: pl.LazyFrame, path: Path, folder: Path) -> tuple[pl.LazyFrame, Notes]:
    """The same rows in temporary files, each a range of users, tidy; and how many repeated a pair."""
    counts = collect(rows.group_by(USER).agg(pl.len().alias("rows")).sort(USER), path)
    bucket = (counts["rows"].cum_sum() - 1) // SORTED_ROWS
    ranges = counts.with_columns(bucket.alias("bucket")).group_by("bucket", maintain_order=True)
    bounds = ranges.agg(pl.col(USER).first().alias("first"), pl.col(USER).last().alias("last"))
    files, notes = [], Notes()
    for number, first, last in progress(
        bounds.iter_rows(), total=bounds.height, desc=f"sorting {path.name}", unit=" parts"
    ):
        files.append(folder / f"sorted-{number:05}.parquet")
        if not files[-1].exists():  # from a run that was stopped
            rows_in_range = collect(rows.filter(pl.col(USER).is_between(pl.lit(first), pl.lit(last))), path)
            tidied = tidy(rows_in_range, str(path), number_ids=False)
            whole = tidied.interactions.with_columns(pl.col(TIMESTAMP).cast(pl.Float64))
            with replacing(files[-1]) as temporary:
                whole.write_parquet(temporary, metadata={REPEATED_KEY: str(tidied.repeated)})
        notes.add(Notes(repeated=int(pl.read_parquet_metadata(files[-1])[REPEATED_KEY])))
    return pl.scan_parquet(files, glob=False), notes


def blocks(rows: pl.LazyFrame, path: Path, what: str) -> Iterator[pl.DataFrame]:
    """Consecutive slices of at most `ROWS` rows, with a progress bar."""
    total = collect(rows.select(pl.len()), path).item()
    for start in progress(range(0, total, ROWS), desc=f"{what} of {path.name}", unit=" parts", leave=False):
        yield collect(rows.slice(start, ROWS), path)
