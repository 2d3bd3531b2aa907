"""Bring the rows of a table into the shared columns, types and order, and refuse or drop what is no value.

In: rows under the shared names, of any type and order. Out: tidy interactions (user, item, timestamp
and, where present, rating and split), ordered by (user, timestamp, item), without repeated pairs unless they are kept.

    tidy(pl.read_csv("ratings.csv"), "ratings.csv").interactions

Rules, each counted in `infer.tables.notes.Notes`:
- A row without user, item or timestamp, or whose timestamp or stated rating is no finite number, is refused, or dropped
  where that was asked for.
- Ids are whole numbers or texts for a column as a whole (`infer.tables.ids`).
- Timestamps become seconds since 1970 (`infer.tables.timestamps`).
- Rows that are rated too low to count are left out where that was asked for.
- A pair (user, item) that occurs more than once keeps its latest row (the highest rating in a tie), or all rows.
- Rows of one user in the same second are ordered by item id: numbers by value, then texts by code point, in
  whichever type a column holds them.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from infer.errors import InputError
from infer.tables.columns import ITEM, RATING, ROW, SPLIT, TIMESTAMP, USER
from infer.tables.events import weights_of
from infer.tables.ids import IDS, IdTypes, Known, Written, id_column, id_types, told_of
from infer.tables.notes import Notes
from infer.tables.numbers import as_numbers
from infer.tables.options import TableOptions
from infer.tables.rules import KEEP
from infer.tables.split import first_held_out, split_column
from infer.tables.texts import as_written
from infer.tables.timestamps import Notation, notation_of, unix_seconds

DAY = 86_400.0  # seconds; a clock may be that wrong, or in another zone


@dataclass(frozen=True)
class Tidy:
    """Interactions in the shared columns and order, what the rules changed, and the types of ids."""

    interactions: pl.DataFrame
    notes: Notes
    types: IdTypes

    @property
    def repeated(self) -> int:
        """How many rows repeated a pair."""
        return self.notes.repeated or 0


@dataclass(frozen=True)
class Rules:
    """How the rows of one table are read.

    source: its name in messages.  notation: how its times are written.
    """

    source: str
    options: TableOptions = field(default_factory=TableOptions)
    notation: Notation = field(default_factory=Notation)


def tidy(
    table: pl.DataFrame,
    source: str,
    options: TableOptions = TableOptions(),
    untyped: Collection[str] = (),
    known: Known = Known(),
    place: Callable[[int], str] = lambda row: "",
) -> Tidy:
    """Check types, drop repeated pairs and order by (user, timestamp, item).

    untyped: columns whose values are texts only because their format has no types.  known: the types of a model's ids.
    place: says of a row that cannot be used where else it stands.
    Raises InputError for null or empty ids, and timestamps or ratings that are not finite numbers.
    """
    if table.is_empty():
        raise nothing_in(source, options)
    rules = rules_of(table, source, options)
    written = {name: Written() for name in IDS if name in untyped}
    used, notes = checked(table, rules)
    if not options.drop_bad_rows:
        notes.refuse(source, place)
    if used.is_empty():
        raise InputError(f"{source} has no row that can be used: {notes}")
    for name, found in written.items():
        found.add(used[name])
    types = id_types(table.schema, written, untyped, known)
    notes.said += told(table.schema, types, rules, written)
    return Tidy(in_order(used.with_columns(types.to_read()), rules, notes), notes, types)


def nothing_in(source: str, options: TableOptions) -> InputError:
    """What to raise for a table without rows, or of whose rows none counts."""
    none = "no rows" if options.where is None else f'no row that counts (--where "{options.where}")'
    return InputError(f"{source} has {none}")


def told(schema: pl.Schema, types: IdTypes, rules: Rules, written: Mapping[str, Written]) -> list[str]:
    """What is said of how a table's ids and times are read, where they are not read as they stand."""
    zeros = [f"{name} ids written as 1.0 are read as whole numbers" for name in types.zeros]
    typed = [told_of(name, schema[name]) for name in IDS]
    nulls = [sentence for name, found in written.items() for sentence in found.told(name)]
    return [sentence for sentence in (*zeros, *typed, *nulls, rules.notation.said) if sentence]


def rules_of(first: pl.DataFrame, source: str, options: TableOptions) -> Rules:
    """The rules of a table; first: its first rows."""
    if options.order != "time":
        return Rules(source, options)
    try:
        return Rules(source, options, notation_of(first[TIMESTAMP], options.timestamp_format))
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def in_order(table: pl.DataFrame, rules: Rules, notes: Notes) -> pl.DataFrame:
    """Checked rows ordered by (user, timestamp, item), without repeated pairs unless the rules keep them.

    Counts the repeated in `notes`.
    """
    kept = table
    if rules.options.repeats != KEEP:
        kept = _latest(table) if repeats_pairs(table) else table
        notes.repeated = table.height - kept.height
    order = [pl.col(USER), pl.col(TIMESTAMP), *by_item(kept.schema)]
    ordered = kept if is_ordered(kept, order) else kept.sort(order, maintain_order=True)
    if SPLIT in ordered.columns:
        ordered = first_held_out(ordered, notes)
    return ordered.select(c for c in (USER, ITEM, TIMESTAMP, RATING, SPLIT) if c in ordered.columns)


def _latest(table: pl.DataFrame) -> pl.DataFrame:
    """Of each pair (user, item) the latest row, the one with the highest rating in a tie."""
    order = [pl.col(c) for c in (USER, ITEM, TIMESTAMP, RATING) if c in table.columns]
    return table.sort(order, maintain_order=True).unique([USER, ITEM], keep="last", maintain_order=True)


def repeats_pairs(table: pl.DataFrame) -> bool:
    """Whether a pair (user, item) occurs more than once, or two of them have the same hash by chance, which is rare.

    A table without repeated pairs needs neither the time nor the memory of finding which row of each to keep.
    """
    users, items = (table[name].hash(seed).to_numpy() for seed, name in enumerate((USER, ITEM)))
    hashes = np.sort(users * np.uint64(0x9E3779B97F4A7C15) + items)
    return bool((hashes[1:] == hashes[:-1]).any())


def is_ordered(table: pl.DataFrame, by: Sequence[pl.Expr]) -> bool:
    """Whether the rows are in ascending order already; expressions may be null only where earlier ones decide or are
    equal."""
    after = pl.lit(True)
    for value in reversed(by):
        before = value.shift()
        after = (value > before).fill_null(False) | (value.eq_missing(before) & after)
    return bool(table.select(after.alias("after"))["after"][1:].all())


def by_item(schema: Mapping[str, pl.DataType]) -> list[pl.Expr]:
    """What orders the items of one second: numbers by value, then texts, whatever the column's type."""
    if schema[ITEM] != pl.String:
        return [pl.col(ITEM)]
    number = pl.col(ITEM).cast(pl.Int64, strict=False)
    return [number.is_null(), number, pl.col(ITEM)]


def checked(table: pl.DataFrame, rules: Rules, first_row: int = 0) -> tuple[pl.DataFrame, Notes]:
    """The rows that count, ids as Int64 or String, timestamps and ratings as numbers; and what was found.

    first_row: how many rows of the source come before these, for the notes.
    Raises InputError if a column is of a type that cannot be used.
    """
    source, notes = rules.source, Notes()
    columns = [id_column(table, USER, source), id_column(table, ITEM, source), _moments(table, rules, notes)]
    if RATING in table.columns:
        columns.append(_ratings(table, rules))
    if SPLIT in table.columns:
        columns.append(split_column(table, source))
    bad = {}
    for column in columns:
        wrong = ~column.is_finite().fill_null(False) if column.name in (TIMESTAMP, RATING) else column.is_null()
        if column.name == RATING and rules.options.event_weights is None:
            wrong &= ~_is_missing(table[RATING])
        if wrong.any():
            bad[column.name] = wrong
    used = table.with_columns(columns)
    if bad:
        wrong = pl.DataFrame(bad).select(pl.any_horizontal(pl.all()))[:, 0]
        row = wrong.arg_true()[0]
        number = table[ROW][row] if ROW in table.columns else first_row + row
        notes.first = number, _complaint(table, next(name for name in bad if bad[name][row]), row, rules)
        left = pl.Series([True]).new_from_index(0, table.height)
        for name, mask in bad.items():
            notes.unusable[_reason(name, rules.options)] += int((mask & left).sum())
            left = left & ~mask
        used = used.filter(~wrong)
    used = _rated(used, rules.options.least_rating, notes).drop(ROW, strict=False)
    notes.unrated = used[RATING].null_count() if RATING in used.columns else 0
    if rules.options.order == "time":
        notes.future = int((used[TIMESTAMP] > time.time() + DAY).sum())
        notes.earliest, notes.latest = used[TIMESTAMP].min(), used[TIMESTAMP].max()  # type: ignore[assignment]
    return used.with_columns(_whole(used[TIMESTAMP])), notes


def _rated(table: pl.DataFrame, least: float | None, notes: Notes) -> pl.DataFrame:
    """Without the rows that are rated too low to count."""
    if least is None or RATING not in table.columns:
        return table
    kept = table.filter(pl.col(RATING) >= least)  # a row without a rating is none of them
    notes.low, notes.least = table.height - kept.height, least
    return kept


def _moments(table: pl.DataFrame, rules: Rules, notes: Notes) -> pl.Series:
    """Timestamps as Float64 seconds, null or NaN where there is none; counts their units in `notes`."""
    try:
        seconds, units = unix_seconds(table[TIMESTAMP], rules.notation)
    except TypeError as error:
        raise InputError(f"{rules.source} column {TIMESTAMP} holds {error}; expected numbers or dates") from None
    notes.units.update(units)
    return seconds.alias(TIMESTAMP)


def _ratings(table: pl.DataFrame, rules: Rules) -> pl.Series:
    """Ratings, or what events weigh, as Float64, null where there is none."""
    values = table[RATING]
    if rules.options.event_weights is not None:
        if values.dtype.is_nested():
            raise InputError(f"{rules.source} column {RATING} holds {values.dtype}; expected texts")
        return as_written(values, f"{rules.source} column {RATING}").replace_strict(
            weights_of(rules.options.event_weights), default=None, return_dtype=pl.Float64
        )
    if not (values.dtype.is_numeric() or values.dtype in (pl.String, pl.Null)):
        raise InputError(f"{rules.source} column {RATING} holds {values.dtype}; expected numbers")
    return as_numbers(values)


def _is_missing(ratings: pl.Series) -> pl.Series:
    """Which ratings are not there at all: a row may have none."""
    blank = ratings.str.strip_chars() == "" if ratings.dtype == pl.String else pl.Series([False])
    return ratings.is_null() | blank.fill_null(True)


def _whole(seconds: pl.Series) -> pl.Series:
    """The same as Int64 if all are whole numbers."""
    return seconds.cast(pl.Int64) if (seconds == seconds.floor()).all() else seconds


def _complaint(table: pl.DataFrame, name: str, row: int, rules: Rules) -> str:
    """What is wrong with a value, in words."""
    if name in IDS:
        return f"has no {name}"
    dates = table.schema[name].is_temporal()  # of which not all are dates in Python
    value = (table[name].to_physical() if dates else table[name])[row]
    text = "nothing" if value is None else repr(value)[:80]
    if name == RATING and rules.options.event_weights is not None:
        return f"has the event {text}, for which --event-weights has no weight"
    if name == SPLIT:
        return f"has the split {text}; expected train, validation or test"
    expected = rules.notation.expected if name == TIMESTAMP else "a number"
    return f"has the {name} {text}; expected {expected}"


def _reason(name: str, options: TableOptions) -> str:
    if name == RATING and options.event_weights is not None:
        return "an event for which --event-weights has no weight"
    return f"no {name}" if name in IDS else f"a {name} that is none"
