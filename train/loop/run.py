"""A model in training: what was reached so far, and everything that a resumed run needs.

In: a model and its optimizer. Out: a record an epoch, the moving average of the weights, the best weights.
`train.loop.loop` moves it forward; `train.saved.checkpoint` keeps what `state` gives.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from infer.system.memory import Trimming
from train.models.base import ScoringModel
from train.models.rows import RowAdamW

# Chosen on validation: an average that begins anew forgets within an epoch what makes the earlier weights good. Where
# an epoch has a few steps, it has followed as many epochs as where BEHIND was chosen: else nothing would move it.
BEHIND, BEHIND_EPOCHS = 10_000, 40


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch cost and brought: losses in the model's own unit (None for a model that has no
    loss, being solved in closed form), metrics in [0, 1], seconds, and PyTorch's threads (None in older records). What
    is validated is None where nothing is held out for it."""

    # 0 is what a continued model starts with, before any training.
    epoch: int
    train_loss: float | None
    validation_loss: float | None
    validation_hit_at_10: float | None
    validation_ndcg_at_10: float | None
    seconds: float
    threads: int | None = None


@dataclass(frozen=True)
class Midway:
    """How far an epoch is.

    steps: that were made.  loss, count: their losses' sum and the predictions it is of.  seconds: of training.
    random: the state of the generator of dropout, of each process that trains.
    """

    steps: int
    loss: float
    count: int
    seconds: float
    random: list[Tensor]


@dataclass
class Run:
    """A model in training.

    optimizer: None of a model in closed form.  preparation_seconds: what making the model took, with the vectors it
    starts from.  continued: whether it starts from the weights of an earlier one, which then count as epoch 0.
    until: the epoch after which it ends, if an earlier training found that one best (`train.saved.refit`).
    average: the moving average of its weights, if one is kept, over so many steps.  best: the weights of
    the epoch with the highest validation NDCG, if the configuration has a patience and there is one.  records: one an
    epoch.  compared_from: the first epoch that `best` was chosen among, later ones than 1 where patience was given to
    a run that had none.  midway: how far the next epoch is, if it has begun.  chosen, tried, final: of a finished
    model, the options that were found after its training, what they were chosen by, and what is measured then.
    trimming: of the memory that its steps have freed.
    """

    model: ScoringModel
    optimizer: torch.optim.Optimizer | None
    preparation_seconds: float = 0.0
    continued: bool = False
    until: int | None = None
    average: dict[str, Tensor] | None = None
    steps: int = 0
    best: dict[str, Tensor] | None = None
    records: list[EpochRecord] = field(default_factory=list)
    compared_from: int = 0
    midway: Midway | None = None
    chosen: dict[str, Any] = field(default_factory=dict)
    tried: dict[str, Any] = field(default_factory=dict)
    final: dict[str, float | None] = field(default_factory=dict)
    trimming: Trimming = field(default_factory=Trimming)

    @property
    def epochs(self) -> int:
        """How many epochs were trained."""
        return self.records[-1].epoch if self.records else 0

    @property
    def best_record(self) -> EpochRecord:
        """Of the kept weights: the epoch with the highest validation NDCG, or the last."""
        if self.best is None:
            return self.records[-1]
        compared = [record for record in self.records if record.epoch >= self.compared_from]
        return max(compared, key=lambda record: (record.validation_ndcg_at_10 or 0.0, -record.epoch))

    def carry_on(self, epoch_steps: int) -> None:
        """Say that the model starts from an earlier one's weights: its average begins with them.

        It moves on from them slowly, as one that has followed BEHIND steps already, or BEHIND_EPOCHS of so many.
        """
        behind = min(BEHIND, BEHIND_EPOCHS * epoch_steps)
        self.continued, self.average, self.steps = True, self.weights(), behind

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Let the exponential moving average of the weights follow one more step.

        Its decay grows with the steps, so that an early average does not remember the first weights.
        """
        self.steps += 1
        if self.average is None:
            self.average = self.weights()
        decay = min(decay, self.steps / (self.steps + 10))
        # What is fixed is its own average, and may be large.
        moved = [(name, weight) for name, weight in self.model.named_parameters() if weight.requires_grad]
        if isinstance(self.optimizer, RowAdamW):
            tables = {id(table) for table in self.optimizer.tables}
            for name, weight in moved:
                if id(weight) in tables:
                    self.optimizer.follow(weight, self.average[name], decay)
            moved = [(name, weight) for name, weight in moved if id(weight) not in tables]
        torch._foreach_lerp_([self.average[name] for name, _ in moved], [weight for _, weight in moved], 1 - decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The model with the average of its weights, if there is one, and with its own again afterwards."""
        self.catch_up()
        if self.average is None:
            yield
            return
        weights = self.weights()
        self.model.load_state_dict(self.average)
        try:
            yield
        finally:
            self.model.load_state_dict(weights)

    def add(self, record: EpochRecord, keep_best: bool) -> None:
        """Add an epoch's record; its weights, which the model has now, are kept if it is better than all before."""
        found, best = record.validation_ndcg_at_10, self.best_record.validation_ndcg_at_10 if self.best else None
        if keep_best and found is not None and (best is None or found > best):
            self.best = self.weights()
        self.records.append(record)

    def finish(self) -> None:
        """Give the model the weights that are to be kept: the best, else the average, else its own."""
        self.catch_up()
        kept = self.best or self.average
        if kept is not None:
            self.model.load_state_dict(kept)

    def catch_up(self) -> None:
        """Bring rows of tables up to date that no step has read lately."""
        if isinstance(self.optimizer, RowAdamW):
            self.optimizer.catch_up()

    def weights(self) -> dict[str, Tensor]:
        """A copy of the model's weights."""
        return {name: weight.detach().clone() for name, weight in self.model.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs, as tensors and plain values."""
        return {
            "model": self.weights(),
            "optimizer": self.optimizer.state_dict() if self.optimizer else None,
            "average": self.average,
            "steps": self.steps,
            "best": self.best,
            "compared_from": self.compared_from,
            "midway": None if self.midway is None else vars(self.midway),
            "history": [asdict(record) for record in self.records],
        }

    def load(self, state: dict[str, Any], keep_best: bool | None = None) -> None:
        """Continue from what `state` gave, on the model's device.

        keep_best: whether the weights of the best epoch are kept from now on; None: as before. Of a run that kept none
        its last epoch is the first that others are compared with.
        """
        device = next(iter(self.model.state_dict().values())).device
        self.model.load_state_dict(state["model"])
        if self.optimizer is not None:
            self.optimizer.load_state_dict(state["optimizer"])
        self.preparation_seconds = state["preparation_seconds"]
        self.steps = state["steps"]
        self.average, self.best = (_on(device, state[name]) for name in ("average", "best"))
        if isinstance(self.optimizer, RowAdamW) and self.average is not None:
            # Rows that are read in the next step have missed steps of the average, too.
            tables = {id(table) for table in self.optimizer.tables}
            self.optimizer.averages = {
                weight: self.average[name] for name, weight in self.model.named_parameters() if id(weight) in tables
            }
        self.records = [EpochRecord(**row) for row in state["history"]]
        self.compared_from = state.get("compared_from", 0)
        self.midway = Midway(**state["midway"]) if state.get("midway") else None
        if keep_best is False:
            self.best = None
        elif keep_best and not self.best and self.records and self.records[-1].validation_ndcg_at_10 is not None:
            self.compared_from = self.epochs
            if self.midway:  # these weights are of no epoch
                self.compared_from += 1
            elif self.average:  # which moves on
                self.best = {name: weight.clone() for name, weight in self.average.items()}
            else:
                self.best = self.weights()


def _on(device: torch.device, weights: dict[str, Tensor] | None) -> dict[str, Tensor] | None:
    return None if weights is None else {name: weight.to(device) for name, weight in weights.items()}
