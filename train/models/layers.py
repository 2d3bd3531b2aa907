"""Parts of a transformer: positions, activations that can be exported, and the last layer for one position.

In: hidden states (batch, length, dim). Out: the same, or of the last position alone.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

# Not `nn.functional.relu` and `.gelu`: for these the encoder layer takes a fused path in evaluation,
# which gives NaN for a window of padding and cannot be exported.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "gelu": torch.ops.aten.gelu.default}


class Dropout(nn.Module):
    """Dropout from 16 random bits a number, at a fifth of the time of `nn.Dropout` on a CPU.

    probability: of a zero, rounded to 1 / 65536; below 1.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.dropped = round(probability * 65536)

    def forward(self, values: Tensor) -> Tensor:
        """The same shape; what is kept is scaled so that means stay."""
        if not self.training or not self.dropped:
            return values
        words = torch.empty(-(-values.numel() // 4), dtype=torch.int64, device=values.device).random_(-(2**63), None)
        bits = words.view(torch.int16)[: values.numel()].view(values.shape)
        return values * ((bits >= self.dropped - 32768) * (65536 / (65536 - self.dropped)))


def newest_of(layer: nn.TransformerEncoderLayer, hidden: Tensor, padding: Tensor) -> Tensor:
    """(batch, length, dim) to (batch, dim): the layer's output at the last position alone, for scoring.

    padding: (batch, length), added to the attention. With one query the keys and values of the other
    positions need not be computed: q (W x) = (q W) x, and values are summed before they are projected.
    The keys' bias adds the same to every position, which softmax does not see.
    """
    attention, (batch, _, dim) = layer.self_attn, hidden.shape
    heads, size = attention.num_heads, attention.head_dim
    query_weight, key_weight, value_weight = attention.in_proj_weight.chunk(3)
    query_bias, _, value_bias = attention.in_proj_bias.chunk(3)
    read = layer.norm1(hidden) if layer.norm_first else hidden
    query = nn.functional.linear(read[:, -1], query_weight, query_bias) * size**-0.5
    query = query.view(batch, heads, size).transpose(0, 1)  # (heads, batch, size)
    asked = (query @ key_weight.view(heads, size, dim)).transpose(0, 1)  # (batch, heads, dim)
    weights = (asked @ read.transpose(1, 2) + padding[:, None]).softmax(-1)  # (batch, heads, length)
    attended = (weights @ read).transpose(0, 1)  # (heads, batch, dim)
    values = (attended @ value_weight.view(heads, size, dim).transpose(1, 2)).transpose(0, 1).reshape(batch, dim)
    newest = hidden[:, -1] + attention.out_proj(values + value_bias)
    newest = newest if layer.norm_first else layer.norm1(newest)
    inner = layer.linear1(layer.norm2(newest) if layer.norm_first else newest)
    newest = newest + layer.linear2(layer.activation(inner))
    return newest if layer.norm_first else layer.norm2(newest)


def sinusoidal(length: int, dim: int) -> Tensor:
    """(length, dim) sines and cosines of the position (Vaswani et al. 2017, section 3.5)."""
    rate = torch.exp(torch.arange(0, dim, 2) * (-math.log(10_000.0) / dim))  # (dim / 2,)
    angle = torch.arange(length)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1)[:, :dim]
