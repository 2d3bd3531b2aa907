"""The block of SASRec's authors: queries are layer-normed, keys and values are not, and residuals start from the norms.

In: hidden states (batch, length, dim). Out: the same. Kang & McAuley 2018 write x + f(norm(x)); their code
(kang205/SASRec, modules.py), and gSASRec's after it, computes

    q = norm(x);  h = norm(q + attention(q, x, x));  out = h + feedforward(h)

without a projection after the attention, and without dropout behind the attention's sum.

    python -m train bert --norm=query
"""

from torch import Tensor, nn
from torch.nn import functional

from train.config import BertConfig
from train.models.layers import ACTIVATIONS, Dropout


class Attention(nn.Module):
    """Scaled dot-product attention of `heads` heads, whose results stand beside each other unprojected."""

    batch_first = True

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.size, self.dropout = heads, dim // heads, dropout
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))

    def forward(self, asking: Tensor, read: Tensor, blocked: Tensor) -> Tensor:
        """(batch, n, dim) that ask, (batch, length, dim) that are read, blocked added to their (n, length) products."""
        query, key, value = (self.split(x) for x in (self.query(asking), self.key(read), self.value(read)))
        dropout = self.dropout if self.training else 0.0
        found = functional.scaled_dot_product_attention(query, key, value, blocked, dropout)
        return found.transpose(1, 2).flatten(2)

    def newest(self, asking: Tensor, read: Tensor, padding: Tensor) -> Tensor:
        """(batch, dim) that ask and (batch, length, dim) that are read to (batch, dim), without keys and values of all.

        q (W x) = (q W) x, and values are summed before they are projected; the keys' bias adds the same everywhere.
        """
        dim = read.shape[-1]
        query = self.query(asking).view(-1, self.heads, self.size).transpose(0, 1) * self.size**-0.5
        asked = (query @ self.key.weight.view(self.heads, self.size, dim)).transpose(0, 1)  # (batch, heads, dim)
        weights = (asked @ read.transpose(1, 2) + padding[:, None]).softmax(-1)
        attended = (weights @ read).transpose(0, 1)  # (heads, batch, dim)
        values = attended @ self.value.weight.view(self.heads, self.size, dim).transpose(1, 2)
        return values.transpose(0, 1).reshape(-1, dim) + self.value.bias

    def split(self, states: Tensor) -> Tensor:
        """(batch, n, dim) to (batch, heads, n, dim / heads)."""
        return states.unflatten(2, (self.heads, self.size)).transpose(1, 2)


class QueryNormLayer(nn.Module):
    """One block, called as `nn.TransformerEncoderLayer` is."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config.dim, config.heads, config.dropout or 0.0)
        self.norm1, self.norm2 = nn.LayerNorm(config.dim), nn.LayerNorm(config.dim)
        self.linear1 = nn.Linear(config.dim, config.feedforward)
        self.linear2 = nn.Linear(config.feedforward, config.dim)
        self.dropout = Dropout(config.dropout or 0.0)
        self.activation = ACTIVATIONS[config.activation]

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """(batch, length, dim) to the same; the masks, (length, length) and (batch, length), are added."""
        blocked = src.new_zeros(1, 1, 1, 1) if src_key_padding_mask is None else src_key_padding_mask[:, None, None]
        blocked = blocked if src_mask is None else blocked + src_mask
        length = src.shape[1]
        asking = self.norm1(src)
        attended = self.self_attn(asking, src, blocked.expand(-1, 1, length, length))
        return self.inner(self.norm2(asking + attended))

    def newest(self, hidden: Tensor, padding: Tensor) -> Tensor:
        """(batch, length, dim) to (batch, dim): the output at the last position alone, for scoring."""
        asking = self.norm1(hidden[:, -1])
        return self.inner(self.norm2(asking + self.self_attn.newest(asking, hidden, padding)))

    def inner(self, states: Tensor) -> Tensor:
        """States and their feed-forward block; both its layers drop out, as the paper has it (section III.C)."""
        return states + self.dropout(self.linear2(self.dropout(self.activation(self.linear1(states)))))
