"""Titles and other columns of a table of items, beside every recommendation.

In: a table of items in any format, and names of its columns. Out: lists with these columns; and which items it lacks.

    python -m infer.deliver --lists=artifacts/hybrid.topk.parquet --to=lists.csv --with=title,genres

Values keep the types of their table. A column of this project's table of items in which each has one value at most, as
a brand, is that value and no list. Of a table whose values are all text (CSV), a column is of numbers if each value is
written as one that loses nothing.
"""

from pathlib import Path
from typing import cast

import polars as pl

from infer.errors import InputError
from infer.formats.layout import shown
from infer.formats.places import located_items, open_place
from infer.formats.reading import collect
from infer.system.ownership import is_ours
from infer.tables.columns import GENRES, ITEM, TITLE, guessed, own_name
from infer.tables.ids import are_canonical, id_column, in_type
from infer.tables.items import values_alone

UNFIT = (pl.Binary, pl.Duration, pl.Object)
NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
EXACT = 15  # significant digits that a fraction of 64 bits keeps, whatever they are


class ItemColumns:
    """Columns of a table of items. missing: items of the lists, so far, that it lacks; found: whether it has any."""

    def __init__(self, path: Path, names: str, item: str | None = None) -> None:
        """names: of its columns, with commas; `title` and `genres` are found under other usual names, too.  item: as of
        `infer.tables.items.open_items`.

        Raises InputError if the table cannot be read, or lacks one of them.
        """
        self.path, self.missing, self.found = path, set[int | str](), False
        place = located_items(path)
        opened = open_place(place)
        item = own_name(opened.names, ITEM, item)
        if item is None:
            raise InputError(f"{path} has no item column; its columns: {shown(opened.names)}; call it 'item'")
        if len(set(opened.names)) < len(opened.names):
            raise InputError(f"{path} names a column twice: {shown(opened.names)}")
        if ITEM in names.split(","):
            raise _taken(ITEM)
        sources = {name: self._source(name, opened.names, item) for name in dict.fromkeys(names.split(","))}
        chosen = [pl.col(item).alias(ITEM), *(pl.col(source).alias(name) for name, source in sources.items())]
        table = collect(opened.rows.select(chosen), place)
        ids = id_column(table, ITEM, str(path))
        if item in opened.untyped and are_canonical(ids.drop_nulls()):
            ids = ids.cast(pl.Int64)
        typed = [_numbers(table[name]) if source in opened.untyped else table[name] for name, source in sources.items()]
        for column in typed:
            if any(_inner(column.dtype) == kind for kind in UNFIT):
                raise InputError(f"--with {column.name}: no target takes {column.dtype}: make it text or a number")
        self.table = pl.DataFrame([ids, *typed]).filter(pl.col(ITEM).is_not_null())
        if is_ours(place):  # which has a list of every category
            self.table = values_alone(self.table)
        self.table = self.table.unique(ITEM, keep="first", maintain_order=True)

    def _source(self, name: str, found: list[str], item: str) -> str:
        """The table's own name of a column."""
        source = name if name in found else guessed(found, name) if name in (TITLE, GENRES) else None
        if source is None:
            others = [column for column in found if column != item]
            raise InputError(f"{self.path} has no column '{name}' for --with; it has: {shown(others)}")
        return source

    def joined(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Lists with the columns, null where the table lacks the item; raises InputError if lists have such columns."""
        taken = next((name for name in self.table.columns[1:] if name in rows.columns), None)
        if taken is not None:
            raise _taken(taken)
        wanted = pl.Int64() if rows.schema[ITEM].is_integer() else pl.String()
        key = in_type(self.table[ITEM], wanted).alias("__item__")
        table = self.table.select(key, pl.exclude(ITEM), pl.lit(True).alias("__known__"))
        table = table.drop_nulls("__item__").unique("__item__", keep="first")  # `7` and `7.0` are one
        keyed = rows.with_columns(pl.col(ITEM).cast(wanted).alias("__item__"))
        whole = keyed.join(table, on="__item__", how="left", maintain_order="left")
        known = whole["__known__"].is_not_null()
        self.found = self.found or bool(known.any())
        self.missing.update(whole[ITEM].filter(~known).unique())
        return whole.drop("__item__", "__known__")

    def check_found(self) -> None:
        """Raises InputError if no item of the lists is in the table, as in that of another shop."""
        if self.missing and not self.found:
            raise InputError(
                f"{self.path} has none of the items of the lists, as '{min(self.missing)}'; its items are as "
                f"'{next(iter(self.table[ITEM]), '')}': name another table with --items"
            )


def _taken(name: str) -> InputError:
    return InputError(f"--with {name}: the lists have a column of that name already")


def _inner(dtype: pl.DataType) -> pl.DataType:
    """The type of a value, or of those in its lists."""
    return _inner(cast(pl.DataType, dtype.inner)) if isinstance(dtype, pl.List | pl.Array) else dtype


def _numbers(values: pl.Series) -> pl.Series:
    """Texts as numbers, if each is written as one, and can be written again from it.

    The last zero of `1.10` may go only where all have as many decimals, as prices have, and versions have not.
    """
    if values.dtype != pl.String or not values.count() or not values.drop_nulls().str.contains(NUMBER).all():
        return values
    whole = values.cast(pl.Int64, strict=False)
    if whole.null_count() == values.null_count():
        return whole
    numbers = values.cast(pl.Float64, strict=False)
    digits = values.str.replace_all(r"[-.]", "").str.strip_chars_start("0").str.len_bytes()
    kept = (digits <= EXACT) | (numbers.cast(pl.String) == values)
    decimals = values.drop_nulls().str.extract(r"\.([0-9]+)$").str.len_bytes().fill_null(0)
    aligned = decimals.n_unique() == 1 or not values.str.contains(r"\.[0-9]+0$").any()
    return numbers if kept.all() and aligned else values
