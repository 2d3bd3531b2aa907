"""Train one model from a prepared data set to a checkpoint, resuming an interrupted run.

In: a kind, its configuration and the artifacts folder. Out: NAME.pt and NAME.history.parquet in that folder.

    train("bert", configuration("bert"))
"""

import logging
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import torch

from infer.errors import InputError
from infer.system.files import replacing
from infer.system.locks import alone
from infer.system.ownership import MARK, claim
from infer.tables.columns import INTERACTIONS_FILE, ITEMS_FILE
from train import checkpoint
from train.config import TrainConfig
from train.data.dataset import Data, load
from train.loop import ending, fit
from train.models.base import ScoringModel
from train.models.registry import build
from train.run import EpochRecord, Run
from train.sizing import said, sized_for
from train.threads import choice, limited
from train.validation import validation_rows

log = logging.getLogger(__name__)

HISTORY = dict.fromkeys(("train_loss", "validation_loss", "validation_hit_at_10", "validation_ndcg_at_10"), pl.Float64)


def train(kind: str, config: TrainConfig, name: str | None = None, threads: int = 0) -> Run:
    """Train from the start or from where an equal run was interrupted; write checkpoint and history.

    threads: 0 for what a short trial finds fastest (`train.threads`). It may be another one when a run is resumed.
    Raises InputError also if another process trains a model of the same name there.
    """
    name = name or kind
    if config.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: PyTorch finds no CUDA device here; use --device cpu")
    history = config.artifacts / f"{name}.history.parquet"
    outputs = [checkpoint.finished(config.artifacts, name), checkpoint.partial(config.artifacts, name), history]
    claim(outputs, inputs=[config.artifacts / INTERACTIONS_FILE, config.artifacts / ITEMS_FILE])
    data = load(config.artifacts)
    with alone(config.artifacts / "locks" / f"{name}.train.lock"):
        config = sized_for(config, data)
        chosen = choice(threads, kind, data, config)
        with limited(chosen.threads):
            if chosen.why:
                log.info(chosen.why)
            return _trained(kind, config, name, data, outputs)


def _trained(kind: str, config: TrainConfig, name: str, data: Data, outputs: list[Path]) -> Run:
    """As `train`, where no other process trains the same.

    config: with all sizes.  outputs: checkpoint, that of a part, and history.
    """
    finished, partial, history = outputs
    if config.solves_first:
        log.info("%s: solving for the vectors that it starts from ...", name)
    began = time.perf_counter()
    model, parents = build(kind, data, config)
    claim(outputs, inputs=[config.artifacts / parent for parent in parents])
    preparing = time.perf_counter() - began
    model.to(config.device)
    provenance = checkpoint.provenance(kind, config, data, parents)
    run = Run(model, None if model.closed_form else model.optimizer(), preparing)
    _resume(name, config, provenance, run)
    weights = sum(p.numel() for p in model.parameters())
    log.info("%s on %s: %s weights, seed %d", name, data.name, f"{weights:,}", config.seed)
    if chosen := said(config, data.histories.lengths):
        log.info(chosen)
    if not len(validation_rows(data, config)):
        log.info(_unmeasured(model, config))
    for record in fit(run, data, config):
        log.info(_line(record))
        if not model.closed_form:
            checkpoint.save(partial, _state(provenance, data, run) | run.state())
    if why := _ended(run, config):
        log.info(why)
    with replacing(history, owned=True) as temporary:
        table = pl.DataFrame([asdict(record) for record in run.records], schema_overrides=HISTORY)
        table.with_columns(preparation_seconds=pl.lit(run.preparation_seconds)).write_parquet(temporary, metadata=MARK)
    provenance = provenance | {"config": provenance["config"] | run.chosen | dict(run.model.chosen)}
    checkpoint.save(finished, _state(provenance, data, run))
    partial.unlink(missing_ok=True)
    return run


def ends_at_best(run: Run, config: TrainConfig) -> bool:
    """Whether the last epoch that was allowed has a higher validation NDCG than each one before, so that training was
    cut short; never of a model without epochs, nor without validation, nor with one epoch alone."""
    measured = [record.validation_ndcg_at_10 or 0.0 for record in run.records]
    if run.model.closed_form or len(measured) < max(config.epochs, 2):
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
        "model": {name: weight.cpu() for name, weight in run.model.state_dict().items()},
        "preparation_seconds": run.preparation_seconds,
        "tried": run.tried,
        "best": asdict(run.best_record) | run.final,
        "history": [asdict(record) for record in run.records],
    }


def _resume(name: str, config: TrainConfig, provenance: dict[str, Any], run: Run) -> None:
    """Load an interrupted run with the same provenance; say so, or why it is not continued."""
    path = checkpoint.partial(config.artifacts, name)
    if not path.is_file():
        return
    state = checkpoint.read(path, "delete it to start afresh")
    if state["provenance"] != provenance:
        log.info("%s is of a run with other options or data: starting afresh", path)
        return
    run.load(state)
    log.info("resuming after epoch %d (%s)", len(run.records), path)


def _line(record: EpochRecord) -> str:
    return (
        f"epoch {record.epoch:>3}  train loss {_number(record.train_loss)}  validation loss "
        f"{_number(record.validation_loss)}  hit@10 {_percent(record.validation_hit_at_10)}  "
        f"ndcg@10 {_percent(record.validation_ndcg_at_10)}  {record.seconds:6.2f} s"
    )


def _ended(run: Run, config: TrainConfig) -> str:
    """Why training ended, where that is a question."""
    if ends_at_best(run, config):
        return "the best epoch is the last that was allowed: more --epochs would help"
    if run.model.closed_form or not config.patience:
        return ""
    return f"ended since {ending(len(run.records), config.epochs, config.patience)}"


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
