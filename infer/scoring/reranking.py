"""Lists that are not all of one kind: a limit for each category, or maximal marginal relevance.

In: the best items of each user, more than the list takes. Out: the items of the list, in order.

    python -m infer.batch --model hybrid.onnx --most-per genres=2 --diversity=0.3

A limit takes the best item that still fits, one after the other; as many items are looked at as it takes to fill the
list. Maximal marginal relevance (Carbonell & Goldstein 1998) chooses among the best `POOL` times k items the one with
the largest (1 - d) * relevance - d * similarity to the most similar item chosen before, where relevance is the score
on a scale from 0 to 1 within the pool and similarity the cosine of the items' vectors.
"""

from dataclasses import dataclass

import numpy as np

from infer.histories.vocabulary import PAD
from infer.metrics.categories import Categories
from infer.model.signature import DROPPED

POOL = 5
# Looked at once more, for users whose list is not full: so many times as many items.
GROWTH = 4
STEPS = 1_000_000


@dataclass(frozen=True)
class Reranking:
    """most: items of one category in a list; 0: no limit.  diversity: d, from 0 to 1; 0: none.  categories: of the
    items, if there is a limit.  vectors: (items + 1, dim) of length 1, if there is diversity."""

    most: int = 0
    diversity: float = 0.0
    categories: Categories | None = None
    vectors: np.ndarray | None = None

    def pool(self, k: int, items: int) -> int:
        """How many of the best items to look at first."""
        return min(items, k * POOL)

    def chosen(self, items: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """(users, k) places in the pool, best first, -1 after the last; and (users,) bool whether a further item could
        change the list.

        items, scores: (users, pool), best first; entries with a score of `DROPPED` are none.
        """
        free = scores > DROPPED
        rows, width = len(items), items.shape[1]
        relevance = self._relevance(scores, free)
        nearest = np.full(items.shape, -np.inf)
        counts = None
        if self.categories is not None:
            counts = np.zeros((rows, self.categories.number + 1), dtype=np.int32)
        places = np.full((rows, k), -1, dtype=np.int64)
        row = np.arange(rows)
        for rank in range(min(k, width)):
            value = relevance if not rank or not self.diversity else self._value(relevance, nearest)
            value = np.where(free, value, -np.inf)
            best = value.argmax(1)  # of equal ones the first, which is the better
            found = np.isfinite(value[row, best])
            if not found.any():
                break
            places[found, rank] = best[found]
            free[row[found], best[found]] = False
            item = np.where(found, items[row, best], PAD)
            if counts is not None:
                self._count(counts, item, items, free)
            if self.diversity:
                assert self.vectors is not None, "diversity comes with vectors"
                likeness = np.einsum("upd,ud->up", self.vectors[items], self.vectors[item])
                # In steps, so that rounding, which depends on where arrays lie, changes no list.
                likeness = np.rint(likeness * STEPS) / STEPS
                nearest = np.maximum(nearest, likeness)
        # A longer pool changes nothing where it ended before, or the list is full.
        open_ended = (places[:, -1] < 0) & (scores[:, -1] > DROPPED)
        return places, open_ended

    def _relevance(self, scores: np.ndarray, free: np.ndarray) -> np.ndarray:
        """(users, pool) the score itself, or, beside a similarity, from 0 to 1."""
        values = np.where(free, scores, 0.0).astype(np.float64)
        if not self.diversity:
            return values
        lowest = np.where(free, values, np.inf).min(1, keepdims=True, initial=np.inf)
        highest = np.where(free, values, -np.inf).max(1, keepdims=True, initial=-np.inf)
        span = np.where(highest > lowest, highest - lowest, 1.0)
        scaled: np.ndarray = np.where(free, (values - np.where(np.isfinite(lowest), lowest, 0.0)) / span, 0.0)
        return scaled

    def _value(self, relevance: np.ndarray, nearest: np.ndarray) -> np.ndarray:
        value: np.ndarray = (1 - self.diversity) * relevance - self.diversity * nearest
        return value

    def _count(self, counts: np.ndarray, item: np.ndarray, items: np.ndarray, free: np.ndarray) -> None:
        """Count the categories of the items just chosen, and rule out what no longer fits; changes counts and free."""
        assert self.categories is not None, "a limit comes with categories"
        own = self.categories.table[item]  # (users, most)
        rows = np.repeat(np.arange(len(item)), own.shape[1])
        np.add.at(counts, (rows, own.ravel()), 1)
        counts[:, self.categories.number] = 0  # of no category there is no limit
        full = counts >= self.most
        theirs = self.categories.table[items]  # (users, pool, most)
        free &= ~np.take_along_axis(full[:, None, :], theirs, 2).any(2)
