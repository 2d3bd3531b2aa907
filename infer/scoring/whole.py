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

from infer.candidates.options import CandidateOptions
from infer.model.session import Model
from infer.scoring.conforming import known_of, ruled, untimed
from infer.scoring.counted import counted
from infer.scoring.extras import ExtraTables, open_extras
from infer.scoring.fallback import NONE, FallbackOptions
from infer.scoring.figures import BeyondTotals
from infer.scoring.job import (
    Job,
    check_held_out,
    nothing_held_out,
    open_job,
    optional_columns,
    rows_job,
    typed,
    with_newest,
    with_users,
)
from infer.scoring.parts import How, score_part
from infer.scoring.reranking import Reranking
from infer.scoring.totals import metrics_of, name_of
from infer.scoring.variety import VarietyOptions
from infer.sources.source import Source, from_frame, open_source
from infer.system.progress import progress
from infer.system.scratch import scratch
from infer.system.stages import Stages
from infer.tables.columns import SPLIT
from infer.tables.frames import FRAME, tidy_frame, to_polars
from infer.tables.options import TableOptions

log = logging.getLogger(__name__)


@contextmanager
def open_table(
    model: Model, table: Any, options: TableOptions, split: str | None, rules: CandidateOptions = CandidateOptions()
) -> Iterator[tuple[Job, Source]]:
    """A job and its source, for as long as the block lasts.

    table: a path, a data frame, or None for the table that the model was trained on.  split: which held-out items
    histories end before, if the table says; None: whole histories.  rules: which items may be recommended.
    Raises InputError as the batch scorer does.
    """
    if table is None or isinstance(table, Path):
        job = open_job(model, table, options, split, rules=rules)
        with tempfile.TemporaryDirectory(dir=scratch()) as folder:
            source = open_source(job.table, job.options, Path(folder), optional=job.optional, known=job.known)
            yield _checked(job, source)
        return
    frame = to_polars(table)
    options, said = ruled(model, options, frame.columns, FRAME)
    options = untimed(model, frame.columns, options)
    tidied = tidy_frame(frame, options, optional_columns(model, split), known_of(model))
    job = rows_job(model, split if SPLIT in tidied.interactions.columns else None, options, said, rules)
    yield _checked(job, from_frame(job.table, tidied, options))


def lists_by_part(
    job: Job,
    source: Source,
    k: int,
    batch_size: int,
    whole: Source,
    asked: FallbackOptions,
    variety: VarietyOptions = VarietyOptions(),
) -> list[pl.DataFrame]:
    """The lists (user, rank, item, score[, source]) of each part's users, best first.

    source: of the users.  whole: of the table, which a fallback's counts are of.  asked: which fallback, if any.
    variety: how lists are re-ranked.
    """
    asked.plan(job)
    fallback = None if asked.kind == NONE else counted(job, whole, asked).fallback
    return [
        lists
        for lists, _ in _scored(job, source, How(k, batch_size, fallback=fallback, reranking=_reranking(job, variety)))
    ]


def evaluated(
    job: Job,
    source: Source,
    k: int,
    batch_size: int,
    seed: int,
    recent: str,
    tables: ExtraTables = ExtraTables(),
    variety: VarietyOptions = VarietyOptions(),
) -> pl.DataFrame:
    """(model, metric, value, low, high) of the baselines' lists and of the model's, by its file's name.

    recent: the period of what is popular of late.  tables: that figures beyond accuracy are made with.
    variety: how lists are re-ranked; they are measured without it, too.
    Raises InputError if the table has no held-out items.
    """
    if job.split is None:
        raise nothing_held_out(job.table)
    asked = FallbackOptions(recent=recent)
    asked.plan(job)
    beyond = open_extras(job.model, tables, job.options.item).of(job)
    name = name_of(job.model.path.stem)
    totals = BeyondTotals(beyond, name, job.items.height, k)
    found = counted(job, source, asked)
    how = How(k, batch_size, seed, found.popularity, found.recent, beyond=beyond, reranking=_reranking(job, variety))
    numbers = [totals.take(told) for _, told in _scored(job, source, how)]
    metrics = totals.added(metrics_of(name, numbers, job.items.height, k))
    return pl.concat(table.select(pl.lit(name).alias("model"), pl.all()) for name, table in metrics.items())


def _reranking(job: Job, variety: VarietyOptions) -> Reranking | None:
    reranking, said = variety.reranking(job)
    for line in said:
        log.info("%s", line)
    return reranking


def _scored(job: Job, source: Source, how: How) -> Iterator[tuple[pl.DataFrame, dict[str, Any]]]:
    """Each part's lists and numbers."""
    stages = Stages()
    with progress(total=source.users, unit=" users", desc=job.model.path.name) as bar:
        for part in source.parts:
            lists, _, numbers = score_part(job, source, part, how, stages, bar)
            job.check_unchanged()
            yield lists, numbers


def _checked(job: Job, source: Source) -> tuple[Job, Source]:
    job = typed(job, source)
    check_held_out(job, source.rows)
    job = with_users(with_newest(job, source), source.rows)
    source.notes.said[:0] = job.said
    for line in source.notes.lines:
        log.info("%s: %s", job.table, line)
    return job, source
