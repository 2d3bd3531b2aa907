"""Finished trials without their weights, small enough for a repository: a study goes on from them on any machine.

In: finished trials. Out: FOLDER/trials/DATA.parquet, a row a trial with its marker, its epochs and the ranks of its
held-out items, in the order of the table's users. No user and no item is named: those are the data set's, without
which nothing can be restored. Studies that share a FOLDER write to it one after another.

    python -m bench.study --record=bench/results/study/ml-1m
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from bench.study.experiments import Experiment
from bench.study.making import run_safely
from bench.study.record import write_small, writing
from bench.study.trials import Trial, finished, is_of
from infer.errors import InputError
from infer.system.files import replacing, write_text
from infer.system.ownership import MARK
from infer.tables.columns import RANK, TEST

KEY = ("split", "experiment", "seed")
# What else of an earlier trial would be taken for the restored one's.
OTHERS = ("pt", "onnx", "contract.json", "evaluation.json", "negatives.parquet")
# A model that takes seconds: what the ranks of a split have in common is read from its evaluation.
REFERENCE = Experiment("reference", "reference", "mf", changes={"dim": 8, "epochs": 1})


def kept_file(trial: Trial, folder: Path) -> Path:
    """Where a trial is kept: a file for each data set."""
    return folder / "trials" / f"{trial.folder.parent.parent.name}.parquet"


def keep(trials: Sequence[Trial], folder: Path) -> None:
    """Add finished trials to their files, each in place of an earlier one of that experiment, split and seed.

    Waits while another process writes to the folder.
    """
    with writing(folder):
        for path in dict.fromkeys(kept_file(trial, folder) for trial in trials):
            known = _kept(path)
            same = {} if known is None else dict(zip(known.select(KEY).rows(), known["marker"], strict=True))
            of_file = [trial for trial in trials if kept_file(trial, folder) == path]
            rows = [
                _row(trial) for trial in of_file if same.get(_key(trial)) != trial.marker.read_text(encoding="utf-8")
            ]
            if not rows:
                continue
            lists = {name: pl.List(pl.UInt32) for row in rows for name in row if isinstance(row[name], list)}
            table = pl.DataFrame(rows, schema_overrides=lists)
            if known is not None:
                table = pl.concat([known.join(table, on=KEY, how="anti"), table], how="diagonal")
            write_small(table.sort(KEY), path)


def _key(trial: Trial) -> tuple[str, str, int]:
    """The values of KEY."""
    return trial.split, trial.experiment.name, trial.seed


def _prefixed(trial: Trial) -> dict[str, str]:
    """Before the names of the columns of ranks, by the held-out items that the trial is measured on."""
    return {part: "" if part == TEST else f"{part}." for part in trial.measured}


def _row(trial: Trial) -> dict[str, Any]:
    """What is kept of a trial, by column."""
    row = dict(zip(KEY, _key(trial), strict=True)) | {
        "marker": trial.marker.read_text(encoding="utf-8"),
        "epochs": json.dumps(pl.read_parquet(trial.file("history.parquet")).to_dicts()),
    }
    for part, prefix in _prefixed(trial).items():
        ranks = pl.read_parquet(trial.ranks(part))
        ranks = ranks.select(name for name in ranks.columns if name == RANK or name.startswith(f"{RANK}_"))
        row |= {f"{prefix}{name}": ranks[name].to_list() for name in ranks.columns}
    return row


def restore(trials: Sequence[Trial], folder: Path) -> None:
    """Put the kept trials that are the asked ones into the study, parents first.

    Raises InputError if a kept trial has another number of users than its data.
    """
    tables = {path: _kept(path) for path in {kept_file(trial, folder) for trial in trials}}
    keys = {path: [] if table is None else table.select(KEY).rows() for path, table in tables.items()}
    for trial in trials:
        path = kept_file(trial, folder)
        table = tables[path]
        if table is None or _key(trial) not in keys[path] or finished(trial):
            continue
        place = keys[path].index(_key(trial))
        if not is_of(json.loads(table["marker"][place]), trial):
            continue
        row = table.row(place, named=True)
        common = whole([other for other in trials if other.split == trial.split and other.data == trial.data])
        trial.marker.unlink(missing_ok=True)
        for suffix in OTHERS:
            trial.file(suffix).unlink(missing_ok=True)
        for part, prefix in _prefixed(trial).items():
            shared = pl.read_parquet(common.ranks(part))
            names = [name for name in row if row[name] is not None and name.startswith(f"{prefix}{RANK}")]
            columns = [pl.Series(name.removeprefix(prefix), row[name], pl.Int64) for name in names]
            if any(len(column) != shared.height for column in columns):
                raise InputError(f"{path} is of a table with another number of users")
            with replacing(trial.ranks(part), owned=True) as temporary:
                shared.with_columns(columns).write_parquet(temporary, metadata=MARK)
        with replacing(trial.file("history.parquet"), owned=True) as temporary:
            schema = pl.read_parquet_schema(common.file("history.parquet"))
            pl.DataFrame(json.loads(row["epochs"]), schema=schema).write_parquet(temporary, metadata=MARK)
        write_text(trial.marker, row["marker"], owned=True)


def whole(trials: list[Trial]) -> Trial:
    """One of the trials of a split whose model is there, or a small one that is made for it.

    Raises InputError if that one cannot be made.
    """
    for trial in trials:
        if trial.file("onnx").is_file() and finished(trial):
            return trial
    made = replace(trials[0], experiment=REFERENCE)
    if not (finished(made) and made.file("onnx").is_file()):
        result = run_safely(made)
        if isinstance(result, str):
            raise InputError(result)
    return made


def _kept(path: Path) -> pl.DataFrame | None:
    """What a file holds; None of one that is not there."""
    return pl.read_parquet(path, glob=False) if path.is_file() else None
