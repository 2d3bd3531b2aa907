"""What each masking strategy hides, which windows are trained on, and that the generator decides both."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from infer.sequences import Histories
from train.batches import Data
from train.config import BertConfig
from train.masking import batches, hide, negative_probability, sequences
from train.presets import configuration

MASK = 31
STRATEGIES = ("one", "last", "cloze", "span", "recency")


def windows(lengths: list[int], width: int = 6) -> torch.Tensor:
    """Left-padded rows of the items 1, 2, ..."""
    return torch.tensor([[0] * (width - n) + list(range(1, n + 1)) for n in lengths])


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def data(lengths: list[int]) -> Data:
    """User n holds the items 1 to lengths[n], each with its own number modulo 3 as rating level."""
    items = np.concatenate([np.arange(1, n + 1) for n in lengths]).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    histories = Histories(pl.Series(range(len(lengths))), items, offsets, levels=items % 3 + 1)
    users = list(range(len(lengths)))
    return Data("d", "", list(range(1, 31)), users, None, None, [1.0, 3.0, 5.0], histories, np.array([]), Path())


@pytest.mark.parametrize("masking", STRATEGIES)
@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=9), seed=st.integers(0, 999))
def test_something_real_is_hidden_in_every_row_and_never_padding(masking: str, lengths: list[int], seed: int) -> None:
    window = windows(lengths)
    hidden = hide(window, BertConfig(masking=masking), generator(seed))
    assert hidden.any(1).all() and not hidden[window == 0].any()
    if masking in ("one", "last"):
        assert (hidden.sum(1) == 1).all()
    if masking == "last":
        assert hidden[:, -1].all()
    if masking == "span":
        for row in hidden:
            places = row.nonzero().squeeze(1)
            assert len(places) == places[-1] - places[0] + 1, "one run without gaps"


def shares(masking: str, draws: int = 4000, **options) -> list[float]:
    """How often each of four items, oldest first, is hidden."""
    hidden = hide(windows([4] * draws, width=4), BertConfig(masking=masking, **options), generator(0))
    return hidden.float().mean(0).tolist()


def test_one_hides_every_position_equally_often_the_last_included() -> None:
    assert shares("one") == pytest.approx([0.25] * 4, abs=0.03)


def test_cloze_hides_its_share_and_at_least_one() -> None:
    # Nothing is drawn with the probability .5^4 = 1/16, and then one of the four is.
    assert shares("cloze", mask_ratio=0.5) == pytest.approx([0.5 + 1 / 64] * 4, abs=0.03)
    assert shares("cloze", mask_ratio=0.0) == pytest.approx([0.25] * 4, abs=0.03)


def test_recency_prefers_newer_items_by_the_stated_decay() -> None:
    # Weights 1, 1/2, 1/4, 1/8 from the newest back; a ratio of .25 hides one of four.
    expected = [1 / 15, 2 / 15, 4 / 15, 8 / 15]
    assert shares("recency", mask_ratio=0.25, recency_decay=0.5) == pytest.approx(expected, abs=0.03)


def test_spans_have_the_stated_mean_length() -> None:
    hidden = hide(windows([200] * 3000, width=200), BertConfig(masking="span", span_length=4.0), generator(1))
    inside = hidden[~hidden[:, 0]]  # not cut off by the beginning
    assert inside.sum(1).float().mean().item() == pytest.approx(4.0, rel=0.06)
    assert (hide(windows([6] * 50), BertConfig(masking="span", span_length=1.0), generator(2)).sum(1) == 1).all()


def test_causal_predicts_every_next_item_and_hides_none() -> None:
    config = BertConfig(masking="causal", window=4, stride=0, batch_size=2, loss="softmax")
    (batch,) = batches(data([3, 5]), config, MASK, generator(0))
    rows = {tuple(row) for row in batch.window.tolist()}
    assert rows == {(0, 0, 1, 2), (1, 2, 3, 4)}
    before = batch.window.flatten()[batch.place]
    assert torch.equal(batch.item, before + 1) and (before != 0).all() and len(batch) == 2 + 4
    assert not len(batch.negatives)


@pytest.mark.parametrize("masking", STRATEGIES)
def test_hidden_items_are_replaced_and_are_the_targets(masking: str) -> None:
    config = BertConfig(masking=masking, window=5, stride=0, batch_size=3, loss="softmax", ratings="embedding")
    for batch in batches(data([2, 5, 7, 4]), config, MASK, generator(3)):
        restored = batch.window.flatten().clone()
        assert (restored[batch.place] == MASK).all() and (restored == MASK).sum() == len(batch)
        restored[batch.place] = batch.item
        for row in restored.reshape(batch.window.shape).tolist():
            real = [item for item in row if item]
            assert real == list(range(real[0], real[0] + len(real))), "the sequence as it was"
        assert (batch.levels.flatten()[batch.place] == 0).all(), "the rating of a hidden item is hidden too"


def test_ratings_weigh_the_loss_in_proportion() -> None:
    config = BertConfig(masking="last", window=3, stride=0, loss="softmax", ratings="weight")
    (batch,) = batches(data([3, 4]), config, MASK, generator(0))
    # The last items 3 and 4 have the levels 1 and 2: ratings 1 and 3, the mean rating of the scale being 3.
    assert dict(zip(batch.item.tolist(), batch.weight.tolist(), strict=True)) == pytest.approx({3: 1 / 3, 4: 1.0})
    (plain,) = batches(data([3, 4]), replace(config, ratings="off"), MASK, generator(0))
    assert plain.weight.tolist() == [1, 1]


def test_a_stride_walks_back_over_the_whole_history() -> None:
    covered = Counter()
    for seed in range(20):
        found, levels = sequences(data([23]), 5, 4, generator(seed))
        assert found[0].tolist() == [19, 20, 21, 22, 23], "the latest window first"
        ends = found[1:, -1].tolist()
        assert all(a - b == 4 for a, b in pairwise(ends)) and 19 <= ends[0] <= 22
        assert torch.equal(levels, torch.where(found > 0, found % 3 + 1, 0))
        assert all((row != 0).sum() >= 2 for row in found)
        covered.update(set(found.flatten().tolist()) - {0})
    assert set(covered) == set(range(1, 24))
    latest, _ = sequences(data([23, 2]), 5, 0, generator(0))
    assert latest.tolist() == [[19, 20, 21, 22, 23], [0, 0, 0, 1, 2]]


def test_a_user_without_history_is_not_trained_on() -> None:
    for stride in (0, 3):
        found, _ = sequences(data([0, 4, 0]), 4, stride, generator(0))
        assert (found != 0).any(1).all() and found[0].tolist() == [1, 2, 3, 4]


def test_negatives_follow_the_stated_power_and_are_never_padding() -> None:
    counts = np.array([9, 0, 3, 8])
    for power, expected in ((0.5, [0, 1, 2, 3]), (0.0, [0, 1, 1, 1])):
        found = negative_probability(counts, BertConfig(loss="sampled", negative_power=power))
        assert found == pytest.approx(np.array(expected) / sum(expected))
    assert negative_probability(counts, BertConfig(loss="gbce"))[1:] == pytest.approx([1 / 3] * 3), "gBCE is uniform"
    config = BertConfig(window=4, batch_size=1, negatives=500)
    drawn = torch.cat([batch.negatives for batch in batches(data([4, 4]), config, MASK, generator(0))])
    (own,) = batches(data([4, 4]), replace(config, loss="gbce", negatives=7, batch_size=9), MASK, generator(0))
    assert own.negatives.shape == (len(own), 7) and len(own.negatives.unique()) > 7, "each target has its own"
    assert drawn.min() >= 1 and drawn.max() <= 30
    assert (drawn <= 4).float().mean() == pytest.approx(4 * 3**0.5 / (4 * 3**0.5 + 26), abs=0.03)


def test_the_generator_decides_the_batches() -> None:
    def drawn(seed: int) -> list:
        config = configuration("bert", "bert4rec", window=6, batch_size=2)
        return [
            value.tolist()
            for b in batches(data([9, 4, 6]), config, MASK, generator(seed))
            for value in vars(b).values()
        ]

    assert drawn(1) == drawn(1) != drawn(2)
