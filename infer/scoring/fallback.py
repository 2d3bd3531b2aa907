"""Lists of popular items for users whom the model cannot personalise.

In: a task, and what the whole table's counts say is popular. Out: lists (user, rank, item, score, source), in which
`source` says for every row whether the model made its list or the fallback, whose rows have no score: a count would
stand on another scale than the model's.

    python -m infer.batch --model hybrid.onnx --fallback=recent-popular --recent=7d --production

    popular           the items that most histories hold
    recent-popular    those that most hold with an event within `--recent` before the newest, then the others
    category-popular  the popular items of the category that a user's rows are most often of, then the others

Items that nobody has had are not listed, nor those that are blocked for the user. A limit for each category
(--most-per) holds here, too; --diversity does not, which weighs scores.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from infer.errors import InputError
from infer.histories.histories import before
from infer.histories.vocabulary import PAD
from infer.model.signature import DROPPED
from infer.scoring.baselines import as_table, first
from infer.scoring.categories import CATEGORY, favourites, items_file
from infer.scoring.job import Job, files_in
from infer.scoring.popularity import Popularity
from infer.scoring.recency import RECENT, Recent, checked_period, is_timed
from infer.scoring.reranking import GROWTH, Reranking
from infer.scoring.task import Task
from infer.scoring.totals import MODEL
from infer.system.fingerprints import sha256
from infer.tables.columns import RANK, SCORE, SOURCE, USER

NONE, POPULAR, OF_LATE, OF_CATEGORY = KINDS = ("none", "popular", "recent-popular", "category-popular")


@dataclass(frozen=True)
class FallbackOptions:
    """kind: one of `KINDS`.  recent: the period of what is popular of late, for the fallback and for the baseline.
    items: table of items with categories; None: the one beside the model."""

    kind: str = NONE
    recent: str = RECENT
    items: Path | None = None

    def plan(self, job: Job) -> dict[str, Any]:
        """What lists and metrics follow from, as plain JSON values; raises InputError if it cannot be had."""
        seconds = checked_period(self.recent)
        if self.kind == OF_LATE and not is_timed(job):
            raise InputError(f"--fallback={OF_LATE} needs times, which --order={job.options.order} does without")
        reads_times = self.kind == OF_LATE or (job.split is not None and is_timed(job))
        path = items_file(job, self.items) if self.kind == OF_CATEGORY else None
        return {
            "fallback": None if self.kind == NONE else self.kind,
            "recent": seconds if reads_times else None,
            "categories": None if path is None else sha256(path, files_in(path)),
        }


@dataclass(frozen=True)
class Fallback:
    """kind: one of `KINDS` but none.  popularity: of the whole table.  recent: for `recent-popular`.  categories (item,
    category), members (category, weight, index): for `category-popular`, as of `infer.scoring.categories`."""

    kind: str
    popularity: Popularity
    recent: Recent | None = None
    categories: pl.DataFrame | None = None
    members: pl.DataFrame | None = None

    @property
    def order(self) -> np.ndarray:
        """(items,) item indexes as everybody gets them who has no favourite category."""
        return self.popularity.order if self.recent is None else self.recent.order

    def joined(
        self, task: Task, rows: pl.DataFrame, k: int, lists: pl.DataFrame, reranking: Reranking | None = None
    ) -> pl.DataFrame:
        """The model's lists (user, rank, item, score) and those of the users who have none, by user and rank, with the
        column `source`.

        rows: of the table, of these users or more.  reranking: whose limit for each category holds.
        """
        made = lists.with_columns(pl.lit(MODEL).alias(SOURCE))
        cold = task.take(np.flatnonzero(~task.histories.users.is_in(lists[USER].implode()).to_numpy()))
        if not len(cold.histories):
            return made
        own = self.lists(cold, rows, k, reranking).with_columns(
            pl.lit(None, made.schema[SCORE]).alias(SCORE), pl.lit(self.kind).alias(SOURCE)
        )
        return pl.concat([made, own], how="diagonal").sort(USER, RANK)

    def lists(self, task: Task, rows: pl.DataFrame, k: int, reranking: Reranking | None = None) -> pl.DataFrame:
        """(user, rank, item) of every user of a task, whether or not the model could personalise them."""
        best = self._best(task, self.order, k, reranking)
        if self.categories is not None and self.members is not None:
            history = rows if task.job.split is None else before(rows, task.job.split)[0]
            users = task.histories.users.to_frame(USER).with_row_index("row")
            own = history.join(users, on=USER, how="semi")
            of_users = users.join(favourites(own, self.categories, self.members), on=USER)
            groups = of_users.group_by(CATEGORY, maintain_order=True).agg("row").join(self.members, on=CATEGORY)
            for of_category, indexes in groups.select("row", "index").iter_rows():
                row = np.array(of_category)
                best[row] = self._best(task.take(row), self._preferring(indexes), k, reranking)
        return as_table(task, best)

    def _best(self, task: Task, order: np.ndarray, k: int, reranking: Reranking | None) -> np.ndarray:
        """(users, k) the first item indexes in an order that anybody has had, PAD where there are fewer."""
        had = np.append(False, self.popularity.counts > 0)
        if reranking is None or not reranking.most:
            items = first(task, order, k, emptied=True)
            return np.where(had[items], items, PAD)
        allowed = had if reranking.allowed is None else had & reranking.allowed
        limit, size = replace(reranking, diversity=0.0, allowed=allowed), reranking.pool(k, len(order))
        found = np.full((len(task.histories), k), PAD)
        left = np.arange(len(found))
        while True:
            items = first(task.take(left), order, size, emptied=True)
            items = np.where(had[items], items, PAD)
            earlier_first = np.where(items != PAD, -np.arange(items.shape[1], dtype=np.float32), np.float32(DROPPED))
            places, is_open = limit.chosen(items, earlier_first, k)
            found[left] = np.where(places >= 0, np.take_along_axis(items, np.maximum(places, 0), 1), PAD)
            left = left[is_open]
            if size >= len(order) or not len(left):
                return found
            size = min(GROWTH * size, len(order))

    def _preferring(self, indexes: list[int]) -> np.ndarray:
        """(items,) the order of all, those with these indexes before the others."""
        inside = np.zeros(len(self.order) + 1, dtype=bool)
        inside[indexes] = True
        first = inside[self.order]
        return np.concatenate([self.order[first], self.order[~first]])
