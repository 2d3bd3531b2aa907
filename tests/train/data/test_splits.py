"""What is held out by hand: last items, whole users, what the table itself says, and ties."""

from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.histories.histories import before
from infer.tables.columns import PROTOCOL_KEY
from infer.tables.tidy import tidy
from tests.helpers.checkerboard import checkerboard
from train.data import __main__ as data
from train.data.splits import by_users, leave_one_out, own, shuffle_ties


def table(*rows: tuple) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row").sort("user", "timestamp", "item")


def test_the_last_item_is_test_the_one_before_validation_and_short_histories_train_only() -> None:
    rows = [("a", i, i) for i in (1, 2, 3, 4)] + [("b", 1, 1), ("b", 2, 2), ("b", 3, 3)] + [("c", 1, 1), ("c", 2, 2)]
    assert leave_one_out(table(*rows)).interactions["split"].to_list() == [
        *["train", "train", "validation", "test"],
        *["train", "validation", "test"],
        *["train", "train"],
    ]


def test_where_nobody_has_three_rows_nothing_is_held_out_and_that_is_said() -> None:
    rows = [("a", 1, 1), ("a", 2, 2), ("b", 1, 1)]
    found = leave_one_out(table(*rows))
    assert found.interactions.equals(table(*rows)) and found.protocol == "nothing"
    assert found.said == [
        "WARNING: no user has three interactions, so leave-one-out holds nothing out; --split=none asks for that"
    ]
    assert leave_one_out(table(*rows, ("a", 3, 3))).said == []


# Ten users with two to four rows, and two with one.
USERS = [(f"u{n}", item, item) for n in range(10) for item in range(1, 3 + n % 3)] + [("x", 1, 1), ("y", 2, 2)]


def test_users_are_held_out_whole_and_their_last_item_is_measured() -> None:
    # Three and two of the ten who have two rows; those with one cannot be measured and are trained on.
    found = by_users(table(*USERS), 0.3, 0.2, seed=0)
    assert "3 validation and 2 test users held out whole, drawn at random (seed 0)" in found.protocol
    ways = dict(found.interactions.group_by("user").agg("split").iter_rows())
    sizes = {user: len(ways[user]) for user in ways}
    for name, number in (("validation", 3), ("test", 2)):
        held = [user for user, split in ways.items() if name in split]
        assert len(held) == number
        assert all(ways[user] == ["history"] * (sizes[user] - 1) + [name] for user in held)
    rest = [split for split in ways.values() if "history" not in split]
    assert len(rest) == 7 and all(set(split) == {"train"} for split in rest)
    assert ways["x"] == ways["y"] == ["train"]
    assert found.interactions.drop("split").equals(table(*USERS)), "every row is kept"


def test_a_held_out_users_history_is_read_before_either_item_and_trained_on_never() -> None:
    found = by_users(table(*USERS), 0.3, 0.2, seed=0).interactions
    for name, others in (("validation", {"train", "history"}), ("test", {"train", "history", "validation"})):
        history, targets = before(found, name)
        assert set(history["split"]) == others and set(targets["split"]) == {name}
        assert set(targets["user"]) <= set(history["user"])


def test_the_seed_draws_the_users_and_a_share_of_zero_draws_none() -> None:
    drawn = [by_users(table(*USERS), 0.3, 0.2, seed).interactions for seed in (0, 0, 1)]
    assert drawn[0].equals(drawn[1]) and not drawn[0].equals(drawn[2])
    assert set(by_users(table(*USERS), 0.0, 0.2, 0).interactions["split"]) == {"train", "history", "test"}
    assert set(by_users(table(*USERS), 0.2, 0.0, 0).interactions["split"]) == {"train", "history", "validation"}


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ((0.0, 0.0), "hold nothing out: --split=none"),
        ((0.5, 0.5), "together they are below 1"),
        ((-0.1, 0.5), "together they are below 1"),
        ((0.0, 0.04), "--test-share 0.04 of the 10 users with two interactions is nobody: raise it, or give 0"),
        ((0.04, 0.0), "--validation-share 0.04 of the 10 users"),
    ],
)
def test_shares_of_users_that_cannot_work_are_refused(shares: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        by_users(table(*USERS), *shares, 0)
    with pytest.raises(InputError, match="hold out every user, so there is nothing to train on"):
        by_users(table(("a", 1, 1), ("a", 2, 2), ("b", 1, 1), ("b", 2, 2)), 0.49, 0.5, 0)


def stated(*rows: tuple) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["user", "item", "timestamp", "split"], orient="row")


def test_of_the_tables_own_split_the_earliest_row_of_each_part_is_measured() -> None:
    rows = [("a", 1, 1, "train"), ("a", 2, 2, "valid"), ("a", 3, 3, "dev"), ("a", 4, 4, "test"), ("a", 5, 5, "test")]
    rows += [("b", 1, 1, "test"), ("b", 2, 2, "train"), ("c", 1, 1, "train"), ("c", 2, 2, "val")]
    tidied = tidy(stated(*rows), "t")
    assert "2 further held-out rows of a user are not measured" in str(tidied.notes)
    found = own(tidied.interactions, "fold")
    assert found.interactions.rows() == [
        ("a", 1, 1, "train"),
        ("a", 2, 2, "validation"),
        ("a", 3, 3, "test-history"),
        ("a", 4, 4, "test"),
        ("b", 1, 1, "test"),
        ("b", 2, 2, "train"),
        ("c", 1, 1, "train"),
        ("c", 2, 2, "validation"),
    ]
    assert found.protocol == "as the table's own column 'fold' says, the earliest row of each user"
    again = tidy(found.interactions, "t")
    assert again.interactions.equals(found.interactions) and not str(again.notes)


def test_without_validation_its_items_are_trained_on_and_the_same_are_tested(tmp_path: Path, capsys) -> None:
    rows = [("a", 1, 1, "train"), ("a", 2, 2, "valid"), ("a", 3, 3, "dev"), ("a", 4, 4, "test"), ("a", 5, 5, "test")]
    rows += [("b", 1, 1, "train"), ("b", 2, 2, "train"), ("b", 3, 3, "train"), ("c", 1, 1, "val"), ("c", 2, 2, "val")]
    stated(*rows).write_csv(tmp_path / "own.csv")

    def prepared(*words: str) -> tuple[pl.DataFrame, str]:
        data.main([f"--dataset={tmp_path / 'own.csv'}", f"--artifacts={tmp_path}", *words])
        path = tmp_path / "interactions.parquet"
        return pl.read_parquet(path), pl.read_parquet_metadata(path)[PROTOCOL_KEY]

    found, protocol = prepared("--split=own", "--no-validation")
    assert found["split"].to_list() == ["train"] * 3 + ["test"] + ["train"] * 5
    assert found["item"].to_list() == [1, 2, 3, 4, 1, 2, 3, 1, 2]
    assert "the earliest row of each user, validation items trained on, ties" in protocol
    usual, _ = prepared()
    found, protocol = prepared("--no-validation")
    assert protocol == "leave-one-out, validation items trained on, ties in time ordered by item id"
    assert (usual["split"] == "validation").sum() == 2
    assert found.equals(usual.with_columns(pl.col("split").replace("validation", "train")))
    pl.DataFrame({"user": [1, 1], "item": [1, 2], "timestamp": [1, 2]}).write_csv(tmp_path / "own.csv")
    assert prepared("--no-validation")[1] == "nothing"
    for split in ("time", "users", "period", "none"):
        with pytest.raises(InputError, match=f"--no-validation does nothing with --split={split}: it is for --split=l"):
            prepared("--no-validation", f"--split={split}")


def test_a_column_that_is_not_there_or_leaves_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(InputError, match="no column 'fold', which --split=own reads; name it with --split-column"):
        own(table(("a", 1, 1)), "fold")
    with pytest.raises(InputError, match="column 'fold' leaves no train items, so there is nothing to train on"):
        own(stated(("a", 1, 1, "test"), ("b", 2, 2, "validation")), "fold")


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
