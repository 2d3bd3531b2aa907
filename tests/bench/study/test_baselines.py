"""Which baselines mean something for a table, and how they order its items, by hand."""

from pathlib import Path

import numpy as np
import polars as pl

from bench.study.baselines import PERSONAL, _orders, _scores
from infer.model.session import open_model
from infer.scoring.job import open_job
from infer.scoring.task import Task, prepare
from tests.helpers.markov import ITEMS, NEXT, write_model

DAY = 86_400
# All had a; b was had twice by u1; of late there was c alone, the held-out e does not count.
ROWS = [
    ("u1", "b", 0, "train"), ("u1", "b", 1, "train"), ("u1", "a", 2, "train"), ("u1", "d", 3, "test"),
    ("u2", "a", 1, "train"), ("u2", "c", 100, "train"), ("u2", "e", 101, "test"),
    ("u3", "a", 1, "train"), ("u3", "b", 2, "train"),
]  # fmt: skip


def task(folder: Path, days: int = DAY, **rules: str) -> Task:
    table = pl.DataFrame(ROWS, schema=["user", "item", "timestamp", "split"], orient="row")
    table.with_columns(pl.col("timestamp") * days).write_parquet(folder / "t.parquet")
    model = write_model(folder / "m.onnx", ITEMS, NEXT, folder / "t.parquet", rules=rules or None)
    return prepare(open_job(open_model(model, threads=1)))


def test_popularity_of_late_is_there_if_something_is_older(tmp_path: Path) -> None:
    found = _orders(task(tmp_path))
    assert list(found) == ["random", "popularity", "recent popularity 30d"]
    assert [ITEMS[index - 1] for index in found["popularity"]] == ["a", "b", "c", "d", "e"]
    assert [ITEMS[index - 1] for index in found["recent popularity 30d"]] == ["c", "a", "b", "d", "e"]
    assert list(_orders(task(tmp_path, days=1))) == ["random", "popularity"]


def test_own_items_by_frequency_are_there_if_repeats_are_kept(tmp_path: Path) -> None:
    kept = task(tmp_path, repeats="keep")
    order = _orders(kept)[PERSONAL]
    scores = _scores(PERSONAL, kept.histories.take(np.array([0])), np.array([0]), order)
    best = np.argsort(-scores[0, 1:], kind="stable")[:3]
    assert [ITEMS[index] for index in best] == ["b", "a", "c"]
    assert PERSONAL not in _orders(task(tmp_path))
