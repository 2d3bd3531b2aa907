"""Matrix factorization: a user vector and an item vector each, whose dot product is the score.

In: (user, item, rating), or which items each user rated. Out: a score for every item of a user.
With `preset=paper` it is the paper's first model: squared error of the ratings by Adam.

    python -m train mf
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from infer.errors import InputError
from infer.histories.vocabulary import PAD
from infer.model.metadata import CLOSED_FORM, NONE
from infer.model.modelfile import LARGEST_VALUE
from infer.model.signature import USER_INPUT
from train.config import MFConfig
from train.data.dataset import Data
from train.models import initial
from train.models.base import ScoringModel, share
from train.models.carried import carry, places
from train.models.weights import check_weights

# Vectors that the solver draws are uniform from 0 to this.
SOLVER_START = 0.01


def rating_batches(ratings: tuple[Tensor, ...], size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, ...]]:
    """Shuffled (user (batch,), item (batch,), rating (batch,)) triples, each once."""
    order = torch.randperm(len(ratings[0]), generator=generator)
    for rows in order.split(size):
        yield tuple(column[rows] for column in ratings)


@dataclass(frozen=True)
class RatingBatch:
    """(batch,) users, items and their ratings."""

    user: Tensor
    item: Tensor
    rating: Tensor

    def __len__(self) -> int:
        return len(self.user)

    def to(self, device: torch.device) -> "RatingBatch":
        """The same on another device."""
        return RatingBatch(self.user.to(device), self.item.to(device), self.rating.to(device))

    @property
    def mass(self) -> float:
        """Every rating counts 1."""
        return float(len(self))

    def part(self, rank: int, size: int) -> "RatingBatch":
        """One of `size` parts of the ratings."""
        rows = share(len(self), rank, size)
        return RatingBatch(self.user[rows], self.item[rows], self.rating[rows])


class MF(ScoringModel):
    """Two embedding tables, (users + 1, k) and (items + 1, k), row 0 of each being padding."""

    input_names = (USER_INPUT,)
    is_continued = False  # whether `solve` starts from the vectors that are there
    appends_columns = True

    def __init__(self, users: int, items: int, config: MFConfig) -> None:
        super().__init__()
        config.check()
        self.config, self.user_count = config, users
        self.closed_form = config.objective == "implicit"
        # Of ratings as weights the file of users does not know enough, of predicted ratings there is no such sum.
        self.attribution = CLOSED_FORM if self.closed_form and config.ratings != "weight" else NONE
        self.users = nn.Embedding(users + 1, config.dim, padding_idx=PAD)
        self.items = nn.Embedding(items + 1, config.dim, padding_idx=PAD)
        for table in (self.users, self.items):
            nn.init.normal_(table.weight, std=config.initial_std)
            nn.init.zeros_(table.weight[PAD])

    def forward(self, user: Tensor) -> Tensor:
        """Scores of every item: (batch,) user indexes to (batch, items + 1)."""
        return self.users(user) @ nn.functional.pad(self.items.weight, (0, 0, 0, self.extra_columns)).T

    @property
    def vectors(self) -> dict[str, int]:
        """All numbers are one part."""
        return {"items": self.config.dim}

    @property
    def item_rows(self) -> tuple[str, ...]:
        """Their vectors alone."""
        return ("items.weight",)

    def rate(self, user: Tensor, item: Tensor) -> Tensor:
        """Predicted ratings of pairs: (batch,), (batch,) to (batch,), in the ratings' own unit."""
        return (self.users(user) * self.items(item)).sum(-1)

    def loss(self, batch: RatingBatch) -> Tensor:
        """Mean squared error of the predicted ratings."""
        return nn.functional.mse_loss(self.rate(batch.user, batch.item), batch.rating)

    def optimizer(self) -> torch.optim.Optimizer:
        """Adam, as in the paper."""
        return torch.optim.Adam(self.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay)

    def expected_steps(self, data: Data) -> int:
        """Steps of an epoch."""
        return 0 if data.ratings is None else math.ceil(len(data.ratings[0]) / self.config.batch_size)

    def training_batches(self, data: Data, generator: torch.Generator) -> Iterator[RatingBatch]:
        """Every training rating once; raises InputError if the table has no ratings, or too large ones."""
        if data.ratings is None:
            raise InputError(
                f"{data.name} has no ratings, which mf with --objective ratings learns from; state its --rating-column"
            )
        user, item, rating = data.ratings
        largest = rating.abs().max().item()
        if not largest <= LARGEST_VALUE:
            raise InputError(
                f"{data.name} has a rating as large as {largest:g}, whose square is beyond what is trained in: "
                "scale the ratings down, or train with --objective=implicit"
            )
        ratings = (torch.from_numpy(data.trained)[user - 1], item, rating)
        return (RatingBatch(*batch) for batch in rating_batches(ratings, self.config.batch_size, generator))

    def solve(self, data: Data) -> None:
        """Weighted alternating least squares on what was rated (Hu, Koren & Volinsky 2008)."""
        config, start = self.config, None
        if self.is_continued:
            users = self.users.weight.detach().cpu()[torch.from_numpy(data.trained)]
            start = users.numpy(), self.items.weight.detach().cpu()[1:].numpy()
        factors = initial.ials(
            data, config.dim, config.epochs, config.confidence, config.regularization, config.seed,
            weighted=config.ratings == "weight", start=start,
        )  # fmt: skip
        factors[0] = factors[0][np.concatenate([[PAD], np.flatnonzero(data.trained) + 1])]
        with torch.no_grad():
            for table, values in zip((self.users, self.items), factors, strict=True):
                table.weight.copy_(torch.from_numpy(values))

    def validation_loss(self, scores: Tensor, data: Data, rows: Tensor) -> Tensor | None:
        """Mean squared error of the held-out ratings; None for the implicit objective, and where there are none."""
        if self.closed_form or data.validation_ratings is None:
            return None
        user, _, rating = (column.to(scores.device) for column in data.validation_ratings)
        held = torch.full((len(data.user_ids) + 1,), torch.nan, device=scores.device)
        held = held.scatter(0, user.long(), rating)[rows + 1]
        predicted = scores.gather(1, data.target(rows).to(scores.device)[:, None]).squeeze(1)
        rated = ~held.isnan()
        return nn.functional.mse_loss(predicted[rated], held[rated]) if rated.any() else None

    def inputs(self, data: Data, rows: Tensor) -> tuple[Tensor, ...]:
        """The users' own indexes; PAD, whose scores are all zero, for users whom training does not see."""
        return (torch.from_numpy(data.trained)[rows],)


def build(data: Data, config: MFConfig) -> tuple[MF, dict[str, str]]:
    """A model of the users whom training sees, and of all items; it starts from no checkpoint."""
    if config.ratings == "weight":
        check_weights(data)
    return MF(len(data.trained_ids), len(data.item_ids), config), {}


def continued(data: Data, config: MFConfig, earlier: dict[str, Any]) -> tuple[MF, dict[str, str]]:
    """A model with an earlier one's vectors of the same users and items, from which both objectives go on.

    New ones have small random vectors, with --objective=implicit as its solver draws them.
    """
    model, parents = build(data, config)
    if model.closed_form:
        generator = torch.Generator().manual_seed(config.seed)
        for table in (model.users, model.items):
            table.weight.data[1:] = torch.rand(table.weight[1:].shape, generator=generator) * SOLVER_START
    users, items = places(data.trained_ids, earlier["user_ids"]), places(data.item_ids, earlier["item_ids"])
    carry(model, earlier["model"], {"users.weight": users, "items.weight": items})
    model.is_continued = True
    return model, parents


def empty(state: dict[str, Any], config: MFConfig) -> MF:
    """The model that a checkpoint's weights fit into."""
    return MF(len(state["user_ids"]), len(state["item_ids"]), config)
