"""Item-item models, solved in closed form: a score is a sum over what the recent items recommend.

In: training histories (and for ease and content the items' features). Out: for every item its
strongest neighbours and their weights. A user's item of age a counts decay^a times as much; items that no recent
one recommends follow by how often they occur.

    python -m train ease

    knn      cosine of the users who rated both, by the library implicit
    markov   how often an item follows another within a few steps
    ease     Steck 2019, on co-occurrence that fades with the distance between two items
    content  cosine of genres, year, title words and further columns, for items that few have rated
"""

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from infer.errors import InputError
from infer.model.metadata import PADDING
from infer.model.signature import SAYS_NOTHING
from infer.system.progress import is_shown, progress
from train.config import LinearConfig
from train.data import content
from train.data.dataset import Data
from train.models.base import ScoringModel
from train.models.initial import factorised, rated
from train.models.transitions import strongest, transitions

# The kernel of co-occurrence is cut where it falls below this.
NEGLIGIBLE = 1e-3
STEP = 1024  # rows whose neighbours are found at once


class Neighbours(ScoringModel):
    """The neighbours of every item: (items + 1, K) indexes and weights, row 0 empty.

    Items that no recent one recommends have a score of at most `SAYS_NOTHING`, the more the oftener they occur: too
    small to move another, so that it only orders what nothing is known of.
    """

    any_length = True
    closed_form = True
    attribution = PADDING  # a sum over places
    neighbours: Tensor  # (items + 1, K) int32
    weights: Tensor  # (items + 1, K)
    popularity: Tensor  # (items + 1,): 0 to SAYS_NOTHING
    lags: Tensor  # (window,): what an item counts at each place

    def __init__(self, items: int, config: LinearConfig) -> None:
        super().__init__()
        config.check()
        self.config, self.window = config, config.max_length
        self.from_content = config.kind == "content"
        size = (items + 1, min(config.neighbours, items))
        self.register_buffer("neighbours", torch.zeros(size, dtype=torch.int32))
        self.register_buffer("weights", torch.zeros(size))
        self.register_buffer("popularity", torch.zeros(items + 1))
        age = torch.arange(config.max_length - 1, -1, -1)
        self.register_buffer("lags", config.decay**age, persistent=False)
        self.register_load_state_dict_pre_hook(_of_earlier_versions)

    def forward(self, window: Tensor) -> Tensor:
        """Scores of the next item: (batch, length) items to (batch, items + 1)."""
        near = self.neighbours[window].flatten(1).long()  # (batch, length * K)
        lags = self.lags[self.window - window.shape[1] :]  # of a shorter window those of its newest places
        weight = (self.weights[window] * lags[:, None]).flatten(1)
        return self.popularity.expand(window.shape[0], -1).scatter_add(1, near, weight)

    def solve(self, data: Data) -> None:
        """Find the neighbours of the configured kind; raises InputError if there is nothing to find."""
        table = SOLVERS[self.config.kind](data, self.config)
        counts = torch.from_numpy(data.counts).float()
        self.popularity.copy_(counts * (SAYS_NOTHING / counts.max().clamp(min=1)))
        self.neighbours.zero_()
        self.weights.zero_()
        most = self.weights.shape[1]
        steps = range(0, table.shape[0], STEP)
        for first in progress(steps, desc="keeping the strongest", unit_scale=STEP, unit=" items", leave=False):
            block = table[first : first + STEP]
            if not sp.issparse(block):
                block = sparse(block, most)
            kept = strongest(block, most)
            lengths = np.diff(kept.indptr)
            row = np.repeat(np.arange(len(lengths)), lengths)
            place = np.arange(kept.nnz) - np.repeat(kept.indptr[:-1], lengths)
            neighbours, weights = np.zeros((len(lengths), most), np.int32), np.zeros((len(lengths), most), np.float32)
            neighbours[row, place], weights[row, place] = kept.indices + 1, kept.data
            rows = slice(first + 1, first + 1 + len(lengths))
            self.neighbours[rows], self.weights[rows] = torch.from_numpy(neighbours), torch.from_numpy(weights)


def _of_earlier_versions(model: "Neighbours", state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Where a checkpoint does not say how often items occur, all stay equal."""
    state.setdefault(f"{prefix}popularity", torch.zeros_like(model.popularity))


def build(data: Data, config: LinearConfig) -> tuple[Neighbours, dict[str, str]]:
    """A model of the table's items; it starts from no checkpoint."""
    return Neighbours(len(data.item_ids), config), {}


def empty(state: dict[str, Any], config: LinearConfig) -> Neighbours:
    """The model that a checkpoint's weights fit into."""
    return Neighbours(len(state["item_ids"]), config)


def knn(data: Data, config: LinearConfig) -> sp.csr_matrix:
    """(items, items) cosine similarity between the columns of who rated what."""
    from implicit.nearest_neighbours import CosineRecommender
    from implicit.utils import ParameterWarning

    model = CosineRecommender(K=config.neighbours + 1, num_threads=1)
    with warnings.catch_warnings():
        # Of a matrix that it has made itself.
        warnings.filterwarnings("ignore", "Method expects CSR", ParameterWarning)
        model.fit(rated(data), show_progress=is_shown())
    similarity = sp.csr_matrix(model.similarity)
    similarity.setdiag(0)
    return similarity


def markov(data: Data, config: LinearConfig, most: int | None = None) -> np.ndarray | sp.csr_matrix:
    """(items, items) share of the row's item's successors, less for items popular anywhere.

    Successors within config.lags steps, each further step counting config.lag_decay times as much;
    predecessors count config.backward times as much as successors. Row sums are smoothed by
    config.smoothing and columns divided by popularity^config.popularity.  With config.ease so many times the matrix of
    EASE, at its defaults and brought to the same Frobenius norm, is added: what stands together beside what follows.
    With config.rank the matrix is replaced by an approximation as `train.models.chain.chain_factors` makes it, which is
    dense.
    most: keep so many of the largest shares, before anything is added to them; None: all.

    Raises InputError if the catalogue is too large for either.
    """
    size = len(data.item_ids)
    if config.rank and size > config.most_items:
        raise InputError(
            f"markov with --rank would fill a matrix of {size} items, above --most-items {config.most_items}: "
            "leave out --rank, or raise --most-items if there is memory (4 bytes an entry)"
        )
    unpopular = (1 / (data.counts[1:] + 20.0) ** config.popularity).astype(np.float32)

    def share(counts: sp.csr_matrix) -> sp.csr_matrix:
        total = counts.sum(1, dtype=np.float64).A1
        smoothed = (1 / np.maximum(total + config.smoothing, 1e-9)).astype(np.float32)
        counts.data *= np.repeat(smoothed, np.diff(counts.indptr))
        if config.popularity:
            counts.data *= unpopular[counts.indices]
        return counts if config.rank or config.ease or most is not None else strongest(counts, config.neighbours)

    shares = transitions(data, config.lags, config.lag_decay, config.backward, share, most)
    if config.ease:
        beside = sp.csr_matrix(ease(data, LinearConfig(max_length=config.max_length, most_items=config.most_items)))
        norm = sp.linalg.norm(beside)
        shares = (shares + beside * (config.ease * sp.linalg.norm(shares) / norm if norm else 0.0)).tocsr()
    if not config.rank:
        return shares
    sources, successors = factorised(shares, config.rank, config.seed, config.power)
    return sources[1:] @ successors[1:].T


def ease(data: Data, config: LinearConfig) -> np.ndarray | sp.csr_matrix:
    """(items, items) weights -P_ij / P_jj with P = (G + C + lambda I)^-1 (Steck 2019, equation 8).

    G_ij sums locality^distance over all places where i and j stand in one history, which with
    locality 1 is Steck's co-occurrence; C is the same of the features (`train.data.content`), so
    that rarely rated items have weights. Raises InputError if the catalogue is too large to invert.
    """
    kept = np.flatnonzero(data.counts[1:] >= config.least_count)
    if len(kept) > config.most_items:
        raise InputError(
            f"ease would invert a matrix of {len(kept)} items, above --most-items {config.most_items}: "
            "raise --least-count, or --most-items if there is memory (4 bytes an entry, three times)"
        )
    if not len(kept):
        raise InputError(f"--least-count {config.least_count}: no item is rated so often, so that none has weights")
    with progress(total=4, desc="EASE", unit=" steps", leave=False) as told:
        gram = torch.from_numpy(_gram(data, config, kept))
        told.update()
        try:
            triangle = torch.linalg.cholesky(gram)
        except torch.linalg.LinAlgError:
            raise InputError(
                f"--regularization {config.regularization:g} leaves a matrix that cannot be inverted: raise it"
            ) from None
        told.update()
        inverse = torch.cholesky_inverse(triangle).numpy()
        del gram, triangle  # gigabytes of many items
        told.update()
        weights = -inverse / np.diag(inverse)
        weights[np.diag_indices_from(weights)] = 0
        found = sparse(weights, config.neighbours).tocoo()
        told.update()
    shape = (len(data.item_ids), len(data.item_ids))
    return sp.csr_matrix((found.data, (kept[found.row], kept[found.col])), shape=shape)


def _gram(data: Data, config: LinearConfig, kept: np.ndarray) -> np.ndarray:
    """(kept, kept) what `ease` inverts, of these items by index."""
    if config.locality < 1:
        gram = transitions(data, _reach(config.locality), config.locality, finish=lambda counts: counts[:, kept])[kept]
        gram = (gram + gram.T) * config.locality + sp.diags(data.counts[1:][kept].astype(np.float64))
    else:
        matrix = rated(data).astype(np.float64).tocsc()[:, kept]
        gram = matrix.T @ matrix
    if config.content:
        known = content.load(data.folder, data.item_ids)[:, kept]
        gram = gram + config.content * (known.T @ known)
    gram = gram.toarray().astype(np.float32)
    gram[np.diag_indices_from(gram)] += config.regularization
    return gram


def sparse(rows: np.ndarray, most: int) -> sp.csr_matrix:
    """The `most` entries of each dense row (rows, items) that are largest in size, in any order."""
    entries = min(most, rows.shape[1])
    order = np.argpartition(-np.abs(rows), entries - 1, axis=1)[:, :entries]
    ends = np.arange(len(rows) + 1) * entries
    return sp.csr_matrix((np.take_along_axis(rows, order, 1).ravel(), order.ravel(), ends), shape=rows.shape)


def by_content(data: Data, config: LinearConfig) -> sp.csr_matrix:
    """(items, items) cosine of features, towards items that at most config.rare users have rated."""
    known = content.load(data.folder, data.item_ids)
    if not known.shape[0]:
        raise InputError("content needs items with titles, genres or other columns: prepare the data with --items")
    unit = content.unit(known)
    rare = unit.multiply((data.counts[1:] <= config.rare)[:, None]).T.tocsr()
    parts, items = [], unit.shape[0]
    for first in progress(range(0, items, STEP), desc="comparing items", unit_scale=STEP, unit=" items", leave=False):
        part = (unit[first : first + STEP] @ rare).tocoo()
        part.data[part.col == part.row + first] = 0  # an item is no neighbour of itself
        parts.append(strongest(part.tocsr(), config.neighbours))
    return sp.vstack(parts, "csr")


def _reach(decay: float) -> int:
    """The largest distance at which decay^distance still counts."""
    return max(1, int(np.log(NEGLIGIBLE) / np.log(decay)))


SOLVERS = {"knn": knn, "markov": markov, "ease": ease, "content": by_content}
