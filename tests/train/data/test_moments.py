"""What is held out by time, by hand: moments in time that nothing crosses, from shares and from periods."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infer.errors import InputError
from infer.histories.histories import before
from infer.tables.periods import seconds_of
from infer.tables.tidy import tidy
from train.data.moments import by_period, by_time


def table(*rows: tuple) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row").sort("user", "timestamp", "item")


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
    assert found.said == [
        "1 rows are left out: they follow a test item, or are of users who begin after the last moment",
        "1 items have no other rows than these",
    ]


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


def test_a_share_of_zero_makes_no_such_part() -> None:
    rows = [("a", n, n) for n in range(10)] + [("b", 0, 4), ("b", 1, 8)]
    # Sorted times: 0 1 2 3 4 4 5 6 7 8 8 9; the last quarter begins with the tenth, 8.
    tested = by_time(table(*rows), 0.0, 0.25)
    assert tested.interactions["split"].to_list() == ["train"] * 8 + ["test", "train", "test"]
    assert tested.protocol == "global time split at 1970-01-01 00:00:08 UTC, the first item of each user after it"
    validated = by_time(table(*rows), 0.25, 0.0)
    assert validated.interactions["split"].to_list() == [
        *["train"] * 8, "validation", "test-history", "train", "validation"
    ]  # fmt: skip
    assert validated.protocol == tested.protocol and validated.said == []


DAY = 86_400


def test_periods_are_counted_back_from_the_latest_event() -> None:
    # By days, without a time: the last of one day is day 9 alone, and the two days before it are 7 and 8.
    rows = [("a", day, day * DAY) for day in range(10)] + [("b", 6, 6 * DAY), ("b", 7, 7 * DAY), ("b", 9, 9 * DAY)]
    found = by_period(table(*rows), 2 * DAY, DAY)
    assert found.interactions["split"].to_list() == [
        *["train"] * 7, "validation", "test-history", "test",
        *["train", "validation", "test"],
    ]  # fmt: skip
    assert found.protocol == (
        "global time split at 1970-01-08 00:00:00 UTC and 1970-01-10 00:00:00 UTC, the first item of each user after it"
    )
    tested = by_period(table(*rows), 0, 2 * DAY)
    assert tested.interactions["split"].to_list() == ["train"] * 8 + ["test"] + ["train"] * 2 + ["test"]
    validated = by_period(table(*rows), 2 * DAY, 0).interactions["split"].to_list()
    assert validated == ["train"] * 8 + ["validation", "test-history", "train", "train", "validation"]


@pytest.mark.parametrize(
    ("period", "seconds"),
    [("12h", 43_200), ("7d", 604_800), ("2w", 1_209_600), ("0.5d", 43_200), ("0d", 0), (None, 0)],
)
def test_a_period_is_a_number_and_a_unit(period: str | None, seconds: float) -> None:
    assert seconds_of(period, "--test-period") == seconds


@pytest.mark.parametrize("period", ["7", "d", "7 d", "-7d", "7m", "nand", "7d1h", ""])
def test_what_is_no_period_is_refused(period: str) -> None:
    message = f"--test-period is a number of hours, days or weeks, as 12h, 7d or 2w; found '{period}'"
    with pytest.raises(InputError, match=message):
        seconds_of(period, "--test-period")


def test_periods_that_leave_nothing_are_refused() -> None:
    rows = table(("a", 1, DAY), ("a", 2, 2 * DAY), ("a", 3, 9 * DAY))
    with pytest.raises(InputError, match=r"holds nothing out without a period: --test-period=7d is the last week"):
        by_period(rows, 0, 0)
    with pytest.raises(InputError, match="leaves no validation items: try other periods, or --split=leave-one-out"):
        by_period(rows, DAY, DAY)
    with pytest.raises(InputError, match="leaves no train items: try other periods"):
        by_period(rows, 0, 9 * DAY)


@pytest.mark.parametrize(
    ("shares", "message"), [((0.5, 0.5), "leave something"), ((0.0, 0.0), "hold nothing out"), ((-0.1, 0.1), "must")]
)
def test_shares_that_leave_nothing_are_refused(shares: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        by_time(table(("a", 1, 1), ("a", 2, 2), ("a", 3, 3)), *shares)
    with pytest.raises(InputError, match="leaves no train items"):
        by_time(table(("a", 1, 1), ("a", 2, 1), ("a", 3, 1)), 0.1, 0.1)
