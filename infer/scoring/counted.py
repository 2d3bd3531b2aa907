"""Everything that is counted over the whole table before anything is scored, once for all shares.

In: a job, its source and what is asked for. Out: popularity, popularity of late, and the fallback; kept in a folder.

    counted(job, source, FallbackOptions("recent-popular"), output.source)
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from infer.scoring.categories import categories_of, items_file, members
from infer.scoring.fallback import NONE, OF_CATEGORY, OF_LATE, Fallback, FallbackOptions
from infer.scoring.job import Job
from infer.scoring.popularity import Popularity, popularity_of
from infer.scoring.recency import Recent, checked_period, is_timed, lately
from infer.sources.source import Source
from infer.system.files import replacing

FILE, RECENT_FILE, CATEGORIES_FILE = "popularity.parquet", "recent.parquet", "categories.parquet"


@dataclass(frozen=True)
class Counted:
    """popularity: of the whole table.  recent: the same of late, for the baseline; None where nothing is measured, rows
    have no times, or nothing is older.  fallback: None if users whom the model cannot personalise get no list."""

    popularity: Popularity
    recent: Recent | None = None
    fallback: Fallback | None = None


def counted(job: Job, source: Source, asked: FallbackOptions, folder: Path | None = None) -> Counted:
    """Count what is not in the folder yet.

    source: of the whole table.  folder: belongs to this very plan, and to one process at a time; None: keep nothing.
    Raises InputError if a table of items that is needed cannot be used.
    """
    popularity = _kept(folder, FILE, lambda: popularity_of(job, source))
    recent = None
    if asked.kind == OF_LATE or (job.split is not None and is_timed(job)):
        late = _kept(folder, RECENT_FILE, lambda: lately(job, source, checked_period(asked.recent)))
        recent = Recent(asked.recent, late, popularity)
    baseline = recent if recent is not None and recent.differs and job.split is not None else None
    if asked.kind == NONE:
        return Counted(popularity, baseline)
    if asked.kind != OF_CATEGORY:
        of_late = recent if asked.kind == OF_LATE else None
        return Counted(popularity, baseline, Fallback(asked.kind, popularity, of_late))
    categories = _categories(job, asked, folder)
    weighed = members(categories, job.items, pl.Series("count", popularity.counts))
    return Counted(popularity, baseline, Fallback(asked.kind, popularity, None, categories, weighed))


def _kept(folder: Path | None, name: str, count: Callable[[], Popularity]) -> Popularity:
    """What an earlier share has counted, or what is counted now, which the next ones find."""
    found = None if folder is None else Popularity.load(folder / name)
    if found is None:
        found = count()
        if folder is not None:
            found.save(folder / name)
    return found


def _categories(job: Job, asked: FallbackOptions, folder: Path | None) -> pl.DataFrame:
    """(item, category), read once for all shares."""
    kept = None if folder is None else folder / CATEGORIES_FILE
    if kept is not None and kept.is_file():
        return pl.read_parquet(kept, glob=False)
    found = categories_of(job, items_file(job, asked.items), stated=asked.items is not None)
    if kept is not None:
        with replacing(kept) as temporary:
            found.write_parquet(temporary)
    return found
