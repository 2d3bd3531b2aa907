"""Interactions to histories: the only definition, for training and serving.

In: tidy interactions (`infer.tables.tidy`) and a vocabulary. Out: each user's item indexes from oldest to newest.

    build_histories(interactions, vocabulary(item_ids, "item"))
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from infer.histories.vocabulary import PAD, index_of
from infer.tables.columns import HISTORY, ITEM, RATING, SPLIT, TEST, TEST_HISTORY, TIMESTAMP, TRAIN, USER, VALIDATION
from infer.tables.tidy import by_item


@dataclass(frozen=True)
class Histories:
    """Item indexes of consecutive users, one after the other.

    users: the ids, in ascending order.  items: (interactions,) int32.  offsets: (users + 1,) int64;
    user n has items[offsets[n]:offsets[n + 1]], oldest first.  unknown: interactions left out
    because the vocabulary has no such item.  levels: (interactions,) whole numbers, which rating level each
    item got, 0 if none; None if ratings were not asked for.  repeats: whether an item may stand in a history twice.
    """

    users: pl.Series
    items: np.ndarray
    offsets: np.ndarray
    unknown: int = 0
    levels: np.ndarray | None = None
    repeats: bool = False

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """(users,) the number of known items in each history."""
        return np.diff(self.offsets)

    def rows(self, start: int, stop: int) -> "Histories":
        """The users start to stop - 1, without copying their items."""
        offsets = self.offsets[start : stop + 1]
        return Histories(self.users[start:stop], self.items, offsets, levels=self.levels, repeats=self.repeats)

    def take(self, rows: np.ndarray) -> "Histories":
        """The users in these rows, in this order, their items copied next to each other."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        position = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        levels = None if self.levels is None else self.levels[position]
        users = self.users.gather(rows)
        return Histories(users, self.items[position], offsets, levels=levels, repeats=self.repeats)

    @classmethod
    def empty(cls, users: pl.Series) -> "Histories":
        """Histories of these users without an item."""
        return cls(users, np.zeros(0, dtype=np.int32), np.zeros(len(users) + 1, dtype=np.int64))

    def where(self, kept: np.ndarray) -> "Histories":
        """The same users with some of their items; kept: (interactions,) bool."""
        begin, end = self.offsets[0], self.offsets[-1]
        sums = np.concatenate([[0], np.cumsum(kept[begin:end])])
        offsets = sums[self.offsets - begin]
        items, levels = (None if v is None else v[begin:end][kept[begin:end]] for v in (self.items, self.levels))
        assert items is not None, "histories have items"
        return Histories(self.users, items, offsets, levels=levels, repeats=self.repeats)

    def latest_of_each(self, most: int) -> "Histories":
        """The same users with the latest `most` places of each of their items."""
        begin, row = self.offsets[0], np.repeat(np.arange(len(self)), self.lengths)
        items = self.flat
        order = np.lexsort((items, row))  # stable: of equal ones the latest comes last
        ends = np.append((np.diff(items[order]) != 0) | (np.diff(row[order]) != 0), True)[: len(order)]
        last = np.flatnonzero(ends)
        later = np.repeat(last, np.diff(last, prepend=-1)) - np.arange(len(order))  # of the same item
        kept = np.zeros(len(self.items), dtype=bool)
        kept[begin + order[later < most]] = True
        return self.where(kept)

    def within(self, other: "Histories") -> "Histories":
        """The same users with those of their items that they have in `other`, too, which has the same users."""
        return self.where(self._common(other))

    def outside(self, other: "Histories") -> "Histories":
        """The same users with those of their items that they do not have in `other`, which has the same users."""
        return self.where(~self._common(other))

    def _common(self, other: "Histories") -> np.ndarray:
        """(interactions,) bool: which items of these users they have in `other`, too."""
        common = np.zeros(len(self.items), dtype=bool)
        rows = np.repeat(np.arange(len(self)), self.lengths)
        common[self.offsets[0] : self.offsets[-1]] = other.holds(rows, self.flat)
        return common

    def holds(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        """(n,) bool: whether the user in each row has this item."""
        size = max(int(self.items.max(initial=0)), int(items.max(initial=0))) + 1
        own = np.repeat(np.arange(len(self)) * size, self.lengths) + self.flat
        return np.isin(rows.astype(np.int64) * size + items, own)

    @property
    def flat(self) -> np.ndarray:
        """(interactions,) the items of these users alone."""
        return self.items[self.offsets[0] : self.offsets[-1]]

    @property
    def distinct(self) -> "Histories":
        """The same users with each item once, where it stands last; without levels."""
        if not self.repeats:
            return self
        begin, end = self.offsets[0], self.offsets[-1]
        items, row = self.items[begin:end], np.repeat(np.arange(len(self)), self.lengths)
        order = np.lexsort((items, row))  # stable: of equal ones the latest comes last
        last = np.append((np.diff(items[order]) != 0) | (np.diff(row[order]) != 0), True)[: len(order)]
        kept = np.sort(order[last])
        sizes = np.bincount(row[kept], minlength=len(self))
        return Histories(self.users, items[kept], np.concatenate([[0], np.cumsum(sizes)]))


def merged(one: Histories, other: Histories) -> Histories:
    """The items of either of the same users, each once, in ascending order; without levels."""
    size = max(int(h.flat.max(initial=0)) for h in (one, other)) + 1
    # One number a pair sorts in a fraction of the time of two keys.
    pairs = np.unique(np.concatenate([np.repeat(np.arange(len(h)) * size, h.lengths) + h.flat for h in (one, other)]))
    offsets = np.searchsorted(pairs, np.arange(len(one) + 1) * size)
    return Histories(one.users, (pairs % size).astype(np.int32), offsets)


def build_histories(
    interactions: pl.DataFrame,
    vocabulary: pl.DataFrame,
    users: pl.Series | None = None,
    rating_levels: Sequence[float] = (),
    in_order: bool = False,
    repeats: bool = False,
) -> Histories:
    """Group tidy interactions by user; a user all of whose items are unknown keeps an empty history.

    interactions: (user, item, timestamp[, rating]), any row order; ordered here by (user, timestamp,
    item), unless they are said to be in_order.  vocabulary: (item, index).  users: whose histories,
    ascending; by default everyone in interactions.  rating_levels: ascending ratings; each rating
    becomes the number, from 1, of the nearest of them.  repeats: whether a user may have an item twice.
    """
    ordered = interactions if in_order else interactions.sort(USER, TIMESTAMP, *by_item(interactions.schema))
    index = index_of(ordered[ITEM], vocabulary)
    known = index != PAD
    begins = np.flatnonzero((ordered[USER] != ordered[USER].shift()).fill_null(True).to_numpy())
    ids = ordered[USER].gather(begins)
    sizes = np.add.reduceat(known, begins, dtype=np.int64) if len(begins) else np.zeros(0, dtype=np.int64)
    if users is not None:
        counts = pl.DataFrame({USER: ids, "known": sizes})
        joined = users.to_frame(USER).join(counts, on=USER, how="left", maintain_order="left")
        ids, sizes = users, joined["known"].fill_null(0).to_numpy()
    levels = None
    if len(rating_levels):
        ratings = ordered[RATING].to_numpy() if RATING in ordered.columns else np.full(len(known), np.nan)
        levels = rating_level(ratings[known], rating_levels)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return Histories(ids, index[known], offsets, int(len(known) - known.sum()), levels, repeats)


def rating_level(ratings: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """(n,) ratings to (n,) whole numbers: 1 + the place of the nearest level, 0 for a rating that is missing.

    They take a byte each, where there are no more levels than a byte can count.
    """
    middle = (np.asarray(levels)[1:] + np.asarray(levels)[:-1]) / 2  # none between a level and itself
    found = (np.searchsorted(middle, ratings) + 1).astype(np.min_scalar_type(len(levels)))
    found[np.isnan(ratings)] = 0
    return found


def before(interactions: pl.DataFrame, split: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Cut a table that carries a `split` column just before each user's `split` item.

    Returns (the interactions that count as history and as seen, the held-out rows). A user without
    a held-out item keeps everything up to then and has no held-out row.
    """
    earlier = {VALIDATION: [TRAIN, HISTORY], TEST: [TRAIN, HISTORY, VALIDATION, TEST_HISTORY]}[split]
    return interactions.filter(pl.col(SPLIT).is_in(earlier)), interactions.filter(pl.col(SPLIT) == split)
