"""Names of data sets, and which questions each can answer."""

from pathlib import Path

import polars as pl
import pytest

from bench.study.datasets import catalogue_of, data_sets, unfit
from bench.study.study import StudyConfig, plan
from infer.errors import InputError


def write(folder: Path, name: str, table: pl.DataFrame) -> Path:
    folder.mkdir(parents=True)
    table.write_parquet(folder / "interactions.parquet", metadata={"dataset": name, "protocol": "leave-one-out"})
    items = table.select(pl.col("item").unique().sort(), title=pl.lit("T"), genres=pl.lit("G"))
    items.write_parquet(folder / "items.parquet")
    return folder


def order_only(users: int) -> pl.DataFrame:
    """Three events a user at the times 0, 1, 2, no ratings."""
    splits = ["train", "validation", "test"]
    rows = [(user, 10 + n + user % 2, n, splits[n]) for user in range(users) for n in range(3)]
    return pl.DataFrame(rows, schema=["user", "item", "timestamp", "split"], orient="row")


def test_sets_are_named_as_their_tables_are_and_by_folder_if_that_tells_nothing(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", "films", order_only(4)), write(tmp_path / "b", "toys", order_only(4))
    c, d = write(tmp_path / "c", "films", order_only(4)), write(tmp_path / "d", "interactions.parquet", order_only(4))
    e = write(tmp_path / "e", "ratings.csv", order_only(4))
    for folders, names in (
        ((a, b), ["films", "toys"]), ((a, c), ["a", "c"]), ((d,), ["d"]), ((e, a), ["e", "films"]),
    ):  # fmt: skip
        assert [found.name for found in data_sets(",".join(map(str, folders)))] == names
    twice = write(tmp_path / "x" / "a", "films", order_only(4))
    for artifacts, text in ((f"{a},{twice}", "two folders are called 'a'"), (" ,", "found none"), ("no", "train.data")):
        with pytest.raises(InputError, match=text):
            data_sets(artifacts)


def test_other_splits_are_refused(tmp_path: Path, run, refused) -> None:
    folder = write(tmp_path / "a", "films", order_only(4))
    table = pl.read_parquet(folder / "interactions.parquet")
    for protocol in ("26 validation and 26 test users held out whole", "time split"):
        table.write_parquet(folder / "interactions.parquet", metadata={"protocol": protocol})
        with pytest.raises(InputError, match=rf"last items, .*interactions.parquet holds out others \({protocol}\)"):
            data_sets(str(folder))
    refused(run("bench.study", f"--artifacts={folder}", f"--output={tmp_path / 's'}"), "--split=leave-one-out")
    table.write_parquet(folder / "interactions.parquet")
    assert data_sets(str(folder)), "which does not say"


def test_what_a_set_cannot_answer_is_left_out_and_said(tmp_path: Path) -> None:
    a = write(tmp_path / "a", "films", order_only(4))
    found = plan(StudyConfig(artifacts=str(a), only="scratch,hybrid-ials,mf-paper", output=tmp_path / "s", seeds=1))
    assert [(t.experiment.name, t.data, t.split) for t in found.trials] == [
        ("scratch", "films", "leave-one-out"), ("hybrid-ials", "films", "leave-one-out"),
    ]  # fmt: skip
    assert found.trials[0].folder == tmp_path / "s/trials/a/leave-one-out/seed0"
    assert found.notes == [
        ("films", "random-ties is left out: no user has two interactions at the same time"),
        ("films", "time-split is left out: everyone begins at the same time, so times are only an order"),
        ("films", "left out, as the table has no ratings: mf-paper"),
    ]
    with pytest.raises(InputError, match="has no ratings, which all that --only names needs"):
        plan(StudyConfig(artifacts=str(a), only="mf-paper"))
    with pytest.raises(InputError, match="--curve compares hybrid-ials and scratch"):
        plan(StudyConfig(artifacts=str(a), only="scratch", curve=True))


def test_a_time_split_needs_enough_users(tmp_path: Path) -> None:
    # The latest tenth of all events are the third ones of the users who began late.
    spread = (pl.col("timestamp") * 40 + pl.col("user") % 40).alias("timestamp")
    (few,) = data_sets(str(write(tmp_path / "few", "f", order_only(40).with_columns(spread))))
    assert "users would be measured, fewer than 100" in unfit(few, "time-split", {"split": "time"})
    (many,) = data_sets(str(write(tmp_path / "many", "m", order_only(2000).with_columns(spread))))
    assert unfit(many, "time-split", {"split": "time"}) is None
    at_once = pl.when((pl.col("user") == 0) & (pl.col("timestamp") == 0)).then(0).otherwise(5).alias("timestamp")
    (none,) = data_sets(str(write(tmp_path / "none", "n", order_only(9).with_columns(at_once))))
    assert "time-split is left out: the time split leaves no" in unfit(none, "time-split", {"split": "time"})
    tied = order_only(4).with_columns(timestamp=pl.lit(5))
    (tied_set,) = data_sets(str(write(tmp_path / "tied", "t", tied)))
    assert unfit(tied_set, "random-ties", {"ties": "random"}) is None


def test_a_part_has_the_candidates_of_the_whole_where_the_items_allow_it(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", "films", order_only(4))
    assert list(catalogue_of(data_sets(str(folder))[0])) == ["catalogue"]
    # Of an item without words nothing is known but its events.
    pl.read_parquet(folder / "items.parquet").with_columns(
        pl.lit(None, pl.String).alias(name) for name in ("title", "genres")
    ).write_parquet(folder / "items.parquet")
    assert catalogue_of(data_sets(str(folder))[0]) == {}
