"""What a study is made of: its options, its trials and their data.

In: the study's options, and prepared data folders. Out: trials (`bench.study.making`), those of stage 0 first, which
`bench.study.workers` makes.

    python -m bench.study --only=scratch,hybrid-ials
"""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from bench.study.datasets import DataSet, data_sets, unfit, variation
from bench.study.experiments import EXPERIMENTS, LEAVE_ONE_OUT, VARIATIONS, Experiment
from bench.study.scarcity import PAIR, Cell, cells, write_part
from bench.study.statistics.anchors import ANCHORED
from bench.study.trials import Trial, finished, prepare_folder
from bench.study.tuning import with_options
from infer.cli import option
from infer.errors import InputError

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """Options of `python -m bench.study`."""

    artifacts: str = option(
        "artifacts", "folders with interactions.parquet and items.parquet, separated by commas", files=True
    )
    output: Path = option(Path("study"), "folder to write to")
    seeds: int = option(5, "seeds 0, 1, ... of every model that has randomness", minimum=1)
    epochs: int | None = option(None, "at most so many of a transformer, for a quick look", minimum=1)
    short: bool = option(False, "fewer models, two seeds, six epochs: about ten minutes on two cores")
    only: str | None = option(None, "only these experiments, by name, separated by commas")
    anchors: bool = option(False, "only what stands beside published results, and where one is known of the data set")
    negatives: int = option(100, "sampled negatives of each user", minimum=1)
    user: str | None = option(None, "whose five best films are shown (default: the first that is measured)")
    curve: bool = option(False, "also train on fewer users and on shorter histories: does the start help more there?")
    tuned: str | None = option(
        None,
        "folders of `python -m train tune`, one for each of --artifacts: also compare what was found there",
        files=True,
    )
    record: Path | None = option(None, "folder to keep tables and trials in without their weights, and to go on from")
    finished: bool = option(False, "train nothing: tables and page of the trials that are finished")
    workers: int = option(0, "processes at once, each with one thread; 0 means one for each core", minimum=0)


@dataclass(frozen=True)
class Plan:
    """What a study is made of.

    sets: the data sets.  trials: in the order in which they can be made.  cells: the parts of each data set, by its
    name.  notes: (data set, what is left out of it and why).  searches: where the options of a data set's tuned models
    were found, by its name.
    """

    sets: list[DataSet]
    trials: list[Trial]
    cells: dict[str, list[Cell]]
    notes: list[tuple[str, str]]
    searches: dict[str, Path]


def plan(config: StudyConfig) -> Plan:
    """Every trial of the study; raises InputError on unknown names, and if a data set leaves nothing to do."""
    experiments, epochs = chosen(config), config.epochs
    most = config.seeds
    if config.short:
        most, epochs = min(most, 2), min(epochs or 6, 6)
    sets = data_sets(config.artifacts)
    found = Plan(sets, [], {}, [], _searches(config, sets))
    for data in found.sets:
        own = with_options(experiments, data, found.searches.get(data.name))
        splits, fit = _splits(config, data, own, found), [e for e in own if data.rated or not e.rated]
        missing = [e.name for e in experiments if e.name not in {o.name for o in own}]
        if missing and config.tuned is not None:
            found.notes.append((data.name, f"left out, as nothing was tuned: {', '.join(missing)}"))
        if len(fit) < len(own):
            names = ", ".join(e.name for e in own if e not in fit)
            found.notes.append((data.name, f"left out, as the table has no ratings: {names}"))
        if not fit:
            raise InputError(f"{data.path} has no ratings, which all that --only names needs")
        for split, asked in splits.items():
            folder = config.output / "trials" / data.folder.resolve().name / split
            found.trials.extend(
                Trial(experiment, data.name, split, seed, folder / f"seed{seed}", epochs, config.negatives)
                for experiment in fit
                if experiment.name in asked
                for seed in range(min(2 if split in VARIATIONS else most, most, experiment.seeds))
            )
    found.trials.sort(key=lambda trial: trial.experiment.stage)
    return found


def _searches(config: StudyConfig, sets: list[DataSet]) -> dict[str, Path]:
    """The folder of searches of each data set; raises InputError if there is not one for each."""
    if config.tuned is None:
        return {}
    folders = [Path(name.strip()) for name in config.tuned.split(",") if name.strip()]
    if len(folders) != len(sets):
        raise InputError(f"--tuned takes one folder for each of --artifacts: {len(sets)} of them, not {len(folders)}")
    for folder in folders:
        if not any(folder.glob("*.tuned.json")):
            raise InputError(f"--tuned: {folder} has no NAME.tuned.json: run `python -m train tune` first")
    return {data.name: folder for data, folder in zip(sets, folders, strict=True)}


def finished_part(found: Plan) -> Plan:
    """The finished trials of a plan, and notes on the others; raises InputError if a data set has none with the last
    item held out."""
    made = [trial for trial in found.trials if finished(trial)]
    notes = list(found.notes)
    for data in found.sets:
        own = [trial for trial in found.trials if trial.data == data.name]
        open_ones = [trial for trial in own if trial not in made]
        if not any(trial.split == LEAVE_ONE_OUT for trial in own if trial in made):
            raise InputError(f"--finished: no trial of {data.path} is finished in this study")
        if open_ones:
            names = ", ".join(dict.fromkeys(trial.experiment.name for trial in open_ones))
            note = f"{len(open_ones)} of {len(own)} trials are not finished and left out, of {names}"
            notes.append((data.name, note))
    return replace(found, trials=made, notes=notes)


def _splits(config: StudyConfig, data: DataSet, experiments: list[Experiment], found: Plan) -> dict[str, set[str]]:
    """The splits of a data set, and the names of the experiments that are run on each."""
    splits = {LEAVE_ONE_OUT: {e.name for e in experiments}}
    varied = {e.name for e in experiments if e.varied}
    for name, changes in VARIATIONS.items() if varied and not config.short else ():
        reason = unfit(data, name, changes)
        if reason is None:
            splits[name] = varied
        else:
            found.notes.append((data.name, reason))
    if config.curve:
        if not {e.name for e in experiments} >= set(PAIR):
            raise InputError(f"--curve compares {' and '.join(PAIR)}: let --only name both")
        found.cells[data.name] = cells(pl.read_parquet(data.path))
        splits |= {cell.split: set(PAIR) for cell in found.cells[data.name] if not cell.last}
    return splits


def chosen(config: StudyConfig) -> list[Experiment]:
    """The experiments asked for; raises InputError if one is unknown or needs another that is left out."""
    if config.anchors:
        if config.only is not None:
            raise InputError("--anchors names its experiments itself: leave out --only")
        return [e for e in EXPERIMENTS if e.name in ANCHORED]
    if config.only is None:
        return [e for e in EXPERIMENTS if (e.short or not config.short) and (config.tuned or not e.tuned)]
    names = [e.name for e in EXPERIMENTS]
    wanted = config.only.split(",")
    for name in wanted:
        if name not in names:
            raise InputError(f"--only: no experiment is called '{name}'; {', '.join(names)}")
    experiments = [e for e in EXPERIMENTS if e.name in wanted]
    for experiment in experiments:
        if experiment.tuned and config.tuned is None:
            raise InputError(
                f"--only: {experiment.name} has the options that a search found; give its folder as --tuned"
            )
        missing = [name for name in experiment.parents if name not in wanted]
        if missing:
            raise InputError(f"--only: {experiment.name} starts from {', '.join(missing)}; name them too")
    return experiments


def shown_user(config: StudyConfig, data: DataSet) -> str:
    """Id of the user whose films are shown; raises InputError if nothing of theirs was held out."""
    measured = data.measured
    if config.user is not None and config.user not in measured:
        raise InputError(f"--user: {data.path} has no held-out item of user '{config.user}'")
    return config.user or measured[0]


def prepare(config: StudyConfig, found: Plan) -> None:
    """Give every trial's folder its data; other splits are made from the same interactions.

    Raises InputError if a folder holds other data.
    """
    for data in found.sets:
        parts = {cell.split: cell for cell in found.cells.get(data.name, [])}
        own = [trial for trial in found.trials if trial.data == data.name]
        for split in dict.fromkeys(trial.split for trial in own):
            source = config.output / "data" / data.folder.resolve().name / split
            if split == LEAVE_ONE_OUT:
                source = data.folder
            elif split in VARIATIONS:
                data.write(source, *variation(data, tuple(VARIATIONS[split].items())))
            else:
                write_part(data, parts[split], source)
            for folder in dict.fromkeys(trial.folder for trial in own if trial.split == split):
                prepare_folder(folder, source)
