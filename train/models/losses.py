"""Losses of next-item prediction: full softmax, sampled softmax, generalised BCE.

In: states (targets, dim) where something is predicted, and a scorer of chosen items. Out: the loss of
each target (targets,).
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from infer.histories.vocabulary import PAD

# In place of minus infinity, for what must not be read, drawn or chosen: a row of nothing else stays finite.
BLOCKED = -1e9


def sampled_softmax(positive: Tensor, negative: Tensor, expected: Tensor, collides: Tensor) -> Tensor:
    """Cross-entropy over the true item and the sampled ones, corrected for how often each is drawn.

    positive: (targets, 1) scores.  negative: (targets, n) scores.  expected: (n,) how often each
    negative is expected among the n draws.  collides: (targets, n) negatives that are the true item.
    Subtracting log(expected) makes the sum of exponentials an unbiased estimate of the full softmax's
    denominator (Bengio & Senecal 2008; Yi et al. 2019).
    """
    return _SampledSoftmax.apply(positive, negative, expected.log(), collides)


class _SampledSoftmax(torch.autograd.Function):
    """`sampled_softmax` with its gradient: of (targets, n) numbers a third of what autograd would write and read."""

    @staticmethod
    def forward(ctx: Any, positive: Tensor, negative: Tensor, correction: Tensor, collides: Tensor) -> Tensor:
        """(targets,) losses; correction: (n,), subtracted from the negatives' scores."""
        shares = (negative - correction).masked_fill_(collides, BLOCKED)
        top = torch.maximum(shares.amax(1, keepdim=True), positive)
        shares.sub_(top).exp_()
        own = (positive - top).exp()
        total = shares.sum(1, keepdim=True) + own
        ctx.save_for_backward(shares, own, total)
        return (total.log() + top - positive).squeeze(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """The softmax's shares, less 1 at the true item, times the gradient of each loss."""
        shares, own, total = ctx.saved_tensors
        gradient = gradients[0][:, None]
        each = gradient / total
        return own * each - gradient, shares * each, None, None


def generalised_bce(positive: Tensor, negative: Tensor, collides: Tensor, items: int, calibration: float) -> Tensor:
    """gBCE (Petrov & Macdonald 2023, equation 15): -log sigmoid(s+)^beta - mean... over negatives.

    positive: (targets, 1).  negative: (targets, n).  items: size of the catalogue.  calibration: t in
    [0, 1]; 0 is binary cross-entropy.  beta = a (t (1 - 1/a) + 1/a) with the sampling rate a = n / (items - 1).
    """
    rate = min(1.0, negative.shape[1] / max(1, items - 1))
    beta = rate * (calibration * (1 - 1 / rate) + 1 / rate)
    true = -beta * functional.logsigmoid(positive.squeeze(1))
    false = functional.softplus(negative).masked_fill(collides, 0.0).sum(1)
    return (true + false) / (1 + negative.shape[1])


def next_item_loss(scores: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of each user's next item over all items; padding is none.

    scores: (users, items + 1), left as they are.  target: (users,) int64 item indexes.
    """
    scores = scores.clone()
    scores[:, PAD] = -torch.inf
    return functional.cross_entropy(scores, target.to(scores.device))
