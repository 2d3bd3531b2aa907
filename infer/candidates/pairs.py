"""Items of users, one user after the other, for rules of one user each.

In: (user, item) rows and a vocabulary. Out: a `Pairs`, which gives those of any users as histories are given.

    Pairs.of(table, vocabulary).take(pl.Series("user", [7, 8]))
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from infer.errors import InputError
from infer.formats.reading import collect
from infer.histories.histories import Histories
from infer.histories.vocabulary import PAD, as_texts, index_of
from infer.tables.columns import ITEM, USER
from infer.tables.ids import places


@dataclass(frozen=True)
class Pairs:
    """users: ascending, each once.  items: (pairs,) int32 indexes, ascending within a user, each once.  offsets:
    (users + 1,).  source: what they were read from, for messages."""

    users: pl.Series
    items: np.ndarray
    offsets: np.ndarray
    source: str = "the pairs"

    @classmethod
    def of(cls, table: pl.DataFrame, vocabulary: pl.DataFrame, source: str = "the pairs") -> "Pairs":
        """Those of (user, item) rows; a user without a known item keeps an empty list."""
        indexed = table.select(USER, pl.Series("index", index_of(table[ITEM], vocabulary))).unique().sort(USER, "index")
        users = indexed[USER].unique(maintain_order=True)
        known = indexed.filter(pl.col("index") != PAD)
        numbered = users.to_frame().with_row_index("row")
        rows = known.join(numbered, on=USER, how="left", maintain_order="left")["row"].to_numpy()
        offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(users)))])
        return cls(users, known["index"].cast(pl.Int32).to_numpy(), offsets, source)

    def unknown(self, rows: pl.LazyFrame, table: Path) -> str | None:
        """How many of the users a table lacks, in words; None if it has all.

        rows: of the table, with its users, of which those are collected that are named here.
        Raises InputError if it has none of them.
        """
        user, dtype = pl.col(USER), rows.collect_schema()[USER]
        asked = self._beside(dtype)
        if dtype != asked.dtype:
            user = user.cast(pl.String)
        named = rows.select(user.alias(USER)).filter(pl.col(USER).is_in(asked.implode())).unique()
        missing = asked.filter(~asked.is_in(collect(named, table)[USER].implode()))
        if len(missing) == len(asked):
            raise InputError(f"{self.source} names no user of {table}: it has '{asked[0]}'")
        if len(missing):
            return f"{self.source}: {table} does not have {len(missing):,} of {len(asked):,} users, as '{missing[0]}'"
        return None

    def rows(self, users: pl.Series) -> np.ndarray:
        """(users,) where each of these stands, -1 where it does not. Whole numbers and texts are compared as texts."""
        known, order = self._ordered(users.dtype)
        found = places(users if users.dtype == known.dtype else users.cast(pl.String), known)
        return found if order is None or not len(order) else np.where(found >= 0, order[found], -1)

    def _ordered(self, dtype: pl.DataType) -> tuple[pl.Series, np.ndarray | None]:
        """The users as `_beside` has them, ascending, and where each stands among `users`; None if they are the same.

        Made once: of millions of users it takes seconds, and a run has many parts.
        """
        if dtype not in self._made:
            known = self._beside(dtype)
            order = None if known is self.users else known.arg_sort()
            self._made[dtype] = (
                (known, None) if order is None else (known.gather(order), order.cast(pl.Int64).to_numpy())
            )
        return self._made[dtype]

    @cached_property
    def _made(self) -> dict[pl.DataType, tuple[pl.Series, np.ndarray | None]]:
        return {}

    def _beside(self, dtype: pl.DataType) -> pl.Series:
        """The users, to be compared with those of a table; as they are written if two were the same otherwise."""
        if self.users.dtype == dtype:
            return self.users
        texts = as_texts(self.users, dtype)
        return texts if texts.n_unique() == len(texts) else self.users.cast(pl.String)

    def take(self, users: pl.Series) -> Histories:
        """The items of these users, in this order; none for users who have no pair."""
        rows = self.rows(users)
        lengths = np.where(rows >= 0, np.diff(self.offsets)[rows], 0) if len(self.users) else np.zeros(len(rows), int)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        starts = self.offsets[np.maximum(rows, 0)]
        position = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return Histories(users, self.items[position], offsets)
