"""Read a table of items: their titles and genres.

In: a file, a folder or a cloud address. Out: (item, title, genres), one row an item.

    read_items(Path("movies.csv"))
"""

from pathlib import Path

import polars as pl

from infer.errors import InputError
from infer.formats.layout import shown
from infer.formats.places import read_place
from infer.tables.columns import GENRES, ITEM, TITLE, find
from infer.tables.options import TableOptions
from infer.tables.tidy import are_canonical, id_column


def read_items(path: Path, options: TableOptions = TableOptions()) -> pl.DataFrame:
    """Read item titles and genres: (item, title, genres), absent columns filled with null."""
    table = read_place(path)
    names = find(table.columns, path, options, needed=(ITEM,), optional=(TITLE, GENRES))
    if len(names) == 1:
        raise InputError(f"{path} has neither titles nor genres; its columns: {shown(table.columns)}")
    items = table.select(pl.col(source).alias(target) for target, source in names.items())
    return items_table(items, str(path))


def items_table(table: pl.DataFrame, source: str) -> pl.DataFrame:
    """Bring item rows into (item, title, genres), one row an item, genres joined with `|`."""
    for name in (TITLE, GENRES):
        if name not in table.columns:
            table = table.with_columns(pl.lit(None, dtype=pl.String).alias(name))
        elif isinstance(table.schema[name], pl.List):
            table = table.with_columns(pl.col(name).cast(pl.List(pl.String)).list.join("|"))
    ids = id_column(table, ITEM, source)
    if ids.null_count():
        raise InputError(f"{source} row {ids.is_null().arg_true()[0] + 1} has no {ITEM}")
    ids = ids.cast(pl.Int64) if are_canonical(ids) else ids
    return (
        table.with_columns(ids, pl.col(TITLE, GENRES).cast(pl.String, strict=False))
        .select(ITEM, TITLE, GENRES)
        .unique(ITEM, keep="first")
        .sort(ITEM)
    )
