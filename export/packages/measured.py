"""What was measured of a model, and how: figures of its evaluation on test items, or its validation metrics.

In: a packed file, and the JSON of `python -m infer.evaluate` if there is one. Out: `Figure`s.

    figures(packed, Path("hybrid.evaluation.json"))
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.packages.packed import Packed
from infer.errors import InputError

METRICS = ("hit@10", "ndcg@10", "mrr")
PROTOCOLS = {
    "full": "ranked among all items that the user may get",
    "uniform": "ranked among {} other items, drawn uniformly",
    "popularity": "ranked among {} other items, drawn by popularity",
}
VALIDATION = "validation_"


@dataclass(frozen=True)
class Figure:
    """value: a share from 0 to 1.  low, high: of its 95% interval, if one was taken.  split: `test` or `validation`.
    protocol: what was ranked among what, in words."""

    metric: str
    value: float
    split: str
    protocol: str
    low: float | None = None
    high: float | None = None

    @property
    def interval(self) -> str:
        """In words."""
        return "not taken" if self.low is None or self.high is None else f"{self.low:.4f} to {self.high:.4f}"


def figures(packed: Packed, evaluation: Path | None) -> list[Figure]:
    """Of the evaluation, else of the file's own validation metrics, else none.

    Raises InputError if the evaluation cannot be read, or is of another model or table.
    """
    if evaluation is None:
        return _validation(packed)
    try:
        report = json.loads(evaluation.read_bytes())
        same = (report["kind"], report["dataset_checksum"]) == (packed.metadata.kind, packed.metadata.dataset_checksum)
        found = _tested(report) if same else []
    except OSError as error:
        raise InputError(f"cannot read --evaluation {evaluation}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"--evaluation {evaluation} is not what `python -m infer.evaluate` writes") from None
    if not same:
        raise InputError(
            f"--evaluation {evaluation} is of another model or table than {packed.path}: run "
            "`python -m infer.evaluate` again, or give --evaluation=FILE"
        )
    return found


def _tested(report: dict[str, Any]) -> list[Figure]:
    split = str(report["options"]["split"])
    found = []
    for name, metrics in report["protocols"].items():
        protocol = f"{split} items: {PROTOCOLS[name].format(report['negatives'].get(name))}; {report['protocol']}"
        for metric in METRICS:
            row = metrics[metric]
            found.append(Figure(metric, float(row["value"]), split, protocol, float(row["low"]), float(row["high"])))
    return found


def _validation(packed: Packed) -> list[Figure]:
    protocol = "validation items: ranked among all unseen items; the epoch was chosen by them, so they flatter"
    return [
        Figure(name.removeprefix(VALIDATION), float(value), "validation", protocol)
        for name, value in packed.metadata.metrics.items()
        if name.startswith(VALIDATION) and isinstance(value, int | float)
    ]
