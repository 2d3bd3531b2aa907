"""Item vectors that are put together from shared parts, as in RecJPQ (Petrov & Macdonald, WSDM 2024, arXiv 2312.06165).

In: codes, a byte for each part of an item's vector. Out: vectors (..., dim): the parts beside each other, each one of
the 256 of its place. The parts are trained with the model, the codes are set before (`train.models.codes`), so that an
item takes as many bytes as its vector has parts, in training and in the file.

    python -m train bert --codes=8
"""

import torch
from torch import Tensor, nn

CODES = 256  # of each place: a byte


class CodedVectors(nn.Module):
    """A table of vectors, in the place of `nn.Embedding`.

    weight: (parts, CODES, dim / parts), drawn from the normal distribution of standard deviation 1.  codes: (rows,
    parts) uint8, 0 until they are set.
    """

    codes: Tensor
    first: Tensor

    def __init__(self, rows: int, dim: int, parts: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(parts, CODES, dim // parts))
        self.register_buffer("codes", torch.zeros(rows, parts, dtype=torch.uint8))
        self.register_buffer("first", torch.arange(parts, dtype=torch.int32) * CODES, persistent=False)

    def forward(self, items: Tensor | slice) -> Tensor:
        """(..., dim) vectors of the rows `items` (...)."""
        return self.decoded(self.codes[items])

    def decoded(self, codes: Tensor) -> Tensor:
        """(..., parts) uint8 to (..., dim)."""
        return nn.functional.embedding(codes.int() + self.first, self.weight.flatten(0, 1)).flatten(-2)

    @torch.no_grad()
    def encoded(self, vectors: Tensor) -> Tensor:
        """(n, dim) to (n, parts) uint8: of each part the nearest of its place."""
        parts = vectors.unflatten(1, (self.weight.shape[0], -1)).transpose(0, 1)  # (parts, n, dim / parts)
        return torch.cdist(parts, self.weight).argmin(2).T.to(torch.uint8)
