"""Gated layers whose attention is pointwise instead of a softmax, with a bias by distance (HSTU, Zhai et al. 2024).

In: hidden states (batch, length, dim), left-padded. Out: the same, or of the last position alone. "Actions Speak
Louder than Words", equations 1 to 3, without its bias by time: u, v, q, k = silu(W norm(x)); each position sums the
values before it times silu(q k + bias of the distance) / length, which is normed and gated by u. A sum instead of a
mean keeps how often something was there; one layer stands for attention and feed-forward block together.

    python -m train bert --block=hstu
"""

import torch
from torch import Tensor, nn

from train.models.layers import Dropout


class HSTULayer(nn.Module):
    """One layer with a residual connection; reads only backwards.

    length: of the longest window.  dropout: of what is added to the residual stream.
    """

    distance: Tensor  # (length, length): how far the column's position lies before the row's
    before: Tensor  # (length, length): 1 / length where it does, else 0

    def __init__(self, dim: int, heads: int, length: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.projection = nn.Linear(dim, 4 * dim)
        self.attended_norm = nn.LayerNorm(dim)
        self.output = nn.Linear(dim, dim)
        self.bias = nn.Parameter(torch.zeros(heads, length))  # by distance
        self.dropout = Dropout(dropout)
        place = torch.arange(length)
        distance = place[:, None] - place
        self.register_buffer("distance", distance.clamp(min=0), persistent=False)
        self.register_buffer("before", (distance >= 0) / length, persistent=False)

    def forward(self, hidden: Tensor, real: Tensor) -> Tensor:
        """(batch, length, dim) hidden states, and what is no padding (batch, length), to (batch, length, dim)."""
        length = hidden.shape[1]
        gate, value, query, key = self._projected(self.norm(hidden)).unbind(3)  # (batch, heads, length, size)
        bias, before = self.bias[:, self.distance[:length, :length]], self.before[:length, :length]
        return hidden + self._added(gate, value, query, key, bias, before * real[:, None, None])

    def newest(self, hidden: Tensor, real: Tensor) -> Tensor:
        """(batch, length, dim) to (batch, dim): the layer's output at the last position alone, for scoring."""
        length = hidden.shape[1]
        gate, value, query, key = self._projected(self.norm(hidden)).unbind(3)
        bias = self.bias[:, self.distance[length - 1, :length]][:, None]  # (heads, 1, length)
        before = real[:, None, None] * self.before[-1, -1]
        added = self._added(gate[:, :, -1:], value, query[:, :, -1:], key, bias, before)
        return hidden[:, -1] + added[:, 0]

    def _projected(self, read: Tensor) -> Tensor:
        """(batch, length, dim) to (batch, heads, length, 4, size): gate, value, query and key of each head."""
        batch, length, dim = read.shape
        parts = nn.functional.silu(self.projection(read)).view(batch, length, 4, self.heads, dim // self.heads)
        return parts.permute(0, 3, 1, 2, 4)

    def _added(self, gate: Tensor, value: Tensor, query: Tensor, key: Tensor, bias: Tensor, weight: Tensor) -> Tensor:
        """(batch, queries, dim): what is added at the queries' positions. weight: (batch, 1, queries or 1, length)."""
        attention = nn.functional.silu(query @ key.transpose(-1, -2) + bias) * weight
        attended, gates = ((part.transpose(1, 2).flatten(2)) for part in (attention @ value, gate))
        return self.dropout(self.output(self.attended_norm(attended) * gates))


class HSTU(nn.Module):
    """A stack of layers and a last norm."""

    def __init__(self, dim: int, heads: int, length: int, dropout: float, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(HSTULayer(dim, heads, length, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)

    def forward(self, hidden: Tensor, real: Tensor) -> Tensor:
        """(batch, length, dim) hidden states, and what is no padding (batch, length), to (batch, length, dim)."""
        for layer in self.layers:
            hidden = layer(hidden, real)
        return self.norm(hidden)

    def newest(self, hidden: Tensor, real: Tensor) -> Tensor:
        """(batch, length, dim) to (batch, dim): the last position of `forward`."""
        for layer in list(self.layers)[:-1]:
            hidden = layer(hidden, real)
        return self.norm(self.layers[-1].newest(hidden, real))
