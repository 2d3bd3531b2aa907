"""A tiny data set with a known answer, and where the project lies."""

from pathlib import Path

import numpy as np
import polars as pl

ROOT = Path(__file__).parents[2]
HANGS = 3600  # seconds after which a process is taken for hanging: far more than any needs on a busy machine


def checkerboard(users: int = 40, items: int = 24, seed: int = 0) -> pl.DataFrame:
    """Ratings with a known answer: even users love even items and see few odd ones, and vice versa.

    Every user has 6 to 10 interactions; seconds sometimes tie. Ids start at 101 and 1001.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        own = rng.permutation(np.arange(user % 2, items, 2))[: rng.integers(5, 8)]
        other = rng.permutation(np.arange(1 - user % 2, items, 2))[: rng.integers(1, 4)]
        liked = {int(i): 5.0 for i in own} | {int(i): 1.0 for i in other}
        times = np.sort(rng.integers(0, 30, len(liked))) + 1_000_000
        order = rng.permutation(list(liked))
        rows += [(101 + user, 1001 + int(i), int(t), liked[int(i)]) for i, t in zip(order, times, strict=True)]
    return pl.DataFrame(rows, schema=["user", "item", "timestamp", "rating"], orient="row")
