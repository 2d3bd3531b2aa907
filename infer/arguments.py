"""What a caller of `infer` in Python gives: checked, and told in the words of Python if it cannot be used.

In: arguments of `infer.Recommender`. Out: ids and whole numbers; or InputError.

    python -c "from infer.arguments import ids_of; print(ids_of([1, 50, 260]))"
"""

import math
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np
import polars as pl

from infer.candidates.options import CandidateOptions
from infer.errors import InputError, check_unicode, system_says
from infer.formats.layout import Layout
from infer.formats.places import held_frame
from infer.scoring.fallback import KINDS, FallbackOptions
from infer.system.addresses import place
from infer.tables.columns import ITEM
from infer.tables.frames import to_polars
from infer.tables.options import TableOptions
from infer.tables.rules import KEEP, LATEST

# Arguments that messages name as options, beside those of tables and rules.
NAMED = (
    "model", "threads", "k", "batch_size", "split", "fallback", "recent", "items", "reasons", "most_per", "diversity",
)  # fmt: skip
# What is called otherwise here than by the commands.
OTHERWISE = {
    "--interactions": "table",
    "--no-metrics": "split=None",
    "--drop-bad-rows": "drop_bad_rows=True",
    "--users": "users",
    "--device": "device",
} | {f"--{column}-column": f"{column}=" for column in ("user", "item", "timestamp", "rating", "event")}


class TableArguments(TypedDict, total=False):
    """How a table is read: as of `infer.tables.options.TableOptions` and `infer.formats.layout.Layout`."""

    user: str
    item: str
    timestamp: str
    rating: str
    drop_bad_rows: bool
    split_column: str
    timestamp_format: str
    order: Literal["time", "rows", "none"]
    where: str
    event: str
    event_weights: str | dict[str, float]
    least_rating: float
    repeats: Literal["latest", "keep"]
    format: str
    separator: str
    header: str | Sequence[str]
    encoding: str
    compression: str
    nulls: str | Sequence[str]
    query: str
    quote: Literal["none", "double"]


class RuleArguments(TypedDict, total=False):
    """Which items may be recommended: as of `infer.candidates.options.CandidateOptions`."""

    only_items: Any
    exclude_items: Any
    items_where: str
    only_pairs: Any
    exclude_pairs: Any
    boost: Any
    seen: Literal["drop", "keep", "only"]
    seen_within: str


class CallArguments(RuleArguments, TableArguments, total=False):
    """How a table is read, and which items may be recommended."""


RULES = tuple(RuleArguments.__annotations__)
OF_TABLES = ("only_pairs", "exclude_pairs", "seen_within")  # rules of users and times, which a history does not name
IDLE = ("exclude_items", "boost")  # rules that change nothing where they name nothing
LISTS = ("header", "nulls")
TEXTS = ("items_where", "seen", "seen_within")
# What may be an option in a message, not a part of a path; and how those that there are here are called.
OPTION = re.compile(r"(?<![\w./-])--[a-z-]++(?![\w/]|\.\w)")
OPTIONS = {
    f"--{name.replace('_', '-')}": name for name in (*NAMED, *CallArguments.__annotations__)
} | OTHERWISE  # fmt: skip


def split_arguments(given: CallArguments, items: Any) -> tuple[CandidateOptions, TableArguments]:
    """Rules as the library takes them, and the other arguments.

    items: the table of items.  Paths may be texts, and ids in any row or set.
    Raises InputError for a value that is no rule; what is in files is checked when they are read.
    """
    named: dict[str, Any] = dict(given)
    rules = {name: _rows(named.pop(name)) if name not in TEXTS else named.pop(name) for name in RULES if name in named}
    rules = {name: rule for name, rule in rules.items() if name not in IDLE or not _is_empty(rule)}
    for name in TEXTS:
        if not isinstance(rules.get(name), str | None):
            raise InputError(f"{name} is a text; found {rules[name]!r:.80}")
    table: TableArguments = named  # type: ignore[assignment]
    return CandidateOptions(**rules, items=items_path(items)), table


def _rows(given: Any) -> Any:
    """A rule's rows: the path of a text, the ids of a series or set; else as they are."""
    if isinstance(given, str):
        return place(given)
    if isinstance(given, set | frozenset) or (is_history(given) and not isinstance(given, Sequence)):
        return list(ids_of(given, "the rule"))
    return given


def _is_empty(rule: Any) -> bool:
    """Whether it is a list or dictionary of nothing; a table without rows is none, but may be one that went wrong."""
    return isinstance(rule, Sequence | Mapping) and not len(rule)


def items_path(items: Any) -> Path | None:
    """The path of a table of items, of a data frame that of a copy; raises InputError if it is neither."""
    if isinstance(items, str):
        return place(items)
    if isinstance(items, Path | None):
        return items
    try:
        return held_frame(to_polars(items), "items")
    except InputError as error:
        raise InputError(f"items: {str(error).removeprefix('items ')}") from None


def table_options(given: TableArguments) -> TableOptions:
    """The same as the library takes it; raises InputError for a value that is none of those allowed."""
    names: dict[str, Any] = dict(given)
    known = TableArguments.__annotations__
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise InputError(f"there is no option {unknown} here; how a table is read is said by {', '.join(known)}")
    choices = {"order": ("time", "rows", "none"), "repeats": (LATEST, KEEP, None), "quote": ("none", "double", None)}
    for name, allowed in choices.items():
        if name in names and names[name] not in allowed:
            raise InputError(f"{name} is one of {', '.join(map(str, allowed))}; found {names[name]!r}")
    names = {name: _table_value(name, value) for name, value in names.items()}
    layout = {f.name: names.pop(f.name) for f in fields(Layout) if f.name in names}
    split = names.pop("split_column", None)
    return TableOptions(**names | {"layout": Layout(**layout), "split": split})


def _table_value(name: str, value: Any) -> Any:
    """One of `TableArguments` as the library takes it; raises InputError if it is of another type."""
    kind = TableArguments.__annotations__[name]
    if value is None:
        return value
    if name in LISTS and is_history(value):
        value = list(value)
        if not all(isinstance(text, str) and "," not in text for text in value):
            raise InputError(f"{name} is a list of texts without commas; found {value!r:.80}")
        return ",".join(value)
    if name == "event_weights" and isinstance(value, dict):
        return ",".join(f"{event}={weight}" for event, weight in value.items())
    if kind is bool and not isinstance(value, bool | np.bool_):
        raise InputError(f"{name} is True or False; found {value!r:.80}")
    if kind is float and not (_is_number(value) and math.isfinite(value)):
        raise InputError(f"{name} is a number; found {value!r:.80}")
    if kind not in (bool, float) and not isinstance(value, str):
        other = {"event_weights": " or a dictionary"}.get(name, " or a list of texts" if name in LISTS else "")
        raise InputError(f"{name} is a text{other}; found {value!r:.80}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def fallback_options(kind: Any, recent: Any, items: Any) -> FallbackOptions:
    """The same as the library takes it; raises InputError for a value that is none of those allowed."""
    if kind not in KINDS:
        raise InputError(f"fallback is one of {', '.join(KINDS)}; found {kind!r}")
    if not isinstance(recent, str):
        raise InputError(f"recent is a number of hours, days or weeks, as '12h', '7d' or '2w'; found {recent!r}")
    return FallbackOptions(kind, recent, items_path(items))


@contextmanager
def in_words_of_python() -> Iterator[None]:
    """Let messages name options as they are called here, and what the system refuses be an InputError, too."""
    try:
        yield
    except InputError as error:
        error.args = (OPTION.sub(lambda found: OPTIONS.get(found[0], found[0]), str(error)),)
        raise error from None
    except OSError as error:
        raise InputError(system_says(error)) from None
    except UnicodeEncodeError as error:
        check_unicode(error.object, "what was given")
        raise


def is_history(given: Any) -> bool:
    """Whether this is a row of ids: a sequence, a column of Arrow or something of one dimension, but no text."""
    if isinstance(given, Sequence | pl.Series):
        return not isinstance(given, str | bytes)
    if isinstance(given, np.ndarray):
        return given.ndim > 0
    return getattr(given, "ndim", None) == 1 or _is_of_arrow(given)  # a series of pandas


def _is_of_arrow(given: Any) -> bool:
    """Whether this is one column of pyarrow, in one piece or several, and no table."""
    return hasattr(given, "to_pylist") and not hasattr(given, "column_names")


def ids_of(history: Any, what: str = "the history") -> pl.Series:
    """The ids of a history as Int64 or String; what: whose they are, for messages."""
    if isinstance(history, pl.Series):
        values = history.to_list()
    else:
        values = history.to_pylist() if _is_of_arrow(history) else list(history)
    for value in values:
        if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer | str):
            raise InputError(f"{what} holds {value!r:.80}; expected ids, whole numbers or texts")
    if len({isinstance(value, str) for value in values}) > 1:
        raise InputError(f"{what} holds whole numbers and texts; expected ids of one kind")
    if values and isinstance(values[0], str):
        for value in values:
            check_unicode(value, what)
        return pl.Series(ITEM, [str(value) for value in values], dtype=pl.String)
    numbers = [int(value) for value in values]
    beyond = next((number for number in numbers if not -(2**63) <= number < 2**63), None)
    if beyond is not None:
        raise InputError(f"{what} holds {beyond}, beyond 64-bit signed integers")
    return pl.Series(ITEM, numbers, dtype=pl.Int64)


def texts_of(users: Any) -> list[str]:
    """Ids of users as texts, as they are compared."""
    several = is_history(users) or isinstance(users, set | frozenset)
    return list(map(str, ids_of(users if several else [users], "the list of users")))


def whole_number(value: Any, name: str, least: int) -> int:
    """A whole number of at least `least`; raises InputError naming the option."""
    try:
        number = operator.index(value)
    except TypeError:
        raise InputError(f"{name} is a whole number; found {value!r:.80}") from None
    if isinstance(value, bool):
        raise InputError(f"{name} is a whole number; found {value}")
    if number < least:
        raise InputError(f"{name} is at least {least}; found {value}")
    if number >= 2**63:
        raise InputError(f"{name} is a number of 64 bits; found {str(value)[:80]}")
    return number
