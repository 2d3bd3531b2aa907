"""Against what a held-out item is ranked: every unseen item, or 100 sampled ones.

In: histories and held-out items. Out: negatives for each user, and ranks among them. Sampled metrics
are those of the BERT4Rec papers; they are not estimates of the full ranking and can order models
differently (Krichene & Rendle 2020; Petrov & Macdonald 2022), so both are given.

    uniform     every unseen item equally likely
    popularity  in proportion to how many histories hold the item
"""

import numpy as np

from infer.errors import TooFewError
from infer.histories.histories import Histories
from infer.histories.vocabulary import PAD

PROTOCOLS = ("uniform", "popularity")


def sample_negatives(
    histories: Histories,
    targets: np.ndarray,
    counts: np.ndarray,
    protocol: str,
    number: int,
    seed: int,
    mask: np.ndarray | None = None,
    own: Histories | None = None,
) -> np.ndarray:
    """(users, number) int64 distinct items that are neither in the history nor the target.

    targets: (users,) item index.  counts: (items,) histories that hold the item with index 1, 2, ...  mask: (items,)
    bool, those that may be drawn; None: all.  own: of each user the only ones that may be drawn; None: all.
    A user's negatives depend on (seed, protocol, row) alone. Drawn one after the other without
    replacement. Raises TooFewError naming the user if too few items could be drawn.
    """
    weights = counts.astype(np.float64) if protocol == "popularity" else np.ones(len(counts))
    weights = everyone = weights if mask is None else weights * mask
    cumulative = np.concatenate([[0.0], np.cumsum(weights)])
    negatives = np.empty((len(histories), number), dtype=np.int64)
    for row in range(len(histories)):
        history = histories.items[histories.offsets[row] : histories.offsets[row + 1]]
        blocked = {*history.tolist(), int(targets[row])}
        if own is not None:
            mine = own.items[own.offsets[row] : own.offsets[row + 1]]
            weights = np.zeros(len(everyone))
            weights[mine - 1] = everyone[mine - 1]
            cumulative = np.concatenate([[0.0], np.cumsum(weights)])
        free = np.count_nonzero(weights) - sum(weights[item - 1] > 0 for item in blocked if item != PAD)
        if free < number:
            raise TooFewError(number, f"only {free} items can be drawn for user {histories.users[row]} ({protocol})")
        generator = np.random.default_rng([seed, PROTOCOLS.index(protocol), row])
        negatives[row] = _draw(cumulative, blocked, number, generator)
    return negatives


def _draw(cumulative: np.ndarray, blocked: set[int], number: int, generator: np.random.Generator) -> list[int]:
    """The first `number` distinct items outside `blocked` of a stream of weighted draws."""
    drawn: dict[int, None] = {}
    while len(drawn) < number:
        points = generator.random(2 * number) * cumulative[-1]
        items = np.searchsorted(cumulative, points, side="right")
        drawn.update((item, None) for item in np.minimum(items, len(cumulative) - 1).tolist() if item not in blocked)
    return list(drawn)[:number]


def rank_among(scores: np.ndarray, targets: np.ndarray, candidates: np.ndarray | None = None) -> np.ndarray:
    """(users,) rank of the target among its candidates, or all items; equal scores by ascending index.

    scores: (users, items + 1), padding and seen items lowest.  candidates: (users, n) item indexes.
    """
    target_scores = np.take_along_axis(scores, targets[:, None], 1)
    items = np.arange(scores.shape[1])[None] if candidates is None else candidates
    others = scores if candidates is None else np.take_along_axis(scores, candidates, 1)
    ahead = (others > target_scores) | ((others == target_scores) & (items < targets[:, None]))
    rank: np.ndarray = ahead.sum(1) + 1
    return rank
