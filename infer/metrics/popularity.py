"""How popular, how novel and how evenly spread recommended items are.

In: how many histories hold each item, and how often each was recommended. Out: a value an item, or one for all lists.

    gini(np.array([0, 0, 4]))   # 0.667: one of three items gets all recommendations
"""

import numpy as np


def self_information(counts: np.ndarray, users: int) -> np.ndarray:
    """(items,) -log2((count + 1) / (users + 1)) in bits, whose mean over a list is its novelty.

    counts: (items,) histories that hold each item.  users: histories.
    Zhou et al. 2010 (surprisal); `MeanInvUserFreq` of RecTools and `Surprisal` of RePlay, but with 1 added to both
    numbers, so that an item in no history is more novel than one in a single history.
    """
    return np.asarray(-np.log2((counts + 1) / (users + 1)))


def popularity_probability(counts: np.ndarray) -> np.ndarray:
    """(items,) (n + 1 - r) / n for an item of popularity rank r among n items; 0 for one in no history.

    Items with equal counts share a rank, and ranks have no gaps. The chance pu(i) that anyone is recommended the item,
    in the formula of `Serendipity` of RecTools.
    """
    ranks = np.unique(-counts, return_inverse=True)[1].reshape(-1) + 1
    return np.where(counts > 0, (len(counts) + 1 - ranks) / len(counts), 0.0)


def surprise(rank: np.ndarray, probability: np.ndarray, items: int) -> np.ndarray:
    """(n,) max(p(r) - pu(i), 0) with p(r) = (items + 1 - r) / items, for an item at rank r, from 1.

    probability: (n,) of these items, as of `popularity_probability`. Summed over the relevant items of a list and
    divided by its length this is `Serendipity` of RecTools.
    """
    return np.asarray(np.maximum((items + 1 - rank) / items - probability, 0.0))


def gini(counts: np.ndarray) -> float:
    """The Gini index of how often items are recommended: 0 if all equally often, 1 - 1/n if one of n gets all.

    counts: (items,) recommendations of every item of the catalogue, also of those in no list.
    sum_i (2i - n - 1) x_i / (n sum_i x_i) for x ascending: `GiniIndex` of RecBole; Fleder & Hosanagar 2009; Shani &
    Gunawardana 2011, equation 8.20, which divides by n - 1 instead of n. 0 if nothing is recommended.
    """
    n, total = len(counts), int(counts.sum())
    if not total:
        return 0.0
    # Whole numbers up to here; a running sum would round.
    values, often = np.unique(counts, return_counts=True)
    ends = np.cumsum(often)
    weights = [int(e) * (int(e) + 1) - int(b) * (int(b) + 1) - (n + 1) * (int(e) - int(b))
               for b, e in zip(ends - often, ends, strict=True)]  # fmt: skip
    return sum(int(v) * w for v, w in zip(values, weights, strict=True)) / (n * total)


def popularity_lift(lists: float | None, histories: float | None) -> float | None:
    """(GAP of lists - GAP of histories) / GAP of histories: above 0 where lists are more popular than histories.

    GAP, group average popularity: the mean over users of the mean share of histories that hold an item of theirs
    (Abdollahpouri et al. 2019, *The Unfairness of Popularity Bias in Recommendation*, section 4.2). None if either is
    not known, or nothing in the histories is popular.
    """
    return (lists - histories) / histories if lists is not None and histories else None
