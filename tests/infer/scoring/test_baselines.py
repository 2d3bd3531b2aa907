"""Random and popular lists: unseen, without repeats, independent of batches."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from infer.histories.histories import Histories
from infer.scoring.baselines import equal_popular, popular, random, shuffled
from infer.scoring.popularity import popularity_order


def histories(*items: list[int]) -> Histories:
    offsets = np.concatenate([[0], np.cumsum([len(i) for i in items])]).astype(np.int64)
    flat = np.array([i for part in items for i in part], dtype=np.int32)
    return Histories(pl.Series("user", range(len(items))), flat, offsets)


def test_the_order_is_by_count_then_index() -> None:
    assert popularity_order(np.array([1, 5, 1, 0, 5])).tolist() == [2, 5, 1, 3, 4]


def test_popular_lists_by_hand_with_padding_where_too_few_are_unseen() -> None:
    order = np.array([2, 5, 1, 3, 4])
    assert popular(histories([2], [1, 5], [], [1, 2, 3, 4]), order, 3).tolist() == [
        [5, 1, 3],
        [2, 3, 4],
        [2, 5, 1],
        [5, 0, 0],
    ]


@given(
    seen=st.lists(st.lists(st.integers(1, 7), unique=True, max_size=7), min_size=1, max_size=6),
    k=st.integers(1, 9),
    seed=st.integers(0, 50),
)
def test_lists_hold_all_unseen_items_at_most_once(seen: list[list[int]], k: int, seed: int) -> None:
    given_histories = histories(*seen)
    order = np.random.default_rng(seed).permutation(7) + 1
    for lists in (
        popular(given_histories, order, k),
        random(given_histories, shuffled(7, seed), np.arange(len(seen)), k, seed),
    ):
        for row, history in zip(lists.tolist(), seen, strict=True):
            found = [item for item in row if item]
            assert len(set(found)) == len(found) == min(k, 7 - len(history))
            assert not set(found) & set(history)
            assert row[: len(found)] == found, "padding comes last"


def test_random_lists_do_not_depend_on_the_batches() -> None:
    every = histories([1], [2, 3], [], [9, 4])
    whole = random(every, shuffled(20, 3), np.arange(4), 5, seed=3)
    parts = [random(every.rows(a, b), shuffled(20, 3), np.arange(a, b), 5, seed=3) for a, b in ((0, 1), (1, 4))]
    assert np.array_equal(whole, np.concatenate(parts))
    assert not np.array_equal(whole, random(every, shuffled(20, 4), np.arange(4), 5, seed=4))


@given(cut=st.integers(1, 5), first=st.integers(0, 1000))
def test_a_list_depends_on_the_users_row_wherever_the_batch_begins(cut: int, first: int) -> None:
    # Histories of different length: a batch's longest one decides how many candidates are looked at.
    every = histories([1], [], list(range(1, 16)), [2, 3], [9], [4, 5, 6])
    whole = random(every, shuffled(20, 1), np.arange(first, first + 6), 5, seed=1)
    parts = [
        random(every.rows(a, b), shuffled(20, 1), np.arange(first + a, first + b), 5, seed=1)
        for a, b in ((0, cut), (cut, 6))
    ]
    assert np.array_equal(whole, np.concatenate(parts))


def test_the_seed_decides_both_the_shuffle_and_where_each_user_starts() -> None:
    nobody = histories(*[[] for _ in range(50)])
    lists = {seed: random(nobody, shuffled(20, seed), np.arange(50), 20, seed) for seed in (3, 4)}

    def successors(table: np.ndarray) -> set[tuple[int, int]]:
        return {(int(a), int(b)) for row in table for a, b in zip(row, np.roll(row, -1), strict=True)}

    def starts(table: np.ndarray) -> list[int]:
        return [table[0].tolist().index(item) for item in table[:, 0]]

    assert len(successors(lists[3])) == 20, "all users read one shuffle"
    assert successors(lists[3]) != successors(lists[4])
    assert starts(lists[3]) != starts(lists[4])


def test_random_lists_are_even() -> None:
    users, items = 20_000, 10
    lists = random(histories(*[[] for _ in range(users)]), shuffled(items, 0), np.arange(users), 1, seed=0)
    counts = np.bincount(lists[:, 0], minlength=items + 1)[1:]
    assert abs(counts - users / items).max() < 5 * (users / items) ** 0.5
    # Chi-square with 9 degrees of freedom: beyond 27.9 once in a thousand seeds.
    assert ((counts - users / items) ** 2 / (users / items)).sum() < 27.9


@given(
    seen=st.lists(st.lists(st.integers(1, 6), unique=True, max_size=6), min_size=1, max_size=6),
    change=st.lists(st.sampled_from(["as it is", "swapped", "shorter", "of less popular items", "none"]), min_size=6),
    k=st.integers(1, 8),
    seed=st.integers(0, 20),
)
def test_lists_that_are_the_popular_ones_are_counted(
    seen: list[list[int]], change: list[str], k: int, seed: int
) -> None:
    own, order = histories(*seen), np.random.default_rng(seed).permutation(6) + 1
    items = pl.DataFrame({"item": [f"i{n}" for n in range(1, 7)], "index": range(1, 7)})
    rows, expected = [], 0
    for user, (best, how) in enumerate(zip(popular(own, order, k).tolist(), change, strict=False)):
        best = [item for item in best if item]
        unseen = [int(item) for item in order if item not in seen[user]]
        given_list = {
            "as it is": best,
            "swapped": best[1::-1] + best[2:],
            "shorter": best[:-1],
            "of less popular items": unseen[1 : k + 1],
            "none": [],
        }[how]
        expected += bool(given_list) and given_list == best
        rows += [(user, rank, f"i{item}") for rank, item in enumerate(given_list, 1)]
    lists = pl.DataFrame(rows, schema={"user": pl.Int64, "rank": pl.Int32, "item": pl.String}, orient="row")
    assert equal_popular(own, lists, items, order, k) == expected
