"""What accuracy does not say: how much of the catalogue lists cover, and how novel they are.

In: lists and how often each item was consumed. Out: rows (metric, value, low, high), as of
`infer.metrics.ranking`.
"""

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
    return list_rows(first[ITEM].n_unique() / popularity.height, novelty(first, popularity, users), k)


def novelty(top: pl.DataFrame, popularity: pl.DataFrame, users: int) -> np.ndarray:
    """(listed users,) mean self-information in bits of each user's list; arguments as `list_metrics`."""
    information = -((pl.col("count") + 1) / (users + 1)).log(2)
    bits = top.join(popularity, on=ITEM).group_by(USER, maintain_order=True).agg(information.mean().alias("bits"))
    return bits["bits"].to_numpy()


def list_rows(coverage: float, bits: np.ndarray, k: int) -> pl.DataFrame:
    """Coverage and the mean of `novelty` with its interval, in the columns of `summarise`."""
    mean = float(bits.mean()) if len(bits) else 0.0
    error = Z * float(bits.std(ddof=1)) / len(bits) ** 0.5 if len(bits) > 1 else None
    low, high = (None, None) if error is None else (mean - error, mean + error)
    rows = [
        {"metric": f"coverage@{k}", "value": coverage, "low": None, "high": None},
        {"metric": f"novelty@{k}", "value": mean, "low": low, "high": high},
    ]
    return pl.DataFrame(rows, schema={"metric": pl.String, "value": float, "low": float, "high": float})
