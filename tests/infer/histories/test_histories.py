"""Histories and windows: worked out by hand, and against a naive definition."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infer.histories import vocabulary as vocabularies
from infer.histories.digests import digests
from infer.histories.histories import Histories, before, build_histories
from infer.histories.vocabulary import index_of, vocabulary
from infer.histories.windows import level_windows, seen, windows

TABLE = pl.DataFrame(
    [
        ("u2", "b", 5, "train"),
        ("u1", "c", 9, "test"),
        ("u1", "b", 3, "train"),
        ("u1", "a", 3, "train"),
        ("u1", "x", 4, "train"),
        ("u1", "a2", 8, "validation"),
        ("u3", "x", 1, "train"),
    ],
    schema=["user", "item", "timestamp", "split"],
    orient="row",
)
ITEMS = vocabulary(["a", "a2", "b", "c"], "item")  # indexes 1 to 4; x is unknown


@pytest.fixture
def histories() -> Histories:
    return build_histories(TABLE, ITEMS)


def test_histories_are_ordered_by_time_then_item_and_unknown_items_are_counted(histories) -> None:
    assert histories.users.to_list() == ["u1", "u2", "u3"]
    assert histories.items.tolist() == [1, 3, 2, 4, 3] and histories.offsets.tolist() == [0, 4, 5, 5]
    assert histories.lengths.tolist() == [4, 1, 0] and histories.unknown == 2


def test_windows_end_with_the_newest_item_and_are_padded_on_the_left(histories) -> None:
    assert windows(histories, 3).tolist() == [[3, 2, 4], [0, 0, 3], [0, 0, 0]]
    assert windows(histories, 5).tolist() == [[0, 1, 3, 2, 4], [0, 0, 0, 0, 3], [0] * 5]
    assert windows(histories, 3).dtype == np.int64


def test_seen_holds_whole_histories_at_few_widths(histories) -> None:
    assert seen(histories, multiple=3).tolist() == [[0, 0, 1, 3, 2, 4], [0, 0, 0, 0, 0, 3], [0] * 6]
    assert seen(histories).shape == (3, 64)


def test_parts_of_the_users_keep_their_own_items(histories) -> None:
    part = histories.rows(1, 3)
    assert len(part) == 2 and part.users.to_list() == ["u2", "u3"] and part.lengths.tolist() == [1, 0]
    assert windows(part, 2).tolist() == [[0, 3], [0, 0]]
    taken = histories.take(np.array([2, 0, 0]))
    assert taken.users.to_list() == ["u3", "u1", "u1"]
    assert windows(taken, 2).tolist() == [[0, 0], [2, 4], [2, 4]]


def test_the_split_is_cut_just_before_the_held_out_item() -> None:
    earlier, held = before(TABLE, "test")
    assert set(earlier["split"]) == {"train", "validation"} and held["item"].to_list() == ["c"]
    earlier, held = before(TABLE, "validation")
    assert set(earlier["split"]) == {"train"} and held["item"].to_list() == ["a2"]


def test_no_users_and_no_known_items_give_padding(histories) -> None:
    assert windows(histories.rows(0, 0), 3).shape == (0, 3)
    unknown = build_histories(TABLE.filter(pl.col("item") == "x"), ITEMS)
    assert windows(unknown, 2).tolist() == [[0, 0], [0, 0]] and unknown.unknown == 2


ROWS = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(0, 3)), min_size=1, max_size=30)


@given(rows=ROWS, length=st.integers(1, 8), order=st.randoms(use_true_random=False))
def test_windows_equal_the_naive_definition_in_any_row_order(rows: list, length: int, order) -> None:
    rows = list({(user, item): (user, item, time) for user, item, time in rows}.values())
    expected = {}
    for user in sorted({user for user, _, _ in rows}):
        items = [item for _, item, _ in sorted((r for r in rows if r[0] == user), key=lambda r: (r[2], r[1]))]
        expected[user] = [item for item in items if item != 6]  # 6 is not in the vocabulary
    order.shuffle(rows)
    table = pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row")
    found = build_histories(table, vocabulary([1, 2, 3, 4, 5], "item"))
    assert found.users.to_list() == list(expected)
    padded = [([0] * length + items)[-length:] for items in expected.values()]
    assert windows(found, length).tolist() == padded
    assert [sorted(set(row) - {0}) for row in seen(found).tolist()] == [sorted(items) for items in expected.values()]
    rows_back = np.arange(len(found))[::-1]
    assert windows(found.take(rows_back), length).tolist() == padded[::-1]


NESTED = st.lists(st.lists(st.integers(1, 9), max_size=5), min_size=1, max_size=6)


@given(nested=NESTED, data=st.data())
def test_rows_and_take_index_as_python_lists_do(nested: list[list[int]], data) -> None:
    offsets = np.cumsum([0, *map(len, nested)])
    flat = np.array([item for items in nested for item in items], dtype=np.int32)
    whole = Histories(pl.Series("user", range(len(nested))), flat, offsets)
    start = data.draw(st.integers(0, len(nested) - 1))
    part = whole.rows(start, len(nested))
    rows = data.draw(st.lists(st.integers(0, len(part) - 1), max_size=8))  # repeats and any order
    taken = part.take(np.array(rows, dtype=np.int64))
    assert taken.users.to_list() == [start + row for row in rows]
    found = [taken.items[a:b].tolist() for a, b in zip(taken.offsets[:-1], taken.offsets[1:], strict=True)]
    assert found == [nested[start:][row] for row in rows]
    assert [[item for item in row if item] for row in seen(taken, 4).tolist()] == found


def test_seen_is_as_narrow_as_its_multiple_allows() -> None:
    for longest, width in ((0, 64), (1, 64), (64, 64), (65, 128)):
        one = Histories(pl.Series("user", [1]), np.ones(longest, dtype=np.int32), np.array([0, longest]))
        assert seen(one).shape == (1, width)
        assert seen(one, multiple=1).shape == (1, max(1, longest))


def of(*items: list[int], levels: list[int] | None = None) -> Histories:
    offsets = np.cumsum([0, *map(len, items)])
    found = np.concatenate([np.array(i, np.int32) for i in items])
    return Histories(pl.Series("user", range(len(items))), found, offsets, levels=levels and np.array(levels))


def test_digests_tell_items_order_length_and_ratings_apart_and_nothing_else() -> None:
    found = digests(of([1, 2], [2, 1], [1, 2, 3], [], [1], [2], [0, 1, 2], [1, 2]))
    assert found[0] == found[7] and len(set(found.tolist())) == 7
    assert digests(of([9, 9, 9], [1, 2]))[1] == found[0]
    assert digests(of([5], [1, 2]).rows(1, 2))[0] == found[0]
    rated = digests(of([1, 2], [1, 2], [1, 2], levels=[3, 4, 4, 3, 3, 4]))
    assert rated[0] == rated[2] != rated[1]


def test_a_digest_does_not_add_a_rating_to_an_item() -> None:
    assert len(set(digests(of([1], [2], [3], levels=[3, 2, 1])).tolist())) == 3


def test_parts_of_the_users_keep_their_own_ratings() -> None:
    rated = of([5, 6], [7, 8, 9], [], levels=[1, 2, 3, 4, 5])
    assert level_windows(rated.rows(1, 3), 2).tolist() == [[4, 5], [0, 0]]
    assert level_windows(rated.take(np.array([1, 0])), 3).tolist() == [[3, 4, 5], [0, 1, 2]]


@given(st.lists(st.lists(st.integers(1, 4), max_size=4), min_size=2, max_size=40))
def test_digests_are_equal_just_where_histories_are(histories: list[list[int]]) -> None:
    found = digests(of(*histories)).tolist()
    assert len(set(found)) == len({tuple(items) for items in histories})


@pytest.mark.parametrize("ids", [[5, 7, 900], [-3, 5, 7], [5, 7, 10**12], ["a", "b", "é"]])
def test_indexes_are_those_of_the_vocabulary_and_padding_for_the_rest(ids: list) -> None:
    known = vocabulary(ids, "item")
    strange = "zz" if isinstance(ids[0], str) else 6
    values = pl.Series("item", [ids[2], strange, None, ids[0], ids[0]], dtype=known.schema["item"])
    assert index_of(values, known).tolist() == [3, 0, 0, 1, 1]
    if not isinstance(ids[0], str):
        assert index_of(pl.Series("item", [-1, 2**62]), known).tolist() == [0, 0]


def test_only_small_ids_are_looked_up_in_a_table_of_bounded_size(monkeypatch) -> None:
    assert 4 * vocabularies.LOOKUP == 64_000_000, "bytes"
    known, values = vocabulary([3, 9], "item"), pl.Series("item", [9, 4, 3, -1, 10])
    joined, real = [], pl.DataFrame.join
    monkeypatch.setattr(pl.DataFrame, "join", lambda *given, **named: joined.append(1) or real(*given, **named))
    for lookup, joins in ((10, 0), (9, 1)):
        monkeypatch.setattr(vocabularies, "LOOKUP", lookup)
        assert index_of(values, known).tolist() == [2, 0, 1, 0, 0]
        assert len(joined) == joins


def test_histories_end_before_the_item_of_the_stated_split_and_hold_what_followed_it_for_no_other() -> None:
    rows = [("a", 1, "train"), ("b", 2, "validation"), ("c", 3, "test-history"), ("d", 4, "test")]
    table = pl.DataFrame([("u", *row) for row in rows], schema=["user", "item", "timestamp", "split"], orient="row")
    for split, history, held in (("validation", "a", "b"), ("test", "abc", "d")):
        earlier, targets = before(table, split)
        assert ("".join(earlier["item"]), "".join(targets["item"])) == (history, held)


def test_of_what_comes_again_the_last_place_counts() -> None:
    users = pl.Series("user", ["a", "b", "c"])
    items = np.array([3, 1, 3, 2, 1, 2, 2, 5], dtype=np.int32)
    repeated = Histories(users, items, np.array([0, 5, 7, 8]), repeats=True)
    for found in (repeated.distinct, repeated.take(np.array([0, 1, 2])).distinct):
        assert found.items.tolist() == [3, 2, 1, 2, 5] and found.offsets.tolist() == [0, 3, 4, 5]
    assert repeated.rows(1, 3).distinct.items.tolist() == [2, 5]
    assert seen(repeated, multiple=4).tolist() == [[0, 3, 2, 1], [0, 0, 0, 2], [0, 0, 0, 5]]
    assert windows(repeated, 3).tolist() == [[3, 2, 1], [0, 2, 2], [0, 0, 5]]
    once = Histories(users, items, np.array([0, 5, 7, 8]))
    assert once.distinct is once


@given(
    st.lists(st.lists(st.integers(1, 3), max_size=9), min_size=1, max_size=4), st.integers(1, 4), st.integers(0, 2)
)  # fmt: skip
def test_the_latest_places_of_each_item_are_kept_with_their_levels(lists, most, before) -> None:
    whole = [[9] * before, *lists]
    items = np.array([i for own in whole for i in own], dtype=np.int32)
    offsets = np.cumsum([0, *map(len, whole)])
    histories = Histories(pl.Series(range(len(whole))), items, offsets, levels=np.arange(len(items)), repeats=True)
    found = histories.rows(1, len(whole)).latest_of_each(most)
    first = before
    for own, start, stop in zip(lists, found.offsets[:-1], found.offsets[1:], strict=True):
        kept = [n for n, i in enumerate(own) if own[n + 1 :].count(i) < most]
        assert found.items[start:stop].tolist() == [own[n] for n in kept]
        assert found.levels is not None and found.levels[start:stop].tolist() == [first + n for n in kept]
        first += len(own)
