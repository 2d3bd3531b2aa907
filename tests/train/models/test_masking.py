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

from infer.histories.histories import Histories
from train.config import BertConfig
from train.data.dataset import Data
from train.models.masking import batches, hide, negative_probability, sequences
from train.presets import configuration
from train.sizing import window_count

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
    config = BertConfig(masking="causal", max_length=4, stride=0, batch_size=2, loss="softmax")
    (batch,) = batches(data([3, 5]), config, MASK, generator(0))
    rows = {tuple(row) for row in batch.window.tolist()}
    assert rows == {(0, 0, 1, 2), (1, 2, 3, 4)}
    before = batch.window.flatten()[batch.place]
    assert torch.equal(batch.item, before + 1) and (before != 0).all() and len(batch) == 2 + 4
    assert not len(batch.negatives)


@pytest.mark.parametrize("masking", STRATEGIES)
def test_hidden_items_are_replaced_and_are_the_targets(masking: str) -> None:
    config = BertConfig(masking=masking, max_length=5, stride=0, batch_size=3, loss="softmax", ratings="embedding")
    for batch in batches(data([2, 5, 7, 4]), config, MASK, generator(3)):
        restored = batch.window.flatten().clone()
        assert (restored[batch.place] == MASK).all() and (restored == MASK).sum() == len(batch)
        restored[batch.place] = batch.item
        for row in restored.reshape(batch.window.shape).tolist():
            real = [item for item in row if item]
            assert real == list(range(real[0], real[0] + len(real))), "the sequence as it was"
        assert (batch.levels.flatten()[batch.place] == 0).all(), "the rating of a hidden item is hidden too"


def test_ratings_weigh_the_loss_in_proportion() -> None:
    config = BertConfig(batch_size=16, masking="last", max_length=3, stride=0, loss="softmax", ratings="weight")
    (batch,) = batches(data([3, 4]), config, MASK, generator(0))
    # The last items 3 and 4 have the levels 1 and 2: ratings 1 and 3, the mean rating of the scale being 3.
    assert dict(zip(batch.item.tolist(), batch.weight.tolist(), strict=True)) == pytest.approx({3: 1 / 3, 4: 1.0})
    (plain,) = batches(data([3, 4]), replace(config, ratings="off"), MASK, generator(0))
    assert plain.weight.tolist() == [1, 1]


def test_a_stride_walks_back_over_the_whole_history() -> None:
    personalisable = Counter()
    for seed in range(20):
        found, levels = sequences(data([23]), 5, 4, generator(seed))
        assert found[0].tolist() == [19, 20, 21, 22, 23], "the latest window first"
        ends = found[1:, -1].tolist()
        assert all(a - b == 4 for a, b in pairwise(ends)) and 19 <= ends[0] <= 22
        assert torch.equal(levels, torch.where(found > 0, found % 3 + 1, 0))
        assert all((row != 0).sum() >= 2 for row in found)
        personalisable.update(set(found.flatten().tolist()) - {0})
    assert set(personalisable) == set(range(1, 24))
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
    config = BertConfig(max_length=4, batch_size=1, negatives=500)
    drawn = torch.cat([batch.negatives for batch in batches(data([4, 4]), config, MASK, generator(0))])
    (own,) = batches(data([4, 4]), replace(config, loss="gbce", negatives=7, batch_size=9), MASK, generator(0))
    assert own.negatives.shape == (len(own), 7) and len(own.negatives.unique()) > 7, "each target has its own"
    assert drawn.min() >= 1 and drawn.max() <= 30
    assert (drawn <= 4).float().mean() == pytest.approx(4 * 3**0.5 / (4 * 3**0.5 + 26), abs=0.03)


def test_a_power_beyond_all_numbers_draws_the_most_popular() -> None:
    counts = np.array([0, 5_000, 3, 4_999])
    found = negative_probability(counts, BertConfig(loss="sampled", negative_power=1_000.0))
    assert found.sum() == pytest.approx(1) and found[1] == pytest.approx(1 / (1 + (5_000 / 5_001) ** 1_000))
    assert found[0] == found[2] == 0


def test_the_generator_decides_the_batches() -> None:
    def drawn(seed: int) -> list:
        config = configuration("bert", "bert4rec", max_length=6, batch_size=2)
        return [
            value.tolist()
            for b in batches(data([9, 4, 6]), config, MASK, generator(seed))
            for value in vars(b).values()
            if value is not None
        ]

    assert drawn(1) == drawn(1) != drawn(2)


@pytest.mark.parametrize(("ratio", "expected"), [(0.25, [1, 1, 1, 1, 2, 2]), (0.5, [1, 1, 2, 2, 3, 3]), (0.0, [1] * 6)])
def test_recency_hides_its_share_rounded_up_and_at_least_one(ratio: float, expected: list[int]) -> None:
    hidden = hide(windows([1, 2, 3, 4, 5, 6]), BertConfig(masking="recency", mask_ratio=ratio), generator(0))
    assert hidden.sum(1).tolist() == expected


@pytest.mark.parametrize(
    ("masking", "default", "other"),
    [
        ("cloze", {"mask_ratio": 0.2}, {"mask_ratio": 0.3}),
        ("recency", {"mask_ratio": 0.2}, {"mask_ratio": 0.4}),
        ("recency", {"recency_decay": 0.8}, {"recency_decay": 0.6}),
        ("span", {"span_length": 3.0}, {"span_length": 2.0}),
    ],
)
def test_what_is_not_stated_has_the_default_that_help_names(masking: str, default: dict, other: dict) -> None:
    found, same, changed = (
        hide(windows([6] * 200), BertConfig(masking=masking, **options), generator(4))
        for options in ({}, default, other)
    )
    assert torch.equal(found, same) and not torch.equal(found, changed)


def test_a_ratio_of_one_hides_everything_but_padding() -> None:
    window = windows([3, 6, 1])
    for masking in ("cloze", "recency"):
        hidden = hide(window, BertConfig(masking=masking, mask_ratio=1.0), generator(0))
        assert torch.equal(hidden, window != 0)


def test_a_decay_of_one_prefers_no_item() -> None:
    assert shares("recency", mask_ratio=0.25, recency_decay=1.0) == pytest.approx([0.25] * 4, abs=0.03)


def test_spans_have_geometric_lengths_and_end_anywhere() -> None:
    hidden = hide(windows([100] * 6000, width=100), BertConfig(masking="span", span_length=2.0), generator(1))
    length = hidden.sum(1)[~hidden[:, 0]]
    # A mean of 2: every further item with the probability 1/2.
    for n in (1, 2, 3):
        assert (length == n).float().mean().item() == pytest.approx(0.5**n, abs=0.02)
    newest = 99 - hidden.flip(1).int().argmax(1).float()
    assert newest.mean().item() == pytest.approx(49.5, abs=1.5) and newest.min() == 0 and newest.max() == 99
    ends = hide(windows([4] * 4000, width=4), BertConfig(masking="span", span_length=1.0), generator(2))
    assert ends.float().mean(0).tolist() == pytest.approx([0.25] * 4, abs=0.03)


@pytest.mark.parametrize("masking", STRATEGIES)
def test_rows_are_masked_independently_of_each_other(masking: str) -> None:
    hidden = hide(windows([6] * 50), BertConfig(masking=masking), generator(0))
    assert (len(hidden.unique(dim=0)) > 1) == (masking != "last")


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("length", [1, 2, 3, 7, 11])
def test_windows_are_those_of_walking_back_step_by_step(length: int, stride: int) -> None:
    shifts = set()
    for seed in range(40):
        found, _ = sequences(data([length]), 4, stride, generator(seed))
        ends = found[:, -1].tolist()
        assert ends[0] == length
        shift = length - ends[1] if len(ends) > 1 else None
        shifts.add(shift)
        if shift is not None:
            # Every window ends `stride` items before the one before it and holds at least two items.
            assert ends[1:] == list(range(length - shift, 1, -stride))
        for row, end in zip(found.tolist(), ends, strict=True):
            assert row == [max(0, item) for item in range(end - 3, end + 1)]
    allowed = {shift if length - shift >= 2 else None for shift in range(1, stride + 1)}
    assert shifts == allowed


def test_windows_never_mix_users() -> None:
    lengths = [9, 3, 1, 6]
    items = np.concatenate([100 * user + np.arange(1, n + 1) for user, n in enumerate(lengths)]).astype(np.int32)
    source = data(lengths)
    source = replace(source, histories=replace(source.histories, items=items))
    found, levels = sequences(source, 5, 2, generator(0))
    for row, level in zip(found.tolist(), levels.tolist(), strict=True):
        real = [item for item in row if item]
        assert len({item // 100 for item in real}) == 1 and real == list(range(real[0], real[-1] + 1))
        assert [r > 0 for r in row] == [r > 0 for r in level]
    assert [row[-1] for row in found[:4].tolist()] == [9, 103, 201, 306], "each user's latest window"
    for user, n in enumerate(lengths):
        ends = [row[-1] - 100 * user for row in found.tolist() if row[-1] // 100 == user]
        # The second window begins one or two items earlier, and each further one two.
        assert ends[0] == n and ends[1:] in [list(range(n - shift, 1, -2)) for shift in (1, 2)]


def test_without_ratings_every_level_is_that_of_no_rating() -> None:
    source = data([5, 3])
    source = replace(source, histories=replace(source.histories, levels=None), rating_levels=[])
    found, levels = sequences(source, 4, 2, generator(0))
    assert found.shape == levels.shape and found.any() and not levels.any()
    for ratings in ("off", "weight"):
        config = BertConfig(batch_size=16, masking="last", max_length=4, stride=0, loss="softmax", ratings=ratings)
        (batch,) = batches(source, config, MASK, generator(0))
        assert batch.weight.tolist() == [1, 1] and not batch.levels.any()


KINDS = [(m, loss) for m in (*STRATEGIES, "causal") for loss in ("softmax", "sampled", "gbce")]


@pytest.mark.parametrize(("masking", "loss"), KINDS)
def test_the_generator_alone_decides_every_batch(masking: str, loss: str) -> None:
    config = BertConfig(masking=masking, loss=loss, max_length=6, batch_size=4, stride=3, negatives=5)

    def drawn(seed: int, elsewhere: int) -> list:
        torch.manual_seed(elsewhere)
        made = batches(data([9, 4, 6, 12, 5]), config, MASK, generator(seed))
        return [value.tolist() for batch in made for value in vars(batch).values() if value is not None]

    assert drawn(1, 0) == drawn(1, 7) != drawn(2, 0)


@pytest.mark.parametrize("masking", ["last", "causal"])
def test_an_epoch_holds_every_window_once_in_an_order_of_its_own(masking: str) -> None:
    config = BertConfig(masking=masking, max_length=5, stride=0, batch_size=4, loss="softmax")
    lengths = list(range(2, 12))
    orders = []
    for seed in range(3):
        made = list(batches(data(lengths), config, MASK, generator(seed)))
        assert [len(batch.window) for batch in made] == [4, 4, 2]
        orders.append([item for batch in made for item in batch.item.tolist()])
    if masking == "last":
        assert all(sorted(order) == lengths for order in orders)
    else:
        assert all(len(order) == sum(min(n - 1, 5) for n in lengths) for order in orders)
    assert orders[0] != orders[1] != orders[2] != orders[0] and orders[0] != sorted(orders[0])


def test_a_history_of_one_item_has_nothing_to_predict_from() -> None:
    config = BertConfig(masking="causal", max_length=4, stride=0, batch_size=2)
    assert not list(batches(data([1, 1, 1]), config, MASK, generator(0)))
    (batch,) = batches(data([1, 3]), config, MASK, generator(0))
    assert batch.item.tolist() == [2, 3]


@pytest.mark.parametrize("masking", ["last", "causal"])
def test_a_batch_is_as_wide_as_the_window(masking: str) -> None:
    config = BertConfig(batch_size=16, masking=masking, max_length=5, stride=0, loss="softmax", ratings="embedding")
    (batch,) = batches(data([9, 3]), config, MASK, generator(0))
    assert batch.window.shape == batch.levels.shape == (2, 5)
    kept = batch.window != MASK
    # Level n % 3 + 1 belongs to item n; what is hidden, and padding, has none.
    expected = torch.where(kept & (batch.window > 0), batch.window % 3 + 1, 0)
    assert torch.equal(batch.levels, expected)


def test_a_batch_is_as_wide_as_its_longest_sequence_and_predicts_the_same() -> None:
    config = BertConfig(batch_size=2, masking="causal", max_length=9, stride=0, loss="softmax", ratings="embedding")
    (batch,) = batches(data([5, 3]), config, MASK, generator(0))
    assert sorted(batch.window.tolist()) == [[0, 0, 1, 2], [1, 2, 3, 4]] and batch.levels.shape == (2, 4)
    predicted = zip(batch.window.flatten()[batch.place].tolist(), batch.item.tolist(), strict=True)
    assert sorted(predicted) == [(1, 2), (1, 2), (2, 3), (2, 3), (3, 4), (4, 5)]


def test_causal_targets_are_weighed_by_their_own_rating() -> None:
    config = BertConfig(batch_size=16, masking="causal", max_length=4, stride=0, loss="softmax", ratings="weight")
    (batch,) = batches(data([5]), config, MASK, generator(0))
    assert batch.item.tolist() == [2, 3, 4, 5]
    # Levels 3, 1, 2, 3 of the ratings 1, 3, 5, whose mean is 3.
    assert batch.weight.tolist() == pytest.approx([5 / 3, 1 / 3, 1, 5 / 3])


@pytest.mark.parametrize(("loss", "shape"), [("softmax", (0,)), ("sampled", (7,)), ("gbce", (4, 7))])
def test_negatives_are_drawn_as_often_as_asked(loss: str, shape: tuple) -> None:
    config = BertConfig(batch_size=16, masking="causal", max_length=4, stride=0, loss=loss, negatives=7)
    (batch,) = batches(data([5]), config, MASK, generator(0))
    assert batch.negatives.shape == shape and batch.negatives.dtype == torch.int64


@pytest.mark.parametrize("stride", [0, 1, 3, 5])
def test_as_many_windows_as_expected_in_the_mean(stride: int) -> None:
    source = data([0, 1, 2, 3, 9, 14])
    # The second window begins at each of `stride` places equally often: all generators that differ in it.
    counts = [len(sequences(source, 5, stride, generator(seed))[0]) for seed in range(400)]
    assert np.mean(counts) == pytest.approx(window_count(source.histories.lengths, stride), rel=0.02)
    if stride == 1:  # of 1, 2, 3, 9, 14 items: the latest, and all but two
        assert set(counts) == {5 + 0 + 0 + 1 + 7 + 12}


def test_in_some_sequences_only_the_last_item_is_hidden() -> None:
    window = windows([6] * 4000)
    config = BertConfig(masking="cloze", mask_ratio=1.0, last_share=0.25, append_mask=True)
    hidden = hide(window, config, generator(0))
    only = hidden.sum(1) == 1
    assert only.float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert hidden[only, -1].all() and (hidden[~only] == (window[~only] != 0)).all()
    assert (hide(window, replace(config, last_share=1.0), generator(0)).sum(1) == 1).all()


def test_negatives_are_none_that_the_user_has_seen() -> None:
    # Users have seen 1 to 4 and 1 to 28 of 30 items.
    config = BertConfig(
        loss="gbce", negatives=40, unseen_negatives=True, max_length=4, stride=2, batch_size=5, masking="causal"
    )
    drawn = list(batches(data([4, 28]), config, MASK, generator(0)))
    # What is left out, as a few of the second user's are after many draws, is the target itself.
    unlike = [(b.negatives != b.item[:, None]) & (b.item > 4)[:, None] for b in drawn]
    of_long = torch.cat([b.negatives[counts] for b, counts in zip(drawn, unlike, strict=True)])
    assert set(of_long.tolist()) == {29, 30} and len(of_long) > 100
    everything = torch.cat([b.negatives[b.negatives != b.item[:, None]] for b in drawn])
    assert everything.min() >= 5 and everything.max() <= 30
    plain = torch.cat(
        [b.negatives for b in batches(data([4, 28]), replace(config, unseen_negatives=False), MASK, generator(0))]
    )
    assert plain.min() == 1


def test_who_has_seen_everything_gets_the_target_which_no_loss_counts() -> None:
    config = BertConfig(batch_size=1, loss="gbce", negatives=3, unseen_negatives=True, max_length=4, stride=0)
    (batch,) = batches(data([30]), config, MASK, generator(0))
    assert torch.equal(batch.negatives, batch.item[:, None].expand(-1, 3))
