"""The best k with one order for equal scores on every device: ascending item index.

In: a way to ask a graph for its best n, for any n. Out: the best k. ONNX asks TopK to put the lower index first
among equal values, and ONNX Runtime's CPU provider does; GPUs choose as they like, also which of the equal values at
the end of the list they leave out. So one more than k is asked for, and where that one equals the k-th,
all that are equal to it.

    items, scores = best(ask, k=10, most=9724)
"""

from collections.abc import Callable

import numpy as np

from infer.model.signature import DROPPED

Found = tuple[np.ndarray, np.ndarray]  # items (users, n) int64, scores (users, n) float32
GROWTH = 8


def best(ask: Callable[[int], Found], k: int, most: int) -> Found:
    """The best k of each user, best first, equal scores in ascending item index.

    ask: the best n of the same users, in any order among equal scores.  most: size of the catalogue, beyond which
    there is nothing to ask for.
    """
    number = k + 1
    items, scores = in_order(*ask(number))
    while number < most and _is_open(scores, k):
        number *= GROWTH
        items, scores = in_order(*ask(number))
    return items[:, :k], scores[:, :k]


def in_order(items: np.ndarray, scores: np.ndarray) -> Found:
    """The same lists, best first, equal scores in ascending item index."""
    if (scores[:, 1:] < scores[:, :-1]).all():
        return items, scores
    order = np.lexsort((items, -scores), axis=-1)
    return np.take_along_axis(items, order, 1), np.take_along_axis(scores, order, 1)


def _is_open(scores: np.ndarray, k: int) -> bool:
    """Whether some list ends among items that equal its k-th: others that do may be missing."""
    if scores.shape[1] <= k:
        return False
    return bool(((scores[:, -1] == scores[:, k - 1]) & (scores[:, -1] > DROPPED)).any())
