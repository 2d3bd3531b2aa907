"""Metrics of held-out items that their user had before, and of those that are new to them.

In: held-out items and histories in which items may stand more than once. Out: which of the items are repeats, and rows
(metric, value, low, high) of both kinds.

Repeat and explore items are those of Li et al. 2023, A Next Basket Recommendation Reality Check (section 3.1): a
user's item is a repeat if it is in the history, else it is new. With one held-out item a user, a metric of the repeats
is the mean over the users who have such an item (their Recall_rep and PHR_rep, section 4.3); likewise of the new ones.

    python -m infer.batch --model shop.onnx --repeats=keep
"""

from collections.abc import Iterable
from typing import Any

import polars as pl

from infer.metrics.ranking import USERS, added, rank_counts, summarise_counts
from infer.tables.columns import ITEM, RANK, USER

REPEAT = "repeat"  # of held-out items: whether the user has had it
KINDS = {"rep": True, "new": False}
SHOWN = ("hit", "ndcg")


def marked(targets: pl.DataFrame, history: pl.DataFrame) -> pl.DataFrame:
    """Held-out items (user, item, ...) with the column `repeat`: whether the history (user, item, ...) has the item."""
    pairs = history.select(USER, ITEM).unique().with_columns(pl.lit(True).alias(REPEAT))
    found = targets.join(pairs, on=[USER, ITEM], how="left", maintain_order="left")
    return found.with_columns(pl.col(REPEAT).fill_null(False))


def repeat_counts(ranked: pl.DataFrame, targets: pl.DataFrame, k: int) -> dict[str, Any]:
    """`rank_counts` of the repeats and of the new items, as plain JSON values that add up over parts.

    ranked: (user, rank).  targets: (user, repeat), one row a user.
    """
    whole = ranked.join(targets.select(USER, REPEAT), on=USER, how="left")
    of_kind = {kind: whole.filter(pl.col(REPEAT) == is_repeat) for kind, is_repeat in KINDS.items()}
    return {kind: rank_counts(rows, k).to_dict(as_series=False) for kind, rows in of_kind.items()}


def repeat_rows(parts: Iterable[dict[str, Any]], k: int) -> pl.DataFrame:
    """`hit_rep@k`, `ndcg_rep@k`, `hit_new@k`, `ndcg_new@k` in the columns of `summarise`, from `repeat_counts`.

    A kind that no user has an item of has no rows.
    """
    parts, tables = list(parts), []
    schema = {RANK: pl.Int64, USERS: pl.Int64}
    for kind in KINDS:
        counts = added(pl.DataFrame(part[kind], schema=schema) for part in parts)
        if not counts.is_empty():
            name = {f"{metric}@{k}": f"{metric}_{kind}@{k}" for metric in SHOWN}
            rows = summarise_counts(counts, k).filter(pl.col("metric").is_in(list(name)))
            tables.append(rows.with_columns(pl.col("metric").replace(name)))
    empty = pl.DataFrame(schema={"metric": pl.String, "value": float, "low": float, "high": float})
    return pl.concat([empty, *tables])
