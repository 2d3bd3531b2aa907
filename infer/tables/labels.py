"""One column of a table of items as labels: what a limit for each category counts.

In: a table of items and the name of a column. Out: (item, value), a row for each label of an item.

    labels_of(Path("products.csv"), "brand")

Values of a text column are separated by `|` or, where none has that, by `;`, as those of features are; lists are lists;
anything else is one label as it is written. `(no genres listed)`, as MovieLens has it, is none.
"""

from pathlib import Path

import polars as pl

from infer.errors import InputError
from infer.formats.layout import shown
from infer.formats.places import located
from infer.formats.reading import collect
from infer.tables.attributes import between
from infer.tables.columns import ITEM, check_once
from infer.tables.ids import id_column
from infer.tables.items import open_items
from infer.tables.texts import as_written

COLUMN, VALUE = "column", "value"
NO_LABEL = ("", "(no genres listed)")  # the latter is how MovieLens says it


def labels_of(path: Path, column: str, item: str | None = None) -> pl.DataFrame:
    """(item, value): Int64 or String ids, and texts, each pair once; an item without a label has no row.

    item: as of `infer.tables.items.open_items`.
    Raises InputError if the table cannot be read, or lacks the column or one of items.
    """
    path = located(path)
    opened, name = open_items(path, item)
    if column not in opened.names or column == name:
        raise InputError(f"{path} has no column '{column}' of categories; its columns: {shown(opened.names)}")
    check_once(opened.names, [column], path)
    table = collect(opened.rows.select(pl.col(name).alias(ITEM), pl.col(column).alias(VALUE)), path)
    table = table.with_columns(id_column(table, ITEM, str(path)))
    dtype = table.schema[VALUE]
    expected = "texts or lists of them"
    if dtype.is_nested() and (not isinstance(dtype, pl.List) or dtype.inner.is_nested()):
        raise InputError(f"{path} column {column} holds {dtype}; expected {expected}")
    values = as_written(table[VALUE], f"{path} column {column}", expected)
    lists = values if isinstance(dtype, pl.List) else values.str.split(between(values))
    table = table.with_columns(lists.alias(VALUE)).explode(VALUE)
    table = table.with_columns(pl.col(VALUE).str.strip_chars()).filter(pl.col(ITEM).is_not_null(), is_label(VALUE))
    if table.is_empty():
        raise InputError(f"{path} has no value in the column '{column}'")
    return table.unique().sort(ITEM, VALUE)


def is_label(name: str) -> pl.Expr:
    """Whether a column of texts without spaces around them says anything; null where there is no text."""
    return ~pl.col(name).is_in(NO_LABEL)
