"""Diversity and calibration by hand, and the same in any blocks of users."""

from itertools import combinations

import numpy as np
import pytest

from infer.metrics import categories as module
from infer.metrics.categories import Categories, calibration, hamming_diversity

# Item 1: war; 2: war, comedy; 3: comedy; 4: none; 5: drama, war, comedy.
KINDS = [[], [0], [0, 1], [1], [], [0, 1, 2]]


def categories(kinds: list[list[int]], number: int) -> Categories:
    offsets = np.cumsum([0, *(len(own) for own in kinds)])
    return Categories(np.array([code for own in kinds for code in own], dtype=np.int64), offsets, number)


def users(*items: list[int]) -> tuple[np.ndarray, np.ndarray]:
    flat = np.array([item for own in items for item in own], dtype=np.int32)
    return flat, np.cumsum([0, *(len(own) for own in items)])


def test_diversity_by_hand() -> None:
    lists = users([1, 2, 3], [1, 5], [2], [4], [3, 4], [1, 4, 3])
    # 1-2: 1, 1-3: 2, 2-3: 1; 1-5: 2; one item: 0, whatever is known of it; no known pair; 1-3 alone: 2.
    found = hamming_diversity(*lists, categories(KINDS, 3))
    assert found.tolist()[:4] == pytest.approx([4 / 3, 2, 0, 0]) and np.isnan(found[4]) and found[5] == 2


def test_calibration_by_hand() -> None:
    history = users([1, 2], [1, 2], [1], [4], [1], [])
    lists = users([3], [2, 1], [1, 4], [1], [4], [1])
    found = calibration(history, lists, categories(KINDS, 3))
    # History: war 0.75, comedy 0.25; the list is comedy alone.
    expected = 0.75 * np.log(0.75 / (0.01 * 0.75)) + 0.25 * np.log(0.25 / (0.99 + 0.01 * 0.25))
    assert found[0] == pytest.approx(expected)
    assert found[1] == pytest.approx(0, abs=1e-15) and found[2] == pytest.approx(0, abs=1e-15)
    assert np.isnan(found[3:]).all(), "nothing known of the history, of the list, or no history"


def test_nobody_and_no_known_items_give_no_values() -> None:
    assert hamming_diversity(*users(), categories(KINDS, 3)).tolist() == []
    assert calibration(users(), users(), categories(KINDS, 3)).tolist() == []
    assert np.isnan(calibration(users([4], [4]), users([4], [4]), categories(KINDS, 3))).all()


@pytest.mark.parametrize(("number", "entries"), [(3, 2**20), (3, 1), (500, 2**20), (500, 7)])
def test_few_and_many_categories_in_blocks_of_any_size(number: int, entries: int, monkeypatch) -> None:
    monkeypatch.setattr(module, "ENTRIES", entries)
    draw = np.random.default_rng(number)
    kinds = [[], *(sorted(draw.choice(number, draw.integers(0, 4), replace=False).tolist()) for _ in range(30))]
    history = users(*(draw.integers(1, 31, draw.integers(0, 9)).tolist() for _ in range(20)))
    lists = users(*(draw.permutation(30)[: draw.integers(1, 6)] + 1 for _ in range(20)))
    found = hamming_diversity(*lists, categories(kinds, number)), calibration(history, lists, categories(kinds, number))
    for user in range(20):
        seen, listed = (items[offsets[user] : offsets[user + 1]].tolist() for items, offsets in (history, lists))
        pairs = [len(set(kinds[a]) ^ set(kinds[b])) for a, b in combinations(listed, 2) if kinds[a] and kinds[b]]
        expected = 0 if len(listed) == 1 else np.mean(pairs) if pairs else np.nan
        assert found[0][user] == pytest.approx(expected, nan_ok=True)
        assert found[1][user] == pytest.approx(steck(seen, listed, kinds), nan_ok=True, abs=1e-12)
    assert np.isfinite(found[1]).sum() > 5


def steck(seen: list[int], listed: list[int], kinds: list[list[int]]) -> float:
    def distribution(items: list[int]) -> dict[int, float]:
        known = [item for item in items if kinds[item]]
        found: dict[int, float] = {}
        for item in known:
            for kind in kinds[item]:
                found[kind] = found.get(kind, 0) + 1 / len(kinds[item]) / len(known)
        return found

    p, q = distribution(seen), distribution(listed)
    if not p or not q:
        return np.nan
    return sum(own * np.log(own / (0.99 * q.get(kind, 0) + 0.01 * own)) for kind, own in p.items())
