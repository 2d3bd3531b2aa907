"""What lists are like by the categories of their items: diversity, and calibration to the user's own history.

In: items of users, one user after the other, and the categories of each item. Out: a value a user.

    hamming_diversity(items, offsets, categories)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from infer.metrics.sums import segment_sums

ALPHA = 0.01  # of Steck 2018: how much of the history's distribution is mixed into the list's
ENTRIES = 2**18  # categories of items that are looked at at once, at most
WHOLE = 720_720  # an item's weight, which up to 16 categories share evenly in whole numbers


@dataclass(frozen=True)
class Categories:
    """Which categories each item has.

    codes: int32, those of item index 0 (padding, which has none), 1, 2, ... one after the other, no code twice for one
    item.  offsets: (items + 2,).  number: of different categories.
    """

    codes: np.ndarray
    offsets: np.ndarray
    number: int

    @cached_property
    def sizes(self) -> np.ndarray:
        """(items + 1,) how many categories each item has; 0 if none are known."""
        return np.diff(self.offsets)

    def of(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Flat: (n,) at which place of `items` (any shape, flattened) an item stands, and (n,) a category of it."""
        own = items.ravel()
        sizes = self.sizes[own]
        place = np.repeat(np.arange(len(own)), sizes)
        begin = self.offsets[own] - (np.cumsum(sizes) - sizes)
        return place, self.codes[np.arange(len(place)) + np.repeat(begin, sizes)]

    def counted(self, items: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """(users,) how many categories each user's items have, taken together with repeats."""
        return segment_sums(self.sizes[items], offsets)

    def blocks(self, items: np.ndarray, offsets: np.ndarray) -> Iterator[slice]:
        """Consecutive users with at most `ENTRIES` categories of items, or one user with more."""
        block = np.cumsum(self.counted(items, offsets)) // ENTRIES
        cuts = [0, *(np.flatnonzero(np.diff(block)) + 1), len(offsets) - 1]
        yield from (slice(int(start), int(stop)) for start, stop in pairwise(cuts) if stop > start)

    def sums(self, items: np.ndarray, offsets: np.ndarray, weighted: bool) -> tuple[np.ndarray, np.ndarray]:
        """(cells,) ascending, user row * number + category, of all categories that occur, and (cells,) how often: 1 for
        each item that has it or, if weighted, the item's share of one `WHOLE`. All int64."""
        own = items[offsets[0] : offsets[-1]]
        sizes = self.sizes[own]
        place, codes = self.of(own)
        row = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))[place]
        cells = row * self.number + codes
        weights = np.repeat(WHOLE // np.maximum(1, sizes), sizes) if weighted else np.ones(len(cells), dtype=np.int64)
        if (len(offsets) - 1) * self.number <= 4 * len(cells):
            dense = np.bincount(cells, weights)  # whole numbers far below 2^53
            found = np.flatnonzero(dense)
            return found, dense[found].astype(np.int64)
        ordered = np.sort(cells * 2**20 + weights)  # of numbers alone, which is far faster than an order of them
        begins = np.flatnonzero(np.diff(ordered >> 20, prepend=-1))
        return ordered[begins] >> 20, segment_sums(ordered & (2**20 - 1), np.append(begins, len(ordered)))


def hamming_diversity(items: np.ndarray, offsets: np.ndarray, categories: Categories) -> np.ndarray:
    """(users,) float64: the mean number of categories in which two items of a list differ; NaN if it cannot be told.

    items: (recommendations,) item indexes.  offsets: (users + 1,) where each user's list begins.
    ILD of Ziegler et al. 2005 with the Hamming distance: `IntraListDiversity` of RecTools with its
    `PairwiseHammingDistanceCalculator`. As there a list of one item has 0, and pairs with an item without known
    categories do not count; NaN where no pair is left.
    """
    cells, counts = categories.sums(items, offsets, weighted=False)
    lists = len(offsets) - 1
    shared = np.bincount(cells // categories.number, counts * (counts - 1), minlength=lists)
    total, known = categories.counted(items, offsets), segment_sums(categories.sizes[items] > 0, offsets)
    # Of all pairs, |A| + |B| - 2 |A and B|; a category that n items have is shared by n (n - 1) / 2 pairs.
    apart, pairs = (known - 1) * total - shared, known * (known - 1) / 2
    means = np.divide(apart, pairs, out=np.full(lists, np.nan), where=pairs > 0)
    return np.where(np.diff(offsets) == 1, 0.0, means)


def calibration(
    history: tuple[np.ndarray, np.ndarray], lists: tuple[np.ndarray, np.ndarray], categories: Categories
) -> np.ndarray:
    """(users,) float64 nats: how far a list's categories are from those of the history, 0 if not at all.

    history, lists: (items, offsets) of the same users.
    Steck 2018, *Calibrated Recommendations*, equations 2 to 5: sum_g p(g) ln(p(g) / ((1 - a) q(g) + a p(g))) with p of
    the history, q of the list, a = 0.01; an item's categories have equal shares of it, and items equal weight. NaN
    where no item of the history, or none of the list, has known categories.
    """
    values = [
        _calibration(_cut(history, block), _cut(lists, block), categories) for block in categories.blocks(*history)
    ]
    return np.concatenate([np.zeros(0), *values])


def _calibration(
    history: tuple[np.ndarray, np.ndarray], lists: tuple[np.ndarray, np.ndarray], categories: Categories
) -> np.ndarray:
    """`calibration` of a block of users."""
    users = len(lists[1]) - 1
    (cells, own), (listed, given) = (categories.sums(*found, weighted=True) for found in (history, lists))
    row = cells // categories.number
    totals = [np.bincount(c // categories.number, w, minlength=users) for c, w in ((cells, own), (listed, given))]
    there = (totals[0] > 0) & (totals[1] > 0)
    cells, own, row = (values[there[row]] for values in (cells, own, row))
    place = np.minimum(np.searchsorted(listed, cells), max(0, len(listed) - 1))
    same = np.where(listed[place] == cells, given[place], 0) if len(listed) else np.zeros(len(cells))
    p, q = own / totals[0][row], same / totals[1][row]
    terms = p * np.log(p / ((1 - ALPHA) * q + ALPHA * p))
    # Those of one user in the order of the categories, whoever else is there.
    return np.where(there, np.bincount(row, terms, minlength=users), np.nan)


def _cut(found: tuple[np.ndarray, np.ndarray], block: slice) -> tuple[np.ndarray, np.ndarray]:
    """(items, offsets) of the users in a block."""
    items, offsets = found
    return items, offsets[block.start : block.stop + 1]
