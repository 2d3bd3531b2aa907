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
from infer.model.metadata import Metadata

METRICS = ("hit@10", "ndcg@10", "mrr")
FULL, UNSEEN = "full", "all items that the user may get"
AMONG = {
    FULL: UNSEEN,
    "uniform": "{} other items, drawn uniformly",
    "popularity": "{} other items, drawn by popularity",
}
VALIDATION = "validation_"


@dataclass(frozen=True)
class Figure:
    """value: a share from 0 to 1.  low, high: of its 95% interval, if one was taken.  split: `test` or `validation`.
    protocol: how it was measured, in words.
    by: the key of `AMONG`.  among: what the held-out item was ranked among, in words."""

    metric: str
    value: float
    split: str
    protocol: str
    by: str = FULL
    among: str = UNSEEN
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
        same = _is_of(packed.metadata, report)
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


def _is_of(metadata: Metadata, report: dict[str, Any]) -> bool:
    """Whether a report is of this trained model and the table it was trained on; earlier ones tell models by kind."""
    stated = (report["kind"], report["dataset_checksum"], report["interactions_checksum"])
    known = (metadata.kind, metadata.dataset_checksum, metadata.dataset_checksum)
    return stated == known and report.get("training_checksum") in (None, metadata.training_checksum)


def _tested(report: dict[str, Any]) -> list[Figure]:
    split = str(report["options"]["split"])
    found = []
    for name, metrics in report["protocols"].items():
        among = AMONG[name].format(report["negatives"].get(name))
        for metric in METRICS:
            value, low, high = (float(metrics[metric][key]) for key in ("value", "low", "high"))
            found.append(Figure(metric, value, split, str(report["protocol"]), name, among, low, high))
    return found


def _validation(packed: Packed) -> list[Figure]:
    protocol = "validation items, by which the epoch was chosen, so that they flatter"
    return [
        Figure(name.removeprefix(VALIDATION), float(value), "validation", protocol)
        for name, value in packed.metadata.metrics.items()
        if name.startswith(VALIDATION) and isinstance(value, int | float)
    ]
