"""Ratings as weights: how much each counts, which is itself over the mean.

In: the ratings of training. Out: weights with the mean 1; or InputError, if they cannot be weights.

    python -m train bert --ratings=weight
"""

import numpy as np

from infer.errors import InputError
from train.data.dataset import Data

ADVICE = (
    "`python -m train.data` leaves lower ratings out with --least-rating, and gives weights to event types with "
    "--event-weights"
)


def check_weights(data: Data) -> None:
    """Raise InputError, with the reason, if the ratings of training cannot be weights."""
    if data.ratings is None:
        raise InputError(
            f"{data.name} has no ratings, by which --ratings=weight weighs: name them to `python -m train.data` with "
            "--rating-column"
        )
    missing = len(data.histories.flat) - len(data.ratings[0])
    if missing:
        raise InputError(
            f"{data.name} has {missing:,} of {len(data.histories.flat):,} rows to train on without a rating, by which "
            "--ratings=weight weighs: leave them out with --least-rating"
        )
    least, most = data.rating_levels[0], data.rating_levels[-1]
    if least <= 0:
        raise InputError(f"{data.name} has the rating {least:g}; the weights of --ratings=weight are above 0: {ADVICE}")
    with np.errstate(over="ignore"):
        weights = np.array([least, most], np.float32)
    if not (level_weights(data.rating_levels) > 0).all() or not (np.isfinite(weights) & (weights > 0)).all():
        raise InputError(f"{data.name} has ratings from {least:g} to {most:g}, too far apart for --ratings=weight")


def level_weights(levels: list[float]) -> np.ndarray:
    """(levels + 1,) float32: of no rating, which never counts, 1, and of each level itself over their mean."""
    return np.array([1.0, *(np.array(levels) / np.mean(levels) if levels else ())], dtype=np.float32)


def rating_weights(data: Data) -> np.ndarray:
    """(train rows,) float32: each row's rating over the mean of all, in the order of `data.ratings`."""
    assert data.ratings is not None, "checked by `check_weights`"
    ratings = data.ratings[2].numpy().astype(np.float64)
    return (ratings / ratings.mean()).astype(np.float32)
