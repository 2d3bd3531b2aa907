"""How many histories of the whole table hold each item, counted before anything is scored.

In: a job and its source. Out: a `Popularity`, which can be kept in a file; memory holds a part.

    popularity_of(job, source).counts
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from infer.formats.reading import collect
from infer.histories.histories import before
from infer.histories.vocabulary import index_of
from infer.scoring.job import Job
from infer.sources.cutting import Part
from infer.sources.source import Source
from infer.system.files import replacing
from infer.system.progress import progress
from infer.tables.columns import ITEM, SPLIT, USER
from infer.tables.rules import KEEP

USERS_KEY = "users"  # in the file's metadata


@dataclass(frozen=True)
class Popularity:
    """counts: (items,) how many histories hold each item.  users: how many histories there are."""

    counts: np.ndarray
    users: int

    @cached_property
    def order(self) -> np.ndarray:
        """(items,) item indexes from most to least frequent, equal ones ascending."""
        return popularity_order(self.counts)

    def save(self, path: Path) -> None:
        """Keep it in a Parquet file."""
        with replacing(path) as temporary:
            table = pl.DataFrame({"count": self.counts})
            table.write_parquet(temporary, metadata={USERS_KEY: str(self.users)})

    @classmethod
    def load(cls, path: Path) -> "Popularity | None":
        """Read what `save` wrote; None if it is not there, or damaged."""
        try:
            users = int(pl.read_parquet_metadata(path)[USERS_KEY])
            return cls(pl.read_parquet(path, glob=False)["count"].to_numpy(), users)
        except (OSError, KeyError, pl.exceptions.PolarsError):
            return None


def popularity_of(job: Job, source: Source) -> Popularity:
    """Count the items of all histories, which end before the job's held-out items."""
    counts, users = np.zeros(job.items.height + 1, dtype=np.int64), 0
    for part in progress(source.parts, desc="counting", unit=" parts", leave=False):
        rows = _pairs(job, source, part)
        if job.split is not None:
            rows, _ = before(rows, job.split)
        if job.options.repeats == KEEP:  # a history that holds an item twice holds it
            rows = rows.unique([USER, ITEM], maintain_order=True)
        counts += np.bincount(index_of(rows[ITEM], job.items), minlength=len(counts))
        users += rows[USER].rle_id().n_unique()
    return Popularity(counts[1:], users)


def popularity_order(counts: np.ndarray) -> np.ndarray:
    """(items,) item indexes from most to least frequent, equal ones ascending.

    counts: (items,) how often the item with index 1, 2, ... occurs in the histories.
    """
    return np.argsort(-counts, kind="stable") + 1


def _pairs(job: Job, source: Source, part: Part) -> pl.DataFrame:
    """A part's rows, each pair once unless repeats are kept; of columns no more than that takes."""
    # Of a repeated pair time says which row counts; of repeats that are kept, which is held out.
    if not source.ordered and (job.split is not None or job.options.repeats == KEEP):
        return source.read(part)
    columns = [USER, ITEM, *([SPLIT] if job.split is not None else [])]
    rows = collect(source.rows.select(columns).slice(part.offset, part.rows), source.path)
    return rows if source.ordered else rows.unique(maintain_order=True)
