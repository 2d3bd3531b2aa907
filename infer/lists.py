"""Top-k lists for every user of a task: the model's, and the two that any model must beat.

In: a `Task`. Out: long tables (user, rank, item[, score]), best first, never a seen item and never
padding. Memory holds one batch of scores and the lists.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl
from tqdm import tqdm

from infer import references
from infer.errors import InputError
from infer.schema import DROPPED, ITEM, PAD, RANK, SCORE, vocabulary
from infer.sequences import Histories
from infer.task import Task


def model_lists(task: Task, k: int, batch_size: int) -> pl.DataFrame:
    """The model's lists: (user, rank, item, score), best first, without seen items or padding.

    Raises InputError naming the user if a score is not a number.
    """
    covered = task.model.covers(task.histories, task.user_index)
    found_items, found_scores, found_rows = [], [], []
    for rows, part in _batches(task, batch_size):
        items, scores = task.model.top(part, task.user_index[rows], k)
        broken = ~np.isfinite(scores) & covered[rows, None]
        if broken.any():
            user = part.users[int(np.argwhere(broken)[0, 0])]
            raise InputError(f"{task.model.path} gives user {user} a score that is not a finite number")
        row, column = np.nonzero((scores > DROPPED) & covered[rows, None])
        found_items.append(items[row, column].astype(np.int32))
        found_scores.append(scores[row, column].astype(np.float32))
        found_rows.append((rows.start + row).astype(np.int32))
    table = _lists(task, np.concatenate(found_rows), np.concatenate(found_items))
    return table.with_columns(pl.Series(SCORE, np.concatenate(found_scores)))


def reference_lists(task: Task, k: int, batch_size: int, seed: int) -> dict[str, pl.DataFrame]:
    """Random and popular lists for the same users: name -> (user, rank, item)."""
    items = len(task.model.metadata.item_ids)
    order = references.popularity_order(task.counts)
    found: dict[str, list[np.ndarray]] = {"random": [], "popularity": []}
    for start in range(0, len(task.histories), batch_size):
        part = task.histories.rows(start, min(start + batch_size, len(task.histories)))
        found["random"].append(references.random(part, items, start, k, seed))
        found["popularity"].append(references.popular(part, order, k))
    tables = {}
    for name, parts in found.items():
        lists = np.concatenate(parts)
        row, column = np.nonzero(lists != PAD)
        tables[name] = _lists(task, row.astype(np.int32), lists[row, column].astype(np.int32))
    return tables


def _batches(task: Task, batch_size: int) -> Iterator[tuple[slice, Histories]]:
    """Consecutive users with a progress bar: which rows, and their histories."""
    users = len(task.histories)
    with tqdm(total=users, unit=" users", desc=task.model.path.name, disable=None) as bar:
        for start in range(0, users, batch_size):
            stop = min(start + batch_size, users)
            yield slice(start, stop), task.histories.rows(start, stop)
            bar.update(stop - start)


def _lists(task: Task, row: np.ndarray, item: np.ndarray) -> pl.DataFrame:
    """Flat (row of the user, item index), ordered by user and rank, to (user, rank, item)."""
    ids = vocabulary(task.model.metadata.item_ids, ITEM)[ITEM]
    change = np.concatenate([[True], row[1:] != row[:-1]]) if len(row) else np.zeros(0, dtype=bool)
    first = np.maximum.accumulate(np.where(change, np.arange(len(row)), 0))
    rank = np.arange(len(row)) - first + 1
    return pl.DataFrame([task.histories.users.gather(row), pl.Series(RANK, rank, dtype=pl.Int32), ids.gather(item - 1)])
