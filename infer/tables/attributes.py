"""What a table of items says of them beside titles and genres: categories, numbers and words.

In: its further columns. Out: those that liken items to each other, as lists of texts (categories), Float64 (numbers)
or texts (words), and which columns were left out, and why.

    attributes(pl.DataFrame({"brand": ["A", "B", "A"], "price": [1.5, 2.0, 9.0]})).kinds

Columns that are not stated are taken by type: lists, truths, texts that repeat, codes with leading zeros (`0101`) and
numbers of a common name such as `category_id` are categories; numbers and dates are numbers; long texts are words. Left
out are columns of one value, ids (all different), addresses, and texts of more than `MOST` values that are no words.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import polars as pl

from infer.errors import InputError
from infer.formats.layout import shown
from infer.tables.numbers import as_numbers
from infer.tables.texts import UNFIT

CATEGORIES, NUMBERS, WORDS = KINDS = ("categories", "numbers", "words")
NONE = "none"
COMMON = {
    CATEGORIES: {
        "category", "categories", "brand", "tag", "tags", "color", "colour", "size", "department", "type", "language",
        "author", "authors", "artist", "publisher", "manufacturer", "store", "country",
    },
    WORDS: {"description", "summary", "subtitle"},
}  # fmt: skip
CODE = r"^\s*0\d"  # no number: it would lose what tells `0101` from `101`
BETWEEN = ("|", ";")  # categories in one text
MOST = 10_000  # different values of a column of categories that nobody asked for


@dataclass
class Attributes:
    """The columns that are used, how each was taken, and why others are not used."""

    table: pl.DataFrame
    kinds: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def said(self) -> list[str]:
        """What was taken as what, and what was left out, as parts of a sentence."""
        parts = []
        for kind in KINDS:
            names = [f"'{name}'" for name, of_kind in self.kinds.items() if of_kind == kind]
            parts += [f"{kind} from {shown(names)}"] if names else []
        names = [f"'{name}' ({reason})" for name, reason in self.left_out.items()]
        return [*parts, f"left out: {shown(names)}"] if names else parts


def attributes(
    columns: pl.DataFrame, untyped: Collection[str] = (), stated: str | None = None, source: str = "the table"
) -> Attributes:
    """Take the columns that are stated or, without, those that can be used.

    untyped: columns whose values are texts only because the file has no types.  stated: names separated by commas, each
    perhaps with its kind (`year=categories`), or `none`.
    Raises InputError, which names `source`, if a stated column is not there or cannot be used.
    """
    found = Attributes(columns.select())
    used = []
    for name, kind in _wanted(columns, stated, source).items():
        values = columns[name]
        taken = kind or _kind(values, name in untyped)
        reason = ""
        try:
            values = CONVERTERS[taken](values) if taken is not None else values
        except UNFIT:
            reason = f"holds {values.dtype}"
        if taken is None:
            reason = f"holds {values.dtype}"
        elif not reason:
            reason = "empty" if values.null_count() == len(values) else ""
            reason = reason or ("" if stated else _useless(values, columns[name]))
        if reason and stated:
            raise InputError(f"{source} column '{name}' gives no {taken or 'features'}: {reason}")
        if taken is None or reason:
            found.left_out[name] = reason
        else:
            found.kinds[name] = taken
            used.append(values.alias(name))
    found.table = pl.DataFrame(used)
    return found


def _wanted(columns: pl.DataFrame, stated: str | None, source: str) -> dict[str, str | None]:
    """The columns to take, and the kind of those for which it is stated."""
    if stated is None:
        return dict.fromkeys(columns.columns)
    wanted: dict[str, str | None] = {}
    for part in [] if stated == NONE else stated.split(","):
        name, _, kind = (part, "", "") if part in columns.columns else part.partition("=")
        if name not in columns.columns:
            raise InputError(f"{source} has no column '{name}' for --item-features; it has: {shown(columns.columns)}")
        if kind and kind not in KINDS:
            raise InputError(f"--item-features: '{kind}' of column '{name}' is none of {', '.join(KINDS)}")
        wanted[name] = kind or None
    return wanted


def _kind(values: pl.Series, untyped: bool) -> str | None:
    """How a column is taken; None if its type cannot be used."""
    name, dtype = values.name.lower(), values.dtype
    if isinstance(dtype, pl.List):
        return None if dtype.inner.is_nested() or dtype.inner in (pl.Binary, pl.Object) else CATEGORIES
    if dtype in (pl.Boolean, pl.Categorical) or dtype == pl.Enum:
        return CATEGORIES
    if dtype in (pl.Date, pl.Null) or isinstance(dtype, pl.Datetime):
        return NUMBERS
    if not (dtype.is_numeric() or dtype == pl.String):
        return None
    common = next((kind for kind, names in COMMON.items() if name in names or name.removesuffix("_id") in names), None)
    numbers = untyped and _numbers(values).null_count() == values.null_count() and not values.str.contains(CODE).any()
    if dtype.is_numeric() or numbers:
        return CATEGORIES if common else NUMBERS
    if common is not None:
        return common
    parts = _categories(values).explode().drop_nulls()
    if 2 * parts.n_unique() <= len(parts):
        return CATEGORIES
    words = int(values.str.count_matches(r"\w+").sum())
    return WORDS if words >= 2 * max(1, values.count()) else CATEGORIES


def _categories(values: pl.Series) -> pl.Series:
    """Lists of texts, null instead of an empty one; a text may hold several, separated by `|` or else by `;`."""
    if not isinstance(values.dtype, pl.List):
        if values.dtype.is_float() and (values == values.floor()).all():
            values = values.cast(pl.Int64, strict=False)
        texts = values.cast(pl.String)
        values = texts.str.split(between(texts))
    name = pl.element().str.strip_chars()
    lists = values.cast(pl.List(pl.String)).list.eval(name.filter(name != ""))
    return lists.set(lists.list.len() == 0, None)


def between(texts: pl.Series) -> str:
    """What separates the categories in one text: the first of `BETWEEN` that any text has."""
    return next((mark for mark in BETWEEN if texts.str.contains(mark, literal=True).any()), BETWEEN[0])


def _numbers(values: pl.Series) -> pl.Series:
    """Float64, null where there is no finite number, which may have a decimal comma; dates as days since 1970."""
    if values.dtype.is_temporal():
        return values.cast(pl.Datetime("us"), strict=False).dt.epoch("us") / 86_400_000_000
    numbers = as_numbers(values.str.strip_chars() if values.dtype == pl.String else values)
    return numbers.set(~numbers.is_finite(), None)


def _words(values: pl.Series) -> pl.Series:
    """Texts, null where there is no word; lists are joined."""
    texts = values.cast(pl.List(pl.String)).list.join(" ") if isinstance(values.dtype, pl.List) else values
    texts = texts.cast(pl.String)
    return texts.set(~texts.str.contains(r"\w"), None)


def _useless(values: pl.Series, written: pl.Series) -> str:
    """Why a column tells nothing of items; empty if it does."""
    parts = (values.explode() if isinstance(values.dtype, pl.List) else values).drop_nulls()
    different = parts.n_unique()
    if different == 1 and values.null_count() == 0:
        return "one value only"
    if values.dtype == pl.Float64:
        ids = different == len(parts) and not written.dtype.is_temporal() and (parts == parts.floor()).all()
        return "whole numbers, all different" if ids else ""
    if values.dtype == pl.String:
        return "addresses" if 2 * parts.str.contains(r"^\w+://\S+$").sum() > len(parts) else ""
    if different == len(parts):
        return "all different"
    return f"over {MOST:,} different values without words" if different > MOST else ""


CONVERTERS = {CATEGORIES: _categories, NUMBERS: _numbers, WORDS: _words}
