"""The two lists that any model must beat: random and popular items.

In: a `Task`. Out: long tables (user, rank, item), best first, never a seen item and never padding.
"""

from collections.abc import Callable, Iterator

import numpy as np
import polars as pl

from infer.candidates.options import ONLY
from infer.histories.histories import Histories, merged
from infer.histories.vocabulary import PAD, index_of
from infer.scoring.lists import lists_of
from infer.scoring.popularity import Popularity
from infer.scoring.task import Task
from infer.tables.columns import ITEM, USER

# Users times the places that are looked at for each, at once.
LARGEST = 2**22


def popular_lists(task: Task, popularity: Popularity, k: int) -> pl.DataFrame:
    """The k most popular unseen items of each user: (user, rank, item)."""
    return ordered_lists(task, popularity.order, k)


def ordered_lists(task: Task, order: np.ndarray, k: int) -> pl.DataFrame:
    """The first k items in an order of all that each user may get: (user, rank, item)."""
    return as_table(task, first(task, order, k))


def first(task: Task, order: np.ndarray, k: int, emptied: bool = False, without: Histories | None = None) -> np.ndarray:
    """(users, k) the first item indexes in an order of all that each user may get, PAD where there are fewer.

    emptied: whether users to whom only their own history is recommended, and who have none of it left, may get what
    they could without; pairs that are the only ones of each user hold all the same.
    without: further items that each user does not get.
    """
    blocked = task.blocked if without is None else merged(task.blocked, without)
    order = order[task.job.candidates.mask[order]]
    if task.own is None:
        return popular(blocked, order, k)
    place = _places_in(order, task.job.items.height)
    own, rules = task.own.outside(blocked), task.job.candidates
    best = _first_of_own(own, lambda _, item: place[item], k)
    rows = np.flatnonzero(own.lengths == 0)
    if emptied and rules.seen == ONLY and len(rows):
        left = blocked.take(rows)
        if rules.only is None:
            others = popular(left, order, k)
        else:
            named = rules.only.take(left.users)
            named = named.where(rules.mask[named.items]).outside(left)
            others = _first_of_own(named, lambda _, item: place[item], k)
        best[rows, : others.shape[1]] = others
    return best


def random_lists(task: Task, k: int, seed: int, places: np.ndarray) -> pl.DataFrame:
    """k random unseen items of each user: (user, rank, item).

    places: (users,) each user's place in the whole table, so that parts of it get the same lists as the whole.
    """
    rules = task.job.candidates
    shuffle = shuffled(rules.items, seed)
    shuffle = shuffle[rules.mask[shuffle]]
    if task.own is None:
        return as_table(task, random(task.blocked, shuffle, places, k, seed))
    place, start = _places_in(shuffle, rules.items), _starts(places, len(shuffle), seed)
    own = task.own.outside(task.blocked)
    return as_table(task, _first_of_own(own, lambda user, item: (place[item] - start[user]) % len(shuffle), k))


def equal_popular(histories: Histories, lists: pl.DataFrame, items: pl.DataFrame, order: np.ndarray, k: int) -> int:
    """How many users have the k most popular unseen items as their list, in this order; without making such lists.

    lists: (user, rank, item), ordered by user and rank.  items: (item, index).  order: as of `popular`.
    """
    if lists.is_empty():
        return 0
    place = _places_in(order, items.height)[index_of(lists[ITEM], items)]
    begins = np.flatnonzero((lists[USER] != lists[USER].shift()).fill_null(True).to_numpy())
    lengths = np.diff(np.append(begins, len(place)))
    rises = np.append(True, place[1:] > place[:-1])
    rises[begins] = True
    users = np.flatnonzero(histories.users.is_in(lists[USER].gather(begins).implode()).to_numpy())
    taken = histories.where(_places_in(order, items.height)[histories.items] < len(order))
    whole = lengths == np.minimum(k, len(order) - taken.lengths[users])
    found = np.flatnonzero(np.logical_and.reduceat(rises, begins) & whole)
    # In order; and whatever is more popular than the last is in the list, too, or seen.
    last = place[begins[found] + lengths[found] - 1]
    seen = histories.take(users[found])
    row = np.repeat(np.arange(len(found)), seen.lengths)
    before = np.bincount(row[_places_in(order, items.height)[seen.items] < last[row]], minlength=len(found))
    return int((last + 1 - lengths[found] == before).sum())


def popular(histories: Histories, order: np.ndarray, k: int) -> np.ndarray:
    """(users, k) the k most popular unseen items of each user, PAD where there are fewer.

    order: (n,) item indexes from most to least frequent, of all items or some.
    """
    place = _places_in(order, max(int(order.max(initial=0)), int(histories.items.max(initial=0))))
    return _first_unseen(histories, len(order), k, lambda _, item: place[item], lambda _, found: order[found])


def shuffled(items: int, seed: int) -> np.ndarray:
    """(items,) all item indexes in random order."""
    return np.random.default_rng(seed).permutation(items) + 1


def random(histories: Histories, shuffle: np.ndarray, rows: np.ndarray, k: int, seed: int) -> np.ndarray:
    """(users, k) random unseen items, PAD where there are fewer.

    shuffle: (n,) item indexes in random order, of all items or some.  rows: (users,) each user's place in the whole
    table. Each user reads the shuffle from an own seeded start, so a list depends on the seed and on the row, not on
    the batch it is computed in.
    """
    items = len(shuffle)
    place = _places_in(shuffle, max(int(shuffle.max(initial=0)), int(histories.items.max(initial=0))))
    start = _starts(rows, items, seed)
    return _first_unseen(
        histories,
        items,
        k,
        lambda user, item: np.where(place[item] < items, (place[item] - start[user]) % items, items),
        lambda user, found: shuffle[(found + start[user]) % items],
    )


def _starts(rows: np.ndarray, items: int, seed: int) -> np.ndarray:
    """(users,) where each user, by the place in the whole table, begins to read."""
    return np.array([np.random.default_rng([seed, int(row)]).integers(items) for row in rows], dtype=np.int64)


def _places_in(order: np.ndarray, items: int) -> np.ndarray:
    """(items + 1,) where each item index stands in an order, from 0; its length for those that it lacks."""
    place = np.full(items + 1, len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place


def _first_of_own(own: Histories, place: Callable[[np.ndarray, np.ndarray], np.ndarray], k: int) -> np.ndarray:
    """(users, k) of each user's own items the first in the user's order, PAD where there are fewer.

    place: as of `_first_unseen`.
    """
    row = np.repeat(np.arange(len(own)), own.lengths)
    order = np.lexsort((place(row, own.flat), row))
    rank = np.arange(len(row)) - np.repeat(np.cumsum(own.lengths) - own.lengths, own.lengths)
    best = np.full((len(own), k), PAD)
    near = rank < k
    best[row[near], rank[near]] = own.flat[order][near]
    return best


def _first_unseen(
    histories: Histories,
    items: int,
    k: int,
    place: Callable[[np.ndarray, np.ndarray], np.ndarray],
    item: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """(users, k) the first unseen items in each user's own order of the catalogue, PAD where there are fewer.

    place: (user row, item) -> where the item stands in the user's order, from 0.  item: (user row, place) -> item.
    """
    k = min(k, items)
    best = np.full((len(histories), k), PAD)
    for rows, width in _similar(histories.lengths, items, k):
        own = histories.take(rows)
        free = np.ones((len(rows), width), dtype=bool)
        row = np.repeat(np.arange(len(rows)), own.lengths)
        where = place(rows[row], own.items)
        near = where < width
        free[row[near], where[near]] = False
        number = np.cumsum(free, axis=1, dtype=np.int32)
        user, column = np.nonzero(free & (number <= k))
        best[rows[user], number[user, column] - 1] = item(rows[user], column)
    return best


def _similar(lengths: np.ndarray, items: int, k: int) -> Iterator[tuple[np.ndarray, int]]:
    """Rows of users with histories of similar length, and how many places suffice for them: k, and as many as the
    longest history can rule out."""
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        stop = min(len(order), start + max(1, LARGEST // min(items, k + int(lengths[order[start]]))))
        # The last is the longest: fewer users, until their places fit.
        while stop - start > 1 and (stop - start) * min(items, k + int(lengths[order[stop - 1]])) > LARGEST:
            stop = start + (stop - start) // 2
        yield order[start:stop], min(items, k + int(lengths[order[stop - 1]]))
        start = stop


def as_table(task: Task, indexes: np.ndarray) -> pl.DataFrame:
    """(users, k) item indexes, PAD after the last of each user, as (user, rank, item)."""
    row, column = np.nonzero(indexes != PAD)
    return lists_of(task, row, indexes[row, column].astype(np.int32))
