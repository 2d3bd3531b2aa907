"""The table of a search: a row a trial, which is what the search goes on from and what a study records.

In: trials, or NAME.trials.parquet. Out: the file, or what it holds; reading it needs neither PyTorch nor optuna.

    from train.tune.table import read_table; said, rows = read_table(Path("artifacts/knn.trials.parquet"))
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from infer.errors import InputError
from infer.system.files import replacing
from infer.system.ownership import MARK

SEARCH = "search"  # key of the metadata that says which search a table is of
FINISHED, PRUNED, DIVERGED = "finished", "pruned", "diverged"
# No option has a name of these.
SCHEMA: dict[str, Any] = {
    "trial": pl.Int64,
    "state": pl.String,
    "validation_ndcg_at_10": pl.Float64,
    "best_epoch": pl.Int64,
    "epochs_trained": pl.Int64,
    "seconds": pl.Float64,
    "curve": pl.List(pl.Float64),
    "threads": pl.Int64,
}
COLUMNS = ("number", "state", "ndcg", "best_epoch", "epochs", "seconds", "curve", "threads")  # of SCHEMA, in `Trial`


@dataclass(frozen=True)
class Trial:
    """One configuration that was tried.

    number: from 1.  state: finished, pruned or diverged.  ndcg: of the weights that are kept, None if it diverged.
    best_epoch, epochs: where it was reached, and how many were trained.  seconds: all in all.  curve: the NDCG of each
    epoch.  values: the options that were searched.  threads: PyTorch's, None in older tables.
    """

    number: int
    state: str
    ndcg: float | None
    best_epoch: int | None
    epochs: int
    seconds: float
    curve: list[float]
    values: dict[str, Any]
    threads: int | None = None


def read_table(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Which search a table is of, as `Search.said` has it, and its rows by column.

    Raises InputError if the file cannot be read.
    """
    try:
        text = pl.read_parquet_metadata(path).get(SEARCH)
        said = {} if text is None else json.loads(text)
        rows = pl.read_parquet(path, glob=False).to_dicts()
    except (pl.exceptions.PolarsError, OSError, ValueError, RecursionError):
        raise InputError(f"{path} cannot be read: delete it to start afresh") from None
    return said, [_renamed(row, said) for row in rows]


def _renamed(row: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """A row as it is written today: `epochs` were those trained once, or of a search for epochs those of the trial."""
    if "epochs_trained" in row or "curve" not in row:
        return row
    kept = {name: value for name, value in row.items() if name != "epochs" or name in said.get("space", {})}
    return kept | {"epochs_trained": len(row["curve"])}


def trials_of(rows: list[dict[str, Any]]) -> list[Trial]:
    """The trials of a table's rows; what is no column of SCHEMA is an option that was searched."""
    known: list[dict[str, Any]] = [
        {field: row.get(column) for field, column in zip(COLUMNS, SCHEMA, strict=True)} for row in rows
    ]
    return [
        Trial(**found, values={name: value for name, value in row.items() if name not in SCHEMA})
        for found, row in zip(known, rows, strict=True)
    ]


def write_table(trials: list[Trial], said: str, path: Path) -> None:
    """Write the table. said: which search it is of."""
    plain = [
        {column: getattr(trial, field) for field, column in zip(COLUMNS, SCHEMA, strict=True)} | trial.values
        for trial in trials
    ]
    with replacing(path, owned=True) as temporary:
        table = pl.DataFrame(plain, schema_overrides=SCHEMA, infer_schema_length=None)
        table.write_parquet(temporary, metadata=MARK | {SEARCH: said})


def best_of(trials: list[Trial]) -> Trial | None:
    """The finished trial with the highest NDCG, of equal ones the first; a pruned one was worse at the same epoch."""
    finished = [trial for trial in trials if trial.state == FINISHED]
    return max(finished, key=lambda trial: (trial.ndcg or 0.0, -trial.number), default=None)
