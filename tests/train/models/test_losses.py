"""Sampled losses against the full ones they stand for, and gBCE against its formula."""

import math

import pytest
import torch
from torch.nn import functional

from train.models.losses import collisions, generalised_bce, next_item_loss, own_scores, sampled_softmax, softmax_loss


@pytest.mark.parametrize("with_bias", [True, False])
def test_full_softmax_and_its_gradient_are_those_of_all_scores_at_once(monkeypatch, with_bias: bool) -> None:
    monkeypatch.setattr("train.models.losses.scored_at_once", lambda *_: 4)  # 11 targets: the last part is a rest
    generator = torch.Generator().manual_seed(3)
    states, weight, bias, share = (
        torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
        for shape in ((11, 3), (7, 3), (7,), (11,))
    )
    share, target = share.detach().abs(), torch.randint(7, (11,), generator=generator)
    given = (states, weight, bias) if with_bias else (states, weight)
    each = functional.cross_entropy(functional.linear(*given), target, reduction="none")
    expected = (each * share).sum()
    found = softmax_loss(states, weight, bias if with_bias else None, target, share)
    torch.testing.assert_close(found, expected)
    for own, whole in zip(torch.autograd.grad(3 * found, given), torch.autograd.grad(3 * expected, given), strict=True):
        torch.testing.assert_close(own, whole)


def test_full_softmax_of_vast_scores_is_finite() -> None:
    states, weight = torch.tensor([[1e4]], requires_grad=True), torch.tensor([[1.0], [-1.0], [2.0]])
    found = softmax_loss(states, weight, None, torch.tensor([1]), torch.ones(1))
    assert found.item() == 3e4
    assert torch.autograd.grad(found, states)[0].item() == 3.0


def test_frozen_items_get_no_gradient_from_full_softmax() -> None:
    states, weight = torch.ones(2, 3, requires_grad=True), torch.ones(5, 3)
    softmax_loss(states, weight, None, torch.tensor([1, 2]), torch.ones(2)).backward()
    assert states.grad is not None and weight.grad is None


def test_sampling_every_item_once_is_the_full_softmax() -> None:
    scores = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    item = torch.tensor([0, 3, 7, 3, 1])
    collides = item[:, None] == torch.arange(8)
    found = sampled_softmax(scores.gather(1, item[:, None]), scores, torch.ones(8), collides.nonzero())
    torch.testing.assert_close(found, functional.cross_entropy(scores, item, reduction="none"))


def test_the_gradient_of_sampled_softmax_is_that_of_its_formula() -> None:
    generator = torch.Generator().manual_seed(2)
    positive = torch.randn(4, 1, generator=generator, dtype=torch.float64, requires_grad=True)
    negative = torch.randn(4, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    expected, collides = torch.rand(6, generator=generator, dtype=torch.float64), torch.eye(4, 6, dtype=torch.bool)
    assert torch.autograd.gradcheck(
        lambda p, n: sampled_softmax(p, n, expected, collides.nonzero()), (positive, negative)
    )
    total = sampled_softmax(positive, negative, expected, collides.nonzero()).sum()
    (gradient,) = torch.autograd.grad(total, negative)
    assert (gradient[collides] == 0).all() and (gradient[~collides] > 0).all()


def test_the_correction_makes_the_denominator_unbiased() -> None:
    generator = torch.Generator().manual_seed(1)
    scores, chance = torch.randn(1, 50, generator=generator), torch.rand(50, generator=generator)
    chance, draws = chance / chance.sum(), 20
    totals = []
    for _ in range(4000):
        drawn = torch.multinomial(chance, draws, replacement=True, generator=generator)
        collides = drawn[None] == 7
        loss = sampled_softmax(scores[:, 7:8], scores[:, drawn], chance[drawn] * draws, collides.nonzero())
        totals.append((loss + scores[:, 7]).exp())
    assert torch.stack(totals).mean().item() == pytest.approx(scores.exp().sum().item(), rel=0.02)


def test_a_negative_that_is_the_true_item_does_not_count() -> None:
    positive, negative = torch.tensor([[2.0]]), torch.tensor([[2.0, 2.0]])
    collides = torch.tensor([[True, True]])
    assert sampled_softmax(positive, negative, torch.ones(2), collides.nonzero()).item() == pytest.approx(0, abs=1e-6)
    expected = math.log(1 + math.exp(-2)) / 3
    assert generalised_bce(positive, negative, collides, 3, 0.0).item() == pytest.approx(expected)


def test_collisions_are_all_equal_pairs() -> None:
    item, negatives = torch.tensor([4, 9, 7, 4]), torch.tensor([7, 4, 1, 4])
    assert sorted(collisions(item, negatives).tolist()) == [[0, 1], [0, 3], [2, 0], [3, 1], [3, 3]]
    assert collisions(torch.tensor([2]), negatives).shape == (0, 2)
    generator = torch.Generator().manual_seed(0)
    item, negatives = (torch.randint(0, 30, (n,), generator=generator) for n in (50, 40))
    expected = (item[:, None] == negatives).nonzero()
    assert sorted(collisions(item, negatives).tolist()) == expected.tolist()


def test_a_loss_far_from_zero_stays_finite() -> None:
    none = torch.empty(0, 2, dtype=torch.int64)
    found = [
        sampled_softmax(torch.tensor([[own]]), torch.tensor([[other, other]]), torch.ones(2), none).item()
        for own, other in ((1e4, 0.0), (0.0, 1e4), (-1e4, -1e4))
    ]
    assert found == pytest.approx([0, 1e4 + math.log(2), math.log(3)], rel=1e-6)


@pytest.mark.parametrize("targets", [0, 1, 5])
def test_own_scores_are_products_with_looked_up_vectors(targets: int) -> None:
    generator = torch.Generator().manual_seed(3)
    states = torch.randn(targets, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    vectors = torch.randn(7, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    index = torch.randint(1, 6, (targets, 4), generator=generator)  # some stand twice, the first and last never
    found = own_scores(states, vectors, index)
    torch.testing.assert_close(found, (states[:, None] * vectors[index]).sum(2))
    weights = torch.randn(targets, 4, generator=generator, dtype=torch.float64)
    expected = torch.autograd.grad(((states[:, None] * vectors[index]).sum(2) * weights).sum(), (states, vectors))
    torch.testing.assert_close(torch.autograd.grad((found * weights).sum(), (states, vectors)), expected)
    (of_vectors,) = torch.autograd.grad((own_scores(states.detach(), vectors, index) * weights).sum(), vectors)
    torch.testing.assert_close(of_vectors, expected[1])


def test_gbce_is_the_papers_formula() -> None:
    # 2 negatives of 101 items: a = .02; t = .75: beta = .02 (.75 (1 - 50) + 50) = .265.
    positive, negative = torch.tensor([[1.0]]), torch.tensor([[0.5, -1.0]])
    none = torch.zeros(1, 2, dtype=torch.bool)
    sigmoid = [1 / (1 + math.exp(-x)) for x in (1.0, 0.5, -1.0)]
    for calibration, beta in ((0.75, 0.265), (0.0, 1.0), (1.0, 0.02)):
        expected = -(beta * math.log(sigmoid[0]) + math.log(1 - sigmoid[1]) + math.log(1 - sigmoid[2])) / 3
        assert generalised_bce(positive, negative, none, 101, calibration).item() == pytest.approx(expected, rel=1e-5)


def test_more_negatives_than_items_sample_no_more_than_all() -> None:
    # The sampling rate is at most 1, where beta is 1 for every t.
    positive, negative = torch.tensor([[1.0]]), torch.tensor([[0.5, -1.0, 0.0, 0.0, 2.0]])
    none = torch.zeros(1, 5, dtype=torch.bool)
    expected = generalised_bce(positive, negative, none, 3, 0.0)
    for calibration in (0.5, 1.0):
        torch.testing.assert_close(generalised_bce(positive, negative, none, 3, calibration), expected)
    assert torch.isfinite(generalised_bce(positive, negative, none, 1, 0.75)).all()


def test_every_target_has_a_loss_of_its_own() -> None:
    positive, negative = torch.tensor([[1.0], [-2.0]]), torch.tensor([[0.5, -1.0], [0.0, 3.0]])
    collides, expected = torch.tensor([[False, True], [False, False]]), torch.tensor([0.5, 2.0])
    for loss in (
        lambda rows: sampled_softmax(positive[rows], negative[rows], expected, collides[rows].nonzero()),
        lambda rows: generalised_bce(positive[rows], negative[rows], collides[rows], 9, 0.75),
    ):
        together = loss([0, 1])
        assert together.shape == (2,) and together[0] != together[1]
        torch.testing.assert_close(together, torch.cat([loss([0]), loss([1])]))


def test_the_sampled_softmax_by_hand() -> None:
    # Drawn half a time and twice as often as expected once: exp(0) / .5 and exp(1) / 2 beside exp(2).
    found = sampled_softmax(
        torch.tensor([[2.0]]),
        torch.tensor([[0.0, 1.0]]),
        torch.tensor([0.5, 2.0]),
        torch.empty(0, 2, dtype=torch.int64),
    )
    assert found.item() == pytest.approx(math.log(math.exp(2) + 1 / 0.5 + math.exp(1) / 2) - 2)


def test_one_negative_of_two_items_is_all_there_is() -> None:
    positive, negative, none = torch.tensor([[1.0]]), torch.tensor([[0.5]]), torch.zeros(1, 1, dtype=torch.bool)
    found = [generalised_bce(positive, negative, none, 2, calibration).item() for calibration in (0.0, 1.0)]
    assert found[0] == found[1]


def test_the_loss_of_the_next_item_leaves_padding_out_and_the_scores_alone() -> None:
    scores = torch.tensor([[9.0, math.log(3), 0.0], [9.0, 0.0, 0.0]])
    # Chances of 3 / 4 and 1 / 2, whatever padding scores.
    found = next_item_loss(scores, torch.tensor([1, 2]))
    assert found.item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    assert scores[:, 0].tolist() == [9.0, 9.0]
