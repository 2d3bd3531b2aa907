"""One training loop for every model: a record an epoch, resumable after any of them.

In: a `Run` (model, optimizer, what was reached so far), its data and configuration. Out:
`EpochRecord`s; the command prints them, tests assert them, benchmarks time them. Every random number
of an epoch comes from (seed, epoch), so a run that is resumed between two epochs continues exactly
as if it had never stopped.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from infer.errors import InputError
from infer.system.progress import progress
from train.config import TrainConfig
from train.data.dataset import Data
from train.validation import validate, validation_rows


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch cost and brought: losses in the model's own unit (None for a model that has no
    loss, being solved in closed form), metrics in [0, 1], seconds."""

    epoch: int
    train_loss: float | None
    validation_loss: float | None
    validation_hit_at_10: float
    validation_ndcg_at_10: float
    seconds: float


@dataclass
class Run:
    """A model in training.

    preparation_seconds: what making the model took, with the vectors it starts from.
    average: the moving average of its weights, if one is kept, over so many steps.  best: the weights of the epoch with
    the highest validation NDCG, if the configuration has a patience.  records: one an epoch.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer | None
    preparation_seconds: float = 0.0
    average: dict[str, Tensor] | None = None
    steps: int = 0
    best: dict[str, Tensor] | None = None
    records: list[EpochRecord] = field(default_factory=list)

    @property
    def best_record(self) -> EpochRecord:
        """Of the kept weights: the epoch with the highest validation NDCG, or the last."""
        if self.best is None:
            return self.records[-1]
        return max(self.records, key=lambda record: (record.validation_ndcg_at_10, -record.epoch))

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs, as tensors and plain values."""
        return {
            "model": _weights(self.model),
            "optimizer": self.optimizer.state_dict() if self.optimizer else None,
            "average": self.average,
            "steps": self.steps,
            "best": self.best,
            "history": [asdict(record) for record in self.records],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from what `state` gave."""
        self.model.load_state_dict(state["model"])
        if self.optimizer is not None:
            self.optimizer.load_state_dict(state["optimizer"])
        self.preparation_seconds = state["preparation_seconds"]
        self.average, self.steps, self.best = state["average"], state["steps"], state["best"]
        self.records = [EpochRecord(**row) for row in state["history"]]


def fit(run: Run, data: Data, config: TrainConfig) -> Iterator[EpochRecord]:
    """Train from the next epoch on, to config.epochs or until the patience ends, yielding after each.

    Afterwards the model holds the weights that are to be kept. seconds covers the training of the
    epoch, not its validation. Raises InputError if the loss stops being a finite number.
    """
    device = torch.device(config.device)
    rows = validation_rows(data, config)
    while not _finished(run, config):
        epoch = len(run.records) + 1
        began = time.perf_counter()
        train_loss = _epoch(run, data, config, epoch, device)
        seconds = time.perf_counter() - began
        if train_loss is not None and not np.isfinite(train_loss):
            raise InputError(f"the loss of epoch {epoch} is {train_loss}: try a smaller --learning-rate")
        own = None
        if run.average is not None:
            own = _weights(run.model)
            run.model.load_state_dict(run.average)
        record = EpochRecord(epoch, train_loss, *validate(run.model, data, rows, device), seconds)
        if getattr(config, "patience", 0) and (
            run.best is None or record.validation_ndcg_at_10 > run.best_record.validation_ndcg_at_10
        ):
            run.best = _weights(run.model)
        if own is not None:
            run.model.load_state_dict(own)
        run.records.append(record)
        yield record
    kept = run.best or run.average
    if kept is not None:
        run.model.load_state_dict(kept)


def _finished(run: Run, config: TrainConfig) -> bool:
    patience = getattr(config, "patience", 0)
    done = len(run.records)
    if run.model.closed_form:
        return done > 0
    return done >= config.epochs or bool(patience and done and done - run.best_record.epoch >= patience)


def _epoch(run: Run, data: Data, config: TrainConfig, epoch: int, device: torch.device) -> float | None:
    """One pass over the training batches, or the solution; returns the mean loss, if there is one."""
    if run.model.closed_form:
        run.model.solve(data)
        return None
    model, clip, decay = run.model, getattr(config, "clip", 0.0), getattr(config, "average", 0.0)
    torch.manual_seed(_seed(config.seed, epoch, "dropout"))
    generator = torch.Generator().manual_seed(_seed(config.seed, epoch, "batches"))
    model.train()
    model.start_epoch(epoch)
    total, count = torch.zeros((), device=device), 0
    batches = model.training_batches(data, generator)
    for batch in progress(batches, desc=f"epoch {epoch}/{config.epochs}", unit=" steps", leave=False):
        run.optimizer.zero_grad(set_to_none=True)
        loss = model.loss(batch.to(device))
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        run.optimizer.step()
        if decay:
            _average(run, decay)
        total, count = total + loss.detach() * len(batch), count + len(batch)
    return float(total) / max(count, 1)


@torch.no_grad()
def _average(run: Run, decay: float) -> None:
    """Let the exponential moving average of the weights follow one more step.

    Its decay grows with the steps, so that an early average does not remember the first weights.
    """
    run.steps += 1
    if run.average is None:
        run.average = _weights(run.model)
    decay = min(decay, run.steps / (run.steps + 10))
    for name, weight in run.model.named_parameters():
        if weight.requires_grad:  # what is fixed is its own average, and may be large
            run.average[name].lerp_(weight, 1 - decay)


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in model.state_dict().items()}


def _seed(*parts: int | str) -> int:
    """One 63-bit seed from several parts, so that neighbouring seeds and epochs share no stream."""
    numbers = [p if isinstance(p, int) else int.from_bytes(p.encode()[:8], "big") for p in parts]
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
