"""Interactions to histories to padded windows: the only definition, for training and serving.

In: tidy interactions (`infer.tables`) and a vocabulary. Out: each user's item indexes from oldest
to newest, and left-padded windows of them, so that the last column is always the newest item.

    windows(histories.rows(0, 256), length=50)   # (256, 50) int64
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from infer.schema import ITEM, PAD, RATING, SPLIT, TEST, TEST_HISTORY, TIMESTAMP, TRAIN, USER, VALIDATION

LOOKUP = 16_000_000  # ids below this are looked up in a table of so many indexes


@dataclass(frozen=True)
class Histories:
    """Item indexes of consecutive users, one after the other.

    users: the ids, in ascending order.  items: (interactions,) int32.  offsets: (users + 1,) int64;
    user n has items[offsets[n]:offsets[n + 1]], oldest first.  unknown: interactions left out
    because the vocabulary has no such item.  levels: (interactions,) int64 which rating level each
    item got, 0 if none; None if ratings were not asked for.
    """

    users: pl.Series
    items: np.ndarray
    offsets: np.ndarray
    unknown: int = 0
    levels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """(users,) the number of known items in each history."""
        return np.diff(self.offsets)

    def rows(self, start: int, stop: int) -> "Histories":
        """The users start to stop - 1, without copying their items."""
        offsets = self.offsets[start : stop + 1]
        return Histories(self.users[start:stop], self.items, offsets, levels=self.levels)

    def take(self, rows: np.ndarray) -> "Histories":
        """The users in these rows, in this order, their items copied next to each other."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        position = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        levels = None if self.levels is None else self.levels[position]
        return Histories(self.users.gather(rows), self.items[position], offsets, levels=levels)


def build_histories(
    interactions: pl.DataFrame,
    vocabulary: pl.DataFrame,
    users: pl.Series | None = None,
    rating_levels: Sequence[float] = (),
    in_order: bool = False,
) -> Histories:
    """Group tidy interactions by user; a user all of whose items are unknown keeps an empty history.

    interactions: (user, item, timestamp[, rating]), any row order; ordered here by (user, timestamp,
    item), unless they are said to be in_order.  vocabulary: (item, index).  users: whose histories,
    ascending; by default everyone in interactions.  rating_levels: ascending ratings; each rating
    becomes the number, from 1, of the nearest of them.
    """
    ordered = interactions if in_order else interactions.sort(USER, TIMESTAMP, ITEM)
    index = index_of(ordered[ITEM], vocabulary)
    known = index != PAD
    begins = np.flatnonzero((ordered[USER] != ordered[USER].shift()).fill_null(True).to_numpy())
    found = ordered[USER].gather(begins)
    sizes = np.add.reduceat(known, begins, dtype=np.int64) if len(begins) else np.zeros(0, dtype=np.int64)
    if users is not None:
        counts = pl.DataFrame({USER: found, "known": sizes})
        joined = users.to_frame(USER).join(counts, on=USER, how="left", maintain_order="left")
        found, sizes = users, joined["known"].fill_null(0).to_numpy()
    levels = None
    if len(rating_levels):
        ratings = ordered[RATING].to_numpy() if RATING in ordered.columns else np.full(len(known), np.nan)
        levels = rating_level(ratings[known], rating_levels)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return Histories(found, index[known], offsets, int(len(known) - known.sum()), levels)


def index_of(values: pl.Series, vocabulary: pl.DataFrame) -> np.ndarray:
    """(n,) int32 the index of each id, PAD for an id that the vocabulary (id, index) does not have.

    values: named as the vocabulary's column of ids, and of its type.
    """
    ids = vocabulary[values.name]
    small = ids.dtype.is_integer() and len(ids) > 0 and 0 <= ids.min() and ids.max() < LOOKUP
    if not small:
        joined = values.to_frame().join(vocabulary, on=values.name, how="left", maintain_order="left")
        return joined["index"].fill_null(PAD).cast(pl.Int32).to_numpy()
    # Ids that are small numbers are their own address in a table, ten times faster than a join.
    highest = ids.max()
    table = np.full(highest + 2, PAD, dtype=np.int32)
    table[ids.to_numpy()] = vocabulary["index"].to_numpy()
    places = values.to_numpy()
    return table[np.where((places >= 0) & (places <= highest), places, highest + 1)]


def rating_level(ratings: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """(n,) ratings to (n,) int64: 1 + the position of the nearest level, 0 for a rating that is missing."""
    middle = np.convolve(levels, [0.5, 0.5], mode="valid")
    return np.where(np.isnan(ratings), 0, np.searchsorted(middle, ratings) + 1)


def before(interactions: pl.DataFrame, split: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Cut a table that carries a `split` column just before each user's `split` item.

    Returns (the interactions that count as history and as seen, the held-out rows). A user without
    a held-out item keeps everything up to then and has no held-out row.
    """
    earlier = {VALIDATION: [TRAIN], TEST: [TRAIN, VALIDATION, TEST_HISTORY]}[split]
    return interactions.filter(pl.col(SPLIT).is_in(earlier)), interactions.filter(pl.col(SPLIT) == split)


def windows(histories: Histories, length: int) -> np.ndarray:
    """(users, length) int64: each user's latest `length` items, left-padded with PAD."""
    return slices(histories.items, histories.offsets[:-1], histories.offsets[1:], length)


def level_windows(histories: Histories, length: int) -> np.ndarray:
    """(users, length) int64: the rating levels of the items in `windows`; 0 is padding and no rating."""
    if histories.levels is None:
        return np.full((len(histories), length), PAD, dtype=np.int64)
    return slices(histories.levels, histories.offsets[:-1], histories.offsets[1:], length)


def slices(values: np.ndarray, starts: np.ndarray, stops: np.ndarray, length: int) -> np.ndarray:
    """(n, length) int64: the last `length` of values[starts[i]:stops[i]], left-padded with PAD."""
    if length == 0 or len(starts) == 0 or len(values) == 0:
        return np.full((len(starts), length), PAD, dtype=np.int64)
    position = stops[:, None] - length + np.arange(length)
    inside = position >= starts[:, None]
    return np.where(inside, values[np.where(inside, position, 0)], PAD).astype(np.int64)


def seen(histories: Histories, multiple: int = 64) -> np.ndarray:
    """(users, width) int64: all items of each user, padded with PAD to a multiple of `multiple`.

    Few distinct widths keep ONNX Runtime's memory arena from growing with every new shape.
    """
    longest = int(histories.lengths.max(initial=1))
    return windows(histories, -(-longest // multiple) * multiple)


def digests(histories: Histories) -> np.ndarray:
    """(users,) uint64: equal for equal histories, and for different ones only by a chance of about 2^-64.

    The sum over a history of a mixed (item, rating level, place), so that order counts.
    """
    begin, end = histories.offsets[0], histories.offsets[-1]
    mixed = histories.items[begin:end].astype(np.uint64)
    if histories.levels is not None:
        mixed += histories.levels[begin:end].astype(np.uint64) << np.uint64(32)
    mixed *= np.uint64(0xD6E8FEB86659FD93)
    place = np.arange(end - begin, dtype=np.uint64)
    place -= np.repeat((histories.offsets[:-1] - begin).astype(np.uint64), histories.lengths)
    place *= np.uint64(0x9E3779B97F4A7C15)
    mixed += place
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(_mix(mixed), dtype=np.uint64)])
    return np.diff(sums[histories.offsets - begin]) + _mix(histories.lengths.astype(np.uint64))


def _mix(values: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser (Steele et al. 2014), in place: neighbouring numbers become unrelated ones."""
    shifted = np.empty_like(values)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        np.right_shift(values, np.uint64(shift), out=shifted)
        values ^= shifted
        if factor != 1:
            values *= np.uint64(factor)
    return values
