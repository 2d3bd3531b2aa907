"""What is known of an item beyond who rated it: genres, year and words of the title.

In: the table items.parquet (item, title, genres). Out: a sparse matrix of features by items, whose
rows can be added to those of users, so that an item without ratings has neighbours.
"""

import math
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp

from infer.histories.vocabulary import vocabulary
from infer.tables.columns import GENRES, ITEM, ITEMS_FILE, TITLE

YEAR = r"\((\d{4})\)\s*$"


def features(table: pl.DataFrame) -> pl.DataFrame:
    """(item, feature): `genre:War`, `year:1999`, `decade:199`, `word:matrix`; nothing for a null.

    table: (item, title, genres), genres joined by `|`, the year in brackets at the end of the title.
    """
    named = table.select(
        ITEM,
        pl.col(GENRES).str.split("|").alias("genre"),
        pl.col(TITLE).str.extract(YEAR).alias("year"),
        pl.col(TITLE).str.replace(YEAR, "").str.to_lowercase().str.extract_all(r"\w+").alias("word"),
    ).with_columns(pl.col("year").str.head(3).alias("decade"))
    kinds = {name: named.explode(name) for name in ("genre", "word")} | dict.fromkeys(("year", "decade"), named)
    parts = [table.select(ITEM, pl.format(f"{name}:{{}}", name).alias("feature")) for name, table in kinds.items()]
    return pl.concat(parts).drop_nulls().filter(pl.col("feature") != "genre:").unique(maintain_order=True)


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


def similarity(content: sp.csr_matrix) -> sp.csr_matrix:
    """(items, items) cosine of the items' features, each weighted by its inverse document frequency."""
    items = content.shape[1]
    rarity = np.array([math.log(items / max(1, n)) for n in content.getnnz(axis=1)], dtype=np.float32)
    weighted = (sp.diags(rarity) @ content).T.tocsr() if content.shape[0] else sp.csr_matrix((items, 0))
    norm = np.sqrt(np.asarray(weighted.multiply(weighted).sum(1)).ravel())
    unit = sp.diags(1 / np.maximum(norm, 1e-9)) @ weighted
    return (unit @ unit.T).tocsr()
