"""Losses of next-item prediction: full softmax, sampled softmax, generalised BCE.

In: states (targets, dim) where something is predicted, and a scorer of chosen items. Out: the loss of
each target (targets,), of full softmax their weighed sum.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from infer.histories.vocabulary import PAD
from train.memory import scored_at_once

# In place of minus infinity, for what must not be read, drawn or chosen: a row of nothing else stays finite.
BLOCKED = -1e9


def softmax_loss(states: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, share: Tensor) -> Tensor:
    """Sum of each target's cross-entropy over all items times its share; a scalar.

    states: (targets, dim).  weight: (items + 1, dim) and bias: (items + 1,) turn a state into scores.  target, share:
    (targets,) item indexes and what each counts.
    Scores of all targets are never held: a part of them becomes loss and gradient before the next is computed.
    """
    return _SoftmaxLoss.apply(states, weight, bias, target, share)


class _SoftmaxLoss(torch.autograd.Function):
    """`softmax_loss`, whose gradient is found with the loss: by a score it is the item's probability, less 1 at the
    target."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, share: Tensor) -> Tensor:
        """A scalar."""
        wanted = zip((states, weight, bias), ctx.needs_input_grad, strict=False)
        of_states, of_weight, of_bias = (
            torch.zeros_like(given) if given is not None and want else None for given, want in wanted
        )
        total, many = states.new_zeros(()), scored_at_once(len(weight), states.device.type == "cpu")
        for begin in range(0, len(states), many):
            rows = slice(begin, begin + many)
            part, place, counts = states[rows], target[rows, None], share[rows, None]
            scores = functional.linear(part, weight, bias)
            own, top = scores.gather(1, place), scores.amax(1, keepdim=True)
            shares = scores.sub_(top).exp_()
            sums = shares.sum(1, keepdim=True)
            total += ((top - own + sums.log()) * counts).sum()
            by_score = shares.mul_(counts / sums).scatter_add_(1, place, -counts)
            if of_states is not None:
                torch.mm(by_score, weight, out=of_states[rows])
            if of_weight is not None:
                of_weight.addmm_(by_score.T, part)
            if of_bias is not None:
                of_bias += by_score.sum(0)
        ctx.save_for_backward(of_states, of_weight, of_bias)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Of states, weight and bias, as far as they are wanted."""
        found = (None if of is None else of * gradients[0] for of in ctx.saved_tensors)
        return (*found, None, None)


def sampled_softmax(positive: Tensor, negative: Tensor, expected: Tensor, collisions: Tensor) -> Tensor:
    """Cross-entropy over the true item and the sampled ones, corrected for how often each is drawn.

    positive: (targets, 1) scores.  negative: (targets, n) scores.  expected: (n,) how often each
    negative is expected among the n draws.  collisions: (m, 2) places in `negative` of a target's true item.
    Subtracting log(expected) makes the sum of exponentials an unbiased estimate of the full softmax's
    denominator (Bengio & Senecal 2008; Yi et al. 2019).
    """
    return _SampledSoftmax.apply(positive, negative, expected.log(), collisions)


class _SampledSoftmax(torch.autograd.Function):
    """`sampled_softmax` with its gradient: of (targets, n) numbers a third of what autograd would write and read.

    With s the positive score and L the log of the negatives' sum, the loss is log(1 + exp(L - s)).
    """

    @staticmethod
    def forward(ctx: Any, positive: Tensor, negative: Tensor, correction: Tensor, collisions: Tensor) -> Tensor:
        """(targets,) losses; correction: (n,), subtracted from the negatives' scores."""
        scores = negative - correction
        scores[collisions[:, 0], collisions[:, 1]] = BLOCKED
        shares = scores.softmax(1)
        # The largest share is exp(0) over the sum, which therefore is never 0.
        behind = (scores.amax(1, keepdim=True) - positive) - shares.amax(1, keepdim=True).log()
        ctx.save_for_backward(shares, behind.sigmoid())
        return functional.softplus(behind).squeeze(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """All negatives' part of the softmax, divided by their shares, and its negative at the true item."""
        shares, wrong = ctx.saved_tensors
        each = gradients[0][:, None] * wrong
        return -each, shares * each, None, None


def collisions(item: Tensor, negatives: Tensor) -> Tensor:
    """(m, 2) pairs of places in item (targets,) and negatives (n,) that are equal, without comparing all."""
    ordered, order = negatives.sort()
    first, end = (torch.searchsorted(ordered, item, right=right) for right in (False, True))
    target = torch.repeat_interleave(end - first)
    before = (end - first).cumsum(0) - (end - first)
    place = torch.arange(len(target), device=item.device) - before[target] + first[target]
    return torch.stack([target, order[place]], 1)


def own_scores(states: Tensor, vectors: Tensor, index: Tensor) -> Tensor:
    """(targets, n) products of each state (targets, dim) with n vectors of its own.

    vectors: (items, dim).  index: (targets, n) rows of these, the same ones often.
    Neither looked-up vectors (targets, n, dim) nor scores of all items are ever made: of the latter few are wanted.
    """
    return _OwnScores.apply(states, vectors, index)


class _OwnScores(torch.autograd.Function):
    """`own_scores` by sums of weighed rows, which PyTorch has a kernel for: its gradient by the weights is the scores,
    the sums of a target's vectors are the gradient of its state, and those of an item's states that of its vector."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, vectors: Tensor, index: Tensor) -> Tensor:
        """(targets, n)"""
        begins = torch.arange(0, index.numel(), index.shape[1], device=index.device)
        ctx.save_for_backward(states, vectors, index, begins)
        with torch.enable_grad():
            weights = torch.zeros(index.shape, dtype=states.dtype, device=states.device, requires_grad=True)
            sums = _weighed_sums(index.flatten(), vectors.detach(), begins, weights.flatten())
        return torch.autograd.grad(sums, weights, states.detach())[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """(targets, dim) and (items, dim)"""
        states, vectors, index, begins = ctx.saved_tensors
        of_states = of_vectors = None
        if ctx.needs_input_grad[0]:
            of_states = _weighed_sums(index.flatten(), vectors, begins, gradients[0].flatten())
        if ctx.needs_input_grad[1]:
            order = index.flatten().argsort()
            counts = index.flatten().bincount(minlength=len(vectors))
            begins, each = counts.cumsum(0) - counts, gradients[0].flatten()[order]
            of_vectors = _weighed_sums(order // index.shape[1], states, begins, each)
        return of_states, of_vectors, None


def _weighed_sums(index: Tensor, rows: Tensor, begins: Tensor, weights: Tensor) -> Tensor:
    """(sums, dim), each of rows (m, dim) at the places of index (n,) from its begin to the next, times weights (n,)."""
    return functional.embedding_bag(index, rows, begins, mode="sum", per_sample_weights=weights)


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
