"""Train one model from a prepared data set to a checkpoint, resuming an interrupted run.

In: a kind, its configuration and the artifacts folder. Out: NAME.pt and NAME.history.parquet in that folder.

    train("bert", configuration("bert"))
"""

import logging
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch

from infer.errors import InputError
from infer.histories.vocabulary import PAD
from infer.system.files import replacing
from infer.system.locks import alone
from infer.system.ownership import MARK, claim
from infer.tables.columns import INTERACTIONS_FILE, ITEMS_FILE
from train import messages
from train.config import BertConfig, TrainConfig
from train.data.dataset import Data, load
from train.loop.loop import complete, ended_by, fit
from train.loop.run import Run
from train.loop.snapshots import Snapshots
from train.loop.world import ALONE, World
from train.memory import check_memory, parts, told_if_exhausted
from train.models.coded import NUMBER
from train.models.registry import build, unsolved
from train.pools import limited
from train.saved import checkpoint, refit
from train.saved.earlier import Start, known, paced
from train.saved.places import Places
from train.saved.resuming import lost, reached, resume, unfinished
from train.sinks import opened
from train.sizing import sized_for
from train.threads import choice

log = logging.getLogger(__name__)

HISTORY = dict.fromkeys(("train_loss", "validation_loss", "validation_hit_at_10", "validation_ndcg_at_10"), pl.Float64)


@dataclass(frozen=True)
class Manner:
    """How a model of a configuration is come by.

    threads: 0 for what a short trial finds fastest (`train.threads`). It may be another one when a run is resumed.
    start: an earlier model to go on from, with a configuration as `train.saved.earlier.agreed` gives it.  found: an
    earlier one from which only what validation found is taken, with one of `train.saved.refit.agreed`.  finish: train
    no further, and make a finished model of the interrupted run.  keep_state: keep what a finished run needs to be
    extended, too.  numbering: an earlier model, of any kind, whose items keep their indexes.  snapshot_minutes: between
    two writings of the state within an epoch; 0: none.  tensorboard, mlflow: where else the figures of each epoch go
    (`train.sinks`).
    """

    threads: int = 0
    start: Start | None = None
    found: Start | None = None
    finish: bool = False
    keep_state: bool = False
    numbering: Start | None = None
    snapshot_minutes: float = 0.0
    tensorboard: Path | None = None
    mlflow: str | None = None


def train(
    kind: str, config: TrainConfig, name: str | None = None, manner: Manner | None = None, world: World = ALONE
) -> Run:
    """Train from the start or from where an equal run was interrupted; write checkpoint and history.

    world: the processes that train together, each of which calls this; the first one's run is the finished model.
    Raises InputError also if another process trains a model of the same name there.
    """
    name, manner = name or kind, manner or Manner()
    if config.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: PyTorch finds no CUDA device here; use --device cpu")
    if not (world.alone or config.has_steps):
        raise InputError(f"{kind} is not trained by steps, which several processes could share: start one process")
    places = Places(config.artifacts, name)
    if world.first:
        claim(places.written, inputs=[config.artifacts / INTERACTIONS_FILE, config.artifacts / ITEMS_FILE])
    killed = world.first and places.lock.is_file()
    with alone(places.lock) if world.first else nullcontext():
        data = load(config.artifacts, None if manner.numbering is None else manner.numbering.content["item_ids"])
        earlier = dict[str, Any]()
        measured = bool((data.targets != PAD).any())
        if manner.found is not None and measured:
            raise InputError(refit.MEASURED.format(data.name))
        if manner.start is not None:
            earlier = known(manner.start, data)
            config = paced(config, measured)
        config = sized_for(config, data)
        held = parts(
            config, len(data.user_ids), len(data.item_ids), data.histories.lengths, measured, processes=world.size
        )
        if killed:
            log.info(messages.killed(name, held))
        if config.device == "cpu" and not manner.finish:  # no step is taken then
            check_memory(held)
        with told_if_exhausted(held):
            chosen = choice(1 if manner.finish else manner.threads, kind, data, config)
            with limited(chosen.threads, chosen.most):
                if chosen.why:
                    log.info(chosen.why)
                return _trained(kind, config, places, data, manner, earlier, world)


def _trained(
    kind: str, config: TrainConfig, places: Places, data: Data, manner: Manner, earlier: dict[str, Any], world: World
) -> Run:
    """As `train`, where no other process trains the same.

    config: with all sizes.  earlier: what the provenance says of the model that it starts from.
    """
    run, provenance = _prepared(kind, config, places, data, manner, earlier, world)
    for text in messages.beginning(run, data, config, places.name):
        log.info(text)
    if manner.start is None and isinstance(config, BertConfig) and config.codes:
        log.info(messages.CODES_FIRST)
    if manner.start is not None:
        told = "starts from %s: %s items keep their weights, %s are new, %s are gone"
        log.info(told, manner.start.path, *(f"{earlier[key]:,}" for key in ("kept", "new", "dropped")))
    for read in (manner.start, manner.found):
        if read is not None and (other := messages.other_rules(read.content.get("rules") or {}, data.rules)):
            log.info("WARNING: %s learned from other rows than this table has: %s", read.path, other)
    if manner.numbering is not None:
        told = "items have their indexes of %s: %s of them are gone and nobody gets them"
        log.info(told, manner.numbering.path, f"{len(data.retired):,}")

    kept = reached(run)

    def save() -> None:
        nonlocal kept
        checkpoint.save(places.partial, _state(provenance, data, run) | run.state())
        kept = reached(run)

    snapshots = Snapshots(manner.snapshot_minutes, save) if manner.snapshot_minutes else None
    sinks = opened(places.name, config, manner.tensorboard, manner.mlflow) if world.first else nullcontext(None)
    try:
        with sinks as sink:
            for record in () if manner.finish else fit(run, data, config, world, snapshots):
                if world.first and not run.model.closed_form:
                    save()
                log.info(messages.line(record))
                if sink is not None:
                    sink(record)
    except KeyboardInterrupt:
        log.info(lost(kept, places.partial))
        raise
    if not world.first:
        return run
    if manner.finish:
        complete(run, data, config)
    by = None if run.model.closed_form else ended_by(run.epochs, config.epochs, manner.finish, run.until)
    if why := messages.ended(run, config, by):
        log.info(why)
    provenance = provenance | {"config": provenance["config"] | run.chosen | dict(run.model.chosen)}
    _write(places, _state(provenance, data, run) | {"ended": by}, run, manner.keep_state)
    return run


def _prepared(
    kind: str, config: TrainConfig, places: Places, data: Data, manner: Manner, earlier: dict[str, Any], world: World
) -> tuple[Run, dict[str, Any]]:
    """A run as it was left off, or at its beginning, and its provenance: made by the first process, told to others."""
    until = None if manner.found is None else refit.epochs(manner.found)
    if not world.first:
        model = unsolved(kind, data, config)
        model.to(config.device)
        run = Run(model, model.optimizer(), until=until)
        state, provenance = world.agreed((dict[str, Any](), dict[str, Any]()))
        run.continued = state["continued"]
        run.load(state)
        return run, provenance
    start, numbering = manner.start, manner.numbering
    if config.solves_first and (start is None or earlier["new"]):
        log.info("%s: solving for the vectors that it starts from ...", places.name)
    began = time.perf_counter()
    model, parents = build(kind, data, config, None if start is None else start.content)
    claim(places.written, inputs=[config.artifacts / parent for parent in parents])
    preparing = time.perf_counter() - began
    if manner.found is not None:
        model.take(manner.found.content)
    model.to(config.device)
    numbered = None if numbering is None else numbering.name_and_checksum
    provenance = checkpoint.provenance(
        kind, config, data, parents, start=earlier or None, numbered_by=numbered,
        refit=None if manner.found is None else refit.provenance(manner.found),
        processes=None if world.alone else world.size, codes_of_whole=NUMBER if model.coded else None,
    )  # fmt: skip
    run = Run(model, None if model.closed_form else model.optimizer(), preparing, until=until)
    if config.reads_items:
        data.check_unchanged()
    if start is not None and not model.closed_form:
        run.carry_on(run.model.expected_steps(data))
    if manner.finish or not model.closed_form:
        (unfinished if manner.finish else resume)(places.name, config, provenance, run)
    if not world.alone:
        world.agreed((run.state() | {"preparation_seconds": preparing, "continued": run.continued}, provenance))
    return run, provenance


def _write(places: Places, content: dict[str, Any], run: Run, keep_state: bool) -> None:
    """Write history and checkpoint of a finished run; its state is kept, or removed.

    That of a finished run which had nothing left to train is still its state. Beside a model in closed form an
    interrupted run is one of another objective, and stays.
    """
    with replacing(places.history, owned=True) as temporary:
        table = pl.DataFrame([asdict(record) for record in run.records], schema_overrides=HISTORY)
        table.with_columns(preparation_seconds=pl.lit(run.preparation_seconds)).write_parquet(temporary, metadata=MARK)
    checkpoint.save(places.finished, content)
    if run.model.closed_form:
        places.state.unlink(missing_ok=True)
    elif keep_state and places.partial.is_file():
        places.partial.replace(places.state)
    elif not keep_state:
        places.partial.unlink(missing_ok=True)
        places.state.unlink(missing_ok=True)


def _state(provenance: dict[str, Any], data: Data, run: Run) -> dict[str, Any]:
    """What a finished model needs: the weights that are kept, and where they came from."""
    members = {"members": run.model.provenances} if run.model.provenances else {}
    return members | {
        "provenance": provenance,
        "item_ids": data.item_ids,
        "user_ids": data.trained_ids,
        "rating_levels": data.rating_levels,
        "rules": data.rules,
        "retired": data.retired.tolist(),
        "model": {name: weight.cpu() for name, weight in run.model.state_dict().items()},
        "preparation_seconds": run.preparation_seconds,
        "tried": run.tried,
        "best": asdict(run.best_record) | run.final if run.records else None,
        "history": [asdict(record) for record in run.records],
    }
