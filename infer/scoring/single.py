"""What one user gets whom a model cannot personalise, or whom the table does not have.

In: a job, a user and which fallback. Out: (user, rank, item, score, source), as of `infer.scoring.fallback`.

    python -m infer.recommend --model hybrid.onnx --user newcomer --fallback=popular
"""

import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from infer.errors import InputError
from infer.formats.reading import collect
from infer.histories.histories import Histories
from infer.histories.vocabulary import PAD
from infer.scoring.counted import counted
from infer.scoring.fallback import FallbackOptions
from infer.scoring.job import Job, typed
from infer.scoring.lists import lists_of
from infer.scoring.reranking import Reranking
from infer.scoring.task import Task, select_users
from infer.sources.source import open_source
from infer.system.scratch import scratch
from infer.tables.columns import RANK, SCORE, USER


def user_or_nobody(task: Task, user: str) -> Task:
    """The task of one user alone, with an empty history for one whom the table lacks.

    Raises InputError if the table's users are whole numbers, and this is none.
    """
    users = task.histories.users
    if user in users.cast(pl.String).implode()[0]:
        return select_users(task, [user], "--user")
    number = pl.Series(USER, [user]).cast(users.dtype, strict=False)
    if number.null_count() or str(number[0]) != user:
        raise InputError(f"--user: {task.table} has whole numbers as user ids; found '{user[:80]}'")
    histories = Histories(number, np.zeros(0, np.int32), np.zeros(2, np.int64), levels=None)
    targets = None if task.targets is None else task.targets.clear()
    return Task(task.job, histories, np.array([PAD]), targets)


def fallback_lists(
    job: Job, task: Task, asked: FallbackOptions, *wanted: tuple[int, Reranking | None]
) -> list[pl.DataFrame]:
    """The fallback's lists of one user, one for each length and limit for each category that is wanted.

    task: of this user alone. The table is read once more, for what is popular in it.
    Raises InputError if the fallback cannot be had.
    """
    asked.plan(job)
    with tempfile.TemporaryDirectory(dir=scratch()) as folder:
        source = open_source(job.table, job.options, Path(folder), optional=job.optional, known=job.known)
        fallback = counted(typed(job, source), source, asked).fallback
        assert fallback is not None, "asked for only with a kind"
        user = task.histories.users
        if source.ordered:
            rows = collect(source.rows.filter(pl.col(USER).is_in(user.implode())), source.path)
        else:
            rows = pl.concat(source.read(part) for part in source.parts).filter(pl.col(USER).is_in(user.implode()))
    nothing = lists_of(task, np.zeros(0, np.int64), np.zeros(0, np.int32))
    empty = nothing.with_columns(pl.lit(None, pl.Float32).alias(SCORE))
    return [fallback.joined(task, rows, k, empty, reranking).sort(USER, RANK) for k, reranking in wanted]
