"""Metrics as a table on screen: a row a metric, a column a model or baseline, or a group of users."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

WIDTH = 24
SCHEMA = {"metric": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64}

# Unit and scale of each metric that is no percentage.
UNITS = {
    "novelty": (" bits", 1),
    "gini": ("", 1),
    "avg_rec_popularity": ("", 1),
    "history_popularity": ("", 1),
    "intra_list_diversity": ("", 1),
    "calibration_kl": (" nats", 1),
}
BEYOND = (*UNITS, "coverage", "popularity_lift", "serendipity")


def render(metrics: Mapping[str, pl.DataFrame]) -> str:
    """The metrics as text: a line a metric, a column a list, `-` where it has none; percentages unless `UNITS` says
    otherwise."""
    names = list(dict.fromkeys(name for table in metrics.values() for name in table["metric"]))
    labels = {name: f"{name}{_unit(name)[0]}" for name in names}
    head = max([15, *(len(label) + 1 for label in labels.values())])
    lines = ["".join([" " * head, *(f"{name:>{WIDTH}}" for name in metrics)])]
    for name in names:
        cells = (f"{_cell(table, name):>{WIDTH}}" for table in metrics.values())
        lines.append("".join([f"{labels[name]:{head}}", *cells]))
    return "\n".join(lines)


def accuracy(metrics: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The tables without the figures beyond accuracy."""
    is_beyond = pl.col("metric").str.split("@").list.first().is_in(BEYOND)
    return {name: table.filter(~is_beyond) for name, table in metrics.items()}


def beyond_lines(found: Mapping[str, Any] | None, name: str) -> Iterator[str]:
    """The figures beyond accuracy as a manifest has them, and those of the model's lists by group of users.

    found: None, of an earlier version's manifest, gives nothing.  name: of the model.
    """
    if found is None:
        return
    yield "beyond accuracy: means over users with a list, popularity in histories that hold an item"
    yield render({key: _table(metrics) for key, metrics in found["lists"].items()})
    groups = found.get("groups")
    if groups is not None:
        tables = {
            f"{group[:14]} ({groups['users'][group]:,})": _table(metrics)
            for group, metrics in groups["lists"].get(name, {}).items()
        }
        yield f"{name} by {groups['column']} (users)"
        yield render(tables)
    yield from (f"note: {line}" for line in found["said"])


def _unit(name: str) -> tuple[str, int]:
    return UNITS.get(name.partition("@")[0], (" %", 100))


def _cell(table: pl.DataFrame, name: str) -> str:
    row = table.filter(pl.col("metric") == name)
    if row.is_empty():
        return "-"
    value, low, high = (None if v is None else v * _unit(name)[1] for v in row.row(0)[1:])
    return f"{value:.2f}" + ("" if low is None else f" [{low:.2f}, {high:.2f}]")


def _table(metrics: Mapping[str, Mapping[str, float | None]]) -> pl.DataFrame:
    rows = [{"metric": metric, **values} for metric, values in metrics.items()]
    return pl.DataFrame(rows, schema=SCHEMA)
