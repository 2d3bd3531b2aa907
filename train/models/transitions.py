"""Which items follow which: counts of item after item in the training histories, made some items at a time.

In: histories. Out: sparse (items, items) matrices; item n is row and column n - 1.

    transitions(data, lags=10, decay=0.8)

Some rows are the product of two sparse matrices, at which places their items stand and what stands near these places,
so that memory goes with these rows and with what is kept of the others, not with all pairs.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import scipy.sparse as sp

from infer.histories.histories import Histories
from infer.system.progress import progress
from train.data.dataset import Data

LAGS, LAG_DECAY = 10, 0.8
# Pairs of an item and one near it that are counted at once.
PAIRS_AT_ONCE = 1_000_000
# Small entries that came before larger ones are dropped when there are so many times as many as will be kept.
AHEAD = 2

# What makes of the counts of some rows those of the result.
Finish = Callable[[sp.csr_matrix], sp.csr_matrix]


def transitions(
    data: Data,
    lags: int = LAGS,
    decay: float = LAG_DECAY,
    backward: float = 0.0,
    finish: Finish | None = None,
    most: int | None = None,
) -> sp.csr_matrix:
    """(items, items) float32: how often the column's item follows the row's within `lags` items, each further step
    counting `decay` times as much as the one before, and `backward` times as much where it precedes it.

    finish: is applied to counts (rows, items) before they are kept.  most: only so many entries of the largest size are
    kept, and those of the same size as the least of them.
    """
    after = {lag: decay ** (lag - 1) for lag in range(1, lags + 1)}
    before = {-lag: backward * weight for lag, weight in after.items() if backward}
    largest = Largest(most)
    for counts in counted(data.histories, len(data.item_ids), after | before):
        largest.add(finish(counts) if finish else counts)
    return sp.vstack(largest.parts(), "csr", np.float32)


def counted(histories: Histories, size: int, steps: Mapping[int, float]) -> Iterator[sp.csr_matrix]:
    """The counts (rows, size) float32 of some rows after others: what stands a number of `steps` behind their items
    (before them, where it is negative) counts as much as `steps` says.
    """
    items, offsets = histories.flat - 1, histories.offsets - histories.offsets[0]
    user = np.repeat(np.arange(len(histories), dtype=np.int32), histories.lengths)
    each = np.arange(len(items) + 1, dtype=np.int32 if len(items) < 2**31 else np.int64)
    at = sp.csr_matrix((np.ones(len(items), np.int8), items, each), shape=(len(items), size)).tocsc()
    distances, weights = np.array([*steps], np.int32), np.array([*steps.values()])
    first = 0
    with progress(total=size, desc="counting transitions", unit=" items", leave=False) as told:
        while first < size:
            most = at.indptr[first] + PAIRS_AT_ONCE // max(1, len(steps))
            last = min(size, max(first + 1, int(np.searchsorted(at.indptr, most, "right")) - 1))
            begin, end = at.indptr[first], at.indptr[last]
            places = at.indices[begin:end, None]
            owner = user[places]
            near = places + distances
            inside = (near >= offsets[owner]) & (near < offsets[owner + 1])
            ends = np.concatenate([[0], inside.sum(1).cumsum()])
            found = (np.broadcast_to(weights, inside.shape)[inside], items[near[inside]], ends)
            standing = (np.ones(end - begin), np.arange(end - begin), at.indptr[first : last + 1] - begin)
            rows = sp.csr_matrix(standing, shape=(last - first, end - begin))
            counts = rows @ sp.csr_matrix(found, shape=(end - begin, size))
            counts.data = counts.data.astype(np.float32)  # of the matrix it would sort the entries, too
            yield counts
            told.update(last - first)
            first = last


class Largest:
    """Of matrices that come one after the other, the entries of the largest size among all, `most` of them and those of
    the same size as the least of them; None: all entries."""

    def __init__(self, most: int | None) -> None:
        self.most, self.kept = most, list[sp.csr_matrix]()
        # Entries by the upper half of their size's bits, which ascends with the size, to 1 part in 128.
        self.by_size = np.zeros(2**16, np.int64)

    def add(self, part: sp.csr_matrix) -> None:
        """Take one more matrix (float32)."""
        if self.most is not None:
            self.by_size += np.bincount(np.abs(part.data).view(np.uint32) >> 16, minlength=len(self.by_size))
            part = from_size(part, self.bound())
        self.kept.append(part)
        if self.most is not None and sum(part.nnz for part in self.kept) > AHEAD * self.most:
            self.kept = [from_size(part, self.bound()) for part in self.kept]

    def bound(self) -> float:
        """A size that at least `most` entries reach so far, if there are so many; 0 if there are not."""
        reached = np.flatnonzero(self.by_size[::-1].cumsum() >= self.most)
        last = len(self.by_size) - 1 - reached[0] if len(reached) else 0
        return float(np.array(last << 16, np.uint32).view(np.float32))

    def parts(self) -> list[sp.csr_matrix]:
        """The matrices in their order, with what is kept of them."""
        if self.most is None or sum(part.nnz for part in self.kept) <= self.most:
            return self.kept
        sizes = np.abs(np.concatenate([part.data for part in self.kept]))
        sizes.partition(-self.most)
        return [from_size(part, sizes[-self.most]) for part in self.kept]


def strongest(matrix: sp.csr_matrix, most: int) -> sp.csr_matrix:
    """The same matrix with the `most` entries of each row that are largest in size, strongest first, equal ones in the
    order of their columns; what is 0 is left out."""
    sizes = np.abs(matrix.data)
    lengths = np.diff(matrix.indptr)
    row = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((matrix.indices, -sizes, row))
    place = np.arange(len(order)) - np.repeat(matrix.indptr[:-1], lengths)
    kept = order[(place < most) & (sizes[order] > 0)]
    ends = np.searchsorted(row[kept], np.arange(len(lengths) + 1))
    return sp.csr_matrix((matrix.data[kept], matrix.indices[kept], ends), shape=matrix.shape)


def from_size(matrix: sp.csr_matrix, least: float) -> sp.csr_matrix:
    """The same matrix with its entries of at least this size."""
    kept = np.abs(matrix.data) >= least
    ends = np.concatenate([[0], np.cumsum(kept, dtype=matrix.indptr.dtype)])[matrix.indptr]
    return sp.csr_matrix((matrix.data[kept], matrix.indices[kept], ends), shape=matrix.shape)
