"""What is known of an item beyond who rated it: genres, year and words of the title, and further columns.

In: the table items.parquet (item, title, genres, ...). Out: a sparse matrix of features by items, whose
rows can be added to those of users, so that an item without ratings has neighbours.

    features(pl.read_parquet("artifacts/items.parquet"))
"""

import math
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp

from infer.histories.vocabulary import vocabulary
from infer.tables.columns import GENRES, ITEM, ITEMS_FILE, TITLE

YEAR = r"\((\d{4})\)\s*$"
WORD = r"\w+"
QUANTILES = 10


def features(table: pl.DataFrame) -> pl.DataFrame:
    """(item, feature): `genre:War`, `year:1999`, `decade:199`, `word:matrix`; nothing for a null.

    table: (item, title, genres), genres joined by `|`, the year in brackets at the end of the title; and further
    columns: lists of texts give `brand:Acme`, numbers the tenth of all numbers that they are in, `price:q3`, and texts
    `word:matrix`, too.
    """
    named = table.select(
        ITEM,
        pl.col(GENRES).str.split("|").alias("genre"),
        pl.col(TITLE).str.extract(YEAR).alias("year"),
        _words(pl.col(TITLE).str.replace(YEAR, "")).alias("word"),
    ).with_columns(pl.col("year").str.head(3).alias("decade"))
    kinds = {name: named.explode(name) for name in ("genre", "word")} | dict.fromkeys(("year", "decade"), named)
    parts = [table.select(ITEM, pl.format(f"{name}:{{}}", name).alias("feature")) for name, table in kinds.items()]
    parts += [_further(table, name) for name in table.columns if name not in (ITEM, TITLE, GENRES)]
    return pl.concat(parts).drop_nulls().filter(pl.col("feature") != "genre:").unique(maintain_order=True)


def _further(table: pl.DataFrame, name: str) -> pl.DataFrame:
    """(item, feature) of one further column, null where an item has none."""
    values = table[name]
    if isinstance(values.dtype, pl.List):
        before, values = f"{name}:", values
    elif values.dtype.is_numeric():
        before, values = f"{name}:q", _tenth(values)
    else:
        before, values = "word:", values.to_frame().select(_words(pl.col(name)))[name]
    rows = table.select(ITEM, values.alias("feature"))
    rows = rows.explode("feature") if isinstance(values.dtype, pl.List) else rows
    return rows.select(ITEM, pl.concat_str(pl.lit(before), pl.col("feature").cast(pl.String)).alias("feature"))


def _words(texts: pl.Expr) -> pl.Expr:
    return texts.str.to_lowercase().str.extract_all(WORD)


def _tenth(numbers: pl.Series) -> pl.Series:
    """Which tenth of all numbers each is in, from 1; equal numbers share one, and null stays null."""
    known = numbers.drop_nulls()
    if known.is_empty():
        return numbers.cast(pl.Int64)
    edges = np.unique(np.quantile(known.to_numpy(), np.arange(1, QUANTILES) / QUANTILES))
    tenth = np.searchsorted(edges, numbers.fill_null(0).to_numpy()) + 1
    return pl.Series(numbers.name, tenth).set(numbers.is_null(), None)


def matrix(table: pl.DataFrame, item_ids: list[int] | list[str]) -> sp.csr_matrix:
    """(features, items) float32, 1 where the item has the feature; features of one item left out."""
    items = vocabulary(item_ids, ITEM)
    if table.is_empty() or table.schema[ITEM] != items.schema[ITEM]:
        return sp.csr_matrix((0, len(item_ids)), dtype=np.float32)
    entries = features(table).join(items, on=ITEM).filter(pl.len().over("feature") > 1)
    row = entries.select(pl.col("feature").rank("dense"))["feature"].to_numpy() - 1
    size = (int(row.max()) + 1 if len(row) else 0, len(item_ids))
    return sp.csr_matrix((np.ones(len(row), np.float32), (row, entries["index"].to_numpy() - 1)), shape=size)


def load(folder: Path, item_ids: list[int] | list[str]) -> sp.csr_matrix:
    """`matrix` of the items.parquet in a folder; without rows if there is none."""
    path = folder / ITEMS_FILE
    if not path.is_file():
        return sp.csr_matrix((0, len(item_ids)), dtype=np.float32)
    return matrix(pl.read_parquet(path, glob=False), item_ids)


def unit(content: sp.csr_matrix) -> sp.csr_matrix:
    """(items, features): each feature weighted by its inverse document frequency, and each item's row of length 1, so
    that the product of two rows is their cosine."""
    items = content.shape[1]
    rarity = np.array([math.log(items / max(1, n)) for n in content.getnnz(axis=1)], dtype=np.float32)
    weighted = (sp.diags(rarity) @ content).T.tocsr() if content.shape[0] else sp.csr_matrix((items, 0))
    norm = np.sqrt(np.asarray(weighted.multiply(weighted).sum(1)).ravel())
    return (sp.diags(1 / np.maximum(norm, 1e-9)) @ weighted).tocsr()
