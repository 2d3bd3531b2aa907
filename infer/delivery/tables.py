"""Rows as a database takes them: the types of columns, names and texts as SQL writes them.

In: a frame. Out: the definition of its table, and its rows as Arrow.

    definition(pl.DataFrame({"user": [1]}), "postgresql")  # {"user": "bigint"}

PostgreSQL gets lists of plain values as arrays; other lists, and all of SQLite's, are JSON texts.
"""

import re
from typing import Any, cast

import polars as pl

from infer.delivery.shaping import without_lists
from infer.delivery.targets import SQLITE
from infer.system.project import PROJECT
from infer.tables.columns import RANK, USER

TYPES: dict[Any, tuple[str, pl.DataType]] = {
    pl.Boolean: ("boolean", pl.Boolean()),
    pl.Int8: ("smallint", pl.Int16()),
    pl.UInt8: ("smallint", pl.Int16()),
    pl.Int16: ("smallint", pl.Int16()),
    pl.UInt16: ("integer", pl.Int32()),
    pl.Int32: ("integer", pl.Int32()),
    pl.UInt32: ("bigint", pl.Int64()),
    pl.Int64: ("bigint", pl.Int64()),
    pl.UInt64: ("bigint", pl.Int64()),
    pl.Float32: ("real", pl.Float32()),
    pl.Float64: ("double precision", pl.Float64()),
    pl.Decimal: ("double precision", pl.Float64()),
    pl.Date: ("date", pl.Date()),
}
TEXT = ("text", pl.String())
MADE = re.compile(rf"/\* {re.escape(PROJECT)} \*/(?: /\* (\d+) columns \*/)?")


def for_database(rows: pl.DataFrame, kind: str) -> pl.DataFrame:
    """The rows in types that the database takes."""
    flat = without_lists(rows, keep_flat=kind != SQLITE)
    return flat.cast({name: _type(dtype, kind)[1] for name, dtype in flat.schema.items()})


def definition(rows: pl.DataFrame, kind: str) -> dict[str, str]:
    """The database's type of each column of `for_database`."""
    flat = without_lists(rows, keep_flat=kind != SQLITE)
    return {name: _type(dtype, kind)[0] for name, dtype in flat.schema.items()}


def create(table: str, columns: dict[str, str]) -> str:
    """SQL that creates a table, by its quoted name; SQLite keeps the mark with it."""
    key = ", ".join(quoted(name) for name in (USER, RANK) if name in columns)
    listed = ", ".join(f"{quoted(name)} {dtype}" for name, dtype in columns.items())
    return f"create table {table} (/* {PROJECT} */ /* {len(columns)} columns */ {listed}, primary key ({key}))"


def made(sql: str | None) -> int | None:
    """How many columns `create` made, of the definition that SQLite keeps: others follow them; None: it is not ours.

    Those of earlier versions do not say it: all are taken for ours.
    """
    found = MADE.search(sql or "")
    return None if found is None else int(found[1] or 2**15)


def quoted(*names: str) -> str:
    """A name, or those of a schema and a table, as SQL writes them."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def text(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def _type(dtype: pl.DataType, kind: str) -> tuple[str, pl.DataType]:
    if isinstance(dtype, pl.List):
        name, inner = _type(cast(pl.DataType, dtype.inner), kind)
        return f"{name}[]", pl.List(inner)
    if isinstance(dtype, pl.Datetime) and kind != SQLITE:
        return (
            ("timestamp", pl.Datetime("us")) if dtype.time_zone is None else ("timestamptz", pl.Datetime("us", "UTC"))
        )
    name, own = TYPES.get(dtype.base_type(), TEXT)
    if kind == SQLITE and dtype.base_type() in (pl.Boolean, pl.Date):
        return ("integer", pl.Int64()) if dtype == pl.Boolean else TEXT
    return name, own
