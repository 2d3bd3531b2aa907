"""Parts of a transformer: positions, activations that can be exported, and the last layer for one position.

In: hidden states (batch, length, dim). Out: the same, or of the last position alone.
"""

import math
from collections.abc import Callable
from typing import Any

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
        # 0 or 1 by integers: to turn what a comparison gives into floats takes several times as long.
        least = self.dropped - 32768
        kept = bits.clamp_(least - 1, least).sub_(least - 1).to(values.dtype)
        return values * kept.mul_(65536 / (65536 - self.dropped))


def packed(values: Tensor, kept: Tensor) -> Tensor:
    """(batch, length, n) to (kept, n): what stands at these flat places (kept,), which are no padding."""
    return values.flatten(0, 1).index_select(0, kept)


def padded(values: Tensor, kept: Tensor, shape: tuple[int, ...]) -> Tensor:
    """(kept, n) to (batch, length, n), the reverse of `packed`, with zeros elsewhere; shape: (batch, length)."""
    return values.new_zeros(math.prod(shape), values.shape[1]).index_copy(0, kept, values).view(*shape, -1)


class EncoderLayer(nn.TransformerEncoderLayer):
    """PyTorch's layer, which in training takes (kept, dim), without padding, and whose attention is written out then:
    its own draws numbers for dropout by a slow generator and checks every row for being blocked whole, which takes
    most of its time on a CPU.

    dropout: of attention weights, in the feed-forward block, and of what both blocks add.
    """

    def __init__(self, dim: int, heads: int, feedforward: int, dropout: float, **options: Any) -> None:
        super().__init__(dim, heads, feedforward, dropout, **options)
        for name in ("dropout", "dropout1", "dropout2"):
            setattr(self, name, Dropout(dropout))
        self.attention_dropout = Dropout(dropout)

    def _sa_block(
        self, x: Tensor, attn_mask: Tensor | None, key_padding_mask: Tensor | None, is_causal: bool = False
    ) -> Tensor:
        """(kept, dim), or in evaluation (batch, length, dim), to the same.

        attn_mask: (length, length), key_padding_mask: (batch, length), both added to the products of the attention.
        """
        if not self.training or key_padding_mask is None:
            return super()._sa_block(x, attn_mask, key_padding_mask, is_causal)
        attention, (batch, length) = self.self_attn, key_padding_mask.shape
        heads, size = attention.num_heads, attention.head_dim
        kept = (key_padding_mask == 0).flatten().nonzero().squeeze(1)
        read = padded(nn.functional.linear(x, attention.in_proj_weight, attention.in_proj_bias), kept, (batch, length))
        read = read.view(batch, length, 3, heads, size).permute(2, 0, 3, 1, 4)
        query, key, value = read.reshape(3, batch * heads, length, size)
        blocked = key_padding_mask[:, None, None] + (x.new_zeros(length, length) if attn_mask is None else attn_mask)
        blocked = blocked.expand(batch, heads, length, length).reshape(batch * heads, length, length)
        weights = torch.baddbmm(blocked, query, key.transpose(1, 2), alpha=size**-0.5).softmax(-1)
        attended = (self.attention_dropout(weights) @ value).view(batch, heads, length, size)
        attended = packed(attended.transpose(1, 2).flatten(2), kept)
        return self.dropout1(attention.out_proj(attended))


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
