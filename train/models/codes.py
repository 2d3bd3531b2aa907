"""The codes of items whose vectors are put together from shared parts, set before training.

In: training histories, or vectors to start from. Out: codes, first vectors and parts in the model's `CodedVectors`.

Without vectors to start from (--initial=random) the parts' codes are those of RecJPQ's truncated SVD (Petrov &
Macdonald 2024): the items are ordered by each of the largest singular vectors of the user-item matrix, and cut into 256
groups of equal size; those of whole vectors are of the same singular vectors, clustered. With vectors to start from, or
those of a trained model (--from), they are clustered by k-means, and so is each part of what is left, as in product
quantisation (Jégou, Douze & Schmid 2011); training starts from the centres. Items count as often as they occur: an
error costs where an item is listed, and most lists are of few items.

    python -m train bert --codes=8
"""

import numpy as np
import torch
from scipy.sparse.linalg import svds
from torch import Tensor, nn

from infer.system.progress import progress
from train.data.dataset import Data
from train.models.coded import CODES, CodedVectors, nearest, split
from train.models.initial import rated

# Items that are drawn to find centres by, at most and of each, and rounds that move them.
SAMPLE, EACH, ROUNDS = 512 * CODES, 16, 15


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


class Clusters:
    """k-means of items, each of which counts as often as it occurs, and once more.

    counts: (n,) how often.
    """

    def __init__(self, counts: np.ndarray, seed: int) -> None:
        rng, chance = np.random.default_rng(seed), counts + 1.0
        drawn = rng.choice(len(counts), min(SAMPLE, EACH * len(counts)), p=chance / chance.sum())
        self.drawn = torch.from_numpy(drawn)

    def of(self, points: Tensor, most: int = CODES) -> tuple[Tensor, Tensor]:
        """(n, dim) to the nearest centre (n,) of each, and centres (most, dim); few points need not all of them."""
        found = self._centres(points, most)
        return nearest(points, found), nn.functional.pad(found, (0, 0, 0, most - len(found)))

    def _centres(self, points: Tensor, most: int) -> Tensor:
        if len(points) <= SAMPLE:
            different = points.unique(dim=0)
            if len(different) <= most:
                return different
        drawn = points[self.drawn]
        # The first that differ: an item that occurs often is soon among them.
        _, first = np.unique(drawn.numpy(), axis=0, return_index=True)
        centres = drawn[np.sort(first)[:most]]
        for _ in range(ROUNDS):
            own = nearest(drawn, centres)
            number = own.bincount(minlength=len(centres))[:, None]
            means = torch.zeros_like(centres).index_add_(0, own, drawn) / number
            centres = torch.where(number > 0, means, centres)
        return centres


@torch.no_grad()
def start_codes(table: CodedVectors, data: Data, seed: int) -> None:
    """Set the codes of items, rows 1 to items, by the user-item matrix; vectors and parts stay as they are."""
    items = len(data.item_ids)
    vectors = singular_vectors(data, len(table.weight), seed)[1:]
    own, _ = Clusters(data.counts[1:], seed).of(vectors, len(table.whole))
    table.codes[1 : items + 1] = torch.cat([split(own), quantiles(vectors, seed)], 1)


@torch.no_grad()
def start_vectors(table: CodedVectors, vectors: Tensor, counts: np.ndarray, seed: int) -> None:
    """Set codes, whole vectors and parts so that rows 1 to items are near to `vectors` (items, dim).

    counts: (items,) how often each occurs.
    """
    clusters, codes = Clusters(counts, seed), []
    if table.number:
        own, centres = clusters.of(vectors, len(table.whole))
        table.whole.copy_(centres)
        codes, vectors = [split(own)], vectors - centres[own]
    parts = vectors.split(table.weight.shape[2], dim=1)
    for place, points in enumerate(progress(parts, desc="codes", unit=" parts", leave=False)):
        own, centres = clusters.of(points.contiguous())
        table.weight[place] = centres
        codes.append(own[:, None].to(torch.uint8))
    table.codes[1 : len(vectors) + 1] = torch.cat(codes, 1)
