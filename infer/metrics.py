"""Ranking metrics as Polars expressions over each user's rank of the held-out item.

In: (user, rank) with rank 1 for the top of the list and null where the list misses the item.
Out: a table (metric, value, low, high).

With one relevant item a user (leave-one-out), recall@k equals hit@k, MAP@k equals MRR@k and
precision@k is hit@k / k; all are given because readers look for their names.
NDCG: Jarvelin & Kekalainen 2002 with binary gain. Novelty: mean self-information of the
recommended items, Zhou et al. 2010.
"""

import numpy as np
import polars as pl

from infer.schema import ITEM, RANK, USER

Z = 1.959963984540054  # the 97.5% point of the standard normal distribution


def rank_metrics(k: int) -> dict[str, pl.Expr]:
    """One expression a metric, over the column `rank`, for each user; a rank beyond k is a miss."""
    rank = pl.when(pl.col(RANK) <= k).then(pl.col(RANK))
    hit = rank.is_not_null().cast(pl.Float64)
    reciprocal = (1 / rank).fill_null(0.0)
    return {
        f"hit@{k}": hit,
        f"ndcg@{k}": (1 / (rank.cast(pl.Float64) + 1).log(2)).fill_null(0.0),
        f"mrr@{k}": reciprocal,
        f"precision@{k}": hit / k,
        f"recall@{k}": hit,
        f"map@{k}": reciprocal,
    }


def ranks(top: pl.DataFrame, targets: pl.DataFrame) -> pl.DataFrame:
    """Each user's rank of the held-out item: (user, rank), null if the list misses it.

    top: (user, rank, item, ...).  targets: (user, item), one row a user.
    """
    return targets.select(USER, ITEM).join(
        top.select(USER, ITEM, pl.col(RANK).cast(pl.Int64)), on=[USER, ITEM], how="left"
    )


def summarise(ranked: pl.DataFrame, k: int) -> pl.DataFrame:
    """Mean over users and 95% interval of every rank metric: (metric, value, low, high).

    The interval is Wilson's (1927) with the effective number of users n * m(1-m) / variance
    (Kish 1965), so that a metric without a single hit still has an upper bound above 0.
    """
    values = ranked.select(expression.alias(name) for name, expression in rank_metrics(k).items())
    table = pl.DataFrame([_row(column.name, column.to_numpy()) for column in values])
    # Precision is hit / k, so its interval is too: as a mean of values far below 1 it would be wider.
    scale = pl.when(pl.col("metric") == f"precision@{k}").then(1 / k).otherwise(1.0)
    bounds = table.filter(pl.col("metric") == f"hit@{k}")
    exact = [pl.when(scale < 1).then(bounds[c][0] * scale).otherwise(pl.col(c)).alias(c) for c in ("low", "high")]
    return table.with_columns(exact)


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


def wilson(mean: float, users: float) -> tuple[float, float]:
    """Wilson's 95% score interval of a mean in [0, 1] over `users` observations."""
    centre = (mean + Z**2 / (2 * users)) / (1 + Z**2 / users)
    half = Z / (1 + Z**2 / users) * (mean * (1 - mean) / users + Z**2 / (4 * users**2)) ** 0.5
    # Rounding must not push the bounds past the mean when it is 0 or 1.
    return min(mean, max(0.0, centre - half)), max(mean, min(1.0, centre + half))


def _row(name: str, values: np.ndarray) -> dict[str, str | float]:
    mean = float(values.mean())
    variance = float(values.var()) if values.min() < values.max() else 0.0
    effective = len(values) * mean * (1 - mean) / variance if variance > 0 else len(values)
    low, high = wilson(mean, effective)
    return {"metric": name, "value": mean, "low": low, "high": high}
