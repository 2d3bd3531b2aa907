"""One number a history: equal for equal histories, else different but for chance.

In: histories. Out: (users,) uint64.

    digests(histories)
"""

import numpy as np

from infer.histories.histories import Histories


def digests(histories: Histories) -> np.ndarray:
    """(users,) uint64: equal for equal histories, and for different ones only by a chance of about 2^-64.

    The sum over a history of a mixed (item, rating level, place), so that order counts.
    """
    begin, end = histories.offsets[0], histories.offsets[-1]
    mixed = histories.items[begin:end].astype(np.uint64)
    if histories.levels is not None:
        mixed += histories.levels[begin:end].astype(np.uint64) << np.uint64(32)
    mixed *= np.uint64(0xD6E8FEB86659FD93)
    place = np.arange(end - begin, dtype=np.uint64)
    place -= np.repeat((histories.offsets[:-1] - begin).astype(np.uint64), histories.lengths)
    place *= np.uint64(0x9E3779B97F4A7C15)
    mixed += place
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(_mix(mixed), dtype=np.uint64)])
    numbers: np.ndarray = np.diff(sums[histories.offsets - begin]) + _mix(histories.lengths.astype(np.uint64))
    return numbers


def combined(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(users,) uint64 of two digests of each user, whose order counts."""
    return _mix(one * np.uint64(0x9E3779B97F4A7C15) + other)


def _mix(values: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser (Steele et al. 2014), in place: neighbouring numbers become unrelated ones."""
    shifted = np.empty_like(values)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        np.right_shift(values, np.uint64(shift), out=shifted)
        values ^= shifted
        if factor != 1:
            values *= np.uint64(factor)
    return values
