"""Cells of a catalogue: equally many items each, near to each other as users' vectors tell items apart.

In: vectors of items, and of some users. Out: the items in the order of their cells, and each cell's centre, by which a
graph knows the few cells whose items are worth scoring (an inverted file; Jégou, Douze & Schmid 2011).

    cells = cells_of(item_vectors, user_vectors)

What a cell is to keep together is not items that are near, but items of like scores: the mean over users of the squared
difference of two items' scores is their distance once the vectors are multiplied by the root of the users' second
moment. (Without it a popular item of a distant cell is lost.) In that space a set of items is halved at the median
between its two means, again and again, until no cell has more than `LARGEST`. Halves are equal, so that a cell's rows
follow from its number.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from infer.system.progress import progress

LARGEST = 256  # items of a cell
DIM = 32  # of the space in which items are halved: its directions of most variance
POWERS, MEANS = 6, 3  # rounds that find the direction of most variance, then the line between both means


@dataclass(frozen=True)
class Cells:
    """order: (items,) the indexes of the items, in the order of cells.  centres: (cells, dim) mean vectors.

    `full` cells come first and have `size` items each; the others have one less.
    """

    order: np.ndarray
    centres: np.ndarray
    full: int

    @property
    def size(self) -> int:
        """Items of the largest cell."""
        return -(-len(self.order) // len(self.centres))


def cells_of(vectors: np.ndarray, users: np.ndarray, only: np.ndarray | None = None, seed: int = 0) -> Cells:
    """Cells of the items 1 to n.

    vectors: (n, dim) float32, whose product with a user's are the scores.  users: (users, dim) of some users.
    only: (m,) the items that are in cells; None: all.
    """
    items = np.arange(1, len(vectors) + 1) if only is None else only
    found = _halved(torch.from_numpy(_told_apart(vectors, users)[items - 1]), seed).numpy()
    real = (found >= 0).sum(1)
    found = found[np.argsort(-real, kind="stable")]
    members = np.sort(np.where(found < 0, len(vectors) + 1, items[found]), axis=1)  # those of none last
    ordered = members[members <= len(vectors)]
    starts = np.concatenate([[0], np.cumsum(np.sort(real)[::-1])[:-1]])
    sums = np.add.reduceat(vectors[ordered - 1], starts, axis=0, dtype=np.float64)
    centres = (sums / np.sort(real)[::-1, None]).astype(np.float32)
    return Cells(ordered, centres, int((real == found.shape[1]).sum()))


def item_at(cells: Cells, items: int) -> np.ndarray:
    """(items + 1,) the item at each index of a graph in the order of cells: those of cells from 1, then all others."""
    others = np.setdiff1d(np.arange(1, items + 1), cells.order)
    return np.concatenate([[0], cells.order, others])


def cell_count(items: int) -> int:
    """How many cells so many items are in: the least power of two with at most `LARGEST` items in each."""
    return 1 << max(0, -(-items // LARGEST) - 1).bit_length()


def _told_apart(vectors: np.ndarray, users: np.ndarray) -> np.ndarray:
    """(n, at most DIM) float32, whose squared distances are about the mean over users of squared score differences."""
    moment = users.astype(np.float64).T @ users / max(1, len(users))
    values, directions = np.linalg.eigh(moment)
    told = directions * np.sqrt(np.maximum(values, 0))
    mean = vectors.mean(0, dtype=np.float64)
    spread = (vectors.T @ vectors).astype(np.float64) / len(vectors) - np.outer(mean, mean)
    _, axes = np.linalg.eigh(told.T @ spread @ told)
    found: np.ndarray = vectors @ (told @ axes[:, ::-1][:, :DIM]).astype(np.float32)
    return found


def _halved(points: Tensor, seed: int) -> Tensor:
    """(n, dim) to (cells, size) rows of the points, -1 for none: at most one in a cell."""
    generator = torch.Generator().manual_seed(seed)
    cells = cell_count(len(points))
    rows = torch.arange(len(points))[None]
    for _ in progress(range(cells.bit_length() - 1), desc="cells", unit=" halvings", leave=False):
        rows = _halves(points, rows, generator)
    return rows


def _halves(points: Tensor, rows: Tensor, generator: torch.Generator) -> Tensor:
    """(sets, n) to (2 * sets, half of n, rounded up): each set cut in two at the median."""
    if rows.shape[1] % 2:
        rows = torch.cat([rows, torch.full((len(rows), 1), -1)], 1)
    none = rows < 0
    own = points[rows.clamp(min=0)].masked_fill_(none[..., None], 0)
    own -= own.sum(1, keepdim=True) / (~none).sum(1)[:, None, None]
    own.masked_fill_(none[..., None], 0)
    line = torch.randn((len(rows), points.shape[1], 1), generator=generator)
    for _ in range(POWERS):
        line = torch.nn.functional.normalize(own.transpose(1, 2) @ (own @ line), dim=1)
    half = rows.shape[1] // 2
    for number in range(MEANS + 1):
        key = (own @ line).squeeze(2)
        # Of two that are none each half has one.
        key[none] = torch.inf
        first = none & (none.cumsum(1) == 1) & (none.sum(1, keepdim=True) == 2)
        key[first] = -torch.inf
        order = key.argsort(dim=1, stable=True)
        if number < MEANS:
            sides = [own.gather(1, part[..., None].expand(-1, -1, own.shape[2])) for part in order.split(half, 1)]
            line = (sides[1].sum(1) - sides[0].sum(1))[..., None]
    return rows.gather(1, order).view(2 * len(rows), half)
