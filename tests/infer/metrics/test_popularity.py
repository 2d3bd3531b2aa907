"""How popular and how evenly spread items are: by hand, and Gini as the mean difference of all pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infer.metrics.popularity import gini, popularity_lift, popularity_probability, self_information, surprise


def test_gini_by_hand() -> None:
    assert gini(np.array([2, 2, 2])) == 0
    assert gini(np.array([0, 0, 4])) == pytest.approx(2 / 3)
    # Ascending 1, 3: (2 - 3) 1 + (4 - 3) 3 = 2, over 2 * 4.
    assert gini(np.array([3, 1])) == pytest.approx(1 / 4)
    assert gini(np.array([0, 0])) == 0, "nothing recommended"


@given(counts=st.lists(st.integers(0, 40), min_size=1, max_size=30))
def test_gini_is_half_the_relative_mean_difference(counts: list[int]) -> None:
    values = np.array(counts, dtype=np.uint32)
    difference = np.abs(np.subtract.outer(counts, counts)).mean()
    expected = difference / (2 * np.mean(counts)) if sum(counts) else 0
    assert gini(values) == pytest.approx(expected, abs=1e-12)


def test_information_and_probabilities_by_hand() -> None:
    assert self_information(np.array([7, 3, 0]), 7).tolist() == [0, 1, 3]
    # Counts 5, 2, 2, 0: ranks 1, 2, 2, 3 of 4 items; what is in no history has 0.
    assert popularity_probability(np.array([2, 5, 0, 2])).tolist() == [0.75, 1, 0, 0.75]
    # Rank 1 has 1, rank 2 has 0.75; never below 0.
    assert surprise(np.array([1, 2, 2]), np.array([0.75, 0.0, 1.0]), 4).tolist() == [0.25, 0.75, 0]


def test_lift_is_relative_and_needs_both() -> None:
    assert popularity_lift(0.3, 0.2) == pytest.approx(0.5) and popularity_lift(0.1, 0.2) == pytest.approx(-0.5)
    assert popularity_lift(None, 0.2) is popularity_lift(0.2, None) is popularity_lift(0.2, 0.0) is None
