"""An interrupted run, or a finished one, that a training goes on with: whether it is the same, and what is said of it.

In: the artifacts folder, and what decides the result of the run that is asked for. Out: the run, as it was.

NAME.partial.pt is written after every epoch, and within one every ten minutes (--snapshot-minutes). When the run is
finished it becomes NAME.state.pt, from which other --epochs or another --patience go on; it can be deleted at any time.

    python -m train bert --epochs=25
    python -m train bert --epochs=40
"""

import logging
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
    else:
        path = Places(config.artifacts, name).state
        if not path.is_file():
            return
        state = checkpoint.read(path, "delete it to start afresh")
        if not same(state["provenance"], provenance) or state["provenance"] == provenance:
            return  # of the same length: trained again
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
    log.info("finishing %s (%s)", reached(run), path)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two provenances are of one run but for its length, and the number of its processes."""
    configs = ({k: v for k, v in found["config"].items() if k not in LENGTH} for found in (one, other))
    changed = ({"config": config, "processes": None} for config in configs)
    first, second = (found | own for found, own in zip((one, other), changed, strict=True))
    return first == second


def reached(run: Run) -> str:
    """After which epoch, and step of the next, in words."""
    steps = f" and {run.midway.steps:,} steps of the next" if run.midway else ""
    return f"after epoch {run.epochs}{steps}"


def lost(run: Run, partial: Path) -> str:
    """What an interruption leaves, in words."""
    if not partial.is_file():
        return "stopped before the first epoch was done: nothing is kept, and the same command starts again"
    finish = ", and with --finish it keeps the model as it is" if run.records else ""
    since = f"steps after the {run.midway.steps:,}th" if run.midway else "steps"
    return f"stopped in epoch {run.epochs + 1}, whose {since} are lost: the same command resumes {reached(run)}{finish}"
