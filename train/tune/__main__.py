"""Search for the options of one kind of model by its validation NDCG@10; the same number of trials for every kind.

In: the table that `python -m train.data` wrote. Out, in artifacts/: NAME.trials.parquet (a row a trial) and
NAME.tuned.json (the best configuration), and its command on the terminal.

    python -m train tune mf|bert|hybrid|knn|markov|ease [--preset=...] [--trials=30] [--field=value ...]
    python -m train bert --from-tuned=artifacts/bert.tuned.json

Options that are given stay as they are in all trials, and what contradicts them is not tried. The same command
goes on after the trials that are there, of which Ctrl-C loses the unfinished one only. `python -m train.tune` is the
same as `python -m train tune`.
"""

import logging
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infer.cli import leading, option, parse, run, say, take
from infer.cli.fields import idle, options
from infer.cli.splitting import split
from infer.errors import InputError
from infer.system.memory import keep_freed_memory
from infer.system.progress import progress
from infer.system.project import PROJECT
from train.config import TrainConfig
from train.presets import CONFIGS, DEFAULT, configuration
from train.threads import before_loading
from train.tune.chosen import read_tuned
from train.tune.spaces import SPACES, Space, space
from train.tune.table import Trial, best_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """Options of every `python -m train tune KIND` that are not the model's."""

    preset: Literal["paper", "bert4rec", "sasrec", "gsasrec", "default"] = option(
        DEFAULT, "where the options that are not searched come from, and which space is searched"
    )
    trials: int = option(30, "configurations to try, with those that were tried before", minimum=1)
    prune: bool = option(False, "stop trials that are below the median of the others at the same epoch")
    name: str | None = option(None, "write NAME.trials.parquet and NAME.tuned.json (default: the preset or kind)")
    threads: int = option(
        0, "threads of PyTorch and BLAS; 0: as many as take the least time in a few steps at the start", minimum=0
    )


def main(argv: Sequence[str]) -> None:
    """Parse, search, print; the first word is the kind of model."""
    before_loading(argv)
    keep_freed_memory()
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise InputError("a search tries one configuration after another in one process: start it without torchrun")
    named, others = leading(argv)
    if len(named) != 1 or named[0] not in CONFIGS:
        if not named:  # --help, --version, or an option that does not exist
            parse(TuneConfig, others, __doc__)
        said = " ".join(named) or "none"
        kinds = ", ".join(k for k in SPACES if k in CONFIGS)
        raise InputError(f"name one kind of model to tune, of {kinds}; found {said}")
    kind = named[0]
    chosen, rest = take(TuneConfig, others)
    base = configuration(kind, "default" if chosen.preset == "paper" else chosen.preset)
    config = parse(CONFIGS[kind], rest, __doc__, base, [TuneConfig])
    given = set(split(rest, options(CONFIGS[kind])))
    searched = to_search(space(kind, chosen.preset), config, given)
    name = chosen.name or (kind if chosen.preset == DEFAULT else f"{kind}-{chosen.preset}")
    if Path(name).name != name or name.startswith("."):
        raise InputError(f"--name {name} is not a plain file name")

    try:
        from train.tune.search import Search, search
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise InputError(f"tuning needs optuna: pip install '{PROJECT}[tune]'") from None

    wanted = Search(kind, chosen.preset, name, config, searched, chosen.prune, chosen.threads)
    trials = []
    # The mean of all: a pruned trial takes a tenth of another.
    with progress(total=chosen.trials, desc=f"tuning {name}", unit=" trials", leave=False, smoothing=0) as bar:
        for trial, is_new in search(wanted, chosen.trials):
            trials.append(trial)
            if is_new:
                bar.update(1)
                left = sum(t.seconds for t in trials) / len(trials) * (chosen.trials - len(trials))
                log.info(_line(trial, chosen.trials, left))
            else:
                bar.initial = bar.n = len(trials)
    if len(trials) > chosen.trials:
        log.info(f"{len(trials)} trials are there, more than --trials {chosen.trials}: none was added")
    best = best_of(trials)
    if best is None:
        raise InputError(f"none of {len(trials)} trials was finished: try a smaller --learning-rate, or more --trials")
    _, found = read_tuned(wanted.best, kind)  # written as it is read
    preset = [] if chosen.preset == DEFAULT else [f"--preset={chosen.preset}"]
    place = [] if str(config.artifacts) == "artifacts" else [f"--artifacts={config.artifacts}"]
    say(f"best of {len(trials)} trials: number {best.number}, validation NDCG@10 {100 * (best.ndcg or 0):.2f} %")
    say(shlex.join(["python", "-m", "train", kind, *preset, *found, *place]))
    say(f"-> {wanted.best}, {wanted.table}")


def to_search(declared: Space, config: TrainConfig, given: set[str]) -> Space:
    """What was not given, and does something beside the other options; raises InputError if that is nothing."""
    known = options(type(config))
    left = {field: of for field, of in declared.items() if field not in given}
    searched = {field: of for field, of in left.items() if idle(known[field], config, known) is None}
    if not searched:
        raise InputError("every option that is searched was given, so there is nothing to tune: leave some out")
    if len(searched) < len(left):
        names = ", ".join(f"--{known[field].name}" for field in left if field not in searched)
        log.info(f"not searched, as it would do nothing beside the other options: {names}")
    return searched


def _line(trial: Trial, of: int, left: float) -> str:
    """One trial, and about how long the others take."""
    ndcg = "      -" if trial.ndcg is None else f"{100 * trial.ndcg:5.2f} %"
    return (
        f"trial {trial.number:>3}/{of}  {trial.state:8}  ndcg@10 {ndcg}  {trial.epochs:>4} epochs  "
        f"{trial.seconds:.1f} s  about {_time(left)} left"
    )


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


if __name__ == "__main__":
    raise SystemExit(run(main))
