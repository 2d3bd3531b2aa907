"""One history from arrays: the lists of the same history in a table, whichever way its rules reach the graph."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import infer
from infer.candidates.candidates import Candidates
from infer.errors import InputError
from infer.scoring import one
from infer.scoring.one import OneHistory
from tests.helpers.markov import ITEMS, NEXT, write_model


@pytest.fixture
def model(tmp_path: Path) -> infer.Recommender:
    pl.DataFrame({"user": [1], "item": ["a"], "timestamp": [1]}).write_parquet(tmp_path / "t.parquet")
    return infer.Recommender(write_model(tmp_path / "m.onnx", ITEMS, NEXT, tmp_path / "t.parquet"))


def best(model: infer.Recommender, history: list[int], k: int = 9, **rules) -> tuple[list[int], list[float]]:
    asked = OneHistory(replace(model._job, candidates=Candidates(len(ITEMS), **rules)))
    items, scores = asked.best(np.array(history, dtype=np.int32), k)
    return items.tolist(), scores.tolist()


def test_lists_by_hand(model: infer.Recommender) -> None:
    # After b the scores of a b c d e are 1 2 3 4 5; after c all are 7, and the lower index comes first.
    assert best(model, [1, 2], 2) == ([5, 4], [5, 4])
    assert best(model, [3]) == ([1, 2, 4, 5], [7, 7, 7, 7])
    assert best(model, [1, 2], seen="keep") == ([5, 4, 3, 2, 1], [5, 4, 3, 2, 1])
    assert best(model, [1, 4, 2, 2], seen="only") == ([4, 2, 1], [4, 2, 1])
    assert best(model, [1, 2, 3, 4, 5]) == ([], [])


@pytest.mark.parametrize("share", [0.0, 2.0], ids=["others excluded", "candidates"])
def test_allowed_items_are_the_same_either_way(model: infer.Recommender, share: float, monkeypatch) -> None:
    monkeypatch.setattr(one, "EXCLUDE", share)
    allowed = np.array([2, 3, 5])
    asked = OneHistory(replace(model._job, candidates=Candidates(len(ITEMS), allowed)))
    choice = asked._choice(np.array([1, 2]))
    assert choice is not None and len(choice.candidates) == (3 if share else 0)
    assert set(choice.seen[0]) == ({0, 1, 2} if share else {0, 1, 2, 4})
    assert best(model, [1, 2], allowed=allowed) == ([5, 3], [5, 3])
    assert best(model, [1, 2], allowed=allowed, seen="keep") == ([5, 3, 2], [5, 3, 2])
    assert best(model, [1, 2], allowed=allowed, seen="only") == ([2], [2])
    assert best(model, [1], allowed=allowed, seen="only") == ([], [])


def test_few_allowed_are_candidates_and_many_are_not(model: infer.Recommender) -> None:
    """From a fifth of the catalogue on, the others are excluded."""
    for size, candidates in ((19, 19), (20, 0), (100, 0)):
        rules = Candidates(100, None if size == 100 else np.arange(1, size + 1))
        job = replace(model._job, items=pl.DataFrame({"item": range(100)}), candidates=rules)
        found, excluded = OneHistory(job)._rules
        assert len(found) == candidates and len(excluded) == (0 if candidates else 100 - size)


def test_a_score_that_is_no_number_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"user": [1], "item": ["a"], "timestamp": [1]}).write_parquet(tmp_path / "t.parquet")
    broken = write_model(tmp_path / "m.onnx", ITEMS, NEXT, tmp_path / "t.parquet", operator="Log")
    with pytest.raises(InputError, match=r"m\.onnx gives this history a NaN or infinite score"):
        infer.Recommender(broken).recommend(["e"])


@pytest.mark.parametrize("kind", ["bert", "hybrid"])
def test_lists_are_those_of_a_table_to_the_last_digit(kind: str, artifacts: Path) -> None:
    model = infer.Recommender(artifacts / f"{kind}.onnx", threads=1)
    rows = pl.read_parquet(artifacts / "interactions.parquet").drop("rating", strict=False)
    ids = model.metadata.item_ids
    every = ({}, {"only_items": ids[:3]}, {"only_items": ids[::2], "boost": {ids[0]: 3.0}}, {"exclude_items": ids[:2]},
             {"seen": "keep"}, {"seen": "only", "exclude_items": ids[:9]})  # fmt: skip
    for given in every:
        whole = model.recommend(rows, k=7, **given)
        rules = model.rules(**given)
        assert model.recommend(rows, k=7, rules=rules).equals(whole)
        for user in (101, 102, 117):
            own = rows.filter(user=user).sort("timestamp", "item")["item"]
            expected = whole.filter(user=user).drop("user")
            assert model.recommend(own, k=7, rules=rules).equals(expected), given
            assert model.recommend(own.to_list(), k=7, **given).equals(expected)
