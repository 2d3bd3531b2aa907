"""Popularity of late, by hand: which events count, however the table is ordered and cut."""

import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from infer import batch
from infer.errors import InputError
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


def nights(model: Path, newest: float) -> list[str]:
    """Words of a run on a table whose newest event is so many seconds old."""
    table = model.with_name("tonight.csv")
    lines = [f"u1,a,{time.time() - newest - HOUR:.0f}", f"u2,b,{time.time() - newest:.0f}"]
    table.write_text("\n".join(["user,item,timestamp", *lines, ""]), encoding="utf-8")
    return [f"--model={model}", f"--interactions={table}", "--production"]


def test_a_table_that_nobody_has_written_since_is_refused(model: Path, capsys) -> None:
    old = nights(model, 49.5 * HOUR)
    with pytest.raises(InputError, match=r"tonight\.csv is out of date: .* UTC, 2\.1 days ago \(--max-age=2d\)"):
        batch.main([*old, "--max-age=2d"])
    assert not model.with_name("m.topk.parquet").exists()
    for share in ("1/2", "2/2", "1/2"):
        batch.main([*old, "--max-age=2.1d", f"--shard={share}"])
    assert "nothing to do" in capsys.readouterr().out
    # So it is where these very lists are there.
    with pytest.raises(InputError, match=r"2\.1 days ago \(--max-age=47h\)"):
        batch.main([*old, "--max-age=47h", "--shard=1/2"])
    with pytest.raises(InputError, match=r"25\.0 hours ago"):
        batch.main([*nights(model, 25 * HOUR), "--max-age=1d"])
    batch.main([*nights(model, -HOUR), "--max-age=1h"])


def test_an_age_that_nobody_can_know_or_mean_is_refused(model: Path) -> None:
    words = nights(model, 0)
    for period, said in (("0d", "is no time at all"), ("3 days", "is a number of hours, days or weeks")):
        with pytest.raises(InputError, match=f"--max-age.*{said}"):
            batch.main([*words, f"--max-age={period}"])
    model.with_name("tonight.csv").write_text("user,item\nu1,a\nu2,b\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"--max-age=1d is for events with times, which .*tonight\.csv has not"):
        batch.main([*words, "--order=rows", "--max-age=1d"])
