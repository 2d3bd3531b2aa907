"""Score one part of a table, and measure it at once: its rows are read and its histories built once.

In: a `Job`, a `Source` and one of its parts. Out: its lists, its users, and numbers that travel with them
(`infer.scoring.totals`). Memory holds one part's rows and lists, whatever the number of users.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl
from tqdm import tqdm

from infer.histories.digests import digests
from infer.publishing.incremental import HISTORY, Earlier
from infer.scoring.baselines import equal_popular, popular_lists, random_lists
from infer.scoring.beyond import BEYOND, Beyond, measure
from infer.scoring.job import Job
from infer.scoring.lists import model_lists
from infer.scoring.popularity import Popularity
from infer.scoring.task import Task, cut
from infer.scoring.totals import MODEL, measures, totals
from infer.sources.cutting import Part
from infer.sources.source import Source
from infer.system.stages import Stages
from infer.tables.columns import RANK, SCORE, USER
from infer.tables.notes import Notes


def score_part(
    job: Job,
    source: Source,
    part: Part,
    k: int,
    batch_size: int,
    stages: Stages,
    bar: "tqdm[Any]",
    earlier: Earlier | None,
    popularity: Popularity | None,
    seed: int,
    beyond: Beyond | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, Any]]:
    """One part's lists, its users with the digests of their histories, and its numbers as plain JSON values.

    earlier: lists that users may keep.  popularity: of the whole table; None: nothing is measured.  seed: of the
    random lists.  beyond: what is measured beside accuracy; None: nothing is.

    Of the numbers, users, measured, cold and unknown are those of `Totals`; scored: users with new lists.  repeated,
    further: rows that repeated a pair, or were held out but are not measured.  interactions: in the histories.
    rows, listed: of lists, and users with any.  popular: lists that equal the popular one.  score_min, score_max.
    first, last: user ids.  measures: if items are held out.  beyond: as of `infer.scoring.beyond.measure`.
    """
    with stages("read"):
        found = Notes()
        rows = source.read(part, found)
    with stages("windows"):
        task = cut(job, rows, in_order=True)
        users = pl.DataFrame([task.histories.users, pl.Series(HISTORY, digests(task.histories))])
    bar.update(part.users - len(task.histories))
    lists, users, scored = _lists(task, job.types.to_own(users), k, batch_size, stages, bar, earlier)
    ids = users[USER]
    numbers = asdict(totals(task)) | {
        "scored": scored,
        "repeated": found.repeated or 0,
        "further": found.further,
        "interactions": len(task.histories.items) + task.histories.unknown,
        "rows": lists.height,
        "listed": lists[USER].n_unique(),
        "popular": 0,
        "score_min": lists[SCORE].min(),
        "score_max": lists[SCORE].max(),
        "first": ids[0] if len(ids) else None,
        "last": ids[-1] if len(ids) else None,
    }
    if popularity is not None:
        with stages("measure"):
            numbers["popular"] = equal_popular(task.histories.distinct, lists, job.items, popularity.order, k)
            made = {MODEL: lists}
            if job.split is not None:
                popular = popular_lists(task, popularity, k)
                random = random_lists(task, k, seed, _places(task, rows, part))
                made = {"random": random, "popularity": popular, MODEL: lists}
                numbers["measures"] = {name: measures(task, own, popularity, k) for name, own in made.items()}
            if beyond is not None:
                numbers[BEYOND] = measure(task, made, popularity, beyond)
    return job.types.to_own(lists), users, numbers


def _lists(
    task: Task,
    users: pl.DataFrame,
    k: int,
    batch_size: int,
    stages: Stages,
    bar: "tqdm[Any]",
    earlier: Earlier | None,
) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """The lists of all users, those users with the digests that the lists follow from, and how many are new."""
    if earlier is None or not len(task.histories):
        return model_lists(task, k, batch_size, stages, bar), users, len(task.histories)
    same, kept, users = earlier.unchanged(users)
    bar.update(int(same.sum()))
    task = task.take(np.flatnonzero(~same))
    new = model_lists(task, k, batch_size, stages, bar)
    lists = pl.concat([task.job.types.back(kept.select(new.columns)), new]).sort(USER, RANK) if kept.height else new
    return lists, users, len(task.histories)


def _places(task: Task, rows: pl.DataFrame, part: Part) -> np.ndarray:
    """(users,) the place in the whole table of each user with a history."""
    everyone = rows[USER].unique(maintain_order=True)
    return part.position + np.flatnonzero(everyone.is_in(task.histories.users.implode()).to_numpy())
