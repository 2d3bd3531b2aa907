"""Cut a table that is ordered by user into parts of consecutive users.

In: rows, lazily. Out: parts, which together are the whole table; memory holds one block of users' ids, and where the
users of one part begin.

    cut(pl.scan_parquet("ratings.parquet"), Path("ratings.parquet"), part_users=8192)
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from infer.sources.sorting import blocks
from infer.tables.columns import USER

PART_ROWS = 4_000_000


@dataclass(frozen=True)
class Part:
    """Consecutive users: their number, how many users of the table come before them, and where their rows lie in the
    ordered table. Parts are numbered from 0."""

    number: int
    users: int
    position: int
    offset: int
    rows: int


def part_after(parts: list[Part], users: int, rows: int) -> Part:
    """The part of the next `users` users, who have `rows` rows."""
    if not parts:
        return Part(0, users, 0, 0, rows)
    last = parts[-1]
    return Part(last.number + 1, users, last.position + last.users, last.offset + last.rows, rows)


def cut(rows: pl.LazyFrame, path: Path, part_users: int) -> list[Part] | None:
    """Parts of at most `part_users` users and, but for a single user, `PART_ROWS` rows; None if the table is not
    ordered by user."""
    parts: list[Part] = []
    last, total = None, 0
    starts = np.zeros(0, dtype=np.int64)  # where the users of the parts still to be cut begin
    for block in blocks(rows.select(USER), path, "reading users"):
        users = block[USER]
        if not users.is_sorted() or (last is not None and users[0] < last):
            return None
        changed = (users != users.shift()).fill_null(True).to_numpy().copy()
        changed[0] = last is None or users[0] != last
        starts = np.concatenate([starts, np.flatnonzero(changed) + total])
        last, total = users[-1], total + block.height
        while len(starts) > part_users or starts[-1] - starts[0] > PART_ROWS:
            starts = _cut_first(starts, parts, part_users)
    starts = np.append(starts, total)
    while len(starts) > 1:
        starts = _cut_first(starts, parts, part_users)
    return parts


def _cut_first(starts: np.ndarray, parts: list[Part], part_users: int) -> np.ndarray:
    """Add the next part to `parts`; returns where the users after it begin."""
    full = int(np.searchsorted(starts, starts[0] + PART_ROWS, side="right")) - 1
    stop = max(1, min(full, part_users, len(starts) - 1))
    parts.append(part_after(parts, stop, int(starts[stop] - starts[0])))
    return starts[stop:]
