"""Score one part of a table, and measure it at once: its rows are read and its histories built once.

In: a `Job`, a `Source` and one of its parts. Out: its lists, its users, and numbers that travel with them
(`infer.scoring.totals`). Memory holds one part's rows and lists, whatever the number of users.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from tqdm import tqdm

from infer.publishing.incremental import HISTORY, Earlier
from infer.scoring.baselines import equal_popular, ordered_lists, popular_lists, random_lists
from infer.scoring.beyond import BEYOND, Beyond, measure
from infer.scoring.fallback import Fallback
from infer.scoring.job import Job
from infer.scoring.lists import ranked_lists
from infer.scoring.personal import personal_lists
from infer.scoring.popularity import Popularity
from infer.scoring.reasons import with_reasons
from infer.scoring.recency import Recent
from infer.scoring.reranking import Reranking
from infer.scoring.task import Task, cut
from infer.scoring.totals import BEFORE, MODEL, PERSONAL, POPULARITY, RANDOM, RECENT, measures, totals
from infer.sources.cutting import Part
from infer.sources.source import Source
from infer.system.stages import Stages
from infer.tables.columns import RANK, SCORE, SOURCE, USER
from infer.tables.notes import Notes


@dataclass(frozen=True)
class How:
    """How all parts are scored and measured.

    popularity: of the whole table; None: nothing is measured.  seed: of the random lists.  recent: of the whole table,
    for one more baseline.  fallback: makes lists for users whom the model cannot personalise; lists then have a column
    `source`.  beyond: what is measured beside accuracy; None: nothing is.  reranking: of lists, which are
    measured without it, too.  reasons: items of the history to name for each recommendation.
    """

    k: int
    batch_size: int
    seed: int = 0
    popularity: Popularity | None = None
    recent: Recent | None = None
    fallback: Fallback | None = None
    beyond: Beyond | None = None
    reranking: Reranking | None = None
    reasons: int = 0


def score_part(
    job: Job,
    source: Source,
    part: Part,
    how: How,
    stages: Stages,
    bar: "tqdm[Any]",
    earlier: Earlier | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, Any]]:
    """One part's lists, its users with the digests of their histories, and its numbers as plain JSON values.

    earlier: lists that users may keep.

    Of the numbers, users, measured, cold, unknown, repeat_targets and excluded are those of `Totals`; scored: users
    with new lists.  repeated, further: rows that repeated a pair, or were held out but are not measured.
    interactions: in the histories.  rows, listed: of lists, and users with any.  fallback: users with another list.
    emptied: users whom the model can personalise, and nothing is left for; refilled: of these, with a fallback's list.
    popular: lists of the model that equal the popular one.  score_min, score_max.  first, last: user ids.  measures: if
    items are held out.  beyond: as of `infer.scoring.beyond.measure`.
    """
    with stages("read"):
        found = Notes()
        rows = source.read(part, found)
    with stages("windows"):
        task = cut(job, rows, in_order=True)
        users = pl.DataFrame([task.histories.users, pl.Series(HISTORY, task.digests)])
    bar.update(part.users - len(task.histories))
    lists, users, scored, before = _lists(task, job.types.to_own(users), how, stages, bar, earlier, rows)
    own = lists if how.fallback is None else lists.filter(pl.col(SOURCE) == MODEL)
    ids, listed = users[USER], own[USER].n_unique()
    reached = task.histories.users.filter(pl.Series(task.personalisable))
    emptied = reached.filter(~reached.is_in(own[USER].implode()))
    numbers = asdict(totals(task)) | {
        "scored": scored,
        "repeated": found.repeated or 0,
        "further": found.further,
        "interactions": len(task.histories.items) + task.histories.unknown,
        "rows": lists.height,
        "listed": lists[USER].n_unique(),
        "fallback": lists[USER].n_unique() - listed,
        "emptied": len(emptied),
        "refilled": int(emptied.is_in(lists[USER].implode()).sum()),
        "popular": 0,
        "score_min": lists[SCORE].min(),
        "score_max": lists[SCORE].max(),
        "first": ids[0] if len(ids) else None,
        "last": ids[-1] if len(ids) else None,
    }
    if how.popularity is not None:
        with stages("measure"):
            numbers |= _measured(task, lists, own, before, how, _places(task, rows, part))
    return job.types.to_own(lists), users, numbers


def _measured(
    task: Task, lists: pl.DataFrame, own: pl.DataFrame, before: pl.DataFrame | None, how: How, places: np.ndarray
) -> dict[str, Any]:
    """What is told of the lists of all users beside those that any model must beat.

    own: the model's lists alone.  before: lists before re-ranking, if there is any, of everyone.  places: (users,) of
    each user in the whole table.
    """
    job, popularity, k = task.job, how.popularity, how.k
    assert popularity is not None, "counted where anything is measured"
    order = popularity.order[job.candidates.mask[popularity.order]]
    told: dict[str, Any] = {"popular": 0 if task.own else equal_popular(task.blocked, own, job.items, order, k)}
    made = {MODEL: lists}
    if job.split is not None:
        made = {RANDOM: random_lists(task, k, how.seed, places), POPULARITY: popular_lists(task, popularity, k)}
        if how.recent is not None:
            made[f"{RECENT} {how.recent.period}"] = ordered_lists(task, how.recent.order, k)
        if task.histories.repeats:
            made[PERSONAL] = personal_lists(task, popularity, k)
        if before is not None:
            made[BEFORE] = before
        made[MODEL] = lists
        told["measures"] = {name: measures(task, top, popularity, k) for name, top in made.items()}
    if how.beyond is not None:
        told[BEYOND] = measure(task, made, popularity, how.beyond)
    return told


def _lists(
    task: Task,
    users: pl.DataFrame,
    how: How,
    stages: Stages,
    bar: "tqdm[Any]",
    earlier: Earlier | None,
    rows: pl.DataFrame,
) -> tuple[pl.DataFrame, pl.DataFrame, int, pl.DataFrame | None]:
    """The lists of all users, those users with the digests that the lists follow from, how many are new, and the lists
    before re-ranking, if there is any, all are new and they are measured."""

    def made(task: Task) -> tuple[pl.DataFrame, pl.DataFrame | None]:
        lists, before = ranked_lists(task, how.k, how.batch_size, stages, bar, how.reranking)
        if how.reasons:
            with stages("reasons"):
                lists = with_reasons(task, lists, how.reasons)
        if how.fallback is not None:
            lists = how.fallback.joined(task, rows, how.k, lists, how.reranking)
        if how.reranking is None or how.popularity is None or earlier is not None:
            return lists, None
        return lists, before if how.fallback is None else how.fallback.joined(task, rows, how.k, before)

    if earlier is None or not len(task.histories):
        lists, before = made(task)
        return lists, users, len(task.histories), before
    same, kept, users = earlier.unchanged(users)
    if how.fallback is not None and earlier.chosen is None:
        # What is popular changes with the whole table, whatever has become of the user's own history.
        own = kept.filter(pl.col(SOURCE) == MODEL)
        same &= task.histories.users.is_in(task.job.types.back(own.select(USER))[USER].implode()).to_numpy()
        kept = own
    bar.update(int(same.sum()))
    task = task.take(np.flatnonzero(~same))
    new, _ = made(task)
    lists = pl.concat([task.job.types.back(kept.select(new.columns)), new]).sort(USER, RANK) if kept.height else new
    return lists, users, len(task.histories), None


def _places(task: Task, rows: pl.DataFrame, part: Part) -> np.ndarray:
    """(users,) the place in the whole table of each user with a history."""
    everyone = rows[USER].unique(maintain_order=True)
    return part.position + np.flatnonzero(everyone.is_in(task.histories.users.implode()).to_numpy())
