"""The best k with one order for equal scores on every device: ascending item index.

In: a way to ask a graph for some users' best n, for any n. Out: the best k. ONNX asks TopK to put the lower index first
among equal values, and ONNX Runtime's CPU provider does; GPUs choose as they like, also which of the equal values at
the end of the list they leave out. So one more than k is asked for, and of users
of whom that one equals the k-th, all that are equal to it.

    items, scores = best(ask, users=256, k=10, most=9724)
"""

from collections.abc import Callable

import numpy as np

from infer.model.signature import DROPPED

Found = tuple[np.ndarray, np.ndarray]  # items (users, n) int64, scores (users, n) float32
GROWTH = 8
LARGEST = 2**24  # entries of all lists that are asked for at once


def best(ask: Callable[[int, np.ndarray], Found], users: int, k: int, most: int) -> Found:
    """The best k of each user, best first, equal scores in ascending item index.

    ask: the best n of the users in some rows, in any order among equal scores.  most: size of the catalogue, beyond
    which there is nothing to ask for.
    """
    number, rows = k + 1, np.arange(users)
    items, scores = in_order(*ask(number, rows))
    left = rows[_are_open(scores, k)]
    items, scores = items[:, :k].copy(), scores[:, :k].copy()
    while len(left) and number < most:
        number *= GROWTH
        step, asked = max(1, LARGEST // min(number, most)), left
        left = rows[:0]
        for start in range(0, len(asked), step):
            own = asked[start : start + step]
            found, values = in_order(*ask(number, own))
            items[own], scores[own] = found[:, :k], values[:, :k]
            left = np.concatenate([left, own[_are_open(values, k)]])
    return items, scores


def in_order(items: np.ndarray, scores: np.ndarray) -> Found:
    """The same lists, best first, equal scores in ascending item index."""
    if (scores[:, 1:] < scores[:, :-1]).all():
        return items, scores
    order = np.lexsort((items, -scores), axis=-1)
    return np.take_along_axis(items, order, 1), np.take_along_axis(scores, order, 1)


def _are_open(scores: np.ndarray, k: int) -> np.ndarray:
    """(users,) bool: whose list ends among items that equal its k-th: others that do may be missing."""
    if scores.shape[1] <= k:
        return np.zeros(len(scores), dtype=bool)
    ending: np.ndarray = (scores[:, -1] == scores[:, k - 1]) & (scores[:, -1] > DROPPED)
    return ending
