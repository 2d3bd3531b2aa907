"""Models with the options that a search found, and what the searches spent: is the effort the same for all?

In: a folder of `python -m train tune` (NAME.tuned.json and NAME.trials.parquet) for a data set. Out: its experiments,
and the table tuning, a row a trial of each search.

    python -m bench.study --tuned=artifacts --only=knn-tuned,scratch-tuned
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import polars as pl

from bench.study.datasets import DataSet
from bench.study.experiments import Experiment
from infer.errors import InputError
from train.presets import configuration
from train.tune.chosen import ELSEWHERE, read_options
from train.tune.table import read_table, trials_of

SCHEMA = {
    "experiment": pl.String, "title": pl.String, "trial": pl.Int64, "state": pl.String, "value": pl.Float64,
    "epochs": pl.Int64, "seconds": pl.Float64, "options": pl.String, "given": pl.String,
}  # fmt: skip


def with_options(experiments: list[Experiment], data: DataSet, folder: Path | None) -> list[Experiment]:
    """The experiments of a data set: tuned ones with what their search found, or left out where there is none.

    Raises InputError if a search is of other data, or its files are no such.
    """
    found = []
    for experiment in experiments:
        if not experiment.tuned:
            found.append(experiment)
        elif folder is not None and (path := folder / f"{experiment.tuned}.tuned.json").is_file():
            said, _ = read_table(_table(folder, experiment))
            if said.get("dataset_checksum") != data.checksum:
                raise InputError(f"{path} was found on other data than {data.path}: tune there, or leave out --tuned")
            preset, options = read_options(path, experiment.kind)
            found.append(replace(experiment, preset=preset, changes=options))
    return found


def tuning(experiments: list[Experiment], folder: Path | None) -> pl.DataFrame:
    """Every trial of the experiments' searches, in the order in which they were tried.

    value: NDCG@10 on validation items in [0, 1].  options: what the trial tried, as JSON.  given: what the search left
    as it was told or as follows from the table's size, where it differs from the preset, as JSON.
    """
    rows = []
    for experiment in experiments:
        if folder is None or not experiment.tuned:
            continue
        said, table = read_table(_table(folder, experiment))
        usual = asdict(configuration(experiment.kind, said["preset"]))
        given = {k: v for k, v in said["options"].items() if k not in ELSEWHERE and v != str(usual[k])}
        rows += [
            (experiment.name, experiment.title, t.number, t.state, t.ndcg, t.epochs, t.seconds, json.dumps(t.values),
             json.dumps(given))
            for t in trials_of(table)
        ]  # fmt: skip
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _table(folder: Path, experiment: Experiment) -> Path:
    """The trials of an experiment's search; raises InputError if they are not there."""
    path = folder / f"{experiment.tuned}.trials.parquet"
    if not path.is_file():
        raise InputError(f"{path} does not exist, which says what the search of {experiment.tuned} spent")
    return path
