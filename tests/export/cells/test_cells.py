"""Cells: every item in one, equally many in each, and together what users score alike."""

from itertools import pairwise

import numpy as np
import pytest

from export.cells.cells import LARGEST, Cells, cell_count, cells_of, item_at


def starts(cells: Cells) -> np.ndarray:
    """(cells + 1,) where each cell begins in the order, and its end."""
    sizes = np.where(np.arange(len(cells.centres)) < cells.full, cells.size, cells.size - 1)
    return np.concatenate([[0], np.cumsum(sizes)])


@pytest.mark.parametrize("items", [1, 2, LARGEST, LARGEST + 1, 2 * LARGEST + 1, 1_000, 5_001])
def test_every_item_is_in_one_cell_of_equal_size(items: int) -> None:
    rng = np.random.default_rng(items)
    vectors, users = (rng.normal(size=(rows, 5)).astype(np.float32) for rows in (items, 9))
    cells = cells_of(vectors, users)
    assert len(cells.centres) == cell_count(items) and cells.size <= LARGEST
    assert sorted(cells.order) == list(range(1, items + 1))
    edges = starts(cells)
    assert edges[-1] == items
    for centre, first, last in zip(cells.centres, edges, edges[1:], strict=False):
        members = cells.order[first:last]
        assert (np.diff(members) > 0).all(), "equal scores are listed by ascending index within a cell"
        np.testing.assert_allclose(centre, vectors[members - 1].mean(0), atol=1e-5)


def test_the_number_of_cells_is_the_least_power_of_two_that_suffices() -> None:
    found = [cell_count(items) for items in (1, LARGEST, LARGEST + 1, 2 * LARGEST, 2 * LARGEST + 1, 10**6)]
    assert found == [1, 1, 2, 2, 4, 4_096]


def test_items_of_one_group_are_in_the_same_cells() -> None:
    rng = np.random.default_rng(0)
    group = rng.permutation(np.repeat(np.arange(4), 200))
    vectors = (10 * np.eye(4)[group] + rng.normal(size=(800, 4))).astype(np.float32)
    cells = cells_of(vectors, rng.normal(size=(50, 4)).astype(np.float32))
    edges = starts(cells)
    together = [len(set(group[cells.order[a:b] - 1])) for a, b in pairwise(edges)]
    assert together == [1, 1, 1, 1]


def test_cells_part_items_along_what_users_tell_apart() -> None:
    """Not along what has the largest numbers: no user's vector meets those."""
    rng = np.random.default_rng(0)
    vectors = np.stack([rng.choice([-1, 1], 600), 100 * rng.normal(size=600)], 1).astype(np.float32)
    users = np.stack([rng.normal(size=40), np.zeros(40)], 1).astype(np.float32)
    cells = cells_of(vectors, users)
    signs = np.abs(cells.centres[:, 0])
    assert (signs > 0.7).all(), signs


def test_items_that_nobody_gets_are_in_no_cell_and_stand_last() -> None:
    rng = np.random.default_rng(0)
    vectors, users = (rng.normal(size=(rows, 3)).astype(np.float32) for rows in (700, 9))
    only = np.setdiff1d(np.arange(1, 701), [1, 350, 700])
    cells = cells_of(vectors, users, only)
    assert sorted(cells.order) == list(only)
    order = item_at(cells, 700)
    assert order[0] == 0 and list(order[-3:]) == [1, 350, 700] and sorted(order) == list(range(701))


def test_items_without_any_difference_are_parted_all_the_same() -> None:
    cells = cells_of(np.zeros((600, 3), np.float32), np.zeros((4, 3), np.float32))
    assert sorted(cells.order) == list(range(1, 601)) and len(cells.centres) == 4
