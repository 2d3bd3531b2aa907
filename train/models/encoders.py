"""The encoder of a sequence model: transformer layers, or those of HSTU.

In: embedded items (batch, length, dim), and which positions are no padding. Out: a state for each position, or that of
the last alone.

    python -m train bert --block=transformer
"""

from copy import deepcopy

import torch
from torch import Tensor, nn

from train.config import BertConfig
from train.models.hstu import HSTU
from train.models.layers import ACTIVATIONS, EncoderLayer, newest_of, packed, padded
from train.models.losses import BLOCKED
from train.models.querynorm import QueryNormLayer


class Transformer(nn.Module):
    """`EncoderLayer`s, or SASRec's, and a last norm unless each layer ends with one.

    All layers start with the same weights, as in `nn.TransformerEncoder`.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.causal = config.masking == "causal"
        layer: nn.Module
        if config.norm == "query":
            layer = QueryNormLayer(config)
        else:
            layer = EncoderLayer(
                config.dim,
                config.heads,
                config.feedforward,
                config.dropout or 0.0,
                activation=ACTIVATIONS[config.activation],
                batch_first=True,
                norm_first=config.norm == "pre",
            )
        self.layers = nn.ModuleList(deepcopy(layer) for _ in range(config.layers))
        self.norm = None if config.norm == "post" else nn.LayerNorm(config.dim)

    def forward(self, hidden: Tensor, real: Tensor) -> Tensor:
        """(batch, length, dim) hidden states, and what is no padding (batch, length), to (batch, length, dim).

        In training the places of padding have zeros, and no time is spent on them outside of the attention.
        """
        padding = ~real * BLOCKED
        if not self.training or not isinstance(self.layers[0], EncoderLayer):
            return self._ended(self._through(self.layers, hidden, padding))
        kept = real.flatten().nonzero().squeeze(1)
        return padded(self._ended(self._through(self.layers, packed(hidden, kept), padding)), kept, real.shape)

    def newest(self, hidden: Tensor, real: Tensor) -> Tensor:
        """(batch, length, dim) to (batch, dim): `forward` at the last position alone."""
        padding = ~real * BLOCKED
        hidden = self._through(list(self.layers)[:-1], hidden, padding)
        last = self.layers[-1]
        if isinstance(last, QueryNormLayer):
            return self._ended(last.newest(hidden, padding))
        assert isinstance(last, nn.TransformerEncoderLayer)
        return self._ended(newest_of(last, hidden, padding))

    def _through(self, layers: nn.ModuleList | list[nn.Module], hidden: Tensor, padding: Tensor) -> Tensor:
        """The layers in turn; padding: (batch, length), added to the attention.  hidden: as the layers take it."""
        length = padding.shape[1]
        future = torch.full((length, length), BLOCKED, device=hidden.device).triu(1) if self.causal else None
        for layer in layers:
            # Said outright, or the layer would compare the mask's values, which no exporter can trace.
            hidden = layer(hidden, src_mask=future, src_key_padding_mask=padding, is_causal=False)
        return hidden

    def _ended(self, states: Tensor) -> Tensor:
        return states if self.norm is None else self.norm(states)


def encoder(config: BertConfig) -> HSTU | Transformer:
    """A new encoder with the layers that `config.block` names."""
    if config.block == "transformer":
        return Transformer(config)
    causal = config.masking == "causal"
    return HSTU(config.dim, config.heads, config.max_length, config.dropout or 0.0, causal, config.layers)
