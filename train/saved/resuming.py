"""An interrupted run, or a finished one, that a training goes on with: whether it is the same, and what is said of it.

In: the artifacts folder, and what decides the result of the run that is asked for. Out: the run, as it was.

NAME.partial.pt is written after every epoch, and within one every ten minutes (--snapshot-minutes). When the run is
finished it becomes NAME.state.pt, from which other --epochs or another --patience go on; it can be deleted at any time.

    python -m train bert --epochs=25
    python -m train bert --epochs=40
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infer.errors import InputError
from train.config import TrainConfig
from train.loop.run import Run
from train.saved import checkpoint
from train.saved.places import Places

log = logging.getLogger(__name__)

# What may change while a run goes on.
LENGTH = ("epochs", "patience")


@dataclass(frozen=True)
class Kept:
    """How far a state is. epochs: that were trained.  steps: of the next one.  measured: whether any epoch was."""

    epochs: int
    steps: int
    measured: bool

    def __str__(self) -> str:
        steps = f" and {self.steps:,} step{'s' * (self.steps != 1)} of the next" if self.steps else ""
        return f"after epoch {self.epochs}{steps}"


def reached(run: Run) -> Kept:
    """How far a run is."""
    return Kept(run.epochs, run.midway.steps if run.midway else 0, bool(run.records))


def resume(name: str, config: TrainConfig, provenance: dict[str, Any], run: Run) -> None:
    """Load an interrupted run of the same provenance but for its length, or a finished one of another length.

    Says so, or why an interrupted one is not continued.
    """
    path = Places(config.artifacts, name).partial
    if path.is_file():
        state = checkpoint.read(path, "delete it to start afresh")
        if not same(state["provenance"], provenance):
            log.info("%s is of a run with other options or data: starting afresh", path)
            return
        if _trained(state) > config.epochs:
            raise InputError(
                f"{path} has {_trained(state)} epochs already, more than --epochs={config.epochs}: --finish keeps them "
                "as they are, and without the file fewer are trained"
            )
    else:
        path = Places(config.artifacts, name).state
        if not path.is_file():
            return
        state = checkpoint.read(path, "delete it to start afresh")
        if not same(state["provenance"], provenance) or state["provenance"] == provenance:
            return  # of the same length: trained again
        if _trained(state) > config.epochs:
            log.info("%s has %s epochs, more than --epochs=%s: starting afresh", path, _trained(state), config.epochs)
            return
    run.load(state, keep_best=bool(config.patience))
    changes = [
        f"--{name}={provenance['config'][name]} instead of {state['provenance']['config'][name]}"
        for name in LENGTH
        if provenance["config"].get(name) != state["provenance"]["config"].get(name)
    ]
    processes = [found.get("processes", 1) for found in (provenance, state["provenance"])]
    if processes[0] != processes[1]:
        changes.append(f"{processes[0]} processes instead of {processes[1]}")
    log.info("resuming %s (%s)%s", reached(run), path, f", {' and '.join(changes)}" if changes else "")
    longer = provenance["config"].get("epochs") != state["provenance"]["config"].get("epochs")
    if longer and config.schedule != "constant":
        log.info("the learning rate of these epochs fell as for the earlier number of epochs")


def unfinished(name: str, config: TrainConfig, provenance: dict[str, Any], run: Run) -> None:
    """Load an interrupted run that is to be finished as it is; raises InputError if there is none of this command."""
    path = Places(config.artifacts, name).partial
    if not path.is_file():
        raise InputError(f"--finish finishes an interrupted run, and there is none: {path} does not exist")
    state = checkpoint.read(path, "delete it to start afresh")
    if not same(state["provenance"], provenance):
        raise InputError(f"{path} is of a run with other options or data: give --finish with that run's own command")
    if not state["history"]:
        raise InputError(f"{path} has no whole epoch yet, so there is no model to finish: leave out --finish")
    run.load(state, keep_best=bool(config.patience))
    if run.midway and not run.best:  # what the last whole epoch had is not of these weights
        run.final = dict.fromkeys((name for name in state["history"][-1] if name.startswith("validation_")), None)
    log.info("finishing %s (%s)", reached(run), path)


def _trained(state: dict[str, Any]) -> int:
    """How many epochs a state has."""
    return int(state["history"][-1]["epoch"]) if state["history"] else 0


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two provenances are of one run but for its length, and the number of its processes.

    One of an earlier version does not say of which table of items it is.
    """
    configs = ({k: v for k, v in found["config"].items() if k not in LENGTH} for found in (one, other))
    changed = ({"config": config, "processes": None} for config in configs)
    first, second = (found | own for found, own in zip((one, other), changed, strict=True))
    return first == second if "items" in first and "items" in second else _less(first) == _less(second)


def _less(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "items"}


def lost(kept: Kept, partial: Path) -> str:
    """What an interruption leaves, in words; kept: what was written last."""
    if not partial.is_file() or not (kept.measured or kept.steps):
        return "stopped before the first epoch was done: nothing is kept, and the same command starts again"
    finish = ", and with --finish it keeps the model as it is" if kept.measured else ""
    since = f"steps after number {kept.steps:,}" if kept.steps else "steps"
    return f"stopped in epoch {kept.epochs + 1}, whose {since} are lost: the same command resumes {kept}{finish}"
