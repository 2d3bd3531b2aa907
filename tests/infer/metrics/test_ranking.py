"""Metrics: by hand, against ranx on random lists, and intervals against SciPy."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ranx import Qrels, Run, evaluate
from scipy.stats import binomtest

from infer.metrics.beyond import list_metrics
from infer.metrics.intervals import wilson
from infer.metrics.ranking import rank_metrics, ranks, summarise


def values(found: list[int | None], k: int) -> dict[str, float]:
    table = summarise(pl.DataFrame({"rank": found}, schema={"rank": pl.Int64}), k)
    return dict(table.select("metric", "value").iter_rows())


def test_values_by_hand() -> None:
    # Ranks 1, 4, miss, 11 (beyond 10): two hits among four users.
    found = values([1, 4, None, 11], 10)
    assert found["hit@10"] == found["recall@10"] == 0.5
    assert found["precision@10"] == pytest.approx(0.05)
    assert found["mrr@10"] == found["map@10"] == pytest.approx((1 + 1 / 4) / 4)
    assert found["ndcg@10"] == pytest.approx((1 + 1 / math.log2(5)) / 4)


def test_metrics_equal_ranx_on_random_lists() -> None:
    rng = np.random.default_rng(0)
    users, length, k = 300, 20, 10
    top, run, truth = [], {}, {}
    for user in range(users):
        items = rng.permutation(60)[:length]
        truth[f"u{user}"] = {f"i{rng.integers(60)}": 1}
        run[f"u{user}"] = {f"i{item}": float(length - place) for place, item in enumerate(items)}
        top += [(f"u{user}", place + 1, f"i{item}") for place, item in enumerate(items)]
    lists = pl.DataFrame(top, schema=["user", "rank", "item"], orient="row")
    targets = pl.DataFrame([(u, next(iter(i))) for u, i in truth.items()], schema=["user", "item"], orient="row")
    found = dict(summarise(ranks(lists, targets), k).select("metric", "value").iter_rows())
    theirs = {
        "hit_rate": "hit",
        "ndcg": "ndcg",
        "mrr": "mrr",
        "precision": "precision",
        "recall": "recall",
        "map": "map",
    }
    expected = evaluate(Qrels(truth), Run(run), [f"{name}@{k}" for name in theirs])
    for name, ours in theirs.items():
        assert found[f"{ours}@{k}"] == pytest.approx(expected[f"{name}@{k}"], abs=1e-12), name
    assert 0 < found["hit@10"] < 1


def test_a_user_without_a_list_and_an_item_outside_it_are_misses() -> None:
    top = pl.DataFrame({"user": ["a", "a", "b"], "rank": [1, 2, 1], "item": [5, 6, 7]})
    targets = pl.DataFrame({"user": ["a", "b", "c"], "item": [6, 5, 5]})
    for dtype in (pl.Int32, pl.UInt32, pl.Int64):
        found = ranks(top.cast({"rank": dtype}), targets).sort("user")
        assert found["rank"].to_list() == [2, None, None] and found["rank"].dtype == pl.Int64
    assert values(ranks(top, targets)["rank"].to_list(), 2)["hit@2"] == pytest.approx(1 / 3)


@given(hits=st.integers(0, 200), misses=st.integers(0, 200))
def test_the_interval_of_a_share_is_wilsons(hits: int, misses: int) -> None:
    if hits + misses == 0:
        return
    table = summarise(pl.DataFrame({"rank": [1] * hits + [None] * misses}, schema={"rank": pl.Int64}), 10)
    _, value, low, high = table.row(0)
    expected = binomtest(hits, hits + misses).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert low <= value <= high


def test_no_hit_at_all_still_leaves_room_above_zero() -> None:
    for row in summarise(pl.DataFrame({"rank": [None] * 610}, schema={"rank": pl.Int64}), 10).iter_rows(named=True):
        bound = 0.00626 / (10 if row["metric"] == "precision@10" else 1)
        assert row["value"] == row["low"] == 0 and row["high"] == pytest.approx(bound, abs=1e-4)


def test_the_interval_uses_the_effective_number_of_users() -> None:
    # Ranks 1 and 3: reciprocals 1 and 1/3, mean 2/3, variance 1/9, so each user counts (2/9) / (1/9) = 2 times.
    table = summarise(pl.DataFrame({"rank": [1, 3] * 50}), 10)
    found = table.row(by_predicate=pl.col("metric") == "mrr@10")
    assert found[1:] == pytest.approx((2 / 3, *wilson(2 / 3, 200)))


@pytest.mark.parametrize(("rank", "users"), [(1, 3), (1, 50), (3, 50), (6, 610)])
def test_equal_ranks_leave_the_interval_of_their_number(rank: int, users: int) -> None:
    # Rounding gives equal values a variance near 1e-34 for some numbers of users: it is still zero.
    for name, value, low, high in summarise(pl.DataFrame({"rank": [rank] * users}), 10).iter_rows():
        # Precision is hit / 10, and its interval too.
        scale = 10 if name == "precision@10" else 1
        assert (low * scale, high * scale) == pytest.approx(wilson(value * scale, users), abs=1e-9), name


def test_the_interval_narrows_with_less_variance() -> None:
    low, high = wilson(0.5, 100)
    steady = summarise(pl.DataFrame({"rank": [3, 4] * 50}), 10)
    varied = summarise(pl.DataFrame({"rank": [1, None] * 50}), 10)
    assert (varied["low"][0], varied["high"][0]) == pytest.approx((low, high))
    ndcg = [t.row(by_predicate=pl.col("metric") == "ndcg@10") for t in (steady, varied)]
    assert ndcg[0][3] - ndcg[0][2] < ndcg[1][3] - ndcg[1][2]


@given(found=st.lists(st.none() | st.integers(1, 30), min_size=1, max_size=50), k=st.integers(1, 20))
def test_metrics_stay_in_their_bounds_and_order(found: list, k: int) -> None:
    one = values(found, k)
    assert 0 <= one[f"mrr@{k}"] <= one[f"ndcg@{k}"] + 1e-12 <= one[f"hit@{k}"] + 2e-12 <= 1 + 2e-12
    assert one[f"hit@{k}"] <= values(found, k + 1)[f"hit@{k + 1}"]
    assert len(rank_metrics(k)) == len(one) == 6


def test_coverage_and_novelty_by_hand() -> None:
    top = pl.DataFrame({"user": [1, 1, 2, 2], "rank": [1, 2, 1, 2], "item": [10, 11, 10, 12]})
    popularity = pl.DataFrame({"item": [10, 11, 12, 13], "count": [7, 3, 0, 1]})
    table = list_metrics(top, popularity, users=7, k=2)
    coverage, novelty = table.iter_rows(named=True)
    assert coverage == {"metric": "coverage@2", "value": 0.75, "low": None, "high": None}
    # -log2 of 8/8, 4/8 and 1/8: 0, 1 and 3 bits; users 0.5 and 1.5.
    assert novelty["value"] == pytest.approx(1.0)
    assert novelty["high"] - 1 == pytest.approx(1.96 * math.sqrt(0.5 / 2), rel=1e-3)
    assert list_metrics(top, popularity, users=7, k=1)["value"].to_list() == [0.25, 0.0]


def test_one_list_has_no_interval_and_no_list_no_novelty() -> None:
    popularity = pl.DataFrame({"item": [10, 11], "count": [7, 3]})
    top = pl.DataFrame({"user": [1], "rank": [1], "item": [11]})
    assert list_metrics(top, popularity, users=7, k=5).rows() == [
        ("coverage@5", 0.5, None, None),
        ("novelty@5", 1.0, None, None),
    ]
    assert list_metrics(top.clear(), popularity, users=7, k=5)["value"].to_list() == [0.0, 0.0]
