"""The block of SASRec's authors against its equations, written out position by position."""

import math

import pytest
import torch
from torch.nn import functional

from train.config import BertConfig
from train.models.bert import MiniBERT4Rec
from train.models.losses import BLOCKED
from train.models.querynorm import QueryNormLayer

CONFIG = BertConfig(
    block="transformer", layers=1, dim=4, heads=2, feedforward=3, activation="relu", norm="query", dropout=0.5
)


@pytest.fixture
def layer() -> QueryNormLayer:
    torch.manual_seed(0)
    layer = QueryNormLayer(CONFIG).eval()
    with torch.no_grad():
        for weight in layer.parameters():
            weight += torch.randn(weight.shape) * 0.5
    return layer


def by_hand(layer: QueryNormLayer, x: torch.Tensor, last: int, first: int) -> torch.Tensor:
    """(dim,): the output at position `last` of one sequence, which reads from `first` on."""
    attention = layer.self_attn
    q = functional.layer_norm(x[last], (4,), layer.norm1.weight, layer.norm1.bias)
    query = attention.query.weight @ q + attention.query.bias
    sums = []
    for head in (slice(0, 2), slice(2, 4)):
        keys = [(attention.key.weight @ x[n] + attention.key.bias)[head] for n in range(first, last + 1)]
        values = [(attention.value.weight @ x[n] + attention.value.bias)[head] for n in range(first, last + 1)]
        share = torch.stack([query[head] @ key / math.sqrt(2) for key in keys]).softmax(0)
        sums.append(sum(s * value for s, value in zip(share, values, strict=True)))
    h = functional.layer_norm(q + torch.cat(sums), (4,), layer.norm2.weight, layer.norm2.bias)
    return h + layer.linear2.weight @ torch.relu(layer.linear1.weight @ h + layer.linear1.bias) + layer.linear2.bias


@torch.no_grad()
def test_a_block_is_what_the_authors_code_computes(layer: QueryNormLayer) -> None:
    x = torch.randn(1, 3, 4) * 2
    padding = torch.tensor([[BLOCKED, 0.0, 0.0]])  # the first position is padding
    future = torch.full((3, 3), BLOCKED).triu(1)
    found = layer(x, src_mask=future, src_key_padding_mask=padding)
    for last in (1, 2):
        torch.testing.assert_close(found[0, last], by_hand(layer, x[0], last, 1), atol=1e-5, rtol=0)
    torch.testing.assert_close(layer.newest(x, padding)[0], found[0, -1], atol=1e-5, rtol=0)
    free = layer(x)[0, -1]
    torch.testing.assert_close(free, by_hand(layer, x[0], 2, 0), atol=1e-5, rtol=0)


@torch.no_grad()
def test_dropout_is_on_in_training_only(layer: QueryNormLayer) -> None:
    x = torch.randn(1, 3, 4)
    assert torch.equal(layer(x), layer(x))
    layer.train()
    assert not torch.equal(layer(x), layer(x))


@torch.no_grad()
def test_a_window_of_padding_is_finite() -> None:
    model = MiniBERT4Rec(10, CONFIG).eval()
    assert model(torch.zeros(1, CONFIG.max_length, dtype=torch.int64)).isfinite().all()
    assert len(model.encoder.layers) == 1 and model.encoder.norm is not None
