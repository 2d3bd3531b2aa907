"""Metrics as a table on screen: a row a metric, a column a model or baseline."""

import polars as pl


def render(metrics: dict[str, pl.DataFrame]) -> str:
    """The metrics as text: a line a metric, a column a list; percentages, except novelty in bits."""
    width = 24
    lines = ["".join([f"{'':15}", *(f"{name:>{width}}" for name in metrics)])]
    for metric in next(iter(metrics.values()))["metric"]:
        scale, unit = (1, " bits") if metric.startswith("novelty") else (100, " %")
        cells = []
        for table in metrics.values():
            value, low, high = table.row(by_predicate=pl.col("metric") == metric)[1:]
            interval = "" if low is None else f" [{low * scale:.2f}, {high * scale:.2f}]"
            cells.append(f"{f'{value * scale:.2f}{interval}':>{width}}")
        lines.append("".join([f"{metric + unit:15}"[:15].ljust(15), *cells]))
    return "\n".join(lines)
