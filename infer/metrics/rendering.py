"""Metrics as a table on screen: a row a metric, a column a model or baseline, or a group of users."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

WIDTH = 24  # of a column, at least
SCHEMA = {"metric": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64}

# Unit, scale and decimals of each figure beyond accuracy; every other metric is a percentage.
UNITS = {
    "coverage": (" %", 100, 2),
    "gini": ("", 1, 3),
    "novelty": (" bits", 1, 2),
    "avg_rec_popularity": ("", 1, 2),
    "history_popularity": ("", 1, 2),
    "popularity_lift": (" %", 100, 2),
    "serendipity": (" %", 100, 3),
    "intra_list_diversity": ("", 1, 2),
    "calibration_kl": (" nats", 1, 2),
}
PERCENT = (" %", 100, 2)


def render(metrics: Mapping[str, pl.DataFrame]) -> str:
    """The metrics as text: a line a metric, a column a list, `-` where it has none; percentages unless `UNITS` says
    otherwise."""
    names = list(dict.fromkeys(name for table in metrics.values() for name in table["metric"]))
    labels = {name: f"{name}{_unit(name)[0]}" for name in names}
    head = max([15, *(len(label) + 1 for label in labels.values())])
    columns = [[column, *(_cell(table, name) for name in names)] for column, table in metrics.items()]
    widths = [max([WIDTH, *(len(cell) + 2 for cell in column[1:])]) for column in columns]
    lines = []
    for label, *cells in zip(["", *labels.values()], *columns, strict=True):
        shown = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        lines.append("".join([f"{label:{head}}", *shown]))
    return "\n".join(lines)


def accuracy(metrics: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The tables without the figures beyond accuracy."""
    is_beyond = pl.col("metric").str.split("@").list.first().is_in(list(UNITS))
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
        tables = {group: _table(metrics) for group, metrics in groups["lists"].get(name, {}).items()}
        yield f"{name} by {groups['column']}:"
        yield _by_group(tables, groups["users"])
    yield from found["said"]


def _by_group(tables: Mapping[str, pl.DataFrame], users: Mapping[str, int]) -> str:
    """A line a group, a column a metric, without intervals."""
    metrics = list(dict.fromkeys(name for table in tables.values() for name in table["metric"]))
    heads = [f"{name.partition('@')[0]}{_unit(name)[0]}" for name in metrics]
    width = max([15, *(len(group) + 1 for group in tables)])
    lines = ["".join([" " * width, f"{'users':>9}", *(f"  {head}" for head in heads)])]
    for group, table in tables.items():
        cells = (
            _cell(table, name).partition(" ")[0].rjust(len(head) + 2) for name, head in zip(metrics, heads, strict=True)
        )
        lines.append("".join([f"{group:{width}}", f"{users[group]:>9,}", *cells]))
    return "\n".join(lines)


def _unit(name: str) -> tuple[str, int, int]:
    return UNITS.get(name.partition("@")[0], PERCENT)


def _cell(table: pl.DataFrame, name: str) -> str:
    _, scale, places = _unit(name)
    row = table.filter(pl.col("metric") == name)
    if row.is_empty():
        return "-"
    value, low, high = (None if v is None else v * scale for v in row.row(0)[1:])
    return f"{value:.{places}f}" + ("" if low is None else f" [{low:.{places}f}, {high:.{places}f}]")


def _table(metrics: Mapping[str, Mapping[str, float | None]]) -> pl.DataFrame:
    rows = [{"metric": metric, **values} for metric, values in metrics.items()]
    return pl.DataFrame(rows, schema=SCHEMA)
