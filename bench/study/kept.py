"""Finished trials without their weights, small enough for a repository: a study goes on from them on any machine.

In: finished trials. Out: FOLDER/trials/DATA.parquet, a row a trial with its marker, its epochs and the ranks of its
held-out items, in the order of the table's users. No user and no item is named: those are the data set's, without
which nothing can be restored.

    python -m bench.study --record=bench/results/study/ml-1m
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import polars as pl

from bench.study.experiments import Experiment
from bench.study.trials import Trial, finished, run_safely
from infer.errors import InputError
from infer.system.files import replacing, write_text
from infer.system.ownership import MARK
from infer.tables.columns import RANK

KEY = ("split", "experiment", "seed")
PARTS = ("", "validation.")  # of the ranks' files
# What else of an earlier trial would be taken for the restored one's.
OTHERS = ("pt", "onnx", "onnx.data", "contract.json", "evaluation.json", "negatives.parquet")
# A model that takes seconds: what the ranks of a split have in common is read from its evaluation.
REFERENCE = Experiment("reference", "reference", "mf", changes={"dim": 8, "epochs": 1})


def kept_file(trial: Trial, folder: Path) -> Path:
    """Where a trial is kept: a file for each data set."""
    return folder / "trials" / f"{trial.folder.parent.parent.name}.parquet"


def keep(trial: Trial, folder: Path) -> None:
    """Add a finished trial to its file, in place of an earlier one of that experiment, split and seed."""
    path = kept_file(trial, folder)
    key = dict(zip(KEY, (trial.split, trial.experiment.name, trial.seed), strict=True))
    row = key | {
        "marker": trial.marker.read_text(),
        "epochs": json.dumps(pl.read_parquet(trial.file("history.parquet")).to_dicts()),
    }
    for part in PARTS:
        ranks = pl.read_parquet(trial.file(f"{part}ranks.parquet"))
        ranks = ranks.select(name for name in ranks.columns if name == RANK or name.startswith(f"{RANK}_"))
        row |= {f"{part}{name}": ranks[name].to_list() for name in ranks.columns}
    lists = {name: pl.List(pl.UInt32) for name, value in row.items() if isinstance(value, list)}
    table = pl.DataFrame([row], schema_overrides=lists)
    if path.is_file():
        known = pl.read_parquet(path, glob=False)
        table = pl.concat([known.join(table, on=KEY, how="anti"), table], how="diagonal").sort(KEY)
    with replacing(path, owned=True) as temporary:
        table.write_parquet(temporary, metadata=MARK, compression="zstd", compression_level=19)


def is_kept(trial: Trial, folder: Path) -> bool:
    """Whether a trial is in its file as it is."""
    row = _kept(kept_file(trial, folder)).get((trial.split, trial.experiment.name, trial.seed))
    return row is not None and row["marker"] == trial.marker.read_text()


def restore(trials: Iterable[Trial], folder: Path) -> int:
    """Put the kept trials that are the asked ones into the study, parents first; returns how many.

    Raises InputError if a kept trial has another number of users than its data.
    """
    number, trials = 0, list(trials)
    rows = {path: _kept(path) for path in {kept_file(trial, folder) for trial in trials}}
    for trial in trials:
        row = rows[kept_file(trial, folder)].get((trial.split, trial.experiment.name, trial.seed))
        if row is None or finished(trial) or json.loads(row["marker"])["provenance"] != trial.provenance():
            continue
        common = whole([other for other in trials if other.split == trial.split and other.data == trial.data])
        trial.marker.unlink(missing_ok=True)
        for suffix in OTHERS:
            trial.file(suffix).unlink(missing_ok=True)
        for part in PARTS:
            table = pl.read_parquet(common.file(f"{part}ranks.parquet"))
            names = [name for name in row if row[name] is not None and name.startswith(f"{part}{RANK}")]
            columns = [pl.Series(name.removeprefix(part), row[name], pl.Int64) for name in names]
            if any(len(column) != table.height for column in columns):
                raise InputError(f"{kept_file(trial, folder)} is of a table with another number of users")
            with replacing(trial.file(f"{part}ranks.parquet"), owned=True) as temporary:
                table.with_columns(columns).write_parquet(temporary, metadata=MARK)
        with replacing(trial.file("history.parquet"), owned=True) as temporary:
            schema = pl.read_parquet_schema(common.file("history.parquet"))
            pl.DataFrame(json.loads(row["epochs"]), schema=schema).write_parquet(temporary, metadata=MARK)
        write_text(trial.marker, row["marker"], owned=True)
        number += 1
    return number


def whole(trials: list[Trial]) -> Trial:
    """One of the trials of a split whose model is there, or a small one that is made for it.

    Raises InputError if that one cannot be made.
    """
    for trial in trials:
        if trial.file("onnx").is_file() and finished(trial):
            return trial
    made = replace(trials[0], experiment=REFERENCE, epochs=None)
    if not (finished(made) and made.file("onnx").is_file()):
        result = run_safely(made)
        if isinstance(result, str):
            raise InputError(result)
    return made


def _kept(path: Path) -> dict[tuple[str, str, int], dict]:
    """The rows of a file by split, experiment and seed; nothing of one that is not there."""
    rows = pl.read_parquet(path, glob=False).to_dicts() if path.is_file() else []
    return {tuple(row[name] for name in KEY): row for row in rows}
