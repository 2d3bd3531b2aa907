"""A table scored at once, without a folder to go on from: lists and metrics in memory, as the batch scorer's.

In: a model and a path or a data frame. Out: (user, rank, item, score), or (metric, value, low, high) of every list.

    python -c "import infer; print(infer.load('hybrid.onnx').score('ratings.csv'))"
"""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from infer.model.session import Model
from infer.scoring.beyond import Beyond
from infer.scoring.conforming import known_of, ruled
from infer.scoring.extras import ExtraTables, open_extras
from infer.scoring.figures import BeyondTotals
from infer.scoring.job import Job, check_held_out, nothing_held_out, open_job, optional_columns, rows_job, typed
from infer.scoring.parts import score_part
from infer.scoring.popularity import Popularity, popularity_of
from infer.scoring.totals import metrics_of
from infer.sources.source import Source, from_frame, open_source
from infer.system.progress import progress
from infer.system.stages import Stages
from infer.tables.columns import SPLIT
from infer.tables.frames import tidy_frame
from infer.tables.options import TableOptions

log = logging.getLogger(__name__)


@contextmanager
def open_table(model: Model, table: Any, options: TableOptions, split: str | None) -> Iterator[tuple[Job, Source]]:
    """A job and its source, for as long as the block lasts.

    table: a path, a data frame, or None for the table that the model was trained on.  split: which held-out items
    histories end before, if the table says; None: whole histories.
    Raises InputError as the batch scorer does.
    """
    if table is None or isinstance(table, Path):
        job = open_job(model, table, options, split)
        with tempfile.TemporaryDirectory() as folder:
            source = open_source(job.table, job.options, Path(folder), optional=job.optional, known=job.known)
            yield _checked(job, source)
        return
    options, said = ruled(model, options)
    tidied = tidy_frame(table, options, optional_columns(model, split), known_of(model))
    job = rows_job(model, split if SPLIT in tidied.interactions.columns else None, options, said)
    yield _checked(job, from_frame(job.table, tidied, options))


def lists_by_part(job: Job, source: Source, k: int, batch_size: int) -> list[pl.DataFrame]:
    """The lists (user, rank, item, score) of each part's users, best first."""
    return [lists for lists, _ in _scored(job, source, k, batch_size, None, 0)]


def evaluated(
    job: Job, source: Source, k: int, batch_size: int, seed: int, tables: ExtraTables = ExtraTables()
) -> pl.DataFrame:
    """(model, metric, value, low, high) of random and popular lists and of the model's, by its file's name.

    tables: that figures beyond accuracy are made with.

    Raises InputError if the table has no held-out items.
    """
    if job.split is None:
        raise nothing_held_out(job.table)
    beyond = open_extras(job.model, tables).of(job)
    totals = BeyondTotals(beyond, job.model.path.stem, job.items.height, k)
    parts = _scored(job, source, k, batch_size, popularity_of(job, source), seed, beyond)
    numbers = [totals.take(told) for _, told in parts]
    metrics = totals.added(metrics_of(job.model.path.stem, numbers, job.items.height, k))
    return pl.concat(table.select(pl.lit(name).alias("model"), pl.all()) for name, table in metrics.items())


def _scored(
    job: Job,
    source: Source,
    k: int,
    batch_size: int,
    popularity: Popularity | None,
    seed: int,
    beyond: Beyond | None = None,
) -> Iterator[tuple[pl.DataFrame, dict[str, Any]]]:
    """Each part's lists and numbers."""
    stages = Stages()
    with progress(total=source.users, unit=" users", desc=job.model.path.name) as bar:
        for part in source.parts:
            lists, _, numbers = score_part(
                job, source, part, k, batch_size, stages, bar, None, popularity, seed, beyond
            )
            yield lists, numbers


def _checked(job: Job, source: Source) -> tuple[Job, Source]:
    job = typed(job, source)
    check_held_out(job, source.rows)
    source.notes.said[:0] = job.said
    if str(source.notes):
        log.info("%s: %s", job.table, source.notes)
    return job, source
