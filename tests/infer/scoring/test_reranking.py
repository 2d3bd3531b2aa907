"""Re-ranked lists equal those of a naive implementation; a limit is exact; what it costs is measured."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from infer import batch
from infer.errors import InputError
from infer.metrics.categories import Categories
from infer.model.session import open_model
from infer.model.signature import DROPPED
from infer.scoring import lists
from infer.scoring.job import open_job
from infer.scoring.lists import ranked_lists
from infer.scoring.reranking import Reranking
from infer.scoring.task import prepare
from infer.scoring.variety import VarietyOptions
from tests.helpers.markov import write_model

LABELS = st.lists(st.lists(st.integers(0, 2), max_size=2, unique=True), min_size=9, max_size=9)


def categories(labels: list[list[int]]) -> Categories:
    """labels: of items 1, 2, ..."""
    flat = [label for own in labels for label in sorted(own)]
    return Categories(np.array(flat, dtype=np.int64), np.cumsum([0, 0, *map(len, labels)]), 3)


def naive(
    items: list[int], scores: list[float], labels: list, vectors: np.ndarray, most: int, d: float, k: int
) -> list:
    low, high = min(scores), max(scores)
    worth = {i: (s - low) / (high - low) if high > low else 0.0 for i, s in zip(items, scores, strict=True)}
    if not d:
        worth = dict(zip(items, scores, strict=True))
    chosen: list[int] = []
    while len(chosen) < k:
        fits = [
            i
            for i in items
            if i not in chosen
            and (not most or all(sum(label in labels[c - 1] for c in chosen) < most for label in labels[i - 1]))
        ]
        if not fits:
            break
        if d and chosen:
            like = {i: max(round(float(vectors[i] @ vectors[c]), 6) for c in chosen) for i in fits}
            chosen.append(max(fits, key=lambda i: (round((1 - d) * worth[i] - d * like[i], 9), -items.index(i))))
        else:
            chosen.append(max(fits, key=lambda i: (worth[i], -items.index(i))))
    return chosen


def fillable(chosen: list[int], labels: list[list[int]], most: int) -> bool:
    """Whether an item that nobody has looked at could still fit: one without a category, or of one that is not full."""
    if not most or [] in labels:
        return True
    held = [label for item in chosen for label in labels[item - 1]]
    every = [label for own in labels for label in own]
    return any(held.count(label) < min(most, every.count(label)) for label in every)


@settings(max_examples=150, deadline=None)
@example([[]] * 9, 0, 0.5, 4, [-1, 0, 0, 2, 1, 0, -2, 3, -3], 0, 7)  # two are equal but for rounding
@given(
    labels=LABELS, most=st.integers(0, 3), d=st.sampled_from([0.0, 0.25, 0.5, 1.0]), k=st.integers(1, 10),
    scores=st.lists(st.integers(-3, 3), min_size=9, max_size=9), dropped=st.integers(0, 9), seed=st.integers(0, 9),
)  # fmt: skip
def test_re_ranked_lists_equal_naive_ones(labels, most, d, k, scores, dropped, seed) -> None:
    order = sorted(range(1, 10), key=lambda i: (-scores[i - 1], i))
    values = np.array([scores[i - 1] for i in order], dtype=np.float32)
    values[9 - dropped :] = DROPPED
    vectors = np.random.default_rng(seed).integers(-2, 3, (10, 3)).astype(np.float32) / 4
    reranking = Reranking(most, d, categories(labels) if most else None, vectors if d else None)
    places, is_open = reranking.chosen(np.array([order, order]), np.stack([values, values]), k)
    listed = order[: 9 - dropped]
    expected = naive(listed, values[: 9 - dropped].tolist(), labels, vectors, most, d, k) if listed else []
    for row in places:
        assert [order[place] for place in row if place >= 0] == expected
    assert is_open.tolist() == [len(expected) < k and not dropped and fillable(expected, labels, most)] * 2


def test_a_list_is_closed_where_every_further_item_has_a_full_category() -> None:
    def is_open(labels: list[list[int]], most: int, allowed: list[int] | None = None) -> bool:
        mask = None if allowed is None else np.isin(np.arange(10), allowed)
        found = Reranking(most, 0.0, categories(labels), None, mask)
        pool = np.array([[1, 2, 3, 4]])  # of nine items
        return bool(found.chosen(pool, np.array([[9, 8, 7, 6]], dtype=np.float32), 5)[1][0])

    one_each = [[0], [1], [2], [0], [0], [0], [1], [1], [2]]
    assert not is_open(one_each, 1) and is_open(one_each, 2)
    assert is_open([*one_each[:8], []], 1), "an item without a category always fits"
    assert not is_open([*one_each[:8], []], 1, [1, 2, 3, 4, 5, 6, 7, 8]), "unless nobody may get it"
    few = [[0], [1], [0], [0], [0], [0], [0], [0], [0]]
    assert not is_open(few, 2), "the second category has a single item"
    assert is_open([[0], [1], [0], [0], [0], [0], [0], [0], [1]], 2)
    assert not is_open([[0], [1], [0], [0], [0], [0], [0], [0], [1]], 2, [1, 2, 3, 4, 5])


def test_what_cannot_be_filled_does_not_rank_the_whole_catalogue(tmp_path: Path, monkeypatch) -> None:
    model = write_shop(tmp_path)
    asked = []
    real = lists._best
    monkeypatch.setattr(lists, "_best", lambda t, rows, k, stages: asked.append(k) or real(t, rows, k, stages))
    task = prepare(open_job(open_model(model)))
    reranking, _ = VarietyOptions(most_per="brand=1", items=tmp_path / "items.csv").reranking(task.job)
    # The first pool has a single brand, the second both: two items are all that a list can hold.
    found, _ = ranked_lists(task, 3, 256, reranking=reranking)
    assert asked == [15, 30] and found["rank"].to_list() == [1, 2] * 3
    asked.clear()
    found, _ = ranked_lists(task, 6, 256, reranking=reranking)
    assert asked == [30] and found["rank"].to_list() == [1, 2] * 3


def test_longer_pools_are_asked_for_as_few_users_at_once_as_memory_holds(tmp_path: Path, monkeypatch) -> None:
    model = write_shop(tmp_path)
    task = prepare(open_job(open_model(model)))
    reranking, _ = VarietyOptions(most_per="brand=2", items=tmp_path / "items.csv").reranking(task.job)
    expected, _ = ranked_lists(task, 4, 256, reranking=reranking)
    real, users = lists._best, []
    monkeypatch.setattr(lists, "_best", lambda t, rows, k, stages: users.append(len(rows)) or real(t, rows, k, stages))
    monkeypatch.setattr(lists, "LARGEST_SCORES", 30 * lists.POOLED)
    found, _ = ranked_lists(task, 4, 256, reranking=reranking)
    assert found.equals(expected) and users == [3, 1, 1, 1]


def test_one_item_of_very_many_categories_costs_what_they_are() -> None:
    labels = [[0]] * 50_000
    flat = np.concatenate([np.zeros(50_000, dtype=np.int32), np.arange(20_000, dtype=np.int32)])
    offsets = np.concatenate([[0], np.arange(len(labels) + 1), [70_000]])
    found = Reranking(2, 0.0, Categories(flat, offsets, 20_000))
    tracemalloc.start()
    places, _ = found.chosen(np.array([[50_001, 1, 2, 3]]), np.array([[4, 3, 2, 1]], dtype=np.float32), 4)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
    assert places.tolist() == [[0, 1, -1, -1]]


def write_shop(folder: Path) -> Path:
    """A model of 30 items of which the best are all of one brand."""
    items = list(range(1, 31))
    scores = np.zeros((31, 31), dtype=np.float32)
    scores[:, 1:] = np.arange(30, 0, -1)
    users = [(user, item, day, "train") for user in (1, 2, 3) for day, item in enumerate((30, 29))]
    users += [(user, 25, 5, "test") for user in (1, 2, 3)]
    table = folder / "t.parquet"
    pl.DataFrame(users, schema=["user", "item", "timestamp", "split"], orient="row").write_parquet(table)
    brands = ["a" if item <= 24 else "b" for item in items]
    pl.DataFrame({"item": items, "brand": brands}).write_csv(folder / "items.csv")
    return write_model(folder / "m.onnx", items, scores, table)


def test_a_limit_is_exact_however_far_down_the_items_are(tmp_path: Path, capsys) -> None:
    model = write_shop(tmp_path)
    words = [f"--model={model}", "--k=4", f"--items={tmp_path / 'items.csv'}", "--most-per=brand=2", "--max-popular=1"]
    batch.main(words)
    lists = pl.read_parquet(tmp_path / "m.topk.parquet" / "*.parquet")
    assert lists["item"].to_list() == [1, 2, 25, 26] * 3 and lists["score"].to_list() == [30, 29, 6, 5] * 3
    told = capsys.readouterr().out
    assert "not re-ranked" in told and "re-ranking takes ndcg@4 from 0.00% to 50.00%" in told
    manifest = json.loads((tmp_path / "m.topk.json").read_text())
    assert manifest["plan"]["options"]["variety"]["most_per"] == "brand=2"
    batch.main([*words, "--batch-size=1", "--restart", "--part-users=2"])
    assert pl.read_parquet(tmp_path / "m.topk.parquet" / "*.parquet").equals(lists)


def test_what_a_limit_costs_is_told_of_lists_with_the_same_fallback(tmp_path: Path, capsys) -> None:
    model = write_shop(tmp_path)
    held = pl.read_parquet(tmp_path / "t.parquet")
    # A user of whom the model knows nothing gets 29, which was held out, as the fallback's first.
    cold = pl.DataFrame([(9, 77, 1, "train"), (9, 29, 5, "test")], schema=held.schema, orient="row")
    pl.concat([held, cold]).write_parquet(tmp_path / "cold.parquet")
    words = [f"--model={model}", f"--interactions={tmp_path / 'cold.parquet'}", f"--items={tmp_path / 'items.csv'}"]
    words += ["--k=4", "--most-per=brand=99", "--fallback=popular", "--max-popular=1", "--split-column=split"]
    batch.main(words)
    assert "re-ranking takes ndcg@4 from 25.00% to 25.00% (+0.0%)" in capsys.readouterr().out


def test_only_changed_keeps_parts_without_a_history_apart_from_what_is_re_ranked(tmp_path: Path) -> None:
    model = write_shop(tmp_path)
    held = pl.read_parquet(tmp_path / "t.parquet")
    first = pl.DataFrame([(0, 30, 5, "test")], schema=held.schema, orient="row")
    pl.concat([first, held]).write_parquet(tmp_path / "first.parquet")
    words = [f"--model={model}", f"--interactions={tmp_path / 'first.parquet'}", f"--items={tmp_path / 'items.csv'}"]
    words += ["--k=4", "--most-per=brand=1", "--max-popular=1", "--split-column=split", "--part-users=1"]
    batch.main(words)
    lists = pl.read_parquet(tmp_path / "m.topk.parquet" / "*.parquet")
    batch.main([*words, "--only-changed", "--restart"])
    assert pl.read_parquet(tmp_path / "m.topk.parquet" / "*.parquet").equals(lists)


def test_items_without_a_category_have_no_limit_and_are_counted(tmp_path: Path, capsys) -> None:
    model = write_shop(tmp_path)
    (tmp_path / "few.csv").write_text("item,brand\n1,a\n2,a\n3,\n")
    words = [f"--model={model}", "--k=4", f"--items={tmp_path / 'few.csv'}", "--most-per=brand=1", "--max-popular=1"]
    batch.main(words)
    lists = pl.read_parquet(tmp_path / "m.topk.parquet" / "*.parquet")
    assert lists.filter(pl.col("user") == 1)["item"].to_list() == [1, 3, 4, 5]
    assert "28 of 30 items have no category" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (VarietyOptions(most_per="brand"), "--most-per is COLUMN=NUMBER, as genres=2; found 'brand'"),
        (VarietyOptions(most_per="brand=0"), "--most-per is COLUMN=NUMBER"),
        (VarietyOptions(most_per="brand=2"), "asks for a table of items, and .* is not there: name one with --items"),
        (
            VarietyOptions(most_per="colour=2", items=Path("items.csv")),
            "has no column 'colour' of categories; its colu",
        ),
        (VarietyOptions(diversity=1.5), "--diversity is from 0 to 1; found 1.5"),
        (VarietyOptions(diversity=0.5), "has no vectors"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(options: VarietyOptions, message: str, tmp_path: Path, monkeypatch):
    model = write_shop(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        options.reranking(open_job(open_model(model)))


def test_diversity_of_a_real_model_is_the_naive_one(artifacts: Path) -> None:
    """On the tests' hybrid: the pool is five times the list, its vectors those of the file."""
    job = open_job(open_model(artifacts / "hybrid.onnx"))
    task = prepare(job)
    reranking, said = VarietyOptions(diversity=0.6).reranking(job)
    assert reranking is not None and not said and reranking.vectors is not None
    found, before = ranked_lists(task, 3, 16, reranking=reranking)
    pool, same = ranked_lists(task, 15, 16)
    assert same.equals(pool) and before.equals(pool.filter(pl.col("rank") <= 3))
    index = dict(zip(job.items["item"], job.items["index"], strict=True))
    for (user,), own in pool.group_by("user"):
        items, scores = [index[i] for i in own["item"]], own["score"].to_list()
        expected = naive(items, scores, [], reranking.vectors, 0, 0.6, 3)
        assert [index[i] for i in found.filter(pl.col("user") == user)["item"]] == expected
    assert not found.equals(before)
