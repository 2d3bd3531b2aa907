"""Weights of a blend by the lists that they make.

In: what each user gains by some weights, as a function. Out: weights that are better by more than chance, with zeros
for members without whom lists are as good.

    python -m train best
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

# Each weight is multiplied and divided by these, in turn.
FACTORS = (2.0, 1.4, 1.2)
K = 10
Gains = Callable[[Tensor], np.ndarray]


def gains(scores: Tensor, blocked: Tensor, target: Tensor) -> np.ndarray:
    """(users,) NDCG@10 of lists by these scores.

    scores: (users, items + 1).  blocked: of the same shape, what is no candidate.  target: (users,) item indexes; a
    user without one, or whose item is blocked, gains nothing. Equal scores rank by index.
    """
    wanted, own = target[:, None], scores.gather(1, target[:, None])
    earlier = torch.arange(scores.shape[1], device=scores.device) < wanted
    ahead = ((scores > own) | ((scores == own) & earlier)) & ~blocked
    rank = (ahead.sum(1) + 1).double()
    listed = (rank <= K) & ~blocked.gather(1, wanted)[:, 0]
    return (1 / (rank + 1).log2()).where(listed, 0.0).cpu().numpy()


def searched(gains: Gains, weights: Tensor, always: Sequence[int] = ()) -> Tensor:
    """Weights (members,) of which each was multiplied by FACTORS as long as lists became better, or set to 0.

    A step is taken if users gain by it, in the mean, more than a standard error of their differences: with few users
    the weights that were given stay, since the best of many others is so by chance. A member is left out if users gain
    no less without it; `always` are places of members that stay.
    """
    weights, best = weights.clone(), gains(weights)

    def tried(place: int, weight: float) -> tuple[Tensor, np.ndarray]:
        other = weights.clone()
        other[place] = weight
        return other, gains(other)

    for factor in FACTORS:
        for place in range(len(weights)):
            for step in (factor, 1 / factor):
                other, found = tried(place, float(weights[place]) * step)
                while clearly(found - best):
                    weights, best = other, found
                    other, found = tried(place, float(weights[place]) * step)
    for place in sorted(range(len(weights)), key=lambda place: float(weights[place])):
        if place in always or weights.count_nonzero() == 1:
            continue
        other, found = tried(place, 0.0)
        if found.mean() >= best.mean():
            weights, best = other, found
    return weights


def clearly(gained: np.ndarray) -> bool:
    """Whether users (users,) gain more than a standard error in the mean."""
    return bool(gained.mean() > gained.std() / np.sqrt(len(gained)))
