"""Metrics of the lists and everything a reader needs to trust them.

In: lists and held-out items, part by part. Out: a table a list, JSON values, text.
"""

import platform
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import polars as pl

from infer.metrics import list_rows, novelty, ranks, summarise
from infer.schema import ITEM, RANK
from infer.task import Job, ScoringConfig, Task


@dataclass(frozen=True)
class Totals:
    """users: with a history.  measured: with a held-out item.  omitted: whom the model cannot
    personalise.  unknown: interactions with items that it does not know."""

    users: int = 0
    measured: int = 0
    omitted: int = 0
    unknown: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def totals(task: Task) -> Totals:
    """The numbers of one task; those of all parts of a table add up."""
    measured = 0 if task.targets is None else task.targets.height
    return Totals(len(task.histories), measured, task.omitted, task.histories.unknown)


class Tally:
    """Metrics of lists that come in parts, each of other users; holds two numbers a user."""

    def __init__(self, items: pl.DataFrame, counts: np.ndarray, users: int, k: int) -> None:
        """items: (item, index).  counts: (items,) histories that hold each.  users: histories in all."""
        self.popularity = items.select(ITEM).with_columns(pl.Series("count", counts))
        self.users, self.k = users, k
        self.ranked: list[pl.DataFrame] = []
        self.bits: list[np.ndarray] = []
        self.listed = pl.Series(ITEM, [], dtype=items.schema[ITEM])

    def add(self, lists: pl.DataFrame, targets: pl.DataFrame) -> None:
        """Count lists (user, rank, item); users with a target (user, item) and no list are misses."""
        first = lists.filter(pl.col(RANK) <= self.k)
        self.ranked.append(ranks(first, targets).select(RANK))
        self.bits.append(novelty(first, self.popularity, self.users))
        self.listed = pl.concat([self.listed, first[ITEM].unique()]).unique()

    def metrics(self) -> pl.DataFrame:
        """(metric, value, low, high) over everything added."""
        coverage = len(self.listed) / self.popularity.height
        parts = [summarise(pl.concat(self.ranked), self.k), list_rows(coverage, np.concatenate(self.bits), self.k)]
        return pl.concat(parts)


def provenance(job: Job, config: ScoringConfig, found: Totals) -> dict[str, Any]:
    """Which model, table, protocol, options and versions, as plain JSON values."""
    metadata = job.model.metadata
    return {
        "model": job.model.path.name,
        "kind": metadata.kind,
        "dataset": metadata.dataset,
        "dataset_checksum": metadata.dataset_checksum,
        "interactions": str(job.table),
        "interactions_checksum": job.checksum,
        "protocol": f"{job.protocol}; {config.split} items, full ranking of {len(metadata.item_ids)} items, "
        "seen items dropped",
        "users_measured": found.measured,
        "users_omitted": found.omitted,
        "unknown_interactions": found.unknown,
        "options": {k: str(v) if isinstance(v, Path) else v for k, v in asdict(config).items()},
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Of what computed the lists."""
    return {
        "python": platform.python_version(),
        "onnxruntime": ort.__version__,
        "polars": pl.__version__,
        "numpy": np.__version__,
    }


def report(job: Job, config: ScoringConfig, found: Totals, k: int, metrics: dict[str, pl.DataFrame]) -> dict[str, Any]:
    """Everything a reader needs to trust the numbers, as plain JSON values."""
    return provenance(job, config, found) | {
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
