"""The two lists that any model must beat: random and popular items.

In: a `Task`. Out: long tables (user, rank, item), best first, never a seen item and never padding.
"""

import numpy as np
import polars as pl

from infer.histories.histories import Histories
from infer.histories.vocabulary import PAD
from infer.histories.windows import seen
from infer.scoring.lists import batches, lists_of
from infer.scoring.task import Task


def baseline_lists(task: Task, counts: np.ndarray, k: int, seed: int, first_row: int = 0) -> dict[str, pl.DataFrame]:
    """Random and popular lists for the same users: name -> (user, rank, item).

    counts: (items,) how many histories of the whole table hold each item.  first_row: how many
    users of the table come before these, so that parts of a table get the same lists as the whole.
    """
    items = task.job.items.height
    order = popularity_order(counts)
    lists = {name: np.full((len(task.histories), min(k, items)), PAD) for name in ("random", "popularity")}
    for rows in batches(task.model, task.histories.lengths, 256):
        histories = task.histories.take(rows)
        for name, indexes in (
            ("random", random(histories, items, first_row + rows, k, seed)),
            ("popularity", popular(histories, order, k)),
        ):
            lists[name][rows, : indexes.shape[1]] = indexes
    tables = {}
    for name, indexes in lists.items():
        row, column = np.nonzero(indexes != PAD)
        tables[name] = lists_of(task, row, indexes[row, column].astype(np.int32))
    return tables


def popularity_order(counts: np.ndarray) -> np.ndarray:
    """(items,) item indexes from most to least frequent, equal ones ascending.

    counts: (items,) how often the item with index 1, 2, ... occurs in the histories.
    """
    return np.argsort(-counts, kind="stable") + 1


def popular(histories: Histories, order: np.ndarray, k: int) -> np.ndarray:
    """(users, k) the k most popular unseen items of each user, PAD where there are fewer."""
    width = _width(histories, len(order), k)
    return _first_unseen(np.broadcast_to(order[:width], (len(histories), width)), histories, len(order), k)


def random(histories: Histories, items: int, rows: np.ndarray, k: int, seed: int) -> np.ndarray:
    """(users, k) random unseen items, PAD where there are fewer.

    rows: (users,) each user's place in the whole table. Each user reads one seeded shuffle of the
    catalogue from an own seeded start, so a list depends on the seed and on the row, not on the
    batch it is computed in.
    """
    shuffle = np.random.default_rng(seed).permutation(items) + 1
    start = np.array([np.random.default_rng([seed, int(row)]).integers(items) for row in rows], dtype=np.int64)
    columns = np.arange(_width(histories, items, k))
    return _first_unseen(shuffle[(start[:, None] + columns) % items], histories, items, k)


def _width(histories: Histories, items: int, k: int) -> int:
    """How many candidates suffice: k and as many as the longest history can rule out."""
    return min(items, k + int(histories.lengths.max(initial=0)))


def _first_unseen(candidates: np.ndarray, histories: Histories, items: int, k: int) -> np.ndarray:
    """The first k of each row's candidates (users, width), best first, that are not in its history."""
    blocked = np.zeros((len(histories), items + 1), dtype=bool)
    np.put_along_axis(blocked, seen(histories), True, axis=1)
    out = np.take_along_axis(blocked, candidates, axis=1)
    order = np.argsort(out, axis=1, kind="stable")[:, :k]
    free = ~np.take_along_axis(out, order, axis=1)
    return np.where(free, np.take_along_axis(candidates, order, axis=1), PAD)
