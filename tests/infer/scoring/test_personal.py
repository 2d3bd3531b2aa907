"""What customers buy again: the baseline that lists it, and metrics of repeated and of new items, by hand."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import infer
from infer import batch, evaluate
from infer.histories.histories import Histories
from infer.metrics.ranking import rank_counts
from infer.metrics.repeats import marked, repeat_rows
from infer.scoring.baselines import popular
from infer.scoring.personal import personal
from tests.helpers.markov import ITEMS, NEXT, write_model

# Held out: a again of u1 and u3, d anew of u2. Popular: a and b (two histories each), c, then e and d.
ROWS = [
    *[("u1", item, day, "train") for day, item in enumerate("aba")],
    ("u1", "a", 9, "test"),
    *[("u2", item, day, "train") for day, item in enumerate("cc")],
    ("u2", "d", 9, "test"),
    *[("u3", item, day, "train") for day, item in enumerate("bab")],
    ("u3", "a", 9, "test"),
]
UNKNOWN = [("u4", "zz", 0, "train"), ("u4", "e", 1, "train"), ("u4", "zz", 9, "test")]


def histories(*items: list[int]) -> Histories:
    offsets = np.concatenate([[0], np.cumsum([len(i) for i in items])]).astype(np.int64)
    flat = np.array([i for part in items for i in part], dtype=np.int32)
    return Histories(pl.Series("user", range(len(items))), flat, offsets, repeats=True)


def listed(own: Histories, order: np.ndarray, k: int) -> np.ndarray:
    return personal(own, popular(own.distinct, order, k), k)


def shop(folder: Path, rows: list[tuple]) -> Path:
    table = folder / "t.parquet"
    pl.DataFrame(rows, schema=["user", "item", "timestamp", "split"], orient="row").write_parquet(table)
    return write_model(folder / "m.onnx", ITEMS, NEXT, table, rules={"repeats": "keep"})


def test_own_items_by_how_often_then_how_lately_then_what_is_popular() -> None:
    own, order = histories([1, 2, 1, 3, 2], [4], [], [5, 5, 5]), np.array([5, 4, 3, 2, 1])
    assert listed(own, order, 4).tolist() == [[2, 1, 3, 5], [4, 5, 3, 2], [5, 4, 3, 2], [5, 4, 3, 2]]
    assert listed(own, order, 2).tolist() == [[2, 1], [4, 5], [5, 4], [5, 4]]
    assert listed(own, order, 9)[0].tolist() == [2, 1, 3, 5, 4], "and no more than there are"
    assert listed(own.rows(1, 3), order, 2).tolist() == [[4, 5], [5, 4]]


@given(own=st.lists(st.lists(st.integers(1, 6), max_size=9), min_size=1, max_size=5), k=st.integers(1, 8))
def test_personal_lists_equal_naive_ones(own: list[list[int]], k: int) -> None:
    order = [3, 6, 1, 2, 5, 4]
    expected = []
    for items in own:
        last = {item: place for place, item in enumerate(items)}
        mine = sorted(set(items), key=lambda item: (-items.count(item), -last[item]))
        expected.append([*mine, *(item for item in order if item not in mine)][:k])
    assert listed(histories(*own), np.array(order), k).tolist() == expected


@pytest.mark.parametrize("words", [[], ["--part-users=1", "--batch-size=1"]])
def test_metrics_of_repeats_and_of_new_items(tmp_path: Path, words: list[str], capsys) -> None:
    model = shop(tmp_path, ROWS + UNKNOWN)
    batch.main([f"--model={model}", "--k=2", "--max-popular=1", *words])
    report = json.loads((tmp_path / "m.metrics.json").read_text())
    assert list(report["metrics"]) == ["random", "popularity", "personal frequency", "m"]
    assert (report["users_measured"], report["repeat_targets"]) == (4, 3), "zz of u4 is one that the model lacks"
    found = {name: {key: m["value"] for key, m in table.items()} for name, table in report["metrics"].items()}
    # u1: a (twice), b. u2: c, then a. u3: b (twice), a. u4: e, then a.
    own = found["personal frequency"]
    assert own["hit@2"] == pytest.approx(2 / 4) and own["hit_rep@2"] == pytest.approx(2 / 3)
    assert own["ndcg_rep@2"] == pytest.approx((1 + 1 / math.log2(3)) / 3) and own["hit_new@2"] == 0
    # The model's lists hold no seen item: of the repeats they find none.
    assert found["m"]["hit_rep@2"] == found["popularity"]["hit_rep@2"] == 0
    assert {"hit_rep@2", "ndcg_rep@2", "hit_new@2", "ndcg_new@2"} <= set(found["m"])
    printed = capsys.readouterr().out
    assert "3 of the held-out items were in their user's history (rep), 1 are new to them" in printed
    assert "ndcg_rep@2 %" in printed
    table = infer.load(model).evaluate(k=2)
    assert dict(table.filter(model="personal frequency").select("metric", "value").iter_rows()) == own


@pytest.mark.parametrize("rules", [{"seen": "keep"}, {"seen": "only"}, {"seen_within": "1h"}])
def test_nothing_is_listed_twice_where_seen_items_may_be_recommended(tmp_path: Path, rules: dict[str, Any]) -> None:
    found = infer.load(shop(tmp_path, ROWS)).evaluate(k=3, **rules).filter(model="personal frequency")
    # u1: a (twice), b, then c. u2: c, then a and b. u3: b (twice), a, then c.
    values = dict(found.select("metric", "value").iter_rows())
    assert values["hit@3"] == pytest.approx(2 / 3) and values["precision@3"] == pytest.approx(2 / 9)
    assert values["mrr@3"] == pytest.approx((1 + 1 / 2) / 3)


def test_without_kept_repeats_there_is_neither(tmp_path: Path) -> None:
    model = shop(tmp_path, ROWS)
    batch.main([f"--model={model}", "--k=2", "--max-popular=1", "--repeats=latest"])
    report = json.loads((tmp_path / "m.metrics.json").read_text())
    assert list(report["metrics"]) == ["random", "popularity", "m"] and report["repeat_targets"] == 0
    assert "hit_rep@2" not in report["metrics"]["m"]


def test_the_evaluation_has_cohorts_of_both_and_a_dropped_item_has_no_rank(tmp_path: Path, capsys) -> None:
    evaluate.main([f"--model={shop(tmp_path, ROWS)}", "--negatives=1"])
    ranks = pl.read_parquet(tmp_path / "m.ranks.parquet")
    # u2 has had c alone, after which all are equal: a b d, though d is the third of five.
    assert ranks.select("user", "rank", "rank_uniform", "repeat").rows()[::2] == [
        ("u1", None, None, True),
        ("u3", None, None, True),
    ]
    assert ranks["rank"].to_list() == [None, 3, None]
    report = json.loads((tmp_path / "m.evaluation.json").read_text())
    held = {(row["cohort"], row["metric"]): row for row in report["cohorts"] if row["by"] == "held_out"}
    # Of five items each stands among the first ten; those that are dropped are misses all the same.
    assert held["repeat", "hit@10"]["users"] == 2 and held["repeat", "hit@10"]["value"] == 0
    assert held["new", "hit@10"]["users"] == 1 and held["new", "hit@10"]["value"] == 1
    assert report["protocols"]["full"]["hit@10"]["value"] == pytest.approx(1 / 3)
    assert "held out repeat" in capsys.readouterr().out


def test_counts_of_both_add_up_and_a_kind_without_users_has_no_rows() -> None:
    targets = pl.DataFrame({"user": [1, 2], "item": ["a", "b"]})
    history = pl.DataFrame({"user": [1, 1, 2], "item": ["a", "a", "a"]})
    assert marked(targets, history).rows() == [(1, "a", True), (2, "b", False)]
    ranked = pl.DataFrame({"user": [1, 2], "rank": [1, None]}, schema_overrides={"rank": pl.Int64})
    one = {"rep": rank_counts(ranked.head(1), 3).to_dict(as_series=False), "new": {"rank": [], "users": []}}
    other = {"rep": rank_counts(ranked.tail(1), 3).to_dict(as_series=False), "new": {"rank": [], "users": []}}
    rows = repeat_rows([one, other], 3)
    assert dict(rows.select("metric", "value").iter_rows()) == {"hit_rep@3": 0.5, "ndcg_rep@3": 0.5}
