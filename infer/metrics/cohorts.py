"""Metrics by how well a held-out item or a user is known: the cold-start question.

In: ranks (user, item, rank, target_count, history_length[, repeat]). Out: a row for each cohort and metric; where
histories keep repeats also of the items that their user had before, and of the new ones.
"""

import polars as pl

from infer.metrics.ranking import summarise
from infer.metrics.repeats import REPEAT

# Upper ends of the cohorts: how many histories hold the target, and how many items the user's has.
EDGES = {"target_count": (0, 5, 20), "history_length": (5, 20, 70, 170)}
METRICS = (("hit", 10), ("ndcg", 10), ("hit", 100))


def cohort(column: str) -> pl.Expr:
    """Name of the cohort that a row of `column` falls into, as an ordered Enum: 0, 1-5, 6-20, >20."""
    names, lower = [], 0
    for edge in EDGES[column]:
        names.append(str(edge) if edge == lower else f"{lower}-{edge}")
        lower = edge + 1
    names.append(f">{EDGES[column][-1]}")
    expression = pl.lit(names[-1])
    for name, edge in reversed(list(zip(names, EDGES[column], strict=False))):
        expression = pl.when(pl.col(column) <= edge).then(pl.lit(name)).otherwise(expression)
    return expression.cast(pl.Enum(names))


def cohort_metrics(ranks: pl.DataFrame) -> pl.DataFrame:
    """(by, cohort, users, metric, value, low, high) for every cohort that has users."""
    rows = []
    named = {column: cohort(column) for column in EDGES}
    if REPEAT in ranks.columns:
        named["held_out"] = pl.when(REPEAT).then(pl.lit("repeat")).otherwise(pl.lit("new"))
    for column, expression in named.items():
        cohorts = (
            ranks.with_columns(expression.alias("cohort")).sort("cohort").partition_by("cohort", maintain_order=True)
        )
        for members in cohorts:
            for name, k in METRICS:
                metric = f"{name}@{k}"
                values = summarise(members, k).row(by_predicate=pl.col("metric") == metric, named=True)
                rows.append({"by": column, "cohort": str(members["cohort"][0]), "users": members.height, **values})
    return pl.DataFrame(rows)
