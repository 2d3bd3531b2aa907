"""MiniBERT4Rec and the hybrid: masking, positions, padding, and where the item vectors come from."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from infer.errors import InputError
from train.batches import one_masked
from train.bert import MiniBERT4Rec
from train.config import BertConfig, HybridConfig
from train.hybrid import Hybrid

MASK = 11


def windows(lengths: list[int], width: int = 6) -> torch.Tensor:
    """Left-padded rows of the items 1, 2, ..."""
    return torch.tensor([[0] * (width - n) + list(range(1, n + 1)) for n in lengths])


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=50, deadline=None)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=9), size=st.integers(1, 5), seed=st.integers(0, 999))
def test_one_real_position_of_each_sequence_is_masked(lengths: list[int], size: int, seed: int) -> None:
    found = []
    for masked, position, item in one_masked(windows(lengths), MASK, size, generator(seed)):
        assert len(masked) <= size
        for row, place, hidden in zip(masked.tolist(), position.tolist(), item.tolist(), strict=True):
            assert row[place] == MASK and row.count(MASK) == 1 and hidden != 0
            row[place] = hidden
            found.append(row)
    assert sorted(found) == sorted(windows(lengths).tolist())


def test_every_position_is_masked_equally_often_the_last_included() -> None:
    draws = Counter()
    for seed in range(300):
        for _, position, _ in one_masked(windows([4] * 10), MASK, 10, generator(seed)):
            draws.update(position.tolist())
    assert set(draws) == {2, 3, 4, 5}
    assert all(abs(count - 750) < 100 for count in draws.values())  # 4.2 standard deviations


def test_the_generator_decides_the_batches() -> None:
    def batches(seed: int) -> list:
        return [
            t.tolist() for batch in one_masked(windows([1, 2, 3, 4, 5, 6]), MASK, 4, generator(seed)) for t in batch
        ]

    assert batches(1) == batches(1) != batches(2)


@pytest.fixture
def model() -> MiniBERT4Rec:
    torch.manual_seed(0)
    return MiniBERT4Rec(10, BertConfig(dim=8, heads=2, feedforward=16, window=6)).eval()


@torch.no_grad()
def test_earlier_items_count_but_not_their_order(model: MiniBERT4Rec) -> None:
    scores = model(torch.tensor([[0, 1, 2, 3, 4, 5], [0, 4, 3, 1, 2, 5], [0, 1, 2, 3, 5, 4], [0, 6, 2, 3, 4, 5]]))
    torch.testing.assert_close(scores[0], scores[1], atol=1e-5, rtol=0)
    for other in (2, 3):
        assert (scores[0] - scores[other]).abs().max() > 1e-3


@torch.no_grad()
def test_scores_do_not_depend_on_padding_or_on_the_rest_of_the_batch(model: MiniBERT4Rec) -> None:
    short = model(windows([3], width=3))
    for other in (windows([3], width=6), windows([3], width=50), windows([3, 6, 1, 0])):
        torch.testing.assert_close(model(other)[:1], short, atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_window_of_padding_has_finite_scores(model: MiniBERT4Rec) -> None:
    assert torch.isfinite(model(windows([0, 3]))).all()


def test_the_loss_is_the_cross_entropy_at_the_masked_position(model: MiniBERT4Rec) -> None:
    window = torch.tensor([[0, 0, 1, MASK, 3, 4]])
    logits = model.head(model.states(window)[0, 3])
    expected = -torch.log_softmax(logits, 0)[2]
    torch.testing.assert_close(model.loss(window, torch.tensor([3]), torch.tensor([2])), expected)


def test_the_model_is_the_papers(model: MiniBERT4Rec) -> None:
    layer = model.encoder.layers[0]
    assert layer.activation is torch.nn.functional.relu and not layer.norm_first
    assert model.head.weight.shape == (11, 8) and model.items.weight.shape == (12, 8)
    assert not any("position" in name for name, _ in model.named_parameters())
    assert isinstance(model.optimizer(), torch.optim.AdamW) and BertConfig().epochs == 20


VECTORS = torch.arange(44.0).reshape(11, 4)


def hybrid(**options) -> Hybrid:
    return Hybrid(10, HybridConfig(dim=4, heads=2, feedforward=8, window=6, **options), VECTORS)


def test_item_vectors_start_from_mf_and_are_perturbed() -> None:
    assert torch.equal(hybrid(perturbation=0.0).items.weight[1:11], VECTORS[1:])
    noise = hybrid(perturbation=0.5).items.weight[1:11] - VECTORS[1:]
    assert 0.3 < noise.std().item() < 0.7
    assert not hybrid().items.weight[0].any(), "padding stays zero"


def test_item_vectors_stay_fixed_for_the_first_epochs_and_are_trained_afterwards() -> None:
    model = hybrid(frozen_epochs=2)
    optimizer = model.optimizer()
    start = model.items.weight.detach().clone()
    for epoch in (1, 2, 3):
        model.start_epoch(epoch)
        head = model.head.weight.detach().clone()
        for batch in one_masked(windows([6, 5, 4]), MASK, 3, generator(epoch)):
            optimizer.zero_grad()
            model.loss(*batch).backward()
            optimizer.step()
        assert not torch.equal(model.head.weight, head)
        assert torch.equal(model.items.weight, start) == (epoch <= 2)


def test_vectors_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError, match="expected \\(11, 8\\)"):
        Hybrid(10, HybridConfig(dim=8, heads=2), VECTORS)
