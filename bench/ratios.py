"""How many times the seconds of one another takes, from rounds in which both took their turn.

In: seconds of each round of both. Out: median and quartiles of the ratios, round by round, which what else the
machine does moves little: it meets both alike.

    paired_ratio([9.0, 2.0, 3.0], [1.0, 1.0])  # {"ratio": 2.5, "low": 2.25, "high": 2.75}; 9.0 was a warm-up
"""

from collections.abc import Sequence

import numpy as np

ROUNDS = 12  # in which two engines, or two kinds of numbers, take turns


def paired_ratio(theirs: Sequence[float], ours: Sequence[float]) -> dict[str, float]:
    """Median (ratio) and quartiles (low, high) of theirs / ours.

    theirs, ours: seconds of each round. `theirs` may begin with warm-up rounds, which are left out.
    """
    ratios = np.array(theirs[-len(ours) :]) / np.array(ours)
    low, middle, high = (float(np.percentile(ratios, share)) for share in (25, 50, 75))
    return {"ratio": middle, "low": low, "high": high}


def calm_ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """Seconds of the fastest quarter of their rounds ÷ those of ours: what else the machine does only adds seconds.

    theirs, ours: seconds of each round; as in `paired_ratio`, `theirs` may begin with warm-up rounds. A quarter, since
    the least of all may be one lucky round.
    """
    quarter = max(1, len(ours) // 4)
    fastest = (sum(sorted(seconds)[:quarter]) for seconds in (theirs[-len(ours) :], ours))
    return float(next(fastest) / next(fastest))
