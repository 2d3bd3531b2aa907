"""Bring the rows of a table into the shared columns, types and order, and refuse or drop what is no value.

In: rows under the shared names, of any type and order. Out: tidy interactions (user, item, timestamp
and, where present, rating and split), ordered by (user, timestamp, item), without repeated pairs.

    tidy(pl.read_csv("ratings.csv"), "ratings.csv").interactions

Rules, each counted in `infer.tables.notes.Notes`:
- A row without user, item or timestamp, or whose timestamp or rating is no finite number, is refused, or dropped
  where that was asked for.
- Timestamps become seconds since 1970 (`infer.tables.timestamps`).
- A pair (user, item) that occurs more than once keeps its latest row (the highest rating in a tie).
- Rows of one user in the same second are ordered by item id: numbers by value, texts by code point.
- An id column is read as integers only if every id is canonical (`7`, not `007` or `7.0`).
"""

from dataclasses import dataclass

import polars as pl

from infer.errors import InputError
from infer.tables.columns import (
    ITEM,
    RATING,
    SPLIT,
    TEST,
    TEST_HISTORY,
    TIMESTAMP,
    TRAIN,
    USER,
    VALIDATION,
)
from infer.tables.notes import Notes
from infer.tables.timestamps import unix_seconds


@dataclass(frozen=True)
class Tidy:
    """Interactions in the shared columns and order, and what the rules changed."""

    interactions: pl.DataFrame
    notes: Notes

    @property
    def repeated(self) -> int:
        """How many rows repeated a pair."""
        return self.notes.repeated or 0


def tidy(table: pl.DataFrame, source: str, number_ids: bool = True, drop: bool = False) -> Tidy:
    """Check types, drop repeated pairs and order by (user, timestamp, item).

    number_ids: whether ids that are whole numbers written as texts become numbers; not for a part
    of a table, whose other parts may say otherwise.  drop: leave rows out that cannot be used.
    Raises InputError for null or empty ids, and timestamps or ratings that are not finite numbers.
    """
    if table.is_empty():
        raise InputError(f"{source} has no rows")
    table, notes = checked(table, source)
    if not drop:
        notes.refuse(source)
    if table.is_empty():
        raise InputError(f"{source} has no row that can be used: {notes}")
    if number_ids:
        table = table.with_columns(table[name].cast(pl.Int64) for name in (USER, ITEM) if are_canonical(table[name]))
    return Tidy(unique_in_order(table, notes), notes)


def unique_in_order(table: pl.DataFrame, notes: Notes) -> pl.DataFrame:
    """Checked rows without repeated pairs, ordered by (user, timestamp, item); counts the repeated in `notes`."""
    order = [c for c in (USER, ITEM, TIMESTAMP, RATING) if c in table.columns]
    kept = table.sort(order, maintain_order=True).unique([USER, ITEM], keep="last", maintain_order=True)
    ordered = kept.sort(USER, TIMESTAMP, ITEM, maintain_order=True)
    notes.repeated = table.height - kept.height
    return ordered.select(c for c in (USER, ITEM, TIMESTAMP, RATING, SPLIT) if c in ordered.columns)


def checked(table: pl.DataFrame, source: str, first_row: int = 0) -> tuple[pl.DataFrame, Notes]:
    """The rows that can be used, ids as Int64 or String, timestamps and ratings as numbers; and what was found.

    first_row: how many rows of the source come before these, for the notes.
    Raises InputError if a column is of a type that cannot be used.
    """
    if SPLIT in table.columns:
        _check_split(table, source)
    notes = Notes()
    columns = [id_column(table, USER, source), id_column(table, ITEM, source), _moments(table, source, notes)]
    if RATING in table.columns:
        columns.append(_ratings(table, source))
    bad = {}
    for column in columns:
        wrong = column.is_null() if column.name in (USER, ITEM) else ~column.is_finite().fill_null(False)
        if wrong.any():
            bad[column.name] = wrong
    used = table.with_columns(columns)
    if not bad:
        return used.with_columns(_whole(used[TIMESTAMP])), notes
    wrong = pl.DataFrame(bad).select(pl.any_horizontal(pl.all()))[:, 0]
    row = wrong.arg_true()[0]
    notes.first = _complaint(table, next(name for name in bad if bad[name][row]), row, first_row)
    left = pl.Series([True]).new_from_index(0, table.height)
    for name, mask in bad.items():
        notes.unusable[_reason(name)] += int((mask & left).sum())
        left = left & ~mask
    used = used.filter(~wrong)
    return used.with_columns(_whole(used[TIMESTAMP])), notes


def id_column(table: pl.DataFrame, name: str, source: str) -> pl.Series:
    """The column `name` as Int64 or String; null where there is no id.

    Raises InputError, which names `source`, if it holds neither whole numbers of 64 bits nor texts.
    """
    ids = table[name]
    if ids.dtype == pl.Null:
        return ids.cast(pl.Int64)
    if not (ids.dtype.is_integer() or ids.dtype in (pl.String, pl.Categorical) or ids.dtype == pl.Enum):
        raise InputError(f"{source} column {name} holds {ids.dtype}; expected whole numbers or texts")
    if not ids.dtype.is_integer():
        ids = ids.cast(pl.String)
        return ids.set(ids == "", None)
    beyond = next((n for n in (ids.min(), ids.max()) if isinstance(n, int) and not -(2**63) <= n < 2**63), None)
    if beyond is not None:
        raise InputError(f"{source} column {name} holds {beyond}, beyond 64-bit signed integers")
    return ids.cast(pl.Int64)


def are_canonical(ids: pl.Series) -> bool:
    """Whether every id is a whole number, as a number or written as one is printed."""
    if ids.dtype.is_integer():
        return True
    numbers = ids.cast(pl.Int64, strict=False)
    return numbers.null_count() == 0 and (numbers.cast(pl.String) == ids).all()


def _moments(table: pl.DataFrame, source: str, notes: Notes) -> pl.Series:
    """Timestamps as Float64 seconds, null or NaN where there is none; counts their units in `notes`."""
    try:
        seconds, units = unix_seconds(table[TIMESTAMP])
    except TypeError as error:
        raise InputError(f"{source} column {TIMESTAMP} holds {error}; expected numbers or dates") from None
    notes.units.update(units)
    return seconds.alias(TIMESTAMP)


def _ratings(table: pl.DataFrame, source: str) -> pl.Series:
    """Ratings as Float64, null where there is none."""
    values = table[RATING]
    if not (values.dtype.is_numeric() or values.dtype in (pl.String, pl.Null)):
        raise InputError(f"{source} column {RATING} holds {values.dtype}; expected numbers")
    return values.cast(pl.Float64, strict=False)


def _whole(seconds: pl.Series) -> pl.Series:
    """The same as Int64 if all are whole numbers."""
    return seconds.cast(pl.Int64) if (seconds == seconds.floor()).all() else seconds


def _complaint(table: pl.DataFrame, name: str, row: int, first_row: int) -> str:
    """What is wrong with a value, in words."""
    if name in (USER, ITEM):
        return f"row {first_row + row + 1} has no {name}"
    value = table[name][row]
    text = "nothing" if value is None else repr(value)[:80]
    expected = "seconds or a date" if name == TIMESTAMP else "a number"
    return f"row {first_row + row + 1} has the {name} {text}; expected {expected}"


def _reason(name: str) -> str:
    return f"no {name}" if name in (USER, ITEM) else f"a {name} that is none"


def _check_split(table: pl.DataFrame, source: str) -> None:
    allowed = [TRAIN, VALIDATION, TEST_HISTORY, TEST]
    dtype = table.schema[SPLIT]
    if not (dtype in (pl.String, pl.Categorical, pl.Null) or dtype == pl.Enum):
        raise InputError(f"{source} column {SPLIT} holds {dtype}; expected texts")
    strange = table.filter(~pl.col(SPLIT).cast(pl.String).is_in(allowed).fill_null(False))
    if not strange.is_empty():
        raise InputError(f"{source} has the split '{strange[SPLIT][0]}'; expected one of {', '.join(allowed)}")
    held = table.filter(pl.col(SPLIT).is_in([VALIDATION, TEST]))
    if held.select(USER, SPLIT).is_duplicated().any():
        raise InputError(f"{source} holds out more than one item of a user in one split")
