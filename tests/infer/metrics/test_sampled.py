"""Sampled negatives: distinct, unseen, in the stated proportions; and ranks with ties by hand."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infer.errors import InputError
from infer.histories.histories import Histories
from infer.metrics.sampled import PROTOCOLS, _draw, rank_among, sample_negatives


def histories(*users: list[int]) -> Histories:
    items = np.concatenate([np.array(u, dtype=np.int32) for u in users])
    return Histories(pl.Series(range(len(users))), items, np.concatenate([[0], np.cumsum([len(u) for u in users])]))


USERS = st.lists(st.lists(st.integers(1, 12), unique=True, max_size=6), min_size=1, max_size=5)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(max_examples=50, deadline=None)
@given(users=USERS, number=st.integers(1, 5), seed=st.integers(0, 99))
def test_negatives_are_distinct_unseen_not_the_target_and_of_the_row_alone(protocol, users, number, seed) -> None:
    targets = np.array([next(i for i in range(1, 13) if i not in user) for user in users])
    counts = np.arange(1, 13)
    found = sample_negatives(histories(*users), targets, counts, protocol, number, seed)
    for user, target, own in zip(users, targets, found.tolist(), strict=True):
        assert len(set(own)) == number and not set(own) & {*user, target, 0}
    alone = sample_negatives(histories(users[0]), targets[:1], counts, protocol, number, seed)
    assert alone[0].tolist() == found[0].tolist()


def drawn(protocol: str, counts: list[int]) -> list[float]:
    """How often the items 1, 2, 3 are the one negative of many users who have seen 4 and aim at 5."""
    many = histories(*[[4]] * 3000)
    found = sample_negatives(many, np.full(3000, 5), np.array(counts), protocol, 1, 0)
    totals = Counter(found.ravel().tolist())
    return [totals[item] / 3000 for item in (1, 2, 3)]


def test_negatives_come_in_the_stated_proportions() -> None:
    assert drawn("uniform", [0, 5, 15, 9, 9]) == pytest.approx([1 / 3] * 3, abs=0.03)
    assert drawn("popularity", [0, 5, 15, 9, 9]) == pytest.approx([0, 0.25, 0.75], abs=0.03)


def test_seed_and_protocol_decide_the_draw_though_the_weights_are_equal() -> None:
    nobody = histories(*[[1]] * 20)

    def draw(protocol: str, seed: int) -> list:
        return sample_negatives(nobody, np.full(20, 2), np.ones(50), protocol, 3, seed).tolist()

    found = [draw(protocol, seed) for protocol in PROTOCOLS for seed in (0, 1)]
    assert len({str(one) for one in found}) == 4 and draw("uniform", 1) == found[1]
    assert len({str(row) for row in found[0]}) > 10, "each user has draws of their own"


def test_a_draw_on_the_edge_of_two_items_is_of_the_one_that_can_be_drawn() -> None:
    # Weights 1, 0 and 3: 0 begins the first item, 1 the third; the second can never be drawn, padding neither.
    edges = SimpleNamespace(random=lambda size: np.array([0.0, 0.25]))
    assert _draw(np.array([0.0, 1, 1, 4]), set(), 2, edges) == [1, 3]
    assert _draw(np.array([0.0, 1, 1, 4]), {1}, 1, edges) == [3]


def test_more_negatives_than_can_be_drawn_are_refused() -> None:
    with pytest.raises(InputError, match=r"--negatives 3: only 2 items can be drawn for user 0 \(popularity\)"):
        sample_negatives(histories([4]), np.array([5]), np.array([0, 5, 15, 9, 9]), "popularity", 3, 0)
    assert sample_negatives(histories([4]), np.array([5]), np.ones(5), "uniform", 3, 0).tolist()[0] != []


def test_ranks_put_the_lower_index_first_in_a_tie() -> None:
    scores = np.array([[-9, 1, 3, 3, 3, 5], [-9, 1, 3, 3, 3, 5]], dtype=np.float32)
    targets = np.array([3, 5])
    assert rank_among(scores, targets).tolist() == [3, 1]  # 5, then item 2, then item 3
    assert rank_among(scores, targets, np.array([[4, 1], [1, 2]])).tolist() == [1, 1]
    assert rank_among(scores, targets, np.array([[2, 5], [2, 3]])).tolist() == [3, 1]


@given(st.lists(st.integers(0, 3), min_size=7, max_size=7), st.integers(1, 6), st.integers(0, 99))
def test_a_rank_among_some_is_at_most_the_rank_among_all(scores: list[int], target: int, seed: int) -> None:
    table = np.array([[-9, *scores[1:]]], dtype=np.float32)
    others = np.random.default_rng(seed).permutation([i for i in range(1, 7) if i != target])[:3]
    assert rank_among(table, np.array([target]), others[None])[0] <= rank_among(table, np.array([target]))[0]
