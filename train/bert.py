"""MiniBERT4Rec: the paper's sequence model, whole.

In: windows of item indexes, oldest to newest, left-padded. Out: a score for every item.
Bidirectional like BERT4Rec (Sun et al. 2019), with item embeddings only: no positions, and a
linear head of its own instead of the tied embeddings.

    python -m train bert
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from infer.errors import InputError
from infer.schema import PAD
from infer.sequences import windows
from train.batches import Data, one_masked
from train.config import BertConfig


class MiniBERT4Rec(nn.Module):
    """Encoder over the window; the state at a position scores the item that belongs there.

    The embedding has items + 2 rows: padding, the items, and the mask token.
    """

    input_name = "window"

    def __init__(self, items: int, config: BertConfig) -> None:
        super().__init__()
        if config.dim % config.heads:
            raise InputError(f"--dim {config.dim} is not a multiple of --heads {config.heads}")
        if config.dropout >= 1:
            raise InputError(f"--dropout {config.dropout} is not below 1")
        self.config, self.window = config, config.window
        self.mask = items + 1
        self.items = nn.Embedding(self.mask + 1, config.dim, padding_idx=PAD)
        layer = nn.TransformerEncoderLayer(
            config.dim, config.heads, config.feedforward, config.dropout, activation="relu", batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.head = nn.Linear(config.dim, self.mask)

    def states(self, window: Tensor) -> Tensor:
        """(batch, length) item indexes to (batch, length, dim)."""
        padding = window == PAD  # (batch, length)
        # The newest position always attends to itself: a window of padding alone stays finite.
        padding = padding & (torch.arange(window.shape[1], device=window.device) < window.shape[1] - 1)
        return self.encoder(self.items(window), src_key_padding_mask=padding)

    def forward(self, window: Tensor) -> Tensor:
        """Scores of the next item, read at the last position: (batch, length) to (batch, items + 1)."""
        return self.head(self.states(window)[:, -1])

    def loss(self, window: Tensor, position: Tensor, item: Tensor) -> Tensor:
        """Cross-entropy of the hidden item at its position, over all items."""
        state = self.states(window)[torch.arange(len(window), device=window.device), position]  # (batch, dim)
        return nn.functional.cross_entropy(self.head(state), item)

    def optimizer(self) -> torch.optim.Optimizer:
        """AdamW, as in the paper."""
        return torch.optim.AdamW(self.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay)

    def start_epoch(self, epoch: int) -> None:
        """Nothing changes between epochs."""

    def training_batches(self, data: Data, generator: torch.Generator) -> Iterator[tuple[Tensor, ...]]:
        """Each user's latest window once, one random position of it masked."""
        sequences = torch.from_numpy(windows(data.histories, self.window))
        return one_masked(sequences, self.mask, self.config.batch_size, generator)

    def validation_batches(self, data: Data, rows: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """The next item after each training history, at the last position, as in the evaluation."""
        targets = torch.from_numpy(data.targets)
        for part in rows.split(256):
            window = self.inputs(data, part)
            yield window, torch.full((len(part),), self.window - 1), targets[part]

    def inputs(self, data: Data, rows: Tensor) -> Tensor:
        """What `forward` takes for the users in these rows."""
        return torch.from_numpy(windows(data.histories.take(rows.numpy()), self.window))
