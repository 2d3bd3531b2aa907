"""The study's trials: which there are, and how the missing ones are made, several at once.

In: the study's options, and a prepared data folder. Out: trials (`bench.study.trials`), those of stage 0 first.

    python -m bench.study --workers=2
"""

import logging
import os
import shutil
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path

import polars as pl

from bench.study.experiments import EXPERIMENTS, LEAVE_ONE_OUT, VARIATIONS, Experiment
from bench.study.trials import Trial, finished, prepare_folder, run_safely
from infer.cli import option
from infer.errors import InputError
from infer.formats.opening import read_table
from infer.system.files import replacing
from infer.tables.columns import DATASET_KEY, INTERACTIONS_FILE, ITEMS_FILE, PROTOCOL_KEY, SPLIT, TEST, USER
from train.data.catalogue import CATALOGUE_KEY
from train.data.prepare import DataConfig, hold_out

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """Options of `python -m bench.study`."""

    artifacts: Path = option(Path("artifacts"), "folder with interactions.parquet and items.parquet")
    output: Path = option(Path("study"), "folder to write to")
    seeds: int = option(5, "seeds 0, 1, ... of every model that has randomness", minimum=1)
    epochs: int | None = option(None, "at most so many of a transformer, for a quick look", minimum=1)
    short: bool = option(False, "fewer models, two seeds, six epochs: about ten minutes on two cores")
    only: str | None = option(None, "only these experiments, by name, separated by commas")
    negatives: int = option(100, "sampled negatives of each user", minimum=1)
    user: str | None = option(None, "whose five best films are shown (default: the first that is measured)")
    workers: int = option(0, "processes at once, each with one thread; 0 means one for each core", minimum=0)


def trials(config: StudyConfig) -> list[Trial]:
    """Every trial of the study, in the order in which they can be made; raises InputError on unknown names."""
    seeds, epochs = config.seeds, config.epochs
    if config.short:
        seeds, epochs = min(seeds, 2), min(epochs or 6, 6)
    wanted: list[Trial] = []
    for data in [LEAVE_ONE_OUT] if config.short else [LEAVE_ONE_OUT, *VARIATIONS]:
        most = seeds if data == LEAVE_ONE_OUT else min(seeds, 2)
        folder = config.output / "trials" / data
        wanted += [
            Trial(experiment, data, seed, folder / f"seed{seed}", epochs, config.negatives)
            for experiment in chosen(config)
            if data == LEAVE_ONE_OUT or experiment.varied
            for seed in range(min(most, experiment.seeds))
        ]
    return sorted(wanted, key=lambda trial: trial.experiment.stage)


def chosen(config: StudyConfig) -> list[Experiment]:
    """The experiments asked for; raises InputError if one is unknown or needs another that is left out."""
    if config.only is None:
        return [e for e in EXPERIMENTS if e.short or not config.short]
    names = [e.name for e in EXPERIMENTS]
    wanted = config.only.split(",")
    for name in wanted:
        if name not in names:
            raise InputError(f"--only: no experiment is called '{name}'; {', '.join(names)}")
    experiments = [e for e in EXPERIMENTS if e.name in wanted]
    for experiment in experiments:
        missing = [name for name in experiment.parents if name not in wanted]
        if missing:
            raise InputError(f"--only: {experiment.name} starts from {', '.join(missing)}; name them too")
    return experiments


def shown_user(config: StudyConfig) -> str:
    """Id of the user whose films are shown; raises InputError if nothing of theirs was held out."""
    table = read_table(config.artifacts / INTERACTIONS_FILE)
    measured = table.filter(pl.col(SPLIT) == TEST)[USER].cast(pl.String) if SPLIT in table.columns else pl.Series()
    if measured.is_empty():
        raise InputError(f"{config.artifacts / INTERACTIONS_FILE} has no held-out items: run `python -m train.data`")
    if config.user is not None and config.user not in measured:
        raise InputError(f"--user: {config.artifacts / INTERACTIONS_FILE} has no held-out item of user '{config.user}'")
    return config.user or measured[0]


def prepare(config: StudyConfig, wanted: list[Trial]) -> None:
    """Give every trial's folder its data; other splits are made from the same interactions.

    Raises InputError if a folder holds other data.
    """
    path = config.artifacts / INTERACTIONS_FILE
    for data in dict.fromkeys(trial.data for trial in wanted):
        source = config.artifacts
        if data != LEAVE_ONE_OUT:
            source = config.output / "data" / data
            made = hold_out(pl.read_parquet(path).drop(SPLIT), DataConfig(**VARIATIONS[data]))
            kept = {k: v for k, v in pl.read_parquet_metadata(path).items() if k in (DATASET_KEY, CATALOGUE_KEY)}
            metadata = {DATASET_KEY: path.name} | kept | {PROTOCOL_KEY: made.protocol}
            with replacing(source / INTERACTIONS_FILE, owned=True) as temporary:
                made.interactions.write_parquet(temporary, metadata=metadata)
            with replacing(source / ITEMS_FILE, owned=True) as temporary:
                shutil.copyfile(config.artifacts / ITEMS_FILE, temporary)
        for folder in dict.fromkeys(trial.folder for trial in wanted if trial.data == data):
            prepare_folder(folder, source)


def make_all(config: StudyConfig, wanted: list[Trial]) -> None:
    """Make the unfinished trials, those that others start from first; a line for each as it is finished."""
    remaining = sum(not finished(trial) for trial in wanted)
    done, total = len(wanted) - remaining, len(wanted)
    log.info(f"{total} trials, {done} of them finished already")
    for stage in sorted({trial.experiment.stage for trial in wanted}):
        # Asked again: a parent that was made anew makes its children unfinished.
        missing = [trial for trial in wanted if trial.experiment.stage == stage and not finished(trial)]
        workers = min(config.workers or os.cpu_count() or 1, len(missing))
        if not missing:
            continue
        with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_end_with_parent) as pool:
            running = {pool.submit(run_safely, trial): trial for trial in missing}
            try:
                for future in as_completed(running):
                    trial, result = running[future], future.result()
                    name = f"{trial.experiment.title} seed {trial.seed} {trial.data}"
                    if isinstance(result, str):
                        raise InputError(f"{name}: {result}")
                    done = min(done + 1, total)
                    log.info(f"[{done}/{total}] {name} hit@10 {result[1] * 100:.1f} % {result[0]:.0f} s")
            except BrokenProcessPool:
                raise InputError(
                    "a worker was ended from outside, perhaps for want of memory: try --workers=1"
                ) from None
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):  # SIGTERM has not reached them
                    for process in active_children():
                        process.terminate()
                pool.shutdown(cancel_futures=True)
                raise


def _end_with_parent() -> None:
    """A worker whose parent was killed must not go on writing into a trial that a new run may be making."""

    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
