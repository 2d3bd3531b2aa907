"""The baseline of shops whose customers buy again: each user's own items by how often.

In: a task whose histories keep repeats. Out: (user, rank, item), the user's items by frequency, those of the same
frequency by how lately, then popular items.

Personal top frequency, P-TopFreq in Li et al. 2023 (A Next Basket Recommendation Reality Check) and Hu et al. 2020
(TIFUKNN): on grocery data many learnt models do not reach it. It lists own items whether or not seen items are dropped
from the model's lists: where they are, it says what that costs.

    python -m infer.batch --model shop.onnx --repeats=keep
"""

import numpy as np
import polars as pl

from infer.histories.histories import Histories
from infer.histories.vocabulary import PAD
from infer.scoring.baselines import as_table, first
from infer.scoring.popularity import Popularity
from infer.scoring.task import Task


def personal_lists(task: Task, popularity: Popularity, k: int) -> pl.DataFrame:
    """The k most frequent items of each user, then the most popular others: (user, rank, item)."""
    rules, histories, order = task.job.candidates, task.histories, popularity.order
    if rules.allowed is not None:
        histories = histories.where(rules.mask[histories.items])
    if rules.blocked is not None:
        histories = histories.outside(rules.blocked.take(histories.users))
    if rules.only is not None:
        histories = histories.within(rules.only.take(histories.users))
    others = first(task, order, k, without=task.histories.distinct)
    return as_table(task, personal(histories, others, k))


def personal(histories: Histories, popular: np.ndarray, k: int) -> np.ndarray:
    """(users, k) own items by (how often, how lately), then others; PAD where there are fewer.

    popular: (users, k) the others, most popular first.
    """
    k = min(k, popular.shape[1])
    histories = histories.take(np.arange(len(histories)))
    row = np.repeat(np.arange(len(histories)), histories.lengths)
    grouped = np.lexsort((histories.items, row))  # stable: of one user and item the latest comes last
    changed = (np.diff(row[grouped], prepend=-1) != 0) | (np.diff(histories.items[grouped], prepend=PAD) != 0)
    begins = np.flatnonzero(changed)
    times = np.diff(np.append(begins, len(grouped)))
    latest = grouped[begins + times - 1]
    best = np.lexsort((-latest, -times, row[latest]))
    own_row, own_item = row[latest[best]], histories.items[latest[best]]
    sizes = np.bincount(own_row, minlength=len(histories))
    rank = np.arange(len(best)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    lists = np.full((len(histories), k), PAD)
    near = rank < k
    lists[own_row[near], rank[near]] = own_item[near]
    place = np.arange(k) - np.minimum(sizes, k)[:, None]  # among those that are not the user's own
    others = np.take_along_axis(popular, np.maximum(place, 0), axis=1)
    return np.where(place < 0, lists, others)
