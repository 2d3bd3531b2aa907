"""A search for options: trials of one kind of model, each judged by its validation NDCG@10, in a table that resumes.

In: a kind, a preset and a number of trials, on a prepared data set. Out: NAME.trials.parquet, a row a trial, which is
what the search goes on from, and NAME.tuned.json, the best configuration so far. Both are replaced after every trial.

    python -m train tune bert --preset=sasrec --trials=20

What a trial tries follows from the seed, its number and the trials before it (TPE, Bergstra et al. 2011, by the library
optuna), so that an interrupted search that goes on finds what one that was not interrupted finds. Test items are never
looked at.
"""

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import optuna
import torch

from infer.errors import InputError
from infer.system.files import write_text
from infer.system.locks import alone
from infer.system.ownership import claim
from infer.system.progress import no_progress
from infer.tables.columns import INTERACTIONS_FILE
from train.config import TrainConfig
from train.data.dataset import Data, load
from train.loop.loop import DivergedError, fit, stream_seed
from train.loop.run import Run
from train.loop.validation import validation_rows
from train.models.registry import build
from train.pools import limited
from train.sizing import sized_for
from train.threads import choice
from train.tune.chosen import tuned_text
from train.tune.spaces import Choice, Space, beside
from train.tune.table import DIVERGED, FINISHED, PRUNED, Trial, best_of, read_table, trials_of, write_table

log = logging.getLogger(__name__)

# Trials that are drawn at random before TPE learns from them.
RANDOM_TRIALS = 10
# Epochs that a trial has before it can be pruned, and finished trials before any is.
LEAST_EPOCHS, LEAST_TRIALS = 5, 5


@dataclass(frozen=True)
class Search:
    """One search: a kind in a preset on a table. config: every option, of which those in `space` are searched.

    threads: 0 for what a trial of steps at the start finds fastest, with the options that are not searched.
    """

    kind: str
    preset: str
    name: str
    config: TrainConfig
    space: Space
    prune: bool = False
    threads: int = 0

    @property
    def table(self) -> Path:
        """Where the trials are kept."""
        return self.config.artifacts / f"{self.name}.trials.parquet"

    @property
    def best(self) -> Path:
        """Where the best configuration is kept."""
        return self.config.artifacts / f"{self.name}.tuned.json"

    def said(self, data: Data) -> str:
        """What decides a trial's result, as JSON; two searches that agree in it may go on from each other's trials."""
        left = (*self.space, "artifacts")
        values = {key: str(value) for key, value in asdict(self.config).items() if key not in left}
        found = {"kind": self.kind, "preset": self.preset, "prune": self.prune, "dataset_checksum": data.checksum}
        return json.dumps(found | {"options": values, "space": {k: repr(v) for k, v in self.space.items()}})


def search(wanted: Search, trials: int) -> Iterator[tuple[Trial, bool]]:
    """Yield every trial, and whether it is new: those that the table holds already come first, also beyond `trials`.

    Values that contradict the options that are not searched are not tried. Raises InputError if
    these contradict each other or leave nothing to search, if the table is of another search, if nothing is held out
    for validation, or if another process works on the same search.
    """
    claim([wanted.table, wanted.best], inputs=[wanted.config.artifacts / INTERACTIONS_FILE])
    if wanted.config.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: PyTorch finds no CUDA device here; use --device cpu")
    data = load(wanted.config.artifacts)
    wanted = _beside_given(replace(wanted, config=sized_for(wanted.config, data)))
    if not len(validation_rows(data, wanted.config)):
        raise InputError(
            "nothing is held out for validation, by which trials are judged: prepare the data with a split"
        )
    with alone(wanted.config.artifacts / "locks" / f"{wanted.name}.tune.lock"):
        found = read_trials(wanted, data)
        yield from ((trial, False) for trial in found)
        if len(found) < trials:
            chosen = choice(wanted.threads, wanted.kind, data, wanted.config)
            wanted = replace(wanted, threads=chosen.threads)
            if chosen.why:
                log.info(chosen.why)
        while len(found) < trials:
            with limited(wanted.threads, chosen.most):
                trial = _next(wanted, data, found)
            found.append(trial)
            _keep(wanted, data, found)
            yield trial, True
        _keep(wanted, data, found)


def _beside_given(wanted: Search) -> Search:
    """The search with what can be searched beside the options that stay as they are."""
    wanted.config.check()
    left = beside(wanted.space, wanted.config)
    if wanted.space and not left:
        raise InputError("the options that were given leave nothing to tune: leave some out")
    out = ", ".join(f"--{name.replace('_', '-')}" for name in wanted.space if name not in left)
    if out:
        log.info(f"not searched, as no two values go with the other options: {out}")
    return replace(wanted, space=left)


def read_trials(wanted: Search, data: Data) -> list[Trial]:
    """The trials that the search's table holds; none if it is not there."""
    if not wanted.table.is_file():
        return []
    said, rows = read_table(wanted.table)
    if said != json.loads(wanted.said(data)):
        raise InputError(
            f"{wanted.table} holds trials with other options, spaces or data: give --name, or delete it to start afresh"
        )
    return trials_of(rows)


def _keep(wanted: Search, data: Data, trials: list[Trial]) -> None:
    """Replace the table of trials and the best configuration."""
    write_table(trials, wanted.said(data), wanted.table)
    best = best_of(trials)
    if best is not None:
        fixed = {key: value for key, value in asdict(wanted.config).items() if key not in wanted.space}
        text = tuned_text(wanted.kind, wanted.preset, fixed | best.values, best.ndcg, len(trials))
        write_text(wanted.best, text, owned=True)


def _next(wanted: Search, data: Data, before: list[Trial]) -> Trial:
    """Try what comes after these trials."""
    number = len(before) + 1
    seed = stream_seed(wanted.config.seed, number, "trial") % 2**32
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(LEAST_TRIALS, LEAST_EPOCHS) if wanted.prune else optuna.pruners.NopPruner()
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    ranges = {name: _distribution(wanted.space, name) for name in wanted.space}
    study.add_trials([_told(trial, ranges) for trial in before])
    if not before:  # the preset itself, so that nothing that is found is worse
        study.enqueue_trial({name: getattr(wanted.config, name) for name in wanted.space})
    asked = study.ask(ranges)
    config = replace(wanted.config, **asked.params)
    began = time.perf_counter()
    torch.manual_seed(wanted.config.seed)
    curve: list[float] = []
    state, run = FINISHED, None
    try:
        with no_progress():
            model, _ = build(wanted.kind, data, config)
            model.to(config.device)
            run = Run(model, None if model.closed_form else model.optimizer())
            for record in fit(run, data, config):
                curve.append(record.validation_ndcg_at_10 or 0.0)
                asked.report(curve[-1], record.epoch)
                if wanted.prune and asked.should_prune():
                    state = PRUNED
                    break
    except DivergedError:
        state = DIVERGED
    kept = run.best_record if run is not None and state != DIVERGED else None
    ndcg = kept.validation_ndcg_at_10 if kept else None
    if run is not None and kept and state == FINISHED:  # that of the model, if its chain has been weighed
        ndcg = run.final.get("validation_ndcg_at_10", ndcg)
    return Trial(
        number, state, ndcg, kept.epoch if kept else None, len(curve),
        time.perf_counter() - began, curve, asked.params, torch.get_num_threads(),
    )  # fmt: skip


def _distribution(space: Space, name: str) -> Any:
    """A range in optuna's words."""
    found = space[name]
    if isinstance(found, Choice):
        return optuna.distributions.CategoricalDistribution(found.values)
    if found.whole:
        return optuna.distributions.IntDistribution(int(found.low), int(found.high), found.log)
    return optuna.distributions.FloatDistribution(found.low, found.high, found.log)


def _told(trial: Trial, ranges: dict[str, Any]) -> Any:
    """A trial in optuna's words."""
    states = {
        FINISHED: optuna.trial.TrialState.COMPLETE,
        PRUNED: optuna.trial.TrialState.PRUNED,
        DIVERGED: optuna.trial.TrialState.FAIL,
    }
    return optuna.trial.create_trial(
        state=states[trial.state],
        value=trial.ndcg if trial.state == FINISHED else None,
        params=trial.values,
        distributions=ranges,
        intermediate_values=dict(enumerate(trial.curve, 1)),
    )
