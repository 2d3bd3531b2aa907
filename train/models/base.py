"""What a model is: the one contract that training, validation, the blend and the export rely on.

In: of each user what the model reads, by default a window of the latest items. Out: a score for every item. A new
model is a subclass that says where it differs from what stands here, and an entry in `train.kinds`:

    scores = model(*model.inputs(data, rows))  # (users, items + 1)
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from infer.model.metadata import DELETION
from infer.model.signature import WINDOW_INPUT
from train.data.dataset import Data


class Batch(Protocol):
    """What one step of training reads."""

    def __len__(self) -> int:
        """How many predictions its loss is the mean of."""

    @property
    def mass(self) -> float:
        """What its loss is divided by: the sum of its predictions' weights."""

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""

    def part(self, rank: int, size: int) -> "Batch":
        """One of `size` parts, that of process `rank`; it may be empty."""


class ScoringModel(nn.Module):
    """A model that gives every item a score, trained by steps on a loss or, if `closed_form`, by `solve`.

    What the exported file states:

    input_names: what `forward` takes, in order: `window`, or `window` and `levels`, or `user`.
    window: length of the windows, the newest item last, padding (index 0) before the oldest; 0 without windows.
    user_count: how many users there are if `user` is read; else 0.
    level_count: how many rating levels there are if `levels` is read, each of them 1 to level_count; else 0.
    any_length: whether `forward` takes shorter windows too, with the same scores as if they were padded.
    appends_columns: whether `forward` puts `extra_columns` columns of zeros behind the scores, so that the export can
    take the top k by blocks; such a model's last operation is one product of states and items.
    attribution: how the contribution of an item of the history to a score is found (`infer.model.metadata`).
    coded: whether items have codes, from which their side of that product is put together in the graph.
    item_rows: names of the weights, as in `state_dict`, that have a row for each item, by index.
    vectors: the parts of an item's side of that product and their sizes, in order; empty if it ends in none.

    What training and the blend ask:

    closed_form: whether `solve` trains it, in one epoch and without an optimizer.
    from_content: whether it scores by what items are, so that it alone can judge an item that nobody has rated.
    provenances: of a model made of others what their checkpoints say of themselves, in order; else none.
    chosen: options that `solve` found, which a checkpoint keeps instead of those that were given.
    """

    input_names: tuple[str, ...] = (WINDOW_INPUT,)
    window: int = 0
    user_count: int = 0
    level_count: int = 0
    any_length: bool = False
    appends_columns: bool = False
    extra_columns: int = 0
    coded: bool = False
    attribution: str = DELETION
    closed_form: bool = False
    from_content: bool = False
    provenances: Sequence[dict[str, Any]] = ()
    chosen: Mapping[str, Any] = MappingProxyType({})

    @property
    def vectors(self) -> dict[str, int]:
        """The parts of an item's vector, by name, and how many numbers each has."""
        return {}

    @property
    def item_rows(self) -> Sequence[str]:
        """By these items can be put into another order."""
        return ()

    def inputs(self, data: Data, rows: Tensor) -> tuple[Tensor, ...]:
        """What `forward` takes for the users in these rows (users,) of `data`: int64, in the order of `input_names`."""
        return (data.windows(rows, self.window),)

    def forward(self, *inputs: Any, **named: Any) -> Tensor:
        """Scores: (batch, window) items, and levels, or (batch,) users, all int64, to (batch, items + 1) float32.

        Column n is the item with index n; column 0, of padding, means nothing. Higher is better, in any unit.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it scores")

    def validation_loss(self, scores: Tensor, data: Data, rows: Tensor) -> Tensor | None:
        """Mean loss of the validation items of the users in these rows, whose `scores` (users, items + 1) are given,
        in the model's own unit; None, as here, if it has no loss."""
        return None

    def take(self, content: Mapping[str, Any]) -> None:
        """Take over what validation found for the earlier model in a checkpoint's content, where options do not say it;
        here nothing. Raises InputError if that does not fit."""

    def solve(self, data: Data) -> None:
        """Set the weights in closed form; raises InputError if the data do not suffice."""
        raise NotImplementedError(f"{type(self).__name__} is not solved in closed form")

    def training_batches(self, data: Data, generator: torch.Generator) -> Iterator[Batch]:
        """One epoch of batches, on the CPU; all that is random in them comes from `generator`.

        Raises InputError if the data lack what it learns from.
        """
        raise NotImplementedError(f"{type(self).__name__} has no batches to be trained on")

    def expected_steps(self, data: Data) -> int:
        """About how many steps an epoch has, 0 if it cannot say: for progress, and for rates that change with them."""
        return 0

    def loss(self, batch: Any) -> Tensor:
        """Scalar mean loss of a batch that lies on the model's device, with gradients."""
        raise NotImplementedError(f"{type(self).__name__} has no loss to be trained by")

    def optimizer(self) -> torch.optim.Optimizer:
        """A new optimizer of all the weights."""
        raise NotImplementedError(f"{type(self).__name__} has no optimizer")

    def spare(self) -> None:
        """Hold what a file has of each item in fewer bytes, where the model is `coded`; here nothing."""

    def join_tables(self) -> None:
        """Have what scores an item in one table, from which a graph that scores some items takes rows as they are; here
        it is in one."""

    def part_tables(self) -> None:
        """Undo `join_tables`."""

    def start_epoch(self, epoch: int) -> None:
        """Change what changes between epochs, which count from 1; here nothing."""


def share(count: int, rank: int, size: int) -> slice:
    """Which of `count` rows process `rank` of `size` has; every row is one's, and numbers differ by at most 1."""
    return slice(count * rank // size, count * (rank + 1) // size)
