"""Item vectors for a transformer to start from, by sparse solvers on the training histories.

In: `Data`. Out: (items + 1, dim) float32, row 0 (padding) zero.

    ials  implicit ALS (Hu, Koren & Volinsky 2008), by the library implicit
    ppmi  square roots of the singular values times the singular vectors of the positive pointwise
          mutual information between an item and those that follow it (Levy & Goldberg 2014)
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.linalg import svds

from infer.errors import InputError
from train.data.content import load as features
from train.data.dataset import Data
from train.models.weights import rating_weights

LAGS, LAG_DECAY, SMOOTHING = 10, 0.8, 0.75
# Up to so many items a matrix is decomposed whole, which takes less than a second; the sparse solver may
# not converge when most of a small matrix's singular values are asked for.
DENSE = 500
# Of the largest singular value: what is smaller is rounding.
NOTHING = 1e-6
# With more entries than this the largest ones alone are factorised, by random projections instead of Lanczos
# iterations; MovieLens 1M has 5 million.
MOST_ENTRIES = 20_000_000
# Of random projections (Halko, Martinsson & Tropp 2011): further vectors, and passes over the matrix that sharpen them.
FURTHER, PASSES = 16, 2
# iALS passes over so many interactions in all, but at least LEAST_ROUNDS times over each.
ALS_INTERACTIONS, LEAST_ROUNDS = 160_000_000, 5


def rated(data: Data) -> sp.csr_matrix:
    """(users, items) float32, 1 where a training history holds the item; item n is column n - 1."""
    histories = data.histories.distinct
    rows = np.repeat(np.arange(len(histories)), histories.lengths)
    shape = (len(data.user_ids), len(data.item_ids))
    return sp.csr_matrix((np.ones(len(rows), np.float32), (rows, histories.items - 1)), shape=shape)


def confidences(data: Data, confidence: float) -> sp.csr_matrix:
    """(users, items) float32: 1 + confidence * rating / mean rating where training has a rating (Hu et al. 2008)."""
    assert data.ratings is not None, "checked by `train.models.weights.check_weights`"
    users, items = (index.numpy() - 1 for index in data.ratings[:2])
    table = sp.csr_matrix((rating_weights(data), (users, items)), shape=(len(data.user_ids), len(data.item_ids)))
    table.data = 1 + np.float32(confidence) * table.data
    return table


def ials(
    data: Data,
    dim: int,
    epochs: int,
    confidence: float,
    regularization: float,
    seed: int,
    content: float = 0.0,
    weighted: bool = False,
    start: tuple[np.ndarray, np.ndarray] | None = None,
) -> list[np.ndarray]:
    """Factors of implicit feedback: users (users + 1, dim) and items (items + 1, dim).

    confidence: what a rated item weighs, beside 1 of all others.  weighted: by its rating, as `confidences` says.
    content: weight of the items' features (`train.data.content`), which are extra rows of the user-item
    matrix, so that rarely rated items have vectors too; 0 leaves them out.
    start: factors (users, dim) and (items, dim) to begin with instead of random ones, without content.
    """
    from implicit.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    # The library multiplies what it is given by alpha, which would weigh the 1 of `confidences` too.
    table, alpha = (confidences(data, confidence), 1.0) if weighted else (rated(data), confidence)
    if content:
        weight = np.float32(content * confidence if weighted else content)
        table = sp.vstack([table, features(data.folder, data.item_ids) * weight]).tocsr()
    # Its solver runs BLAS within its own threads; more threads there only wait for each other.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=dim, iterations=epochs, alpha=alpha, regularization=regularization, random_state=seed,
            use_gpu=False, num_threads=torch.get_num_threads(),
        )  # fmt: skip
        if start is not None:
            model.user_factors, model.item_factors = (np.array(side, np.float32) for side in start)
        model.fit(table, show_progress=False)
    users = model.user_factors[: len(data.user_ids)]
    return [np.vstack([np.zeros((1, dim), np.float32), factors]) for factors in (users, model.item_factors)]


def als_rounds(interactions: int, most: int) -> int:
    """How often iALS passes over a table: `most` times unless it is so large that fewer have to do."""
    return max(min(LEAST_ROUNDS, most), min(most, ALS_INTERACTIONS // max(1, interactions)))


def transitions(data: Data, lags: int = LAGS, decay: float = LAG_DECAY) -> sp.csr_matrix:
    """(items, items) float32: how often the column's item follows the row's within `lags` items,
    each further step counting `decay` times as much as the one before."""
    items, size = data.histories.items, len(data.item_ids)
    user = np.repeat(np.arange(len(data.histories)), data.histories.lengths)
    total = sp.csr_matrix((size, size), dtype=np.float32)
    for lag in range(1, lags + 1):
        same = user[lag:] == user[:-lag]
        if not same.any():
            break
        pair = (items[:-lag][same] - 1, items[lag:][same] - 1)
        total += sp.csr_matrix((np.full(same.sum(), decay ** (lag - 1), np.float32), pair), shape=(size, size))
    return total


def ppmi(data: Data, dim: int, seed: int) -> np.ndarray:
    """Factorised transition PPMI: (items + 1, dim); raises InputError if the matrix is too small for dim."""
    counts = transitions(data)
    counts = (counts + counts.T).tocoo()
    if dim >= min(counts.shape):
        raise InputError(
            f"--initial ppmi has at most {min(counts.shape) - 1} dimensions for this catalogue; found {dim}"
        )
    row, column = (np.asarray(counts.sum(axis)).ravel() for axis in (1, 0))
    context = column**SMOOTHING / (column**SMOOTHING).sum()
    information = np.log(counts.data / (row[counts.row] * context[counts.col]))
    positive = sp.csr_matrix((np.maximum(information, 0), (counts.row, counts.col)), shape=counts.shape)
    return factorised(positive, dim, seed)[0]


def factorised(matrix: sp.csr_matrix, dim: int, seed: int, power: float = 1.0) -> list[np.ndarray]:
    """Two (items + 1, dim) whose product is the best approximation of rank dim to matrix (items, items).

    dim: more than items - 1, which is what the sparse solver can find, counts as that.

    They are left and right singular vectors, largest first, times the square roots of the singular
    values; the values may be raised to a power before. Those that are zero stay zero with any power.
    Of more than MOST_ENTRIES entries those of the largest size count, and the approximation is near the best one.
    """
    matrix, dim = matrix.astype(np.float32, copy=False), min(dim, matrix.shape[0] - 1)
    if not matrix.count_nonzero():
        return [np.zeros((matrix.shape[0] + 1, dim), np.float32) for _ in range(2)]
    if matrix.shape[0] <= DENSE:
        left, values, right = np.linalg.svd(matrix.toarray().astype(np.float64))
    elif matrix.nnz <= MOST_ENTRIES:
        left, values, right = svds(matrix, k=dim, random_state=np.random.default_rng(seed))
    else:
        left, values, right = projected(largest_entries(matrix, MOST_ENTRIES), dim, seed)
    order = np.argsort(-values)[:dim]
    values = np.where(values > NOTHING * values.max(), values, 0)[order]
    values = np.where(values > 0, values, 1) ** power * (values > 0)
    halves = (side[:, order] * np.sqrt(values) for side in (left, right.T))
    return [np.vstack([np.zeros((1, dim)), half]).astype(np.float32) for half in halves]


def largest_entries(matrix: sp.csr_matrix, most: int) -> sp.csr_matrix:
    """The same matrix with its `most` entries of the largest size, and those of the same size as the least of them."""
    sizes = np.abs(matrix.data)
    kept = sizes >= np.partition(sizes, -most)[-most]
    begins = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    return sp.csr_matrix((matrix.data[kept], matrix.indices[kept], begins), shape=matrix.shape)


def projected(matrix: sp.csr_matrix, dim: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left vectors (n, d), singular values (d,) and right vectors (d, m) of a large sparse matrix (n, m), d >= dim.

    Randomised subspace iteration (Halko, Martinsson & Tropp 2011, algorithms 4.4 and 5.1), on as many threads as
    PyTorch has.
    """
    parts = row_parts(matrix, torch.get_num_threads())
    start = np.random.default_rng(seed).standard_normal((matrix.shape[1], min(dim + FURTHER, *matrix.shape)))
    right = start.astype(np.float32)
    with ThreadPoolExecutor(len(parts)) as pool:
        for _ in range(PASSES + 1):
            rights = [right] * len(parts)
            left = np.linalg.qr(np.vstack([*pool.map(lambda part, right: part[1] @ right, parts, rights)]))[0]
            lefts = [left[rows] for rows, _ in parts]
            image = sum(pool.map(lambda part, left: part[1].T @ left, parts, lefts))  # (m, d)
            right, triangle = np.linalg.qr(image)
    turned, values, rows = np.linalg.svd(triangle.T)
    return left @ turned, values, rows @ right.T


def row_parts(matrix: sp.csr_matrix, parts: int) -> list[tuple[slice, sp.csr_matrix]]:
    """Rows next to each other with about the same number of entries, without copying them."""
    cuts = np.searchsorted(matrix.indptr, np.linspace(0, matrix.nnz, parts + 1)[1:-1])
    found = []
    for first, last in pairwise(np.unique([0, *cuts, matrix.shape[0]])):
        begin, end = matrix.indptr[[first, last]]
        entries = (matrix.data[begin:end], matrix.indices[begin:end], matrix.indptr[first : last + 1] - begin)
        found.append((slice(first, last), sp.csr_matrix(entries, shape=(last - first, matrix.shape[1]))))
    return found
