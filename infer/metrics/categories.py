"""What lists are like by the categories of their items: diversity, and calibration to the user's own history.

In: items of users, one user after the other, and the categories of each item. Out: a value a user.

    hamming_diversity(items, offsets, categories)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

ALPHA = 0.01  # of Steck 2018: how much of the history's distribution is mixed into the list's
CELLS = 2**22  # users times categories that are held at once
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

    def blocks(self, offsets: np.ndarray) -> Iterator[slice]:
        """Consecutive users, as many as are looked at at once."""
        size = max(1, CELLS // max(1, self.number))
        for start in range(0, len(offsets) - 1, size):
            yield slice(start, min(start + size, len(offsets) - 1))

    def sums(self, items: np.ndarray, offsets: np.ndarray, weighted: bool) -> np.ndarray:
        """(users, categories) how often each user's items have each category; if weighted, an item's categories share
        one `WHOLE`. Whole numbers, so that the order of items does not matter."""
        own = items[offsets[0] : offsets[-1]]
        sizes = self.sizes[own]
        row = np.repeat(np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)), sizes)
        ends = np.cumsum(sizes)
        place = np.arange(len(row)) + np.repeat(self.offsets[own] - (ends - sizes), sizes)
        weights = np.repeat(WHOLE // np.maximum(1, sizes), sizes) if weighted else None
        shape = (len(offsets) - 1, self.number)
        found = np.bincount(row * self.number + self.codes[place], weights, minlength=shape[0] * shape[1])
        return found.reshape(shape)


def hamming_diversity(items: np.ndarray, offsets: np.ndarray, categories: Categories) -> np.ndarray:
    """(users,) float64: the mean number of categories in which two items of a list differ; NaN if it cannot be told.

    items: (recommendations,) item indexes.  offsets: (users + 1,) where each user's list begins.
    ILD of Ziegler et al. 2005 with the Hamming distance: `IntraListDiversity` of RecTools with its
    `PairwiseHammingDistanceCalculator`. As there a list of one item has 0, and pairs with an item without known
    categories do not count; NaN where no pair is left.
    """
    result = np.full(len(offsets) - 1, np.nan)
    for block in categories.blocks(offsets):
        own = offsets[block.start : block.stop + 1]
        counts = categories.sums(items, own, weighted=False)
        sizes = np.concatenate([[0], np.cumsum(categories.sizes[items[own[0] : own[-1]]])])
        known = np.concatenate([[0], np.cumsum(categories.sizes[items[own[0] : own[-1]]] > 0)])
        ends = own - own[0]
        total, m = np.diff(sizes[ends]), np.diff(known[ends])
        # Of all pairs, |A| + |B| - 2 |A and B|; a category that n items have is shared by n (n - 1) / 2 pairs.
        apart = (m - 1) * total - (counts * (counts - 1)).sum(1)
        pairs = m * (m - 1) / 2
        with np.errstate(invalid="ignore", divide="ignore"):
            result[block] = np.where(np.diff(own) == 1, 0.0, np.where(pairs > 0, apart / pairs, np.nan))
    return result


def calibration(
    history: tuple[np.ndarray, np.ndarray], lists: tuple[np.ndarray, np.ndarray], categories: Categories
) -> np.ndarray:
    """(users,) float64 nats: how far a list's categories are from those of the history, 0 if not at all.

    history, lists: (items, offsets) of the same users.
    Steck 2018, *Calibrated Recommendations*, equations 2 to 5: sum_g p(g) ln(p(g) / ((1 - a) q(g) + a p(g))) with p of
    the history, q of the list, a = 0.01; an item's categories have equal shares of it, and items equal weight. NaN
    where no item of the history, or none of the list, has known categories.
    """
    result = np.full(len(lists[1]) - 1, np.nan)
    for block in categories.blocks(lists[1]):
        p, q = (
            categories.sums(items, offsets[block.start : block.stop + 1], weighted=True)
            for items, offsets in (history, lists)
        )
        totals = p.sum(1), q.sum(1)
        row, column = np.nonzero(p)
        with np.errstate(invalid="ignore", divide="ignore"):
            own, given = p[row, column] / totals[0][row], q[row, column] / totals[1][row]
            terms = own * np.log(own / ((1 - ALPHA) * given + ALPHA * own))
        # Those of one user in the order of the categories, whoever else is there.
        values = np.bincount(row, terms, minlength=len(p))
        result[block] = np.where((totals[0] > 0) & (totals[1] > 0), values, np.nan)
    return result
