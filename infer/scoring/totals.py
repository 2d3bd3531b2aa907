"""Counts and ranks, added up over the parts of a run.

In: one task after another. Out: how many users, interactions and targets there were, and the metrics of all.
"""

from dataclasses import astuple, dataclass

import numpy as np
import polars as pl

from infer.metrics.beyond import list_rows, novelty
from infer.metrics.ranking import ranks, summarise
from infer.scoring.task import Task
from infer.tables.columns import ITEM, RANK


@dataclass(frozen=True)
class Totals:
    """users: with a history.  measured: with a held-out item.  cold: whom the model cannot
    personalise.  unknown: interactions with items that it does not know."""

    users: int = 0
    measured: int = 0
    cold: int = 0
    unknown: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def totals(task: Task) -> Totals:
    """The numbers of one task; those of all parts of a table add up."""
    measured = 0 if task.targets is None else task.targets.height
    return Totals(len(task.histories), measured, task.cold, task.histories.unknown)


class Tally:
    """Metrics of lists that come in parts, each of other users; holds two numbers a user."""

    def __init__(self, items: pl.DataFrame, counts: np.ndarray, users: int, k: int) -> None:
        """items: (item, index).  counts: (items,) histories that hold each.  users: histories in all."""
        self.popularity = items.select(ITEM).with_columns(pl.Series("count", counts))
        self.users, self.k = users, k
        self.ranked: list[pl.DataFrame] = []
        self.bits: list[np.ndarray] = []
        self.listed = pl.Series(ITEM, [], dtype=items.schema[ITEM])

    def add(self, lists: pl.DataFrame, targets: pl.DataFrame) -> None:
        """Count lists (user, rank, item); users with a target (user, item) and no list are misses."""
        first = lists.filter(pl.col(RANK) <= self.k)
        self.ranked.append(ranks(first, targets).select(RANK))
        self.bits.append(novelty(first, self.popularity, self.users))
        self.listed = pl.concat([self.listed, first[ITEM].unique()]).unique()

    def metrics(self) -> pl.DataFrame:
        """(metric, value, low, high) over everything added."""
        coverage = len(self.listed) / self.popularity.height
        parts = [summarise(pl.concat(self.ranked), self.k), list_rows(coverage, np.concatenate(self.bits), self.k)]
        return pl.concat(parts)


def totals_of(numbers):
    return Totals(*(sum(n[f] for n in numbers) for f in ("users", "measured", "cold", "unknown")))


def metrics_of(name, numbers, catalogue, k):
    out = {}
    for n in ("random", "popularity", "m"):
        ms = [x["measures"][n] for x in numbers if "measures" in x]
        ranks_ = pl.DataFrame({RANK: pl.Series([r for m in ms for r in m["ranks"]], dtype=pl.Int32)})
        bits = np.array([b for m in ms for b in m["bits"]])
        listed = {i for m in ms for i in m["listed"]}
        out[name if n == "m" else n] = pl.concat([summarise(ranks_, k), list_rows(len(listed) / catalogue, bits, k)])
    return out
