"""How popular items have been lately: popularity within a time before the newest event.

In: a job and its source, and a period. Out: a `Recent`, whose order is what is bought now, then what always was; memory
holds a part. A baseline that Ji et al. 2020 (A Re-visit of the Popularity Baseline in Recommender Systems, RecentPop)
found far stronger than all-time popularity.

    python -m infer.batch --model hybrid.onnx --recent=7d
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from infer.errors import InputError
from infer.formats.reading import collect
from infer.histories.histories import before
from infer.histories.vocabulary import index_of
from infer.scoring.job import Job
from infer.scoring.popularity import Popularity
from infer.sources.source import Source
from infer.system.progress import progress
from infer.tables.columns import ITEM, SPLIT, TIMESTAMP, USER
from infer.tables.notes import date
from infer.tables.periods import seconds_of

RECENT = "30d"  # by default


@dataclass(frozen=True)
class Recent:
    """period: as it was typed.  lately: how many histories hold each item with an event within the period.  ever: how
    many do at all."""

    period: str
    lately: Popularity
    ever: Popularity

    @cached_property
    def order(self) -> np.ndarray:
        """(items,) item indexes, the most frequent of late first, then the most frequent ever, then ascending."""
        return np.lexsort((-self.ever.counts, -self.lately.counts)) + 1

    @property
    def differs(self) -> bool:
        """Whether anything is older than the period: else this is plain popularity."""
        return bool((self.lately.counts != self.ever.counts).any())


def is_timed(job: Job) -> bool:
    """Whether the rows have times, and not only an order."""
    return job.options.order == "time"


def checked_period(period: str, name: str = "--recent") -> float:
    """Seconds of `30d`; raises InputError, naming the option, if it is no period."""
    seconds = seconds_of(period, name)
    if not seconds:
        raise InputError(f"{name}={period} is no time at all; give hours, days or weeks, as 12h, 7d or 2w")
    return seconds


def check_age(job: Job, newest: float | None, period: str | None) -> None:
    """Raises InputError if the newest event of a job's table is longer ago than a period: nobody has written it since.

    newest: seconds since 1970; None: the table has no times.  period: `2d`; None: any age will do.
    """
    if period is None:
        return
    if newest is None:
        raise InputError(f"--max-age={period} is for events with times, which {job.table} has not")
    ago = time.time() - newest
    if ago > checked_period(period, "--max-age"):
        age = f"{ago / 86_400:.1f} days" if ago > 172_800 else f"{ago / 3600:.1f} hours"
        raise InputError(
            f"{job.table} is out of date: its newest event is of {date(newest)}, {age} ago (--max-age={period})"
        )


def lately(job: Job, source: Source, seconds: float) -> Popularity:
    """Count the items of the last `seconds` of all histories, which end before the job's held-out items.

    They are counted back from the newest event of any history; what happened just when they begin is before them, as in
    `--split=period`. A pair counts once.
    """
    newest = max((_latest(rows) for rows in _histories(job, source, [TIMESTAMP])), default=-math.inf)
    counts, users = np.zeros(job.items.height + 1, dtype=np.int64), 0
    if math.isfinite(newest):
        for rows in _histories(job, source, [USER, ITEM, TIMESTAMP]):
            late = rows.filter(pl.col(TIMESTAMP) > newest - seconds).unique([USER, ITEM])
            counts += np.bincount(index_of(late[ITEM], job.items), minlength=len(counts))
            users += late[USER].n_unique()
    return Popularity(counts[1:], users)


def _latest(rows: pl.DataFrame) -> float:
    latest = rows[TIMESTAMP].max()
    return latest if isinstance(latest, int | float) else -math.inf


def _histories(job: Job, source: Source, columns: list[str]) -> Iterator[pl.DataFrame]:
    """Each part's rows before the held-out items; of columns no more than that takes."""
    needed = [*columns, *([SPLIT] if job.split is not None else [])]
    for part in progress(source.parts, desc="counting recent", unit=" parts", leave=False):
        if source.ordered:
            rows = collect(source.rows.select(needed).slice(part.offset, part.rows), source.path)
        else:  # times are not numbers yet, and of a repeated pair the latest row counts
            rows = source.read(part)
        yield rows if job.split is None else before(rows, job.split)[0]
