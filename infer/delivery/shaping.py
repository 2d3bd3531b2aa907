"""One row for each recommendation, or for each user with lists; and lists as texts, where a format has none.

In: rows of a part of the lists, all of each user. Out: the rows that are delivered.

    shaped(rows, "lists")  # user, items, scores, and the further columns under their own names
"""

from typing import cast

import polars as pl

from infer.errors import InputError
from infer.tables.columns import ITEM, RANK, SCORE, USER

ROWS, LISTS = "rows", "lists"
PLURAL = {ITEM: "items", SCORE: "scores"}


def shaped(rows: pl.DataFrame, lists_as: str, of_user: tuple[str, ...] = ()) -> pl.DataFrame:
    """The rows as they are or, as `lists`, one a user: every column but the user's a list, best first, without ranks.

    rows: ordered by user and rank.  of_user: columns that say one thing of each user, which become no lists.
    Raises InputError if a further column has the name of one that is made.
    """
    if lists_as == ROWS:
        return rows
    taken = next((name for name in PLURAL.values() if name in rows.columns), None)
    if taken is not None:
        raise InputError(f"the lists have a column {taken}, as --lists-as=lists would make: deliver --lists-as=rows")
    others = [name for name in rows.columns if name not in (USER, RANK, *of_user)]
    columns = [pl.col(name).alias(PLURAL.get(name, name)) for name in others]
    first = [pl.col(name).first() for name in of_user]
    return rows.group_by(USER, maintain_order=True).agg(*columns, *first)


def without_lists(rows: pl.DataFrame, keep_flat: bool = False) -> pl.DataFrame:
    """Rows whose lists and structures are JSON texts (`["a","b"]`); keep_flat: but for lists of plain values."""
    nested = [
        name
        for name, dtype in rows.schema.items()
        if dtype.is_nested() and not (keep_flat and isinstance(dtype, pl.List) and not dtype.inner.is_nested())
    ]
    return rows.with_columns(_json(name) for name in nested)


def for_json(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows whose decimals are numbers and whose times are as ISO 8601 writes them, also within lists."""
    return rows.with_columns(_plain(pl.col(name), dtype) for name, dtype in rows.schema.items())


def _plain(values: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.List):
        return values.list.eval(_plain(pl.element(), cast(pl.DataType, dtype.inner)))
    if isinstance(dtype, pl.Datetime):
        return values.dt.to_string("iso:strict")
    return values.cast(pl.Float64) if isinstance(dtype, pl.Decimal) else values


def _json(name: str) -> pl.Expr:
    # Polars writes structures alone as JSON: {"v":[...]}, of which the brackets go.
    text = pl.struct(pl.col(name).alias("v")).struct.json_encode()
    value = text.str.strip_prefix('{"v":').str.head(-1)
    return pl.when(pl.col(name).is_not_null()).then(value).alias(name)
