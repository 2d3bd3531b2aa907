"""What one run found, and with what: the manifest beside the lists.

In: a job, its options and totals, tables of metrics. Out: plain JSON values.
"""

from pathlib import Path
from typing import Any

import polars as pl

from infer.scoring.job import Job
from infer.scoring.totals import Totals
from infer.system.versions import versions

# Of what computes the lists.
LIBRARIES = ("onnxruntime", "polars", "numpy")


def provenance(job: Job, options: dict[str, Any], found: Totals) -> dict[str, Any]:
    """Which model, table, protocol, options (name: value) and versions, as plain JSON values."""
    metadata = job.model.metadata
    return {
        "model": job.model.path.name,
        "model_checksum": job.model.checksum,
        "training_checksum": metadata.training_checksum,
        "kind": metadata.kind,
        "dataset": metadata.dataset,
        "dataset_checksum": metadata.dataset_checksum,
        "interactions": str(job.table),
        "interactions_checksum": job.checksum,
        "protocol": f"{job.protocol}; {job.split} items, {job.candidates.protocol}",
        "rules": job.candidates.given,
        "users_measured": found.measured,
        "users_cold": found.cold,
        "unknown_interactions": found.unknown,
        "repeat_targets": found.repeat_targets,
        "excluded_targets": found.excluded,
        "options": {k: str(v) if isinstance(v, Path) else v for k, v in options.items()},
        "versions": versions(*LIBRARIES),
    }


def data_of(provenance: dict[str, Any]) -> str:
    """What was scored, as `Job.data`, of an earlier report."""
    trained_on_it = provenance["interactions_checksum"] == provenance["dataset_checksum"]
    return str(provenance["dataset" if trained_on_it else "interactions"])


def report(
    job: Job, options: dict[str, Any], found: Totals, k: int, metrics: dict[str, pl.DataFrame], plan: dict[str, Any]
) -> dict[str, Any]:
    """Everything a reader needs to trust the numbers, as plain JSON values.

    plan: what the lists follow from.
    """
    return provenance(job, options, found) | {
        "k": k,
        "fallback": plan["options"].get("fallback"),
        "variety": plan["options"].get("variety"),
        "metrics": {
            name: {row["metric"]: {n: row[n] for n in ("value", "low", "high")} for row in table.to_dicts()}
            for name, table in metrics.items()
        },
    }
