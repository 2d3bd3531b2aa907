"""Metrics of the lists and everything a reader needs to trust them.

In: a task with held-out items and the lists by name. Out: a table a list, JSON values, text.
"""

import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import polars as pl

from infer.metrics import list_metrics, ranks, summarise
from infer.schema import ITEM, vocabulary
from infer.task import ScoringConfig, Task


def measure(task: Task, lists: dict[str, pl.DataFrame], k: int) -> dict[str, pl.DataFrame]:
    """Metrics of each list by name: (metric, value, low, high); users without a list are misses."""
    items = vocabulary(task.model.metadata.item_ids, ITEM)
    popularity = items.select(ITEM).with_columns(pl.Series("count", task.counts))
    return {
        name: pl.concat(
            [
                summarise(ranks(table, task.targets), k),
                list_metrics(table, popularity, task.population, k),
            ]
        )
        for name, table in lists.items()
    }


def provenance(task: Task, config: ScoringConfig) -> dict[str, Any]:
    """Which model, table, protocol, options and versions, as plain JSON values."""
    metadata = task.model.metadata
    return {
        "model": task.model.path.name,
        "kind": metadata.kind,
        "dataset": metadata.dataset,
        "dataset_checksum": metadata.dataset_checksum,
        "interactions": str(task.table),
        "interactions_checksum": task.checksum,
        "protocol": f"{task.protocol}; {config.split} items, full ranking of {len(metadata.item_ids)} items, "
        "seen items dropped",
        "users_measured": task.targets.height,
        "users_omitted": task.omitted,
        "unknown_interactions": task.histories.unknown,
        "options": {k: str(v) if isinstance(v, Path) else v for k, v in asdict(config).items()},
        "versions": {
            "python": platform.python_version(),
            "onnxruntime": ort.__version__,
            "polars": pl.__version__,
            "numpy": np.__version__,
        },
    }


def report(task: Task, config: ScoringConfig, k: int, metrics: dict[str, pl.DataFrame]) -> dict[str, Any]:
    """Everything a reader needs to trust the numbers, as plain JSON values."""
    return provenance(task, config) | {
        "k": k,
        "metrics": {
            name: {row["metric"]: {n: row[n] for n in ("value", "low", "high")} for row in table.to_dicts()}
            for name, table in metrics.items()
        },
    }


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
