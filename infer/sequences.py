"""Interactions to histories to padded windows: the only definition, for training and serving.

In: tidy interactions (`infer.tables`) and a vocabulary. Out: each user's item indexes from oldest
to newest, and left-padded windows of them, so that the last column is always the newest item.

    windows(histories.rows(0, 256), length=50)   # (256, 50) int64
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from infer.schema import ITEM, PAD, SPLIT, TEST, TIMESTAMP, TRAIN, USER, VALIDATION


@dataclass(frozen=True)
class Histories:
    """Item indexes of consecutive users, one after the other.

    users: the ids, in ascending order.  items: (interactions,) int32.  offsets: (users + 1,) int64;
    user n has items[offsets[n]:offsets[n + 1]], oldest first.  unknown: interactions left out
    because the vocabulary has no such item.
    """

    users: pl.Series
    items: np.ndarray
    offsets: np.ndarray
    unknown: int = 0

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """(users,) the number of known items in each history."""
        return np.diff(self.offsets)

    def rows(self, start: int, stop: int) -> "Histories":
        """The users start to stop - 1, without copying their items."""
        offsets = self.offsets[start : stop + 1]
        return Histories(self.users[start:stop], self.items, offsets)

    def take(self, rows: np.ndarray) -> "Histories":
        """The users in these rows, in this order, their items copied next to each other."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        position = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return Histories(self.users.gather(rows), self.items[position], offsets)


def build_histories(interactions: pl.DataFrame, vocabulary: pl.DataFrame) -> Histories:
    """Group tidy interactions by user; a user all of whose items are unknown keeps an empty history.

    interactions: (user, item, timestamp, ...), any row order; ordered here by (user, timestamp, item).
    vocabulary: (item, index).
    """
    known = interactions.join(vocabulary, on=ITEM, how="left").sort(USER, TIMESTAMP, ITEM)
    counts = known.group_by(USER).agg(pl.col("index").count().alias("known")).sort(USER)
    items = known["index"].drop_nulls().cast(pl.Int32).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(counts["known"].to_numpy(), dtype=np.int64)])
    return Histories(counts[USER], items, offsets, unknown=known["index"].null_count())


def before(interactions: pl.DataFrame, split: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Cut a table that carries the leave-one-out split just before each user's `split` item.

    Returns (the interactions that count as history and as seen, the held-out rows). A user without
    a held-out item keeps everything up to then and has no held-out row.
    """
    earlier = {VALIDATION: [TRAIN], TEST: [TRAIN, VALIDATION]}[split]
    return interactions.filter(pl.col(SPLIT).is_in(earlier)), interactions.filter(pl.col(SPLIT) == split)


def windows(histories: Histories, length: int) -> np.ndarray:
    """(users, length) int64: each user's latest `length` items, left-padded with PAD."""
    if length == 0 or len(histories) == 0 or len(histories.items) == 0:
        return np.full((len(histories), length), PAD, dtype=np.int64)
    column = np.arange(length)
    inside = column >= length - histories.lengths[:, None]
    position = np.where(inside, histories.offsets[1:, None] - length + column, 0)
    return np.where(inside, histories.items[position], PAD).astype(np.int64)


def seen(histories: Histories, multiple: int = 64) -> np.ndarray:
    """(users, width) int64: all items of each user, padded with PAD to a multiple of `multiple`.

    Few distinct widths keep ONNX Runtime's memory arena from growing with every new shape.
    """
    longest = int(histories.lengths.max(initial=1))
    return windows(histories, -(-longest // multiple) * multiple)
