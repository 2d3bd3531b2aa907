"""Top-k lists for every user of a task: the model's, and the two that any model must beat.

In: a `Task`. Out: long tables (user, rank, item[, score]), best first, never a seen item and never
padding. Memory holds one batch of scores and the lists.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from tqdm import tqdm

from infer.errors import InputError
from infer.histories.vocabulary import PAD
from infer.model.session import Model
from infer.model.signature import DROPPED
from infer.scoring.reranking import GROWTH, Reranking
from infer.scoring.task import Task
from infer.system.stages import Stages
from infer.tables.columns import ITEM, RANK, SCORE

# One batch at most: scores (users times items scored at once), and seen items with their padding.
LARGEST_SCORES, LARGEST_SEEN = 2**26, 2**24
# Numbers that re-ranking holds of each item of a pool, about: items, scores, relevance, likeness, categories.
POOLED = 16


def model_lists(task: Task, k: int, batch_size: int, reranking: Reranking | None = None) -> pl.DataFrame:
    """The model's lists: (user, rank, item, score), best first, without items that the user may not get, or padding.

    reranking: what orders lists beside the score.
    Raises InputError naming the user if a score is not a number.
    """
    return ranked_lists(task, k, batch_size, reranking=reranking)[0]


def ranked_lists(
    task: Task,
    k: int,
    batch_size: int,
    stages: Stages | None = None,
    bar: "tqdm[Any] | None" = None,
    reranking: Reranking | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`model_lists`, and the same without re-ranking.

    stages: where the seconds of windows and model are counted.  bar: a progress bar of users.
    """
    stages = stages or Stages()
    personalisable = task.personalisable
    found, before = _Found(), _Found()
    asked = np.flatnonzero(personalisable)
    if bar is not None:
        bar.update(len(personalisable) - len(asked))
    if task.own is not None:
        asked = asked[task.own.lengths[asked] > 0]
    number = k if reranking is None else reranking.pool(k, task.job.items.height)
    for batch in batches(task.model, task.histories.lengths[asked], batch_size, task.widths[asked], number):
        rows = asked[batch]
        items, scores = _best(task, rows, number, stages)
        if reranking is not None:
            before.add(rows, items[:, :k], scores[:, :k])
            items, scores = _reranked(task, rows, items, scores, k, stages, reranking)
        found.add(rows, items, scores)
        if bar is not None:
            bar.update(len(rows))
    lists = found.table(task)
    return lists, lists if reranking is None else before.table(task)


def _best(task: Task, rows: np.ndarray, k: int, stages: Stages) -> tuple[np.ndarray, np.ndarray]:
    """Items and scores (users, k) of the users in these rows."""
    with stages("windows"):
        feeds = task.model.feeds(task.histories.take(rows), task.user_index[rows], k, task.choice(rows))
    with stages("model"):
        items, scores = task.model.run(feeds)
    broken = ~np.isfinite(scores)
    if broken.any():
        user = task.histories.users[int(rows[np.argwhere(broken)[0, 0]])]
        raise InputError(f"{task.model.path} gives user {user} a NaN or infinite score")
    return items, scores


def _reranked(
    task: Task,
    rows: np.ndarray,
    items: np.ndarray,
    scores: np.ndarray,
    k: int,
    stages: Stages,
    reranking: Reranking,
) -> tuple[np.ndarray, np.ndarray]:
    """Items and scores (users, k) in the order of a re-ranking, filled up with `DROPPED`.

    items, scores: (users, pool).  Where a list is not full, a longer pool is asked for, up to all items.
    """
    chosen, values = np.full((len(rows), k), PAD), np.full((len(rows), k), DROPPED, dtype=np.float32)

    def choose(users: np.ndarray, items: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Fill the lists of these users; returns those of them whom a longer pool could give others."""
        with stages("rerank"):
            places, is_open = reranking.chosen(items, scores, k)
            row, rank = np.nonzero(places >= 0)
            chosen[users], values[users] = PAD, DROPPED
            chosen[users[row], rank] = items[row, places[row, rank]]
            values[users[row], rank] = scores[row, places[row, rank]]
        still: np.ndarray = users[is_open]
        return still

    pool, height = items.shape[1], task.job.items.height
    left = choose(np.arange(len(rows)), items, scores)
    while len(left) and pool < height:
        pool = min(height, pool * GROWTH)
        most = max(1, LARGEST_SCORES // max(pool * POOLED, task.model.scored_at_once(pool)))
        parts = np.split(left, range(most, len(left), most))
        left = np.concatenate([choose(part, *_best(task, rows[part], pool, stages)) for part in parts])
    return chosen, values


class _Found:
    """Lists of one batch after the other."""

    def __init__(self) -> None:
        self.items, self.scores = [np.zeros(0, np.int32)], [np.zeros(0, np.float32)]
        self.rows = [np.zeros(0, np.int64)]

    def add(self, rows: np.ndarray, items: np.ndarray, scores: np.ndarray) -> None:
        """Further users' items and scores (users, k), best first."""
        row, column = np.nonzero(scores > DROPPED)
        self.items.append(items[row, column].astype(np.int32))
        self.scores.append(scores[row, column].astype(np.float32))
        self.rows.append(rows[row])

    def table(self, task: Task) -> pl.DataFrame:
        """(user, rank, item, score) of all, in the order of users."""
        rows = np.concatenate(self.rows)
        order = np.argsort(rows, kind="stable")
        table = lists_of(task, rows[order], np.concatenate(self.items)[order])
        return table.with_columns(pl.Series(SCORE, np.concatenate(self.scores)[order]))


def batches(
    model: Model, lengths: np.ndarray, batch_size: int, widths: np.ndarray | None = None, k: int = 1
) -> Iterator[np.ndarray]:
    """Rows of users to score together: windows of one length, histories of similar length.

    lengths: (users,) of the histories.  widths: (users,) how many items are dropped for each; None: `lengths`.
    k: length of the lists.  A batch is cut short of `batch_size` where its scores or its dropped items would exceed
    `LARGEST_SCORES` or `LARGEST_SEEN`.
    """
    widths = lengths if widths is None else widths
    windows = model.window_lengths(lengths)
    order = np.lexsort((lengths, windows))
    most = max(1, min(batch_size, LARGEST_SCORES // model.scored_at_once(k)))
    start = 0
    while start < len(order):
        stop = min(start + most, len(order))
        stop = int(np.searchsorted(windows[order[start:stop]], windows[order[start]], side="right")) + start
        while stop - start > 1 and (stop - start) * widths[order[start:stop]].max() > LARGEST_SEEN:
            stop = start + (stop - start) // 2
        yield order[start:stop]
        start = stop


def lists_of(task: Task, row: np.ndarray, item: np.ndarray) -> pl.DataFrame:
    """Flat (row of the user, item index), ordered by user and rank, to (user, rank, item)."""
    ids = task.job.items[ITEM]
    change = np.concatenate([[True], row[1:] != row[:-1]]) if len(row) else np.zeros(0, dtype=bool)
    first = np.maximum.accumulate(np.where(change, np.arange(len(row)), 0))
    rank = np.arange(len(row)) - first + 1
    return pl.DataFrame([task.histories.users.gather(row), pl.Series(RANK, rank, dtype=pl.Int32), ids.gather(item - 1)])
