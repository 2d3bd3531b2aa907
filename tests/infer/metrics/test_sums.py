"""Sums of whole numbers: the same however users are cut, and the intervals of plain arithmetic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infer.metrics.intervals import Z
from infer.metrics.sums import BITS, SHARE, Sums, divided, segment_sums, to_steps


def test_means_and_intervals_by_hand() -> None:
    # Group 0: 1, 2 and 6, mean 3, variance 7; group 1: one user; group 2: nobody.
    found = Sums.of(to_steps(np.array([1.0, 5.0, 2.0, 6.0]), BITS), np.array([0, 1, 0, 0]), 3)
    half = Z * (7 / 3) ** 0.5
    assert found.users == [3, 1, 0]
    assert found.interval(0, BITS) == pytest.approx((3, max(0, 3 - half), 3 + half))
    assert found.interval(1, BITS) == (5, None, None) and found.interval(2, BITS) == (None, None, None)
    assert found.together.interval(0, BITS)[0] == 3.5 and found.together.users == [4]


def test_low_ends_are_not_below_zero_and_equal_values_have_no_width() -> None:
    assert Sums.of(to_steps(np.array([0.0, 1.0]), SHARE), np.zeros(2, dtype=int), 1).interval(0, SHARE)[1] == 0.0
    same = Sums.of(to_steps(np.full(1000, 0.1), SHARE), np.zeros(1000, dtype=int), 1).interval(0, SHARE)
    assert same[0] == same[1] == same[2] == pytest.approx(0.1)


@given(values=st.lists(st.floats(0, 1), min_size=2, max_size=50), cut=st.integers(0, 50))
def test_any_cut_gives_the_same_digits(values: list[float], cut: int) -> None:
    steps, group = to_steps(np.array(values), SHARE), np.arange(len(values)) % 2
    whole = Sums.of(steps, group, 2)
    assert Sums.of(steps[:cut], group[:cut], 2) + Sums.of(steps[cut:], group[cut:], 2) == whole
    mean, low, high = whole.together.interval(0, SHARE)
    assert mean == pytest.approx(np.mean(values), abs=1e-11)
    assert high - mean == pytest.approx(Z * np.std(values, ddof=1) / len(values) ** 0.5, abs=1e-9)
    assert low == max(0, mean - (high - mean)) or low == pytest.approx(mean - (high - mean))


def test_sums_are_exact_where_floats_round_and_64_bits_overflow() -> None:
    steps = np.full(5000, 2**40 + 1)
    found = Sums.of(steps, np.zeros(5000, dtype=int), 1)
    assert found.totals == [5000 * (2**40 + 1)] and found.squares == [5000 * (2**40 + 1) ** 2]


def test_segments_may_be_empty_and_halves_round_upwards() -> None:
    assert segment_sums(np.array([1, 2, 3]), np.array([0, 2, 2, 3])).tolist() == [3, 0, 3]
    assert segment_sums(np.full(9, 2**62), np.array([0, 8, 9])).tolist()[1] == 2**62, "a running sum that wraps"
    assert divided(np.array([3, 5, 4, 0]), np.array([2, 2, 3, 7])).tolist() == [2, 3, 1, 0]
