"""Matrix factorization of ratings: the paper's first model, whole.

In: (user, item, rating). Out: a score for every item of a user, the dot product u . v.

    python -m train mf
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from infer.errors import InputError
from infer.schema import PAD
from train.batches import Data, rating_batches
from train.config import MFConfig


class MF(nn.Module):
    """Two embedding tables, (users + 1, k) and (items + 1, k), row 0 of each being padding."""

    input_name = "user"
    window = 0

    def __init__(self, users: int, items: int, config: MFConfig) -> None:
        super().__init__()
        self.config = config
        self.users = nn.Embedding(users + 1, config.dim, padding_idx=PAD)
        self.items = nn.Embedding(items + 1, config.dim, padding_idx=PAD)
        for table in (self.users, self.items):
            nn.init.normal_(table.weight, std=config.initial_std)
            nn.init.zeros_(table.weight[PAD])

    def forward(self, user: Tensor) -> Tensor:
        """Scores of every item: (batch,) user indexes to (batch, items + 1)."""
        return self.users(user) @ self.items.weight.T

    def rate(self, user: Tensor, item: Tensor) -> Tensor:
        """Predicted ratings of pairs: (batch,), (batch,) to (batch,), in the ratings' own unit."""
        return (self.users(user) * self.items(item)).sum(-1)

    def loss(self, user: Tensor, item: Tensor, rating: Tensor) -> Tensor:
        """Mean squared error of the predicted ratings."""
        return nn.functional.mse_loss(self.rate(user, item), rating)

    def optimizer(self) -> torch.optim.Optimizer:
        """Adam, as in the paper."""
        return torch.optim.Adam(self.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay)

    def start_epoch(self, epoch: int) -> None:
        """Nothing changes between epochs."""

    def training_batches(self, data: Data, generator: torch.Generator) -> Iterator[tuple[Tensor, ...]]:
        """Every training rating once; raises InputError if the table has no ratings."""
        if data.ratings is None:
            raise InputError(f"{data.name} has no ratings, which mf learns from; state its --rating-column")
        return rating_batches(data.ratings, self.config.batch_size, generator)

    def validation_batches(self, data: Data, rows: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """The held-out ratings, all users."""
        yield data.validation_ratings

    def inputs(self, data: Data, rows: Tensor) -> Tensor:
        """What `forward` takes for the users in these rows."""
        return rows + 1
