"""What is held out: last items by hand, a moment in time that nothing crosses, and ties."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infer.errors import InputError
from infer.histories.histories import before
from infer.tables.columns import PROTOCOL_KEY
from infer.tables.tidy import tidy
from tests.helpers.checkerboard import checkerboard
from train.data import __main__ as data
from train.data.splits import by_time, leave_one_out, shuffle_ties


def table(*rows: tuple) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row").sort("user", "timestamp", "item")


def test_the_last_item_is_test_the_one_before_validation_and_short_histories_train_only() -> None:
    rows = [("a", i, i) for i in (1, 2, 3, 4)] + [("b", 1, 1), ("b", 2, 2), ("b", 3, 3)] + [("c", 1, 1), ("c", 2, 2)]
    assert leave_one_out(table(*rows)).interactions["split"].to_list() == [
        *["train", "train", "validation", "test"],
        *["train", "validation", "test"],
        *["train", "train"],
    ]


def test_a_time_split_by_hand() -> None:
    # Ten interactions: the moments are the times of the seventh and the ninth, 7 and 9.
    rows = [("a", 1, 1), ("a", 2, 7), ("a", 3, 8), ("a", 4, 9), ("a", 5, 10)]
    rows += [("b", 1, 2), ("b", 2, 9.5), ("c", 1, 7.5), ("c", 2, 11), ("d", 1, 6)]
    found = by_time(table(*rows), 0.3, 0.4)
    # Sorted times: 1 2 6 7 7.5 8 9 9.5 10 11; shares .7 and .4 leave 3 and 6 before.
    assert found.interactions.rows() == [
        ("a", 1, 1.0, "train"),
        ("a", 2, 7.0, "validation"),
        ("a", 3, 8.0, "test-history"),
        ("a", 4, 9.0, "test"),
        ("b", 1, 2.0, "train"),
        ("b", 2, 9.5, "test"),
        ("c", 1, 7.5, "test-history"),  # nothing before the first moment, so not measured there
        ("c", 2, 11.0, "test"),
        ("d", 1, 6.0, "train"),
    ]
    assert found.protocol.startswith("global time split at 1970-01-01 00:00:07 UTC and 1970-01-01 00:00:09 UTC")


TIMES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30), st.integers(0, 40)), min_size=5, max_size=60)


@settings(max_examples=100, deadline=None)
@given(rows=TIMES, shares=st.tuples(st.floats(0.05, 0.45), st.floats(0.05, 0.45)))
def test_no_history_and_no_training_row_comes_from_the_future(rows: list, shares: tuple) -> None:
    interactions = tidy(table(*rows), "t").interactions
    try:
        found = by_time(interactions, *shares).interactions
    except InputError as refused:
        assert "time split leaves no" in str(refused)
        return
    assert tidy(found, "t").interactions.equals(found), "the scorer accepts what the split wrote"
    for split in ("validation", "test"):
        history, targets = before(found, split)
        assert history["timestamp"].max() <= targets["timestamp"].min()
        assert set(targets["user"]) <= set(history["user"]) and targets["user"].is_unique().all()
    first = before(found, "validation")[1]["timestamp"].min()
    assert found.filter(pl.col("split") == "train")["timestamp"].max() < first


@pytest.mark.parametrize(("shares", "message"), [((0.5, 0.5), "leave something"), ((0.0, 0.1), "above 0")])
def test_shares_that_leave_nothing_are_refused(shares: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        by_time(table(("a", 1, 1), ("a", 2, 2), ("a", 3, 3)), *shares)
    with pytest.raises(InputError, match="leaves no train items"):
        by_time(table(("a", 1, 1), ("a", 2, 1), ("a", 3, 1)), 0.1, 0.1)


def test_ties_are_shuffled_within_their_second_only() -> None:
    rows = [("a", i, 5) for i in range(30)] + [("a", 99, 4), ("a", 98, 6), ("b", 1, 5)]
    orders = set()
    for seed in (0, 0, 1):
        found = shuffle_ties(table(*rows), seed)
        assert (found["timestamp"].floor().cast(pl.Int64) == found["timestamp"].floor()).all()
        assert found.sort("user", "timestamp", "item").equals(found), "the order is explicit in the times"
        mine = found.filter(pl.col("user") == "a")
        assert mine["item"][0] == 99 and mine["item"][-1] == 98 and mine["timestamp"].is_unique().all()
        assert sorted(mine["item"].to_list()) == [*range(30), 98, 99]
        orders.add(tuple(mine["item"]))
    assert len(orders) == 2
    with pytest.raises(InputError, match="whole seconds"):
        shuffle_ties(table(("a", 1, 1.5)), 0)


def test_the_command_says_and_stores_how_items_were_held_out(tmp_path: Path, capsys) -> None:
    checkerboard().write_csv(tmp_path / "r.csv")
    words = [f"--dataset={tmp_path / 'r.csv'}", f"--artifacts={tmp_path / 'a'}"]
    protocols = {}
    for name, options in {
        "plain": [],
        "random": ["--ties=random", "--tie-seed=3"],
        "time": ["--split=time", "--test-share=0.2"],
    }.items():
        data.main([*words, *options])
        protocols[name] = pl.read_parquet_metadata(tmp_path / "a" / "interactions.parquet")[PROTOCOL_KEY]
        assert f"held out: {protocols[name]}" in capsys.readouterr().out
    assert protocols["plain"] == "leave-one-out, ties in time ordered by item id"
    assert protocols["random"] == "leave-one-out, ties in time ordered at random (seed 3)"
    assert protocols["time"].startswith("global time split at ")
