"""Item vectors for a transformer to start from, by sparse solvers on the training histories.

In: `Data`. Out: (items + 1, dim) float32, row 0 (padding) zero.

    ials  implicit ALS (Hu, Koren & Volinsky 2008), by the library implicit
    ppmi  square roots of the singular values times the singular vectors of the positive pointwise
          mutual information between an item and those that follow it (Levy & Goldberg 2014)
"""

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.linalg import svds
from torch import Tensor, nn

from infer.errors import InputError
from infer.system.progress import progress
from train.data.content import load as features
from train.data.dataset import Data
from train.models.transitions import Largest, transitions
from train.models.weights import rating_weights
from train.pools import solving

SMOOTHING = 0.75
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
    entries = (np.ones(len(histories.items), np.float32), histories.items - 1, histories.offsets)
    table = sp.csr_matrix(entries, shape=(len(data.user_ids), len(data.item_ids)))
    table.sum_duplicates()
    return table


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

    # The library would multiply a copy by its alpha, and the 1 of `confidences` too.
    table = confidences(data, confidence) if weighted else rated(data)
    if not weighted:
        table.data *= np.float32(confidence)
    if content:
        weight = np.float32(content * confidence)
        table = sp.vstack([table, features(data.folder, data.item_ids) * weight]).tocsr()
    # Its solver runs BLAS within its own threads; more threads there only wait for each other.
    with threadpool_limits(1, "blas"), solving() as threads:
        model = AlternatingLeastSquares(
            factors=dim, iterations=epochs, alpha=1.0, regularization=regularization, random_state=seed,
            use_gpu=False, num_threads=threads,
        )  # fmt: skip
        if start is not None:
            model.user_factors, model.item_factors = (np.array(side, np.float32) for side in start)
        with progress(total=epochs, desc="implicit ALS", unit=" passes", leave=False) as bar:
            model.fit(table, show_progress=False, callback=lambda *_: bar.update())
    users = model.user_factors[: len(data.user_ids)]
    return [np.vstack([np.zeros((1, dim), np.float32), factors]) for factors in (users, model.item_factors)]


def als_rounds(interactions: int, most: int) -> int:
    """How often iALS passes over a table: `most` times unless it is so large that fewer have to do."""
    return max(min(LEAST_ROUNDS, most), min(most, ALS_INTERACTIONS // max(1, interactions)))


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
        largest = Largest(MOST_ENTRIES)
        largest.add(matrix)
        (kept,) = largest.parts()
        with solving():
            left, values, right = projected(kept, dim, seed)
    order = np.argsort(-values)[:dim]
    values = np.where(values > NOTHING * values.max(), values, 0)[order]
    values = np.where(values > 0, values, 1) ** power * (values > 0)
    halves = (side[:, order] * np.sqrt(values) for side in (left, right.T))
    return [np.vstack([np.zeros((1, dim)), half]).astype(np.float32) for half in halves]


def projected(matrix: sp.csr_matrix, dim: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left vectors (n, d), singular values (d,) and right vectors (d, m) of a large sparse matrix (n, m), d >= dim.

    Randomised subspace iteration (Halko, Martinsson & Tropp 2011, algorithms 4.4 and 5.1), on as many threads as
    PyTorch has.
    """
    start = np.random.default_rng(seed).standard_normal((matrix.shape[1], min(dim + FURTHER, *matrix.shape)))
    right, turned_matrix = torch.from_numpy(start.astype(np.float32)), matrix.T.tocsr()
    for _ in range(PASSES + 1):
        left = torch.linalg.qr(product(matrix, right))[0]
        right, triangle = torch.linalg.qr(product(turned_matrix, left))
    turned, values, rows = torch.linalg.svd(triangle.T)
    return (left @ turned).numpy(), values.numpy(), (rows @ right.T).numpy()


def product(matrix: sp.csr_matrix, dense: Tensor) -> Tensor:
    """(n, d) a sparse matrix (n, m) times a dense one (m, d), float32.

    As sums of bags of rows, which PyTorch computes in a third of the time of its own and SciPy's sparse products, if
    these lie one after the other.
    """
    indices, begins, weights = (torch.from_numpy(part) for part in (matrix.indices, matrix.indptr, matrix.data))
    return nn.functional.embedding_bag(
        indices, dense.contiguous(), begins, mode="sum", per_sample_weights=weights, include_last_offset=True
    )
