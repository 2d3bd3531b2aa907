"""Gated layers whose attention is a weighted sum, with a bias by distance: HSTU (Zhai et al. 2024).

In: hidden states (batch, length, dim), left-padded. Out: the same, or of the last position alone. "Actions Speak
Louder than Words", equations 1 to 3, without its bias by time: u, q, v, k = silu(W norm(x)); every position sums the
values v it may read, each times silu(q k + bias of the distance) / length; the sum is normed, gated by u and projected.
Nothing is normalised to 1 as in a softmax, so that a sum also says how often something was there; one layer stands for
attention and feed-forward block together.

    python -m train bert --block=hstu
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from train.models.layers import Dropout, packed, padded


class HSTULayer(nn.Module):
    """One layer with a residual connection.

    length: of the longest window.  dropout: of what is added to the residual stream.  causal: whether a position reads
    only itself and what is before it.
    """

    distance: Tensor  # (length, length): which bias the column's position has for the row's
    weight: Tensor  # (length, length): 1 / length, or 0 of what is not read

    def __init__(self, dim: int, heads: int, length: int, dropout: float, causal: bool) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.projection = nn.Linear(dim, 4 * dim)  # gate and query, value and key
        self.attended_norm = nn.LayerNorm(dim)
        self.output = nn.Linear(dim, dim)
        self.bias = nn.Parameter(torch.zeros(heads, length if causal else 2 * length - 1))
        self.dropout = Dropout(dropout)
        place = torch.arange(length)
        distance = place[:, None] - place
        weight = torch.full((length, length), 1 / length)
        # Without a direction those behind have the last of the biases, which Python's index -1 is.
        self.register_buffer("distance", distance.clamp(min=0) if causal else distance % (2 * length - 1), False)
        self.register_buffer("weight", weight.tril() if causal else weight, False)

    def forward(self, hidden: Tensor, real: Tensor) -> Tensor:
        """(batch, length, dim) hidden states, and what is no padding (batch, length), to (batch, length, dim)."""
        length = hidden.shape[1]
        gate, query, value, key = functional.silu(self.projection(self.norm(hidden))).chunk(4, 2)
        bias = self.bias[:, self.distance[:length, :length]]  # (heads, length, length)
        weight = real[:, None, None] * self.weight[:length, :length]
        return hidden + self._added(gate, query, value, key, bias, weight)

    def packed(self, hidden: Tensor, kept: Tensor, real: Tensor) -> Tensor:
        """As `forward` of (kept, dim), the places that are no padding, to the same; kept: their flat places."""
        (_, dim), length = hidden.shape, real.shape[1]
        gate, others = functional.silu(self.projection(self.norm(hidden))).split([dim, 3 * dim], 1)
        query, value, key = padded(others, kept, real.shape).chunk(3, 2)
        bias = self.bias[:, self.distance[:length, :length]]  # (heads, length, length)
        weight = real[:, None, None] * self.weight[:length, :length]
        attended = packed(self._attended(query, value, key, bias, weight), kept)
        return hidden + self.dropout(self.output(self.attended_norm(attended) * gate))

    def newest(self, hidden: Tensor, real: Tensor) -> Tensor:
        """(batch, length, dim) to (batch, dim): the layer's output at the last position alone, for scoring."""
        length, dim = hidden.shape[1:]
        read, (weight, other), (shift, rest) = self.norm(hidden), *self._halves(dim)
        gate, query = functional.silu(functional.linear(read[:, -1:], weight, shift)).chunk(2, 2)
        value, key = functional.silu(functional.linear(read, other, rest)).chunk(2, 2)
        bias = self.bias[:, self.distance[length - 1, :length]][:, None]  # (heads, 1, length)
        added = self._added(gate, query, value, key, bias, real[:, None, None] * self.weight[-1, -1])
        return hidden[:, -1] + added[:, 0]

    def _halves(self, dim: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Weights and biases of the projection: what only the reading position needs, and what those read need."""
        return self.projection.weight.split(2 * dim), self.projection.bias.split(2 * dim)

    def _added(self, gate: Tensor, query: Tensor, value: Tensor, key: Tensor, bias: Tensor, weight: Tensor) -> Tensor:
        """(batch, n, dim): what the layer adds at the n positions of gate and query.  others: as in `_attended`."""
        return self.dropout(self.output(self.attended_norm(self._attended(query, value, key, bias, weight)) * gate))

    def _attended(self, query: Tensor, value: Tensor, key: Tensor, bias: Tensor, weight: Tensor) -> Tensor:
        """(batch, n, dim): the sums of what each of the n positions reads.

        value, key: (batch, length, dim).  bias: (heads, n, length).  weight: of products, (batch, 1, n or 1, length).
        """
        query, value, key = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (query, value, key))
        attention = functional.silu(query @ key.transpose(2, 3) + bias) * weight
        return (attention @ value).transpose(1, 2).flatten(2)


class HSTU(nn.Module):
    """Layers, and a last norm."""

    def __init__(self, dim: int, heads: int, length: int, dropout: float, causal: bool, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(HSTULayer(dim, heads, length, dropout, causal) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)

    def forward(self, hidden: Tensor, real: Tensor) -> Tensor:
        """(batch, length, dim) hidden states, and what is no padding (batch, length), to (batch, length, dim).

        In training the places of padding have zeros, and no time is spent on them outside of the attention.
        """
        if not self.training:
            for layer in self.layers:
                hidden = layer(hidden, real)
            return self.norm(hidden)
        kept = real.flatten().nonzero().squeeze(1)
        hidden = packed(hidden, kept)
        for layer in self.layers:
            assert isinstance(layer, HSTULayer)
            hidden = layer.packed(hidden, kept, real)
        return padded(self.norm(hidden), kept, real.shape)

    def newest(self, hidden: Tensor, real: Tensor) -> Tensor:
        """(batch, length, dim) to (batch, dim): `forward` at the last position alone."""
        *earlier, last = self.layers
        for layer in earlier:
            hidden = layer(hidden, real)
        assert isinstance(last, HSTULayer)
        return self.norm(last.newest(hidden, real))
