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


def test_samples_are_nested_seeded_and_everybody_is_measured() -> None:
    table = events(6, 5)
    two, four = (sample(table, size).to_list() for size in (2, 4))
    assert set(two) < set(four) and four == sorted(four) and sample(table, 4).to_list() == four
    made = part(table, Cell("users", 4, None, False))
    inside = pl.col("user").is_in(four)
    assert made.filter(inside).equals(table.filter(inside)), "of these everything is learnt and measured"
    rest = made.filter(~inside)
    assert rest.drop("split").equals(table.filter(~inside).drop("split"))
    assert rest.filter(pl.col("user") == rest["user"][0])["split"].to_list() == ["history"] * 5 + [
        "test-history",
        "test",
    ]
    assert made.filter(pl.col("split") == "test")["user"].to_list() == list(range(6))


def test_a_cut_history_keeps_the_latest_events_and_all_held_out_items() -> None:
    table = pl.concat([events(2, 5), events(3, 2).filter(pl.col("user") == 2)])
    made = part(table, Cell("history", 3, 3, False))
    assert made.filter(pl.col("user") == 0)["item"].to_list() == [2, 3, 4, 5, 6]
    assert made.filter(pl.col("user") == 2)["item"].to_list() == [0, 1, 2, 3], "a short history is whole"
    assert made.select("user", "split").filter(pl.col("split") == "test").height == 3


def ranks(hits: list[int], users: int = 6) -> pl.DataFrame:
    table = pl.DataFrame({"user": range(users), "item": 1})
    return table.with_columns(rank=pl.when(pl.col("user").is_in(hits)).then(1).otherwise(50))


def test_both_models_are_compared_over_the_same_users_and_seeds() -> None:
    test = {
        ("leave-one-out", "hybrid-ials", 0): ranks([*range(6)]), ("leave-one-out", "hybrid-ials", 1): ranks([0, 1]),
        ("leave-one-out", "scratch", 0): ranks([*range(5)]), ("leave-one-out", "scratch", 1): ranks([0, 1]),
    }  # fmt: skip
    validation = {key: ranks([]) for key in test} | {("leave-one-out", "scratch", 0): ranks([4, 5])}
    found = scarcity.scarcity([Cell("users", 6, None, True), Cell("users", 4, None, False)], test, validation)
    hit, _ = found.to_dicts()  # nothing of the part of which there are no trials
    assert (hit["value"], hit["other_value"]) == (pytest.approx((1 / 6 + 0) / 2), pytest.approx((5 / 6 + 2 / 6) / 2))
    assert (hit["measured"], hit["users"], hit["seeds"]) == (6, 6, 2)
    assert hit["validation"] == pytest.approx(-1 / 6) and not hit["significant"]
    alone = scarcity.scarcity(
        [Cell("users", 6, None, True)], {k: v for k, v in test.items() if k[1:] != ("scratch", 1)}, test
    )
    assert alone["seeds"].to_list() == [1, 1], "a seed that only one of both has is left out"
