"""Transitions by hand and beside a loop, whatever is counted at once; the largest entries, of parts and of all."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from infer.histories.histories import Histories
from train.data.dataset import Data
from train.models import transitions as counting
from train.models.transitions import LAG_DECAY, LAGS, Largest, transitions


def data(histories: list[list[int]], items: int) -> Data:
    flat = np.concatenate([np.array(h, np.int32) for h in histories])
    offsets = np.concatenate([[0], np.cumsum([len(h) for h in histories])])
    found = Histories(pl.Series(range(len(histories))), flat, offsets)
    return Data("d", "", list(range(1, items + 1)), found.users.to_list(), None, None, [], found, np.array([]), Path())


@pytest.fixture
def drawn() -> Data:
    """Histories of no, one, two and up to 30 items, one of which nobody has."""
    rng = np.random.default_rng(0)
    return data([rng.integers(1, 40, size).tolist() for size in (0, 1, 2, 0, *rng.integers(1, 31, 60))], 40)


def slowly(given: Data, lags: int, decay: float, backward: float) -> np.ndarray:
    counts = np.zeros((len(given.item_ids), len(given.item_ids)))
    for user in range(len(given.histories)):
        items = given.histories.rows(user, user + 1).flat - 1
        for place, item in enumerate(items):
            for lag, later in enumerate(items[place + 1 : place + 1 + lags]):
                counts[item, later] += decay**lag
                counts[later, item] += backward * decay**lag
    return counts


def test_transitions_count_forward_within_a_user_and_decay_with_the_lag() -> None:
    found = transitions(data([[1, 2, 3], [1, 2]], 3)).toarray()
    np.testing.assert_allclose(found, [[0, 2, LAG_DECAY], [0, 0, 1], [0, 0, 0]], rtol=1e-6)


def test_transitions_reach_ten_steps_and_count_four_fifths_for_each_further_one() -> None:
    found = transitions(data([list(range(1, 13))], 12)).toarray()
    np.testing.assert_allclose(found[0], [0, *(0.8**lag for lag in range(10)), 0], rtol=1e-6)
    assert (LAGS, LAG_DECAY) == (10, 0.8)


@pytest.mark.parametrize("backward", [0.0, 0.3])
@pytest.mark.parametrize("at_once", [1, 50, 10**6])
def test_counts_are_those_of_a_loop_however_many_are_made_at_once(
    drawn: Data, at_once: int, backward: float, monkeypatch
) -> None:
    monkeypatch.setattr(counting, "PAIRS_AT_ONCE", at_once)
    found = transitions(drawn, lags=4, decay=0.7, backward=backward)
    assert found.dtype == np.float32 and found.shape == (40, 40)
    np.testing.assert_allclose(found.toarray(), slowly(drawn, 4, 0.7, backward), rtol=1e-6)


def test_users_cut_out_of_others_have_their_own_transitions(drawn: Data) -> None:
    part = drawn.histories.rows(10, 20)
    whole = data([drawn.histories.rows(user, user + 1).flat.tolist() for user in range(10, 20)], 40)
    (found,) = counting.counted(part, 40, {1: 1.0})
    assert found.toarray().tolist() == transitions(whole, lags=1).toarray().tolist()


def test_nothing_follows_in_histories_of_one_item() -> None:
    assert transitions(data([[1], [2], []], 3)).nnz == 0


@pytest.mark.parametrize("at_once", [1, 60, 10**6])
def test_the_largest_entries_of_parts_are_those_of_the_whole(drawn: Data, at_once: int, monkeypatch) -> None:
    monkeypatch.setattr(counting, "PAIRS_AT_ONCE", at_once)
    halved = transitions(drawn, lags=3, finish=lambda counts: counts * 0.5).toarray()
    for most in (1, 37, 100, 10**6):
        kept = transitions(drawn, lags=3, finish=lambda counts: counts * 0.5, most=most).toarray()
        least = np.sort(halved.ravel())[-min(most, np.count_nonzero(halved))]
        assert kept.tolist() == np.where(halved >= least, halved, 0).tolist()


def test_the_largest_entries_are_those_of_the_largest_size_whatever_their_sign() -> None:
    matrix = sp.csr_matrix(np.array([[0.5, 0, -3], [0, 0, 0], [1, 2, -0.1]], np.float32))
    for most, wanted in ((3, [[0, 0, -3], [0, 0, 0], [1, 2, 0]]), (5, matrix.toarray().tolist())):
        largest = Largest(most)
        largest.add(matrix)
        (found,) = largest.parts()
        assert found.toarray().tolist() == wanted


def test_no_more_entries_are_held_than_a_few_times_what_is_kept(monkeypatch) -> None:
    largest, rng = Largest(100), np.random.default_rng(0)
    for _ in range(50):
        largest.add(sp.csr_matrix(rng.random((10, 10)).astype(np.float32)))
        assert sum(part.nnz for part in largest.kept) <= counting.AHEAD * 100
    found = np.concatenate([part.data for part in largest.parts()])
    assert len(found) == 100 and found.min() > 0.97
