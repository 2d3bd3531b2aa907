"""Paired differences: clear ones, none, chance, seeds that disagree, and tables that cannot be compared."""

import sys

import numpy as np
import polars as pl
import pytest
from scipy import stats

from bench.study.statistics.significance import crossed, holm, judged, mean_interval, paired, permutation, verdict
from infer.errors import InputError


def ranks(hits: np.ndarray) -> pl.DataFrame:
    users = np.arange(len(hits))
    return pl.DataFrame({"user": users, "item": users + 5, "rank": np.where(hits, 1, 11)})


RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test's numbers follow from which ran before it in the same process."""
    monkeypatch.setattr(sys.modules[__name__], "RNG", np.random.default_rng(0))


def test_a_clear_difference_is_found_whatever_the_order_of_the_rows() -> None:
    base = [RNG.random(400) < 0.1 for _ in range(3)]
    better = [hits | (RNG.random(400) < 0.1) for hits in base]
    one, other = [ranks(h) for h in better], [ranks(h).sample(fraction=1.0, shuffle=True, seed=1) for h in base]
    found = paired(one, other)
    expected = np.mean([b.mean() - a.mean() for a, b in zip(base, better, strict=True)])
    assert found.value == pytest.approx(expected) and found.low > 0 and found.p < 0.01
    assert (found.users, found.seeds, found.over) == (400, 3, "users and seeds")
    assert paired(other, one).value == pytest.approx(-expected)


def test_with_one_seed_the_interval_is_over_users_and_says_so() -> None:
    one, other = RNG.random(400) < 0.3, RNG.random(400) < 0.1
    found = paired([ranks(one)], [ranks(other)])
    difference = one.astype(float) - other
    error = 1.96 * difference.std() / 20
    assert (found.low, found.high) == pytest.approx((found.value - error, found.value + error), abs=0.006)
    assert found.over == "users"


@pytest.mark.parametrize("seeds", [2, 5])
def test_the_interval_holds_the_variance_of_users_and_of_seeds(seeds: int) -> None:
    # Every user differs by the seed alone, or every seed by the user alone, or by both: variances add up.
    by_seed, by_user = np.array([-0.1, 0.095, 0.037, -0.043, 0.011])[:seeds], RNG.normal(size=900)
    by_user -= by_user.mean()
    error = stats.sem(by_seed)
    drawn = np.random.default_rng(0).choice(by_seed, (9999, max(1, seeds - 1))).mean(1)
    assert drawn.std() == pytest.approx(error, rel=0.03), "n - 1 draws have the variance of the mean of n"
    (only_seeds,) = crossed(np.tile(by_seed[:, None], (1, 900))[None])
    assert only_seeds == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=0.004)
    (only_users,) = crossed(np.tile(by_user, (seeds, 1))[None])
    assert only_users[1] == pytest.approx(1.96 * by_user.std() / 30, abs=0.004)
    (both,) = crossed((by_seed[:, None] + by_user)[None])
    assert both[1] > max(only_users[1], only_seeds[1]) and both[0] < min(only_users[0], only_seeds[0])


def test_several_metrics_have_the_intervals_that_each_has_alone() -> None:
    values = (RNG.random((2, 3, 80)) < 0.3).astype(float)
    together = crossed(values)
    for metric, found in zip(values, together, strict=True):
        assert found == pytest.approx(crossed(metric[None])[0], abs=0.03) and 0 <= found[0] < found[1] <= 1


def test_chance_is_not_distinguishable_and_equal_models_have_no_difference() -> None:
    one, other = ranks(RNG.random(200) < 0.1), ranks(RNG.random(200) < 0.1)
    found = paired([one], [other])
    assert found.low < 0 < found.high and found.p > 0.05
    same = paired([one], [one])
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_the_permutation_test_is_scipys_exact_one_in_small() -> None:
    # Four users, each better by one: of 16 assignments of signs two are as extreme. One without difference adds none.
    one, other = ranks(np.ones(5, bool)), ranks(np.array([0, 0, 0, 0, 1], bool))
    assert paired([one], [other]).p == pytest.approx(2 / 16)
    assert permutation(np.array([1.0, -1.0])) == 1


def test_the_permutation_test_is_scipys_where_signs_are_drawn() -> None:
    values = np.concatenate([np.random.default_rng(4).normal(0.45, 1, 50), np.zeros(30), np.tile([1.0, -1.0], 10)])
    theirs = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=9999).pvalue
    assert 0.002 < theirs < 0.5 and permutation(values) == pytest.approx(theirs, abs=0.015)
    assert permutation(values) == permutation(values) and permutation(np.ones(400)) == 1 / 10_000
    assert permutation(np.tile([1.0, -1.0], 20)) == 1, "every sum is as extreme as 0"


def test_holms_correction_by_hand() -> None:
    # In order 0.01, 0.02, 0.03, 0.9, times 4, 3, 2, 1; a later one is never below an earlier one.
    assert holm([0.03, 0.9, 0.01, 0.02]) == pytest.approx([0.06, 0.9, 0.04, 0.06])
    assert holm([0.5, 0.6]).tolist() == [1.0, 1.0] and holm([]).tolist() == [] and holm([0.04]).tolist() == [0.04]


def test_a_verdict_never_contradicts_what_stands_beside_it() -> None:
    assert verdict(0.01, 0.02, 0.049) == (True, None)
    assert verdict(-0.02, -0.01, 0.0) == (True, None)
    assert verdict(0.0, 0.02, 0.01) == (False, "the interval holds 0")
    assert verdict(0.01, 0.02, 0.05) == (False, "corrected p is not below 0.05")
    assert verdict(-0.01, 0.02, 0.5)[1] == "the interval holds 0 and corrected p is not below 0.05"


def test_families_are_corrected_apart() -> None:
    rows = pl.DataFrame({
        "family": ["a", "b", "a"], "low": [0.1, 0.1, 0.1], "high": [0.2, 0.2, 0.2], "p": [0.03, 0.03, 0.04],
    })  # fmt: skip
    found = judged(rows)
    assert found["p_corrected"].to_list() == pytest.approx([0.06, 0.03, 0.06])
    assert found["significant"].to_list() == [False, True, False] and found["why"].null_count() == 1
    assert judged(rows.clear()).is_empty()


def test_ndcg_differs_where_ranks_do() -> None:
    one = pl.DataFrame({"user": [1, 2], "item": [1, 1], "rank": [1, 3]})
    other = pl.DataFrame({"user": [1, 2], "item": [1, 1], "rank": [3, 3]})
    assert paired([one], [other], "ndcg@10").value == pytest.approx(0.25)
    assert paired([one], [other], "hit@10").value == 0


def test_an_interval_of_rounds_is_students() -> None:
    values = [1.0, 2.0, 4.0]
    expected = stats.ttest_1samp(values, 0).confidence_interval()
    assert mean_interval(values) == pytest.approx((7 / 3, *expected))
    assert mean_interval([2.0]) == (2.0, None, None) and mean_interval([2.0, 2.0]) == (2.0, 2.0, 2.0)


def test_other_users_or_items_or_seeds_are_refused() -> None:
    one = ranks(np.ones(4, bool))
    for other in (one.head(3), one.with_columns(item=pl.lit(9))):
        with pytest.raises(InputError, match="other users or held-out items"):
            paired([one], [other])
    with pytest.raises(InputError, match="found 2 and 1"):
        paired([one, one], [one])
