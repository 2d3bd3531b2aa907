"""Item vectors that are put together from shared parts, as in RecJPQ (Petrov & Macdonald, WSDM 2024, arXiv 2312.06165).

In: codes, a byte each. Out: vectors (..., dim): the sum of one of some whole vectors, whose number is the first two
codes, and of parts that stand beside each other, one of the 256 of its place for each further code (as inverted files
with product quantisation have it; Jégou, Douze & Schmid 2011, section IV). Whole vectors and parts are trained with the
model, the codes are set before (`train.models.codes`), so that an item takes as many bytes as it has codes, in training
and in the file.

    python -m train bert --codes=8
"""

import torch
from torch import Tensor, nn

CODES = 256  # of each place: a byte
NUMBER = 2  # codes that are the number of a whole vector
MOST = 4096  # whole vectors: of more, to find the nearest takes long
SCORES = 2**18  # at once, in search of the nearest: what a core has beside it


def whole_vectors(rows: int) -> int:
    """How many there are for so many items: of a million and 64 dimensions they take a byte of each in the file."""
    return min(MOST, max(CODES, rows // CODES))


class CodedVectors(nn.Module):
    """A table of vectors, in the place of `nn.Embedding`.

    weight: (parts, CODES, dim / parts), drawn from the normal distribution of standard deviation 1.  whole: (n, dim),
    0.  codes: (rows, NUMBER + parts) uint8, 0 until they are set.  n: None: as many as the rows should have.
    """

    codes: Tensor
    first: Tensor
    whole: Tensor

    def __init__(self, rows: int, dim: int, parts: int, n: int | None = None) -> None:
        super().__init__()
        n = whole_vectors(rows) if n is None else n
        self.weight = nn.Parameter(torch.randn(parts, CODES, dim // parts))
        if n:
            self.whole = nn.Parameter(torch.zeros(n, dim))
        else:  # as earlier versions had it
            self.register_buffer("whole", torch.zeros(0, dim), persistent=False)
        self.register_buffer("codes", torch.zeros(rows, self.number + parts, dtype=torch.uint8))
        self.register_buffer("first", torch.arange(parts, dtype=torch.int32) * CODES, persistent=False)

    @property
    def number(self) -> int:
        """How many codes are the number of a whole vector."""
        return NUMBER if len(self.whole) else 0

    def forward(self, items: Tensor | slice) -> Tensor:
        """(..., dim) vectors of the rows `items` (...)."""
        return self.decoded(self.codes[items])

    def decoded(self, codes: Tensor) -> Tensor:
        """(..., number + parts) uint8 to (..., dim)."""
        places = codes.int()
        parts = places[..., self.number :] + self.first
        vectors = nn.functional.embedding(parts, self.weight.flatten(0, 1)).flatten(-2)
        if not self.number:
            return vectors
        return vectors + nn.functional.embedding(places[..., 0] + CODES * places[..., 1], self.whole).float()

    @torch.no_grad()
    def encoded(self, vectors: Tensor) -> Tensor:
        """(n, dim) to (n, number + parts) uint8: the nearest whole vector, and of what is left of each part."""
        if self.number:
            place = nearest(vectors, self.whole)
            numbers, vectors = split(place), vectors - self.whole[place]
        else:
            numbers = self.codes.new_zeros(len(vectors), 0)
        parts = vectors.unflatten(1, (len(self.weight), -1)).unbind(1)
        found = [nearest(own, centres) for own, centres in zip(parts, self.weight, strict=True)]
        return torch.cat([numbers, torch.stack(found, 1).to(torch.uint8)], 1)


def split(number: Tensor) -> Tensor:
    """(n,) numbers of whole vectors to (n, NUMBER) uint8."""
    return torch.stack([number % CODES, number // CODES], 1).to(torch.uint8)


def nearest(points: Tensor, centres: Tensor) -> Tensor:
    """(n, dim) to (n,): the index of the nearest of the centres (m, dim)."""
    half = centres.square().sum(1) / 2
    rows = points.split(max(1, SCORES // len(centres)))
    found = [torch.addmm(half, some, centres.T, alpha=-1).argmin(1) for some in rows]
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.int64)
