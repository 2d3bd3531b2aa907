"""Similar items, with cosines and lists worked out by hand."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from infer.candidates.options import CandidateOptions
from infer.errors import InputError
from infer.model.session import Model, open_model
from infer.model.signature import SAYS_NOTHING
from infer.scoring import similar
from infer.scoring.similar import STEPS, highest, open_similar
from tests.helpers.markov import ITEMS, NEXT, write_model
from tests.helpers.networks import write_product

HALF = pytest.approx(0.5**0.5, abs=1e-6)
# Items 1 and 2 point one way, 3 another, 4 between; of 5 nothing is known. The last number is a bias, which would make
# 3 the nearest to all.
VECTORS = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 3, 9], [1, 1, 0], [0, 0, 9]])


@pytest.fixture
def product(tmp_path: Path) -> Model:
    parts = {"items": 2, "bias": 1}
    return open_model(write_product(tmp_path / "p.onnx", np.ones((3, 3)), VECTORS, parts))


def rows(model: Model, k: int, items: list[int] | None = None, **rules) -> list[tuple]:
    finder = open_similar(model, CandidateOptions(**rules))
    return pl.concat(finder.tables(k, None if items is None else np.array(items))).rows()


def test_the_nearest_are_those_of_the_largest_cosine(product: Model) -> None:
    assert rows(product, 2, [1]) == [(1, 1, 2, 1.0), (1, 2, 4, HALF)]
    assert rows(product, 9, [1]) == [(1, 1, 2, 1.0), (1, 2, 4, HALF), (1, 3, 3, 0.0)], "not itself, and none unknown"
    assert rows(product, 9, [5]) == []
    assert [row[:3] for row in rows(product, 9, [4])] == [(4, 1, 1), (4, 2, 2), (4, 3, 3)], "ties by index"
    assert open_similar(product).measure == "by the cosine of their vectors"


def test_all_items_have_the_same_lists_as_one(product: Model, monkeypatch) -> None:
    whole = rows(product, 3)
    assert [row for item in range(1, 6) for row in rows(product, 3, [item])] == whole
    assert {row[0] for row in whole} == {1, 2, 3, 4}
    monkeypatch.setattr(similar, "BLOCK", 2)
    assert rows(product, 3) == whole


@pytest.mark.parametrize("seen", ["drop", "keep", "only"])
def test_no_item_is_similar_to_itself_whatever_is_recommended_again(tmp_path: Path, seen: str) -> None:
    pl.DataFrame({"user": ["u"], "item": ["a"], "timestamp": [1]}).write_parquet(tmp_path / "t.parquet")
    model = open_model(write_model(tmp_path / "m.onnx", ITEMS, NEXT, tmp_path / "t.parquet", rules={"seen": seen}))
    # After a the scores are 5 4 3 2 1, and a is the first of them.
    assert [row[2] for row in rows(model, 2, [1])] == ["b", "c"]
    ruled = open_similar(model).ruled(CandidateOptions(seen=seen))
    assert next(ruled.tables(2, np.array([1])))["similar_item"].to_list() == ["b", "c"]


def test_rules_say_what_may_be_listed(product: Model) -> None:
    assert [row[2] for row in rows(product, 9, [1], only_items=[3, 4, 1])] == [4, 3]
    assert [row[2] for row in rows(product, 9, [1], exclude_items=[2])] == [4, 3]
    assert rows(product, 9, [1], only_items=[1]) == [] and rows(product, 9, [1], only_items=[5]) == []


def test_without_vectors_it_is_what_follows_the_item_alone(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("user,item,timestamp\n1,a,1\n")
    model = open_model(write_model(tmp_path / "m.onnx", ITEMS, NEXT, table))
    assert rows(model, 2, [2]) == [("b", 1, "e", 5.0), ("b", 2, "d", 4.0)]
    assert rows(model, 1) == [
        ("a", 1, "b", 4.0),
        ("b", 1, "e", 5.0),
        ("c", 1, "a", 7.0),
        ("d", 1, "e", 4.0),
        ("e", 1, "a", -1.0),
    ]
    assert rows(model, 2, [2], only_items=["a", "c"]) == [("b", 1, "c", 3.0), ("b", 2, "a", 1.0)]
    scores = np.zeros((6, 6))
    scores[2] = [9, 2, 0, SAYS_NOTHING, 1e-24, 1]
    nothing = open_model(write_model(tmp_path / "z.onnx", ITEMS, scores, table))
    assert rows(nothing, 4, [1]) == [] and rows(nothing, 4, [2]) == [("b", 1, "a", 2.0), ("b", 2, "e", 1.0)]
    assert "after it alone" in open_similar(model).measure
    people = open_model(write_model(tmp_path / "u.onnx", ITEMS, NEXT[:3], table, user_ids=[1, 2]))
    with pytest.raises(InputError, match="has no vectors that can be compared and reads users, not items"):
        open_similar(people)


@pytest.mark.parametrize("columns", [0, 1, 127, 128, 129, 700])
@pytest.mark.parametrize("k", [1, 3, 200])
def test_the_highest_are_those_of_a_whole_sort_ties_by_column(columns: int, k: int) -> None:
    draw = np.random.default_rng(columns)
    few = draw.integers(-3, 4, (5, columns)).astype(np.float32) / 3  # groups of which many tie
    for cosines in (few, draw.uniform(-1, 1, (5, columns)).astype(np.float32), np.zeros_like(few)):
        found, steps = highest(cosines, k)
        whole = np.rint(cosines * STEPS).astype(int)
        order = np.argsort(-whole, axis=1, kind="stable")[:, :k]
        assert np.array_equal(found, order) and np.array_equal(steps, np.take_along_axis(whole, order, 1))
