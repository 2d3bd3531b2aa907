"""The codes of items whose vectors are put together from shared parts, set before training.

In: training histories, or vectors to start from. Out: codes and first parts in the model's `CodedVectors`.

Without vectors to start from (--initial=random) the codes are those of RecJPQ's truncated SVD (Petrov & Macdonald
2024): the items are ordered by each of the largest singular vectors of the user-item matrix, and cut into 256 groups of
equal size. With them, or with those of a trained model (--from), each part of the vectors is clustered by k-means, as
in product quantisation (Jégou, Douze & Schmid 2011), and training starts from the centres.

    python -m train bert --codes=8
"""

import numpy as np
import torch
from scipy.cluster.vq import kmeans2, vq
from scipy.sparse.linalg import svds
from torch import Tensor

from train.data.dataset import Data
from train.models.coded import CODES, CodedVectors
from train.models.initial import rated

# Items by which centres are found, and rounds that move them.
SAMPLE, ROUNDS = 64 * CODES, 15


def singular_vectors(data: Data, dim: int, seed: int) -> Tensor:
    """(items + 1, dim) the items' side of the user-item matrix's largest singular vectors, row 0 (padding) zero.

    Dimensions that a small matrix does not have, or that the solver cannot find, are random.
    """
    matrix, rng = rated(data), np.random.default_rng(seed)
    items, found = matrix.shape[1], min(dim, min(matrix.shape) - 1)
    vectors = rng.normal(size=(items, dim)) / np.sqrt(max(items, 1))
    if found > 0:
        _, values, right = svds(matrix, k=found, random_state=rng)
        vectors[:, :found] = right[np.argsort(-values)].T
    return torch.from_numpy(np.vstack([np.zeros((1, dim)), vectors])).float()


def quantiles(vectors: Tensor, seed: int) -> Tensor:
    """(n, parts) numbers to (n, parts) uint8: by each column the rows are ordered and cut into groups of equal size.

    Equal numbers, as items without a user have, stand in an order drawn from the seed.
    """
    count, rng = len(vectors), np.random.default_rng(seed)
    codes = np.zeros(vectors.shape, dtype=np.uint8)
    for column, values in enumerate(vectors.T.numpy()):
        codes[np.lexsort([rng.permutation(count), values]), column] = np.arange(count) * CODES // max(count, 1)
    return torch.from_numpy(codes)


def clustered(vectors: Tensor, parts: int, seed: int) -> tuple[Tensor, Tensor]:
    """(n, dim) to codes (n, parts) uint8, and centres (parts, CODES, dim / parts); few items need not all of them."""
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.permutation(len(vectors))[:SAMPLE])
    codes, centres = [], []
    for part in vectors.numpy().reshape(len(vectors), parts, -1).transpose(1, 0, 2):
        few = len(np.unique(part[sample], axis=0)) <= CODES
        if few:
            found = np.unique(part[sample], axis=0)
        else:
            found, _ = kmeans2(part[sample], CODES, iter=ROUNDS, minit="points", missing="warn", rng=rng)
        centre = np.zeros((CODES, part.shape[1]), dtype=np.float32)
        centre[: len(found)] = found
        codes.append(vq(part, centre[: len(found)])[0])
        centres.append(centre)
    return torch.from_numpy(np.stack(codes, 1).astype(np.uint8)), torch.from_numpy(np.stack(centres))


@torch.no_grad()
def start_codes(table: CodedVectors, data: Data, seed: int) -> None:
    """Set the codes of items, rows 1 to items, by the user-item matrix; parts stay as they are."""
    items = len(data.item_ids)
    table.codes[1 : items + 1] = quantiles(singular_vectors(data, table.codes.shape[1], seed)[1:], seed)


@torch.no_grad()
def start_vectors(table: CodedVectors, vectors: Tensor, seed: int) -> None:
    """Set codes and parts so that rows 1 to items are near to `vectors` (items, dim)."""
    codes, centres = clustered(vectors, table.codes.shape[1], seed)
    table.codes[1 : len(vectors) + 1] = codes
    table.weight.copy_(centres)
