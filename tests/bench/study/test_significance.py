"""Paired differences: clear ones, none, chance, and tables that cannot be compared."""

import numpy as np
import polars as pl
import pytest
from scipy import stats

from bench.study.significance import mean_interval, paired
from infer.errors import InputError


def ranks(hits: np.ndarray) -> pl.DataFrame:
    users = np.arange(len(hits))
    return pl.DataFrame({"user": users, "item": users + 5, "rank": np.where(hits, 1, 11)})


RNG = np.random.default_rng(0)


def test_a_clear_difference_is_found_whatever_the_order_of_the_rows() -> None:
    base = [RNG.random(400) < 0.1 for _ in range(3)]
    better = [hits | (RNG.random(400) < 0.1) for hits in base]
    one, other = [ranks(h) for h in better], [ranks(h).sample(fraction=1.0, shuffle=True, seed=1) for h in base]
    found = paired(one, other)
    expected = np.mean([b.mean() - a.mean() for a, b in zip(base, better, strict=True)])
    assert found.value == pytest.approx(expected) and found.low > 0 and found.p < 0.01 and found.distinguishable
    difference = np.mean(better, axis=0) - np.mean(base, axis=0)
    error = 1.96 * difference.std() / 20
    assert (found.low, found.high) == pytest.approx((expected - error, expected + error), abs=0.005)
    assert found.users == 400 and found.seeds == 3 and found.seeds_low < expected < found.seeds_high
    assert paired(other, one).value == pytest.approx(-expected)


def test_chance_is_not_distinguishable_and_equal_models_have_no_difference() -> None:
    one, other = ranks(RNG.random(200) < 0.1), ranks(RNG.random(200) < 0.1)
    found = paired([one], [other])
    assert not found.distinguishable and found.p > 0.05 and found.seeds_low is None
    same = paired([one], [one])
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1) and not same.distinguishable


def test_the_permutation_test_is_scipys_exact_one_in_small() -> None:
    # Four users, each better by one: of 16 assignments of signs two are as extreme.
    one, other = ranks(np.ones(4, bool)), ranks(np.zeros(4, bool))
    assert paired([one], [other]).p == pytest.approx(2 / 16)


def test_ndcg_differs_where_ranks_do() -> None:
    one = pl.DataFrame({"user": [1, 2], "item": [1, 1], "rank": [1, 3]})
    other = pl.DataFrame({"user": [1, 2], "item": [1, 1], "rank": [3, 3]})
    assert paired([one], [other], "ndcg@10").value == pytest.approx(0.25)
    assert paired([one], [other], "hit@10").value == 0


def test_an_interval_of_seeds_is_students() -> None:
    values = [1.0, 2.0, 4.0]
    expected = stats.ttest_1samp(values, 0).confidence_interval()
    assert mean_interval(values) == pytest.approx((7 / 3, *expected))
    assert mean_interval([2.0]) == (2.0, None, None) and mean_interval([2.0, 2.0]) == (2.0, 2.0, 2.0)


def test_other_users_or_items_are_refused() -> None:
    one = ranks(np.ones(4, bool))
    for other in (one.head(3), one.with_columns(item=pl.lit(9))):
        with pytest.raises(InputError, match="other users or held-out items"):
            paired([one], [other])
