"""Ids to indexes: index 0 is padding in every table, window and score vector; items and users count from 1.

In: the ids that a model knows. Out: a table (id, index), and the indexes of any column of ids.

    index_of(pl.Series("item", [3, 7]), vocabulary([7, 8], "item"))   # [0, 1]
"""

import numpy as np
import polars as pl

from infer.tables.ids import without_zeros

# Index 0 is padding in every table, window and score vector; items and users count from 1.
PAD = 0
LOOKUP = 16_000_000  # ids below this are looked up in a table of so many indexes


def vocabulary(ids: list[int] | list[str], name: str) -> pl.DataFrame:
    """A table (`name`, index) that gives the n-th id the index n + 1; index 0 stays padding."""
    dtype = pl.String if ids and isinstance(ids[0], str) else pl.Int64
    table = pl.DataFrame({name: pl.Series(ids, dtype=dtype)})
    return table.with_row_index("index", offset=PAD + 1).with_columns(pl.col("index").cast(pl.Int32))


def as_type(vocabulary: pl.DataFrame, dtype: pl.DataType) -> pl.DataFrame:
    """The same ids, written in another type: whole numbers as texts."""
    return vocabulary.with_columns(pl.exclude("index").cast(dtype))


def as_texts(ids: pl.Series, beside: pl.DataType) -> pl.Series:
    """Ids as texts, to compare with ids of the type `beside` as texts: where these are whole numbers, `7.0` is 7."""
    if ids.dtype != pl.String or not beside.is_integer():
        return ids.cast(pl.String)
    return ids.to_frame().select(without_zeros(pl.first()).alias(ids.name))[:, 0]


def index_of(values: pl.Series, vocabulary: pl.DataFrame) -> np.ndarray:
    """(n,) int32 the index of each id, PAD for a null, or an id that the vocabulary (id, index) does not have.

    values: named as the vocabulary's column of ids; whole numbers and texts are compared as texts.
    """
    known = vocabulary.schema[values.name]
    if values.dtype != known:
        values, vocabulary = as_texts(values, known), as_type(vocabulary, pl.String())
    ids = vocabulary[values.name]
    lowest, highest = (ids.min(), ids.max()) if ids.dtype.is_integer() else (None, None)
    if not (isinstance(lowest, int) and isinstance(highest, int) and 0 <= lowest and highest < LOOKUP):
        joined = values.to_frame().join(vocabulary, on=values.name, how="left", maintain_order="left")
        return joined["index"].fill_null(PAD).cast(pl.Int32).to_numpy()
    # Ids that are small numbers are their own address in a table, ten times faster than a join.
    table = np.full(highest + 2, PAD, dtype=np.int32)
    table[ids.to_numpy()] = vocabulary["index"].to_numpy()
    places = values.fill_null(-1).to_numpy()
    return table[np.where((places >= 0) & (places <= highest), places, highest + 1)]
