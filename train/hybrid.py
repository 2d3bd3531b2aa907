"""The hybrid: MiniBERT4Rec that starts from the item vectors of matrix factorization.

In: artifacts/mf.pt and what MiniBERT4Rec takes. Out: as MiniBERT4Rec. The item embeddings are the
MF vectors plus a little noise, stay fixed for the first epochs, and are trained from then on.

    python -m train hybrid
"""

import torch
from torch import Tensor, nn

from infer.errors import InputError
from train.bert import MiniBERT4Rec
from train.config import HybridConfig


class Hybrid(MiniBERT4Rec):
    """MiniBERT4Rec whose rows 1 to n of the item embedding come from `item_vectors` (items + 1, dim)."""

    def __init__(self, items: int, config: HybridConfig, item_vectors: Tensor) -> None:
        super().__init__(items, config)
        if item_vectors.shape != (self.mask, config.dim):
            raise InputError(
                f"the item vectors of mf.pt are {tuple(item_vectors.shape)}; expected {(self.mask, config.dim)}: "
                "train mf on this table with the same --dim"
            )
        noise = torch.randn(items, config.dim) * config.perturbation
        with torch.no_grad():
            self.items.weight[1 : self.mask] = item_vectors[1:] + noise

    def start_epoch(self, epoch: int) -> None:
        """Fix the item embeddings in the first `frozen_epochs` epochs, free them afterwards."""
        frozen = epoch <= self.config.frozen_epochs
        table: nn.Parameter = self.items.weight
        table.requires_grad_(not frozen)
        if frozen:
            table.grad = None
