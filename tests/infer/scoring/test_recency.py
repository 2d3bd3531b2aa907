"""Popularity of late, by hand: which events count, however the table is ordered and cut."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from infer.model.session import open_model
from infer.scoring.popularity import Popularity
from infer.scoring.recency import Recent, lately
from infer.scoring.whole import open_table
from infer.sources.source import open_source
from infer.tables.options import TableOptions
from tests.helpers.markov import ITEMS, NEXT, write_model

HOUR = 3600
# a of u1 comes again later; b of u1 happens just when two hours before the newest event begin; u3's is held out.
ROWS = [
    ("u1", "a", 0, "train"),
    ("u1", "b", 10, "train"),
    ("u1", "a", 12, "train"),
    ("u2", "b", 2, "train"),
    ("u2", "c", 12, "train"),
    ("u3", "d", 11, "train"),
    ("u3", "e", 50, "test"),
    ("u4", "zz", 12, "train"),
]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    table = pl.DataFrame(ROWS, schema=["user", "item", "timestamp", "split"], orient="row")
    table = table.with_columns(pl.col("timestamp") * HOUR)
    table.write_parquet(tmp_path / "t.parquet")
    written = pl.from_epoch("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    table.with_columns(written).sample(fraction=1, shuffle=True, seed=3).write_csv(tmp_path / "t.csv")
    return write_model(tmp_path / "m.onnx", ITEMS, NEXT, tmp_path / "t.parquet")


@pytest.mark.parametrize("part_users", [1, 2, 1000])
@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
def test_what_happened_before_the_held_out_items_and_after_the_period_begins(
    model: Path, name: str, part_users: int, tmp_path: Path
) -> None:
    options = TableOptions(split="split")
    with open_table(open_model(model), model.with_name(name), options, "test") as (job, _):
        source = open_source(job.table, job.options, tmp_path, part_users, optional=job.optional, known=job.known)
        found = lately(job, source, 2 * HOUR)
        assert found.counts.tolist() == [1, 0, 1, 1, 0] and found.users == 4
        assert lately(job, source, 3 * HOUR).counts.tolist() == [1, 1, 1, 1, 0]


def test_whole_histories_end_with_the_newest_event_of_all(model: Path) -> None:
    with open_table(open_model(model), model.with_name("t.parquet"), TableOptions(), None) as (job, source):
        assert lately(job, source, HOUR).counts.tolist() == [0, 0, 0, 0, 1]


def test_what_is_bought_now_comes_before_what_always_was_then_the_order_of_the_items() -> None:
    recent = Recent("1d", Popularity(np.array([0, 2, 1, 1, 0]), 3), Popularity(np.array([9, 2, 1, 5, 9]), 9))
    assert recent.order.tolist() == [2, 4, 3, 1, 5] and recent.differs
    assert not Recent("1d", recent.ever, recent.ever).differs
