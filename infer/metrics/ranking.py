"""Ranking metrics as Polars expressions over each user's rank of the held-out item.

In: (user, rank) with rank 1 for the top of the list and null where the list misses the item.
Out: a table (metric, value, low, high).

With one relevant item a user (leave-one-out), recall@k equals hit@k, MAP@k equals MRR@k and
precision@k is hit@k / k; all are given because readers look for their names.
NDCG: Jarvelin & Kekalainen 2002 with binary gain. Novelty: mean self-information of the
recommended items, Zhou et al. 2010.
"""

from collections.abc import Iterable

import numpy as np
import polars as pl

from infer.metrics.intervals import wilson
from infer.tables.columns import ITEM, RANK, USER

USERS = "users"


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


def rank_counts(ranked: pl.DataFrame, k: int) -> pl.DataFrame:
    """(rank, users) how many users have their item at each rank that occurs; null for beyond k, and for nowhere.

    Those of different users add up (`added`).
    """
    place = pl.when(pl.col(RANK) <= k).then(pl.col(RANK)).cast(pl.Int64)
    return ranked.group_by(place.alias(RANK)).agg(pl.len().cast(pl.Int64).alias(USERS)).sort(RANK)


def added(counts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """The sum of several `rank_counts`."""
    return pl.concat(counts).group_by(RANK).agg(pl.col(USERS).sum()).sort(RANK)


def summarise(ranked: pl.DataFrame, k: int) -> pl.DataFrame:
    """Mean over users and 95% interval of every rank metric: (metric, value, low, high).

    The interval is Wilson's (1927) with the effective number of users n * m(1-m) / variance
    (Kish 1965), so that a metric without a single hit still has an upper bound above 0.
    """
    return summarise_counts(rank_counts(ranked, k), k)


def summarise_counts(counts: pl.DataFrame, k: int) -> pl.DataFrame:
    """The same from `rank_counts`."""
    values = counts.select(expression.alias(name) for name, expression in rank_metrics(k).items())
    users = counts[USERS].to_numpy()
    table = pl.DataFrame([_row(column.name, column.to_numpy(), users) for column in values])
    # Precision is hit / k, so its interval is too: as a mean of values far below 1 it would be wider.
    scale = pl.when(pl.col("metric") == f"precision@{k}").then(1 / k).otherwise(1.0)
    bounds = table.filter(pl.col("metric") == f"hit@{k}")
    exact = [pl.when(scale < 1).then(bounds[c][0] * scale).otherwise(pl.col(c)).alias(c) for c in ("low", "high")]
    return table.with_columns(exact)


def _row(name: str, values: np.ndarray, counts: np.ndarray) -> dict[str, str | float]:
    """values: (ranks,) of each rank that occurs.  counts: (ranks,) users there."""
    users = int(counts.sum())
    mean = float((values * counts).sum() / users)
    variance = float((counts * (values - mean) ** 2).sum() / users) if values.min() < values.max() else 0.0
    effective = users * mean * (1 - mean) / variance if variance > 0 else users
    low, high = wilson(mean, effective)
    return {"metric": name, "value": mean, "low": low, "high": high}
