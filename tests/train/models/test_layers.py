"""What encoders leave out in training changes nothing: the same losses and weights as PyTorch's own layers."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from bench.training.steps import Steps, steps_of
from bench.workloads.tail import long_tailed
from train.config import BertConfig
from train.loop.loop import clip_gradients, train_step
from train.models.layers import EncoderLayer, packed, padded

SMALL = {
    "dim": 16, "heads": 2, "feedforward": 32, "max_length": 12, "batch_size": 16, "layers": 2, "stride": 6,
    "negatives": 50, "dropout": 0.0, "average": 0.0,
}  # fmt: skip


def steps(**options) -> Steps:
    lengths = torch.randint(1, 30, (60,), generator=torch.Generator().manual_seed(0)).numpy()
    return steps_of(long_tailed(40, lengths), 6, **SMALL | options)


@pytest.mark.parametrize(
    "options",
    [
        {"block": "transformer", "norm": "pre"},
        {"block": "transformer", "norm": "post", "masking": "cloze", "loss": "softmax"},
        {"block": "hstu"},
        {"block": "hstu", "masking": "cloze"},
    ],
)
def test_training_computes_what_the_whole_layers_do(options: dict) -> None:
    """In evaluation, in which only the encoder is here, layers read padding too, and attend as PyTorch has it."""
    ours, theirs = steps(**options), steps(**options)
    assert any((batch.window == 0).any() for batch in ours.batches)
    theirs.run.model.load_state_dict(ours.run.model.state_dict())
    theirs.run.optimizer.load_state_dict(deepcopy(ours.run.optimizer.state_dict()))
    theirs.run.model.encoder.eval()
    for batch in ours.batches:
        losses = [train_step(one.run.model, one.run.optimizer, batch, one.config).item() for one in (ours, theirs)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    # Weights would not do: the keys' bias has no gradient but rounding, which Adam makes steps of.
    theirs.run.model.load_state_dict(ours.run.model.state_dict())
    for one in (ours, theirs):
        one.run.optimizer.zero_grad()
        one.run.model.loss(one.batches[0]).backward()
    for weight, other in zip(ours.run.model.parameters(), theirs.run.model.parameters(), strict=True):
        torch.testing.assert_close(weight.grad, other.grad, atol=1e-6, rtol=1e-4)


def test_dropout_of_the_attention_drops_weights_and_leaves_their_mean() -> None:
    torch.manual_seed(0)
    layer = EncoderLayer(8, 2, 16, 0.0, batch_first=True, norm_first=True)
    layer.attention_dropout.dropped = 65536 // 4
    hidden, padding = torch.randn(1, 5, 8), torch.zeros(1, 5)
    whole = layer.eval()._sa_block(hidden, None, padding)[0]
    layer.train()
    draws = torch.stack([layer._sa_block(hidden[0], None, padding) for _ in range(3000)])
    torch.testing.assert_close(draws.mean(0), whole, atol=0.02, rtol=0)
    assert draws.std(0).min() > 0.01, "each position is disturbed"


def test_padding_is_left_out_and_comes_back_as_zeros() -> None:
    values = torch.arange(12.0).view(2, 3, 2)
    kept = torch.tensor([1, 2, 5])
    assert packed(values, kept).tolist() == [[2, 3], [4, 5], [10, 11]]
    assert padded(packed(values, kept), kept, (2, 3)).tolist() == [[[0, 0], [2, 3], [4, 5]], [[0, 0], [0, 0], [10, 11]]]


@pytest.mark.parametrize("most", [0.5, 5.0, 50.0])
def test_gradients_are_clipped_as_by_pytorch(most: float) -> None:
    ours, theirs = (nn.ParameterList([torch.zeros(3), torch.zeros(2)]) for _ in range(2))
    for weights in (ours, theirs):
        for weight, gradient in zip(weights, ([3.0, 0.0, 0.0], [0.0, 4.0]), strict=True):
            weight.grad = torch.tensor(gradient)
    clip_gradients([weight.grad for weight in ours], most)
    nn.utils.clip_grad_norm_(theirs, most)
    assert all(torch.equal(one.grad, other.grad) for one, other in zip(ours, theirs, strict=True))
    assert BertConfig().clip == 5.0
