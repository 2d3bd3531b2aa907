"""What accuracy does not say: how much of the catalogue lists cover, and how novel they are.

In: lists and how often each item was consumed. Out: rows (metric, value, low, high), as of
`infer.metrics.ranking`.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from infer.metrics.intervals import Z
from infer.tables.columns import ITEM, RANK, USER


def list_metrics(top: pl.DataFrame, popularity: pl.DataFrame, users: int, k: int) -> pl.DataFrame:
    """Coverage and novelty of the lists' first k items, in the columns of `summarise`.

    top: (user, rank, item).  popularity: (item, count), one row for every item of the catalogue,
    count = the users whose history holds it.  users: the number of histories.
    Coverage is the share of the catalogue in any list; a property of all lists together, it has no
    interval (null). Novelty is the mean of -log2((count + 1) / (users + 1)) in bits over a list,
    averaged over users, with a normal interval.
    """
    first = top.filter(pl.col(RANK) <= k)
    return list_rows(first[ITEM].n_unique() / popularity.height, Moments.of(novelty(first, popularity, users)), k)


@dataclass(frozen=True)
class Moments:
    """What a mean and its interval take: number, mean, and sum of squared differences from it."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, values: np.ndarray) -> "Moments":
        """Those of some values."""
        mean = float(values.mean()) if len(values) else 0.0
        return cls(len(values), mean, float(((values - mean) ** 2).sum()))

    def __add__(self, other: "Moments") -> "Moments":
        """Those of both together, without cancellation (Chan, Golub & LeVeque 1983)."""
        count = self.count + other.count
        if not count:
            return self
        apart = other.mean - self.mean
        squares = self.squares + other.squares + apart**2 * self.count * other.count / count
        return Moments(count, self.mean + apart * other.count / count, squares)


def novelty(top: pl.DataFrame, popularity: pl.DataFrame, users: int) -> np.ndarray:
    """(listed users,) mean self-information in bits of each user's list; arguments as `list_metrics`."""
    information = -((pl.col("count") + 1) / (users + 1)).log(2)
    bits = top.join(popularity, on=ITEM).group_by(USER, maintain_order=True).agg(information.mean().alias("bits"))
    return bits["bits"].to_numpy()


def list_rows(coverage: float, bits: Moments, k: int) -> pl.DataFrame:
    """Coverage and the mean of `novelty` with its interval, in the columns of `summarise`."""
    error = Z * (bits.squares / (bits.count - 1)) ** 0.5 / bits.count**0.5 if bits.count > 1 else None
    low, high = (None, None) if error is None else (bits.mean - error, bits.mean + error)
    rows = [
        {"metric": f"coverage@{k}", "value": coverage, "low": None, "high": None},
        {"metric": f"novelty@{k}", "value": bits.mean, "low": low, "high": high},
    ]
    return pl.DataFrame(rows, schema={"metric": pl.String, "value": float, "low": float, "high": float})
