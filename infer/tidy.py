"""Bring the rows of a table into the shared columns, types and order, and refuse what is no value.

In: rows under the shared names, of any type and order. Out: tidy interactions (user, item, timestamp
and, where present, rating and split), ordered by (user, timestamp, item), without repeated pairs.

    tidy(pl.read_csv("ratings.csv"), "ratings.csv").interactions

Rules, each counted in `Tidy`:
- A pair (user, item) that occurs more than once keeps its latest row (the highest rating in a tie).
- Rows of one user in the same second are ordered by item id: numbers by value, texts by code point.
- An id column is a number if every value is a whole number written plainly (`7`, not `007` or `7.0`).
"""

from dataclasses import dataclass

import polars as pl

from infer.errors import InputError
from infer.schema import GENRES, ITEM, RATING, SPLIT, TEST, TEST_HISTORY, TIMESTAMP, TITLE, TRAIN, USER, VALIDATION


@dataclass(frozen=True)
class Tidy:
    """Interactions in the shared columns and order, and how many rows the rules removed."""

    interactions: pl.DataFrame
    repeated: int


def tidy(table: pl.DataFrame, source: str, number_ids: bool = True) -> Tidy:
    """Check types, drop repeated pairs and order by (user, timestamp, item).

    number_ids: whether ids that are whole numbers written as texts become numbers; not for a part
    of a table, whose other parts may say otherwise.
    Raises InputError for null or empty ids, and timestamps or ratings that are not finite numbers.
    """
    if table.is_empty():
        raise InputError(f"{source} has no rows")
    table = checked(table, source)
    if number_ids:
        table = table.with_columns(table[name].cast(pl.Int64) for name in (USER, ITEM) if written_plainly(table[name]))
    order = [c for c in (USER, ITEM, TIMESTAMP, RATING) if c in table.columns]
    kept = table.sort(order, maintain_order=True).unique([USER, ITEM], keep="last", maintain_order=True)
    ordered = kept.sort(USER, TIMESTAMP, ITEM, maintain_order=True)
    columns = [c for c in (USER, ITEM, TIMESTAMP, RATING, SPLIT) if c in ordered.columns]
    return Tidy(ordered.select(columns), repeated=table.height - kept.height)


def checked(table: pl.DataFrame, source: str, first_row: int = 0) -> pl.DataFrame:
    """The same rows, ids as Int64 or String, timestamps and ratings as numbers.

    first_row: how many rows of the source come before these, for the message.
    Raises InputError naming the row if a value cannot be used.
    """
    numbers = [n for n in (TIMESTAMP, RATING) if n in table.columns]
    if SPLIT in table.columns:
        _check_split(table, source)
    return table.with_columns(
        _ids(table, USER, source, first_row),
        _ids(table, ITEM, source, first_row),
        *(_number(table, name, source, first_row) for name in numbers),
    )


def written_plainly(ids: pl.Series) -> bool:
    """Whether every id is a whole number, as a number or written as one is printed."""
    if ids.dtype.is_integer():
        return True
    numbers = ids.cast(pl.Int64, strict=False)
    return numbers.null_count() == 0 and (numbers.cast(pl.String) == ids).all()


def items_table(table: pl.DataFrame, source: str) -> pl.DataFrame:
    """Bring item rows into (item, title, genres), one row an item, genres joined with `|`."""
    for name in (TITLE, GENRES):
        if name not in table.columns:
            table = table.with_columns(pl.lit(None, dtype=pl.String).alias(name))
        elif isinstance(table.schema[name], pl.List):
            table = table.with_columns(pl.col(name).cast(pl.List(pl.String)).list.join("|"))
    ids = _ids(table, ITEM, source)
    ids = ids.cast(pl.Int64) if written_plainly(ids) else ids
    return (
        table.with_columns(ids, pl.col(TITLE, GENRES).cast(pl.String, strict=False))
        .select(ITEM, TITLE, GENRES)
        .unique(ITEM, keep="first")
        .sort(ITEM)
    )


def _ids(table: pl.DataFrame, name: str, source: str, first_row: int = 0) -> pl.Series:
    """An id column as Int64 or String, without nulls."""
    ids = table[name]
    if not (ids.dtype.is_integer() or ids.dtype in (pl.String, pl.Categorical) or ids.dtype == pl.Enum):
        raise InputError(f"{source} column {name} holds {ids.dtype}; expected whole numbers or texts")
    if not ids.dtype.is_integer():
        ids = ids.cast(pl.String)
        ids = ids.set(ids == "", None)
    if ids.null_count():
        raise InputError(f"{source} row {first_row + ids.is_null().arg_true()[0] + 1} has no {name}")
    if ids.dtype == pl.String:
        return ids
    beyond = next((n for n in (ids.min(), ids.max()) if not -(2**63) <= n < 2**63), None)
    if beyond is not None:
        raise InputError(f"{source} column {name} holds {beyond}, beyond 64-bit signed integers")
    return ids.cast(pl.Int64)


def _number(table: pl.DataFrame, name: str, source: str, first_row: int) -> pl.Series:
    """A numeric column: whole-number timestamps (seconds) as Int64, all else Float64."""
    values = table[name]
    if values.dtype in (pl.Date, pl.Datetime):
        numbers = values.cast(pl.Datetime("us")).dt.epoch("us") / 1_000_000
    elif values.dtype.is_numeric() or values.dtype == pl.String:
        numbers = values.cast(pl.Float64, strict=False)
    else:
        raise InputError(f"{source} column {name} holds {values.dtype}; expected numbers")
    wrong = (numbers.is_null() | ~numbers.is_finite().fill_null(False)).arg_true()
    if len(wrong):
        found = repr(values[wrong[0]]) if values[wrong[0]] is not None else "nothing"
        raise InputError(f"{source} row {first_row + wrong[0] + 1} has the {name} {found[:80]}; expected a number")
    if name == TIMESTAMP and (numbers == numbers.floor()).all() and numbers.abs().max() < 2**53:
        return numbers.cast(pl.Int64)
    return numbers


def _check_split(table: pl.DataFrame, source: str) -> None:
    allowed = [TRAIN, VALIDATION, TEST_HISTORY, TEST]
    dtype = table.schema[SPLIT]
    if not (dtype in (pl.String, pl.Categorical, pl.Null) or dtype == pl.Enum):
        raise InputError(f"{source} column {SPLIT} holds {dtype}; expected texts")
    found = table.filter(~pl.col(SPLIT).cast(pl.String).is_in(allowed).fill_null(False))
    if not found.is_empty():
        raise InputError(f"{source} has the split '{found[SPLIT][0]}'; expected one of {', '.join(allowed)}")
    held = table.filter(pl.col(SPLIT).is_in([VALIDATION, TEST]))
    if held.select(USER, SPLIT).is_duplicated().any():
        raise InputError(f"{source} holds out more than one item of a user in one split")
