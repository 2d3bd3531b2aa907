"""What the study found, in sentences made from its tables.

In: the tables of `bench.tables`. Out: sentences for the page. A difference whose interval contains 0 is
called not distinguishable.
"""

import polars as pl

from bench.cells import LEAVE_ONE_OUT

# Hits of the paper's two models among its 610 users, and what their difference is in standard errors.
PAPER_NOTE = (
    "The paper's own gain is 10 against 17 hits of 610 users (z = 1.36): within what chance does. It evaluates one run."
)
PROTOCOL_NOTE = [
    "The same exported models and held-out items, ranked among every unseen item, or among 100 sampled ones. Sampled "
    "metrics are larger and need not order models alike (Krichene & Rendle 2020): they serve to compare with papers."
]
VARIATION_NOTE = [
    "Many ratings share a second. By the stated rule they are ordered by item id; in random order the next item is "
    "harder to tell. The time split ends everyone's history at the same moment, so few users are left to measure."
]


def difference(
    tables: dict[str, pl.DataFrame], one: str, other: str, metric: str, data: str = LEAVE_ONE_OUT
) -> dict | None:
    """The row of a paired difference, None if it was not measured."""
    rows = tables["differences"].filter(
        pl.col("one") == one, pl.col("other") == other, pl.col("metric") == metric, pl.col("data") == data
    )
    return rows.row(0, named=True) if rows.height else None


def compared(row: dict, one: str, other: str) -> str:
    """A sentence that says whether one is better than the other, by how much and how surely."""
    points, low, high = (row[name] * 100 for name in ("value", "low", "high"))
    metric = row["metric"].replace("hit", "Hit").replace("ndcg", "NDCG")
    numbers = f"{points:+.2f} points of {metric} [{low:+.2f}, {high:+.2f}], p = {row['p']:.4f}"
    if row["low"] > 0:
        verdict = f"{one} is better than {other}"
    elif row["high"] < 0:
        verdict = f"{one} is worse than {other}"
    else:
        verdict = f"{one} is not distinguishable from {other}"
    return f"{verdict}: {numbers} ({row['users']:.0f} users, {max(1, row['seeds']):.0f} seeds)."


def answers_top(tables: dict[str, pl.DataFrame]) -> list[str]:
    """RQ1 in sentences."""
    names = (
        ("hybrid", "scratch", "Hybrid", "the same transformer from scratch"),
        ("hybrid-paper", "bert-paper", "The paper's hybrid", "the paper's BERT"),
        ("best", "ease-markov", "best.onnx", "EASE + Markov"),
    )
    rows = [(difference(tables, a, b, "hit@10"), one, other) for a, b, one, other in names]
    return [compared(row, one, other) for row, one, other in rows if row is not None]


def answers_cold(tables: dict[str, pl.DataFrame]) -> list[str]:
    """RQ2 in sentences."""
    found = []
    for row in (
        tables["newcomers"]
        .filter(pl.col("metric") == "hit@100", pl.col("experiment").is_in(["best", "hybrid"]))
        .to_dicts()
    ):
        found.append(
            f"{row['title']}: of {row['targets']} held-out items that nobody had rated, {row['value']:.1%} are in "
            f"the first hundred [{row['low']:.1%}, {row['high']:.1%}]."
        )
    return found


def answers_convergence(tables: dict[str, pl.DataFrame]) -> list[str]:
    """RQ3 in sentences."""
    table = tables["convergence"]
    if not table.height:
        return []
    own = table.filter(pl.col("experiment") == "hybrid")
    if own.is_empty():
        return []
    if own["epochs"].null_count():
        missing = f"{own['epochs'].null_count()} of {own.height} seeds"
        return [f"Hybrid does not reach the best validation loss of training from scratch for {missing}."]
    epochs, seconds = ((own[name] / own[f"goal_{name}"]).mean() for name in ("epochs", "seconds"))
    return [
        f"Hybrid reaches the best validation loss of training from scratch in {own['epochs'].mean():.1f} instead of "
        f"{own['goal_epochs'].mean():.1f} epochs ({epochs:.2f} of them) and {seconds:.2f} of the seconds, "
        "its pretraining counted."
    ]
