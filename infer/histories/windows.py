"""Histories to padded windows: the only definition, for training and serving.

In: histories. Out: left-padded windows of their latest items, so that the last column is always the newest item.

    windows(histories.rows(0, 256), length=50)   # (256, 50) int64
"""

import numpy as np

from infer.histories.histories import Histories
from infer.histories.vocabulary import PAD


def windows(histories: Histories, length: int) -> np.ndarray:
    """(users, length) int64: each user's latest `length` items, left-padded with PAD."""
    return slices(histories.items, histories.offsets[:-1], histories.offsets[1:], length)


def level_windows(histories: Histories, length: int) -> np.ndarray:
    """(users, length) int64: the rating levels of the items in `windows`; 0 is padding and no rating."""
    if histories.levels is None:
        return np.full((len(histories), length), PAD, dtype=np.int64)
    return slices(histories.levels, histories.offsets[:-1], histories.offsets[1:], length)


def slices(values: np.ndarray, starts: np.ndarray, stops: np.ndarray, length: int) -> np.ndarray:
    """(n, length) int64: the last `length` of values[starts[i]:stops[i]], left-padded with PAD."""
    if length == 0 or len(starts) == 0 or len(values) == 0:
        return np.full((len(starts), length), PAD, dtype=np.int64)
    position = stops[:, None] - length + np.arange(length)
    inside = position >= starts[:, None]
    return np.where(inside, values[np.where(inside, position, 0)], PAD).astype(np.int64)


def listed(histories: Histories, multiple: int = 64) -> np.ndarray:
    """(users, width) int64: all items of each user, padded with PAD to a multiple of `multiple`.

    Few distinct widths keep ONNX Runtime's memory arena from growing with every new shape.
    """
    longest = int(histories.lengths.max(initial=1))
    return windows(histories, -(-longest // multiple) * multiple)


def seen(histories: Histories, multiple: int = 64) -> np.ndarray:
    """(users, width) int64: `listed`, each item once."""
    return listed(histories.distinct, multiple)
