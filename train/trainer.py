"""Train one model from a prepared data set to a checkpoint, resuming an interrupted run.

In: a kind, its configuration and the artifacts folder. Out: NAME.pt and NAME.history.parquet in that folder.

    train("bert", configuration("bert"))
"""

import logging
import time
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
from train import checkpoint
from train.config import TrainConfig
from train.data.dataset import Data, load
from train.earlier import Start, check_known, paced
from train.loop import STOPPED, complete, ended_by, ending, fit
from train.models.base import ScoringModel
from train.models.registry import build
from train.resuming import lost, resume, unfinished
from train.run import EpochRecord, Run
from train.sizing import said, sized_for
from train.threads import choice, limited
from train.validation import validation_rows

log = logging.getLogger(__name__)

HISTORY = dict.fromkeys(("train_loss", "validation_loss", "validation_hit_at_10", "validation_ndcg_at_10"), pl.Float64)


@dataclass(frozen=True)
class Manner:
    """How a model of a configuration is come by.

    threads: 0 for what a short trial finds fastest (`train.threads`). It may be another one when a run is resumed.
    start: an earlier model to go on from, with a configuration as `train.earlier.agreed` gives it.  finish: train no
    further, and make a finished model of the interrupted run.  keep_state: keep what a finished run needs to be
    extended, too.  numbering: an earlier model, of any kind, whose items keep their indexes.
    """

    threads: int = 0
    start: Start | None = None
    finish: bool = False
    keep_state: bool = False
    numbering: Start | None = None


def train(kind: str, config: TrainConfig, name: str | None = None, manner: Manner | None = None) -> Run:
    """Train from the start or from where an equal run was interrupted; write checkpoint and history.

    Raises InputError also if another process trains a model of the same name there.
    """
    name, manner = name or kind, manner or Manner()
    if config.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: PyTorch finds no CUDA device here; use --device cpu")
    places = Places(config.artifacts, name)
    claim(places.written, inputs=[config.artifacts / INTERACTIONS_FILE, config.artifacts / ITEMS_FILE])
    data = load(config.artifacts, None if manner.numbering is None else manner.numbering.content["item_ids"])
    with alone(config.artifacts / "locks" / f"{name}.train.lock"):
        earlier = dict[str, Any]()
        if manner.start is not None:
            check_known(manner.start, data)
            config = paced(config, bool((data.targets != PAD).any()))
            earlier = manner.start.provenance(data)
        config = sized_for(config, data)
        chosen = choice(1 if manner.finish else manner.threads, kind, data, config)
        with limited(chosen.threads):
            if chosen.why:
                log.info(chosen.why)
            return _trained(kind, config, places, data, manner, earlier)


@dataclass(frozen=True)
class Places:
    """Where the files of a training lie."""

    artifacts: Path
    name: str

    @property
    def finished(self) -> Path:
        """The model."""
        return checkpoint.finished(self.artifacts, self.name)

    @property
    def partial(self) -> Path:
        """The state of an interrupted run."""
        return checkpoint.partial(self.artifacts, self.name)

    @property
    def state(self) -> Path:
        """The state of a finished run."""
        return checkpoint.state(self.artifacts, self.name)

    @property
    def history(self) -> Path:
        """A row an epoch."""
        return self.artifacts / f"{self.name}.history.parquet"

    @property
    def written(self) -> list[Path]:
        """All of them."""
        return [self.finished, self.partial, self.state, self.history]


def _trained(
    kind: str, config: TrainConfig, places: Places, data: Data, manner: Manner, earlier: dict[str, Any]
) -> Run:
    """As `train`, where no other process trains the same.

    config: with all sizes.  earlier: what the provenance says of the model that it starts from.
    """
    name, start, finish, numbering = places.name, manner.start, manner.finish, manner.numbering
    if config.solves_first and (start is None or earlier["new"]):
        log.info("%s: solving for the vectors that it starts from ...", name)
    began = time.perf_counter()
    model, parents = build(kind, data, config, None if start is None else start.content)
    claim(places.written, inputs=[config.artifacts / parent for parent in parents])
    preparing = time.perf_counter() - began
    model.to(config.device)
    numbered = None if numbering is None else numbering.name_and_checksum
    provenance = checkpoint.provenance(kind, config, data, parents, start=earlier or None, numbered_by=numbered)
    run = Run(model, None if model.closed_form else model.optimizer(), preparing)
    if start is not None and not model.closed_form:
        run.carry_on()
    (unfinished if finish else resume)(name, config, provenance, run)
    weights = sum(p.numel() for p in model.parameters())
    log.info("%s on %s: %s weights, seed %d", name, data.name, f"{weights:,}", config.seed)
    if chosen := said(config, data.histories.lengths):
        log.info(chosen)
    if start is not None:
        told = "starts from %s: %s items keep their weights, %s are new, %s are gone"
        log.info(told, start.path, *(f"{earlier[key]:,}" for key in ("kept", "new", "dropped")))
    if numbering is not None:
        told = "items have their indexes of %s: %s of them are gone and nobody gets them"
        log.info(told, numbering.path, f"{len(data.retired):,}")
    if not len(validation_rows(data, config)):
        log.info(_unmeasured(model, config))
    try:
        for record in () if finish else fit(run, data, config):
            log.info(_line(record))
            if not model.closed_form:
                checkpoint.save(places.partial, _state(provenance, data, run) | run.state())
    except KeyboardInterrupt:
        log.info(lost(run, places.partial))
        raise
    if finish:
        complete(run, data, config)
    by = None if model.closed_form else ended_by(run.epochs, config.epochs, finish)
    if why := _ended(run, config, by):
        log.info(why)
    with replacing(places.history, owned=True) as temporary:
        table = pl.DataFrame([asdict(record) for record in run.records], schema_overrides=HISTORY)
        table.with_columns(preparation_seconds=pl.lit(run.preparation_seconds)).write_parquet(temporary, metadata=MARK)
    provenance = provenance | {"config": provenance["config"] | run.chosen | dict(run.model.chosen)}
    checkpoint.save(places.finished, _state(provenance, data, run) | {"ended": by})
    if manner.keep_state and places.partial.is_file():
        places.partial.replace(places.state)
    else:
        places.partial.unlink(missing_ok=True)
        places.state.unlink(missing_ok=True)
    return run


def ends_at_best(run: Run, config: TrainConfig) -> bool:
    """Whether the last epoch that was allowed has a higher validation NDCG than each one before, so that training was
    cut short; never of a model without epochs, nor without validation, nor with one epoch alone."""
    measured = [record.validation_ndcg_at_10 or 0.0 for record in run.records]
    if run.model.closed_form or len(measured) < 2 or run.records[-1].epoch < config.epochs:
        return False
    return measured[-1] > max(measured[:-1])


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
        "best": asdict(run.best_record) | run.final,
        "history": [asdict(record) for record in run.records],
    }


def _line(record: EpochRecord) -> str:
    return (
        f"epoch {record.epoch:>3}  train loss {_number(record.train_loss)}  validation loss "
        f"{_number(record.validation_loss)}  hit@10 {_percent(record.validation_hit_at_10)}  "
        f"ndcg@10 {_percent(record.validation_ndcg_at_10)}  {record.seconds:6.2f} s"
    )


def _ended(run: Run, config: TrainConfig, by: str | None) -> str:
    """Why training ended, where that is a question."""
    if by == STOPPED:
        return f"ended since {ending(by, run.epochs, config.epochs, config.patience)}"
    if ends_at_best(run, config):
        return "the best epoch is the last that was allowed: more --epochs would help"
    if by is None or not config.patience:
        return ""
    return f"ended since {ending(by, run.epochs, config.epochs, config.patience)}"


def _number(loss: float | None) -> str:
    return f"{'-':>8}" if loss is None else f"{loss:8.4f}"


def _percent(share: float | None) -> str:
    return f"{'-':>6}  " if share is None else f"{share * 100:6.2f} %"


def _unmeasured(model: ScoringModel, config: TrainConfig) -> str:
    """What follows from a table that holds nothing out for validation, in words."""
    said = "nothing is held out for validation, so nothing is measured"
    if model.closed_form:
        return said
    epochs = "the one epoch is" if config.epochs == 1 else f"all {config.epochs} epochs are"
    kept = "the averaged" if config.average else "the last"
    off = f" whatever --patience {config.patience}" if config.patience else ""
    return f"{said}: {epochs} trained{off}, and {kept} weights are kept"
