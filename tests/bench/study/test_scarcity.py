"""Fewer users and shorter histories: which rows a part has, and whom it is measured on, by hand."""

import polars as pl
import pytest

from bench.study import scarcity
from bench.study.scarcity import Cell, cells, part, sample


def events(users: int, train: int) -> pl.DataFrame:
    rows = [
        (user, n, n, "train" if n < train else ("validation", "test")[n - train])
        for user in range(users)
        for n in range(train + 2)
    ]
    return pl.DataFrame(rows, schema=["user", "item", "timestamp", "split"], orient="row")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scarcity, "USERS", (2, 4, 50))
    monkeypatch.setattr(scarcity, "LENGTHS", (1, 3, 90))


def test_the_cells_are_those_smaller_than_the_table_and_the_whole() -> None:
    found = cells(events(6, 5))
    assert [cell.split for cell in found] == [
        "users-2", "users-4", "history-1", "history-3", "leave-one-out", "leave-one-out",
    ]  # fmt: skip
    assert [(c.of, c.users, c.history) for c in found[-2:]] == [("users", 6, None), ("history", 6, None)]
    assert cells(events(2, 1)) == []


def test_samples_are_nested_seeded_and_the_smallest_is_measured() -> None:
    table = events(6, 5)
    two, four = (sample(table, size).to_list() for size in (2, 4))
    assert set(two) < set(four) and four == sorted(four) and sample(table, 4).to_list() == four
    made = part(table, Cell("users", 4, None, False))
    assert made["user"].unique().sort().to_list() == four
    held = made.filter(pl.col("split") != "train")
    assert held["user"].unique().sort().to_list() == two and held.height == 4
    assert made.filter(pl.col("split") == "train").height == 4 * 5


def test_a_cut_history_keeps_the_latest_events_and_all_held_out_items() -> None:
    table = pl.concat([events(2, 5), events(3, 2).filter(pl.col("user") == 2)])
    made = part(table, Cell("history", 3, 3, False))
    assert made.filter(pl.col("user") == 0)["item"].to_list() == [2, 3, 4, 5, 6]
    assert made.filter(pl.col("user") == 2)["item"].to_list() == [0, 1, 2, 3], "a short history is whole"
    assert made.select("user", "split").filter(pl.col("split") == "test").height == 3


def ranks(hits: list[int], users: int = 6) -> pl.DataFrame:
    table = pl.DataFrame({"user": range(users), "item": 1})
    return table.with_columns(rank=pl.when(pl.col("user").is_in(hits)).then(1).otherwise(50))


def test_each_part_is_measured_on_the_same_users() -> None:
    table = events(6, 5)
    two = sample(table, 2).to_list()
    others = [user for user in range(6) if user not in two]
    whole = Cell("users", 6, None, True)
    test = {
        ("leave-one-out", "hybrid-ials", 0): ranks([*two, *others]), ("leave-one-out", "hybrid-ials", 1): ranks(two),
        ("leave-one-out", "scratch", 0): ranks([*others, two[0]]), ("leave-one-out", "scratch", 1): ranks(two),
    }  # fmt: skip
    validation = {key: ranks([]) for key in test} | {("leave-one-out", "scratch", 0): ranks(two)}
    found = scarcity.scarcity([whole, Cell("users", 4, None, False)], test, validation, table)
    hit, _ = found.to_dicts()
    # One of two users with one of two seeds; of the others nothing counts.
    assert (hit["value"], hit["other_value"], hit["measured"], hit["users"], hit["seeds"]) == (0.25, 0.75, 2, 6, 2)
    assert hit["validation"] == -0.5 and hit["p"] == 1 and not hit["significant"]
    everyone = scarcity.scarcity([Cell("history", 6, None, True)], test, validation, table).row(0, named=True)
    assert everyone["measured"] == 6 and everyone["value"] == pytest.approx((1 - 5 / 6 + 0) / 2)
