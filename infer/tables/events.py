"""Events of several types: which rows count, and what each type weighs.

In: rows under their own names, and SQL; or `view=1,purchase=5`. Out: the rows for which it is true; a weight a type.

    python -m train.data --dataset events.csv --where "event = 'purchase'"
"""

import math
import re
from collections.abc import Iterator
from itertools import combinations, islice

import polars as pl
import polars.selectors as cs

from infer.errors import InputError, first_line
from infer.formats.layout import shown
from infer.tables.columns import check_once, unused
from infer.tables.numbers import as_numbers, number

SAMPLE = 10_000  # rows
WAYS = 64  # of taking columns as numbers or texts, that are tried
RESERVED = '"user", "order", "end"'
EXAMPLE = "\"event = 'purchase'\""
# What stands in quotes; or a number with a point and without an exponent, which Polars' SQL takes for a decimal.
DECIMAL = re.compile(r"""'[^']*'|"[^"]*"|(?<![\w.])(?:\d+\.\d*|\.\d+)(?![\w.])""")


def chosen(
    rows: pl.LazyFrame, where: str, names: list[str], untyped: frozenset[str], source: str, option: str = "--where"
) -> pl.LazyFrame:
    """The rows for which `where` is true, as SQL has it: not those for which it is null.

    names: of the columns.  untyped: those that are texts only because their format has no types; they are numbers
    if they hold nothing else in the first rows, as in `price > 20`, unless that cannot be compared, as in
    `zip like '12%'`.  option: named in messages.
    Raises InputError, which names `source`, for what is no SQL, names no column, or is neither true nor false.
    """
    condition, tried = (_condition(text, where, option) for text in (where, DECIMAL.sub(_as_float, where)))
    used = named_in(where, option)
    if condition.meta.has_multiple_outputs():
        raise InputError(f"{option} '{where}' names several columns at once; expected one condition")
    strange = next((name for name in used if name not in names), None)
    if strange is not None:
        raise InputError(f"{source} has no column '{strange}', which {option} names; its columns: {shown(names)}")
    check_once(names, used, source)
    sample = rows.select(used).head(SAMPLE).collect() if used else pl.DataFrame({"": [0]})
    if sample.is_empty():
        return rows  # nothing says what texts without a value would be
    numbers = {name: _number(sample[name]) for name in used if name in untyped and _is_number(sample[name])}
    reasons: list[str] = []
    for taken in islice(_ways(numbers), WAYS):
        reasons.append(_unfit(sample, tried, taken))
        if not reasons[-1]:
            return _filtered(rows, condition, taken, names)
    raise InputError(f"{option} '{where}' cannot be used on {source}: {reasons[0]}")


def named_in(where: str, option: str = "--where") -> list[str]:
    """The columns that a condition names, each once; raises InputError, which names `option`, for what is no SQL."""
    return list(dict.fromkeys(_condition(where, where, option).meta.root_names()))


def _condition(text: str, where: str, option: str) -> pl.Expr:
    """What SQL says; where: as it was given, for the message."""
    try:
        condition = pl.sql_expr(text)
        condition.meta.root_names()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, TypeError) as error:
        raise InputError(
            f"{option} '{where}' cannot be read ({first_line(error)}); write SQL, as {option}={EXAMPLE}, with names "
            f"that are words of SQL in double quotes: {RESERVED}"
        ) from None
    return condition


def _unfit(sample: pl.DataFrame, condition: pl.Expr, numbers: dict[str, pl.Expr]) -> str:
    """Why a condition cannot be used with these columns as numbers; empty if it can.

    Decimals are tried as floats: Polars refuses to compare a text with these, but not with decimals, which it would
    compare as texts, '9' being above '20.0'.
    """
    try:
        floats = sample.with_columns(**numbers).with_columns(cs.decimal().cast(pl.Float64))
        found = floats.select(condition)[:, 0]
    except pl.exceptions.PolarsError as error:
        return first_line(error)
    return "" if found.dtype == pl.Boolean else f"it gives {found.dtype}, not true or false"


def _ways(numbers: dict[str, pl.Expr]) -> Iterator[dict[str, pl.Expr]]:
    """Which columns may be numbers, the others being texts: all, none, then as many as can be."""
    yield numbers
    yield {}
    for size in range(len(numbers) - 1, 0, -1):
        for names in combinations(numbers, size):
            yield {name: numbers[name] for name in names}


def _as_float(found: re.Match[str]) -> str:
    text = found[0]
    return text if text[0] in "'\"" else f"{text}0e0"


def _filtered(rows: pl.LazyFrame, condition: pl.Expr, numbers: dict[str, pl.Expr], names: list[str]) -> pl.LazyFrame:
    """The rows, with their texts as they were, for which a condition on numbers is true; names: of all columns."""
    kept = {name: unused(f"text of {name}", names) for name in numbers}
    beside = rows.with_columns(pl.col(name).alias(text) for name, text in kept.items())
    found = beside.with_columns(**numbers).filter(condition)
    return found.with_columns(pl.col(text).alias(name) for name, text in kept.items()).drop(kept.values())


def weights_of(text: str) -> dict[str, float]:
    """What each event type weighs; raises InputError if that is not `type=number,type=number`."""
    weights = {}
    for piece in text.split(","):
        name, equals, number = piece.rpartition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if not equals or not name.strip() or not math.isfinite(weight):
            raise InputError(f"--event-weights: '{piece}' is not TYPE=NUMBER; expected view=1,purchase=5")
        weights[name.strip()] = weight
    return weights


def _is_number(values: pl.Series) -> bool:
    return values.null_count() < len(values) and as_numbers(values).null_count() == values.null_count()


def _number(values: pl.Series) -> pl.Expr:
    """The column as Float64, with decimal commas if its first rows have some."""
    commas = bool(values.str.contains(",", literal=True).any())
    return number(values.name, strict=True) if commas else pl.col(values.name).cast(pl.Float64)
