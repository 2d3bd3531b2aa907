"""How one trial of the study is made.

In: a prepared data folder. Out, in OUTPUT/trials/DATA/SPLIT/seedN/: checkpoint, history, ONNX file, ranks,
evaluation and, written last, NAME.trial.json, which says that the trial is finished and of what.

    python -m bench.study
"""

import hashlib
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from bench.study.datasets import DataSet
from bench.study.experiments import EXPERIMENTS, LEAVE_ONE_OUT
from bench.study.trials import Trial
from infer.errors import InputError
from infer.model.session import open_model
from infer.scoring.evaluation import evaluate_model
from infer.scoring.job import open_job
from infer.scoring.task import prepare
from infer.system.files import replacing, write_text
from infer.system.memory import keep_freed_memory, peak_memory, reset_peak_memory
from infer.system.ownership import MARK
from infer.system.progress import EVERY, no_progress
from infer.tables.columns import INTERACTIONS_FILE, PROTOCOL_KEY, TEST, VALIDATION
from train.config import TrainConfig
from train.data.splits import Split, without_validation

if TYPE_CHECKING:
    from train.loop.run import Run
    from train.saved.earlier import Start


def make(trial: Trial) -> tuple[float, float]:
    """Train, export and evaluate one trial; returns the seconds it took and its Hit@10 in [0, 1].

    An interrupted training of it is gone on with if all its options are the same.
    """
    import torch  # not needed to collect tables
    from threadpoolctl import threadpool_limits

    from bench.records.records import device_name
    from export.exporter import export
    from train.trainer import Manner, train

    # One thread, also in NumPy's and SciPy's BLAS: others train beside it.
    torch.set_num_threads(1)
    threadpool_limits(1)
    keep_freed_memory()
    reset_peak_memory()
    name = trial.experiment.name
    trial.marker.unlink(missing_ok=True)
    began = time.perf_counter()
    for path in trial.parents().values():
        if path.is_file() and path.parent != trial.folder:
            with replacing(trial.folder / path.name, owned=True) as temporary:
                shutil.copyfile(path, temporary)
    if trial.experiment.refit:
        run, report, earlier = *_refitted(trial), []
    else:
        config, start = _configured(trial)
        earlier = _interrupted(trial, config, start)
        run = train(trial.experiment.kind, config, name, Manner(start=start))
        model, _ = export(name, trial.folder)
        # The validation items first, whose ranks are kept beside those of the test items.
        _evaluated(model, trial, VALIDATION)
        trial.ranks(TEST).replace(trial.ranks(VALIDATION))
        report = _evaluated(model, trial, TEST)
    seconds = time.perf_counter() - began
    state = run.model.state_dict()
    parameters = sum(value.numel() for value in state.values() if value.is_floating_point())
    # An epoch's seconds are without its validation: what the earlier run took as a whole nobody knows.
    resumed = bool(earlier) and asdict(run.records[0]) == earlier[0]
    spent = {
        "seconds": None if resumed else seconds,
        "machine": f"{device_name('cpu')}, {os.cpu_count() or 1} cores",
        "peak_bytes": peak_memory(),
        "parameters": parameters,
    }
    content = MARK | {"provenance": trial.provenance(), "weights": _digest(state)} | spent
    write_text(trial.marker, json.dumps(content, indent=2) + "\n", owned=True)
    return seconds, report["protocols"]["full"]["hit@10"]["value"]


def _refitted(trial: Trial) -> "tuple[Run, dict[str, Any]]":
    """Train anew on the validation items, too, and measure the test items: the run, and the report on them.

    Other data than those of the trial's folder lie in a folder below it meanwhile.
    """
    from export.exporter import export
    from train.saved import refit
    from train.trainer import Manner, train

    name, kind, folder = trial.experiment.name, trial.experiment.kind, trial.folder / f"{trial.experiment.name}.refit"
    found = refit.read(trial.folder / f"{trial.experiment.refit}.pt", kind)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    about = pl.read_parquet_metadata(trial.folder / INTERACTIONS_FILE)
    split = Split(pl.read_parquet(trial.folder / INTERACTIONS_FILE), about.get(PROTOCOL_KEY, LEAVE_ONE_OUT))
    split = without_validation(split)
    DataSet("", trial.folder).write(folder, split.interactions, split.protocol)
    again = {e.refit: e.name for e in EXPERIMENTS if e.refit}
    for member in found.config["members"].split(",") if kind == "best" else ():
        shutil.copyfile(trial.folder / f"{again[member]}.pt", folder / f"{member}.pt")
    run = train(kind, replace(refit.base(found, kind), artifacts=folder), name, Manner(found=found))
    model, _ = export(name, folder)
    report = _evaluated(model, trial, TEST)
    for suffix in ("pt", "history.parquet", "ranks.parquet"):
        (folder / f"{name}.{suffix}").replace(trial.file(suffix))
    shutil.rmtree(folder)
    return run, report


def _interrupted(trial: Trial, options: TrainConfig, start: "Start | None") -> list[dict[str, Any]]:
    """The epochs of an interrupted training that the trial may go on with; one of other options is removed.

    options, start: as of `_configured`.

    Training itself would extend one of another length, whose learning rate fell otherwise.
    """
    from train.data.dataset import load
    from train.saved import checkpoint
    from train.saved.earlier import paced
    from train.saved.places import Places
    from train.sizing import sized_for

    path = Places(trial.folder, trial.experiment.name).partial
    if not path.is_file():
        return []
    state = checkpoint.read(path, "delete it to start afresh")
    options = sized_for(options if start is None else paced(options, measured=True), load(trial.folder))
    config = json.loads(json.dumps(asdict(options), default=str))
    config.pop("artifacts")
    if state["provenance"]["config"] != config:
        path.unlink()
        return []
    return list(state["history"])


def _configured(trial: Trial) -> "tuple[TrainConfig, Start | None]":
    """The options, and the model to go on from, whose options those are that the experiment has not of its own."""
    from train.saved import earlier

    if not trial.experiment.start:
        return trial.config(), None
    kind = trial.experiment.kind
    start = earlier.read(trial.folder / f"{trial.experiment.start}.pt", kind)
    own = {"artifacts": trial.folder, "seed": trial.seed, "epochs": trial.epochs or 0} | trial.experiment.changes
    return earlier.agreed(replace(earlier.base(start, kind), **own), start), start


def _digest(state: dict[str, Any]) -> str:
    """Of the numbers alone, as a checkpoint says when it was made."""
    digest = hashlib.sha256()
    for name, value in state.items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _evaluated(model: Path, trial: Trial, split: str) -> dict:
    """The report on one of the held-out items."""
    task = prepare(open_job(open_model(model, threads=1), split=split))
    options = {"threads": 1, "negatives": trial.negatives, "split": split}
    return evaluate_model(task, trial.negatives, options=options)[1]


class _Now(logging.Handler):
    """Of what training tells, a line a minute on standard error, behind the trial's name."""

    def __init__(self, name: str) -> None:
        super().__init__(logging.INFO)
        self.trial, self._told = name, time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it if the last was told a minute ago."""
        if time.monotonic() - self._told >= EVERY:
            self._told = time.monotonic()
            sys.stderr.write(f"{self.trial}: {record.getMessage()}\n")
            sys.stderr.flush()


@contextmanager
def _telling(name: str) -> Iterator[None]:
    logger, handler = logging.getLogger("train"), _Now(name)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def run_safely(trial: Trial, work: Callable[[Trial], tuple[float, float]] = make) -> tuple[float, float] | str:
    """What `work` returns, or what went wrong as one line: errors of a worker process arrive as text."""
    try:
        with no_progress(), _telling(trial.name):  # others share its terminal
            return work(trial)
    except InputError as error:
        return str(error)
