"""Items of users, one user after the other, for rules of one user each.

In: (user, item) rows and a vocabulary. Out: a `Pairs`, which gives those of any users as histories are given.

    Pairs.of(table, vocabulary).take(pl.Series("user", [7, 8]))
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from infer.histories.histories import Histories
from infer.histories.vocabulary import PAD, index_of
from infer.tables.columns import ITEM, USER


@dataclass(frozen=True)
class Pairs:
    """users: ascending, each once.  items: (pairs,) int32 indexes, ascending within a user, each once.  offsets:
    (users + 1,)."""

    users: pl.Series
    items: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, table: pl.DataFrame, vocabulary: pl.DataFrame) -> "Pairs":
        """Those of (user, item) rows; a user without a known item keeps an empty list."""
        indexed = table.select(USER, pl.Series("index", index_of(table[ITEM], vocabulary))).unique().sort(USER, "index")
        users = indexed[USER].unique(maintain_order=True)
        known = indexed.filter(pl.col("index") != PAD)
        places = users.to_frame().with_row_index("row")
        rows = known.join(places, on=USER, how="left", maintain_order="left")["row"].to_numpy()
        offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(users)))])
        return cls(users, known["index"].cast(pl.Int32).to_numpy(), offsets)

    def rows(self, users: pl.Series) -> np.ndarray:
        """(users,) where each of these stands, -1 where it does not. Whole numbers and texts are compared as texts."""
        known, asked = self.users, users
        if known.dtype != asked.dtype:
            known, asked = known.cast(pl.String), asked.cast(pl.String)
        places = pl.DataFrame({USER: known}).with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
        joined = pl.DataFrame({USER: asked}).join(places, on=USER, how="left", maintain_order="left")
        return joined["row"].fill_null(-1).to_numpy()

    def take(self, users: pl.Series) -> Histories:
        """The items of these users, in this order; none for users who have no pair."""
        rows = self.rows(users)
        lengths = np.where(rows >= 0, np.diff(self.offsets)[rows], 0) if len(self.users) else np.zeros(len(rows), int)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        starts = self.offsets[np.maximum(rows, 0)]
        position = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return Histories(users, self.items[position], offsets)
