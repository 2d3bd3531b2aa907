"""Histories of long-tailed random items, for what depends on sizes alone: a step of training.

In: the size of the catalogue and a length for every user. Out: `Data` without a table.

    long_tailed(9_724, np.full(200, 160))
"""

from pathlib import Path

import numpy as np
import polars as pl

from infer.histories.histories import Histories
from train.data.dataset import Data


def long_tailed(items: int, lengths: np.ndarray, seed: int = 0) -> Data:
    """Training data of users with histories of these lengths (users,); nothing is held out.

    Item n is as popular as in `bench.synthetic`: a rank is items x uniform^3.
    """
    rng, users = np.random.default_rng(seed), list(range(len(lengths)))
    drawn = (items * rng.random(int(lengths.sum())) ** 3).astype(np.int32) + 1
    histories = Histories(pl.Series(users), drawn, np.concatenate([[0], np.cumsum(lengths)]))
    ids = list(range(1, items + 1))
    return Data("tail", "", ids, users, None, None, [], histories, np.zeros(len(users), int), Path())
