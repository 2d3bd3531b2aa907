"""Lists that are not all of one kind: a limit for each category, or maximal marginal relevance.

In: the best items of each user, more than the list takes. Out: the items of the list, in order.

    python -m infer.batch --model hybrid.onnx --most-per genres=2 --diversity=0.3

A limit takes the best item that still fits, one after the other; as many items are looked at as it takes to fill the
list. Maximal marginal relevance (Carbonell & Goldstein 1998) chooses among the best `POOL` times k items the one with
the largest (1 - d) * relevance - d * similarity to the most similar item chosen before, where relevance is the score
on a scale from 0 to 1 within the pool and similarity the cosine of the items' vectors.
"""

from dataclasses import dataclass
from functools import cached_property

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
    items, if there is a limit.  vectors: (items + 1, dim) of length 1, if there is diversity.  allowed: (items + 1,)
    bool, which items anybody may get; None: all."""

    most: int = 0
    diversity: float = 0.0
    categories: Categories | None = None
    vectors: np.ndarray | None = None
    allowed: np.ndarray | None = None

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
        limit = None if self.categories is None else _Limit(self.categories, self.most, items)
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
            if limit is not None:
                limit.count(item, free)
            if self.diversity:
                assert self.vectors is not None, "diversity comes with vectors"
                likeness = np.einsum("upd,ud->up", self.vectors[items], self.vectors[item])
                # In steps, so that rounding, which depends on where arrays lie, changes no list.
                likeness = np.rint(likeness * STEPS) / STEPS
                nearest = np.maximum(nearest, likeness)
        # A longer pool changes nothing where it ended before, or the list is full.
        open_ended = (places[:, -1] < 0) & (scores[:, -1] > DROPPED)
        if limit is not None and self._fillable is not None:  # nor where every further item has a full category
            open_ended &= (limit.counts < self._fillable).any(1)
        return places, open_ended

    @cached_property
    def _fillable(self) -> np.ndarray | None:
        """(categories,) how many items of each a list can hold; None if there are items without one, of which it can
        hold any number."""
        assert self.categories is not None, "a limit comes with categories"
        items = np.arange(1, len(self.categories.sizes))
        items = items if self.allowed is None else items[self.allowed[1:]]
        if (self.categories.sizes[items] == 0).any():
            return None
        members = np.bincount(self.categories.of(items)[1], minlength=self.categories.number)
        return np.minimum(members, self.most)

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
        # As far as numbers can be told apart, so that of equal ones rounding chooses none.
        value: np.ndarray = np.round((1 - self.diversity) * relevance - self.diversity * nearest, 9)
        return value


class _Limit:
    """How many items of each category are chosen, of each user, and which of a pool no longer fit."""

    def __init__(self, categories: Categories, most: int, items: np.ndarray) -> None:
        self.categories, self.most = categories, most
        self.counts = np.zeros((len(items), categories.number), dtype=np.int32)
        self._cell, code = categories.of(items)  # of the pool (users, pool), flat
        self._slot = self._cell // max(1, items.shape[1]) * categories.number + code

    def count(self, item: np.ndarray, free: np.ndarray) -> None:
        """Count the categories of the items (users,) just chosen, and rule out what no longer fits; changes free."""
        row, code = self.categories.of(item)
        self.counts[row, code] += 1
        full = self.counts.ravel()[self._slot] >= self.most
        free.ravel()[self._cell[full]] = False
