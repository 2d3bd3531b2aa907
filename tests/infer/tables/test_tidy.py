"""What is in order, and without repeated pairs, is left as it is."""

import time
from itertools import permutations

import polars as pl
import pytest

from infer.tables.columns import ITEM, TIMESTAMP, USER
from infer.tables.options import TableOptions
from infer.tables.tidy import by_item, checked, is_ordered, repeats_pairs, rules_of, tidy


@pytest.mark.parametrize("texts", [False, True])
def test_a_pair_is_repeated_only_where_both_ids_are(texts: bool) -> None:
    table = pl.DataFrame({USER: [1, 1, 2, 2, 12], ITEM: [1, 2, 1, 2, 1]})
    kind = pl.String if texts else pl.Int64
    assert not repeats_pairs(table.cast(kind))
    for row in range(5):
        assert repeats_pairs(pl.concat([table, table[row]]).cast(kind))
    many = pl.DataFrame({USER: range(50_000)}).with_columns((pl.col(USER) % 7).alias(ITEM))
    swapped = many.select(pl.col(ITEM).alias(USER), pl.col(USER).alias(ITEM))
    assert not repeats_pairs(many) and not repeats_pairs(swapped)


@pytest.mark.parametrize("texts", [False, True])
def test_order_is_that_of_sorting(texts: bool) -> None:
    rows = [(1, 5, 9), (1, 5, 10), (1, 7, 2), (2, 1, 3), (2, 1, 20)]
    kind = pl.String if texts else pl.Int64
    for number, places in enumerate(permutations(range(5))):
        table = pl.DataFrame([rows[place] for place in places], [USER, TIMESTAMP, ITEM], orient="row")
        table = table.cast({ITEM: kind})
        order = [pl.col(USER), pl.col(TIMESTAMP), *by_item(table.schema)]
        assert is_ordered(table, order) == table.equals(table.sort(order)) == (number == 0)
        assert tidy(table, "t").interactions.rows() == tidy(table.sort(order), "t").interactions.rows()
    mixed = pl.DataFrame({USER: [1] * 4, TIMESTAMP: [1] * 4, ITEM: ["9", "10", "B", "a"]})
    order = [pl.col(USER), pl.col(TIMESTAMP), *by_item(mixed.schema)]
    assert (
        is_ordered(mixed, order) and not is_ordered(mixed[::-1], order) and not is_ordered(mixed[[0, 2, 1, 3]], order)
    )
    assert is_ordered(mixed[:1], order) and is_ordered(mixed[[0, 0]], order), "equal rows are in order"


def test_events_in_the_future_are_counted_and_the_latest_is_named() -> None:
    now = int(time.time())
    moments = [now - 9, now + 3_600, now + 3 * 86_400, 30_112_041_600]
    table = pl.DataFrame({USER: [1, 1, 2, 2], ITEM: [1, 2, 3, 4], TIMESTAMP: moments})
    told = "2 events lie in the future, the latest 2924-03-19 00:00:00 UTC"
    assert str(tidy(table, "t.csv").notes) == told
    assert str(tidy(table.head(2), "t.csv").notes) == "", "clocks differ by hours"
    assert str(tidy(table, "t.csv", TableOptions(order="rows")).notes) == ""
    first, last = (checked(part, rules_of(part, "t.csv", TableOptions()))[1] for part in (table.head(3), table.tail(1)))
    first.add(last)
    assert str(first) == told
    assert first.period.endswith(" to 2924-03-19 00:00:00 UTC") and "from 2" in first.period
    assert not tidy(table, "t.csv", TableOptions(order="rows")).notes.period
