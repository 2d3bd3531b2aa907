"""Read a table of items: their titles, genres and what else it says of them.

In: a file, a folder or a cloud address. Out: (item, title, genres) and further columns (`infer.tables.attributes`),
one row an item; and what was taken and left out, a sentence each.

    find_items(Path("products.csv")).table
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from infer.errors import InputError, NothingSaidError
from infer.formats.layout import shown
from infer.formats.opening import Opened
from infer.formats.places import located, open_place
from infer.formats.probe import probe
from infer.formats.reading import collect
from infer.tables.attributes import NONE, attributes
from infer.tables.columns import GENRES, ITEM, TITLE, check_once, find, own_name
from infer.tables.ids import are_canonical, id_column
from infer.tables.options import TableOptions
from infer.tables.texts import as_written

KNOWN = (ITEM, TITLE, GENRES)


@dataclass
class Items:
    """A table of items, and what was found in it.

    table: item (Int64 or String), title and genres (String, joined with `|`), and further columns: lists of texts
    (categories), Float64 (numbers) or String (words).
    """

    table: pl.DataFrame
    said: list[str] = field(default_factory=list)


def read_items(path: Path, options: TableOptions = TableOptions()) -> pl.DataFrame:
    """Titles and genres alone: (item, title, genres), absent ones filled with null; errors as of `find_items`."""
    return find_items(path, options, NONE).table


def find_items(
    path: Path, options: TableOptions = TableOptions(), features: str | None = None, item: str | None = None
) -> Items:
    """Read a table of items in any format.

    features: further columns, as `infer.tables.attributes.attributes` takes them; None: all that can be used.  item: as
    of `open_items`.
    Raises InputError naming the file if it cannot be read, or says nothing of its items.
    """
    path = located(path, options.layout)
    opened = open_place(path, options.layout)
    if len(set(opened.names)) < len(opened.names):
        raise InputError(f"{path} names a column twice: {shown(opened.names)}")
    table = collect(opened.rows, path)
    if options.item is None:
        options = replace(options, item=_item_column(table.columns, path, item))
    names = find(table.columns, path, options, needed=(ITEM,), optional=(TITLE, GENRES))
    others = table.drop(names.values())
    found = attributes(others.drop(KNOWN, strict=False), opened.untyped, features, str(path))
    if features is None:
        found.left_out |= {name: "the name is taken" for name in others.columns if name in KNOWN}
    items = table.select(pl.col(source).alias(target) for target, source in names.items())
    items = pl.concat([items, found.table], how="horizontal")
    named = items.filter(id_column(items, ITEM, str(path)).is_not_null()) if options.drop_bad_rows else items
    result = items_table(named, str(path))
    parts = [f"{words} from '{names[name]}'" for name, words in ((TITLE, "titles"), (GENRES, GENRES)) if name in names]
    parts += found.said
    if not says_something(result).any():
        raise NothingSaidError(
            f"{path} has neither titles nor genres nor other columns that can be used; "
            f"its columns: {shown(table.columns)}" + (f" ({'; '.join(parts)})" if parts else "")
        )
    if features is None and others.width:
        parts.append("--item-features chooses among them")
    said = [*opened.said, f"{path.name}: {'; '.join(parts)}"]
    if items.height > named.height:
        said.append(f"{path.name}: dropped {items.height - named.height:,} rows with no item")
    if named.height > result.height:
        said.append(f"{path.name}: {named.height - result.height:,} rows repeat an item, of which the first counts")
    return Items(result, said)


def open_items(path: Path, item: str | None = None) -> tuple[Opened, str]:
    """A table of items as it is written, and its own name of the column of items.

    path: with a copy, if it is an address (`infer.formats.places.located`).  item: what the table of interactions calls
    that column, which counts where this one has such a column, too.
    Raises InputError if it cannot be read, or has no such column.
    """
    probe(path)
    opened = open_place(path)
    name = _item_column(opened.names, path, item)
    check_once(opened.names, [name], path)
    return opened, name


def values_alone(table: pl.DataFrame) -> pl.DataFrame:
    """The table with columns of lists that hold one value at most as columns of values; an empty list is null."""
    lists = [name for name, dtype in table.schema.items() if isinstance(dtype, pl.List)]
    single = [name for name in lists if not (table[name].list.len() > 1).any()]
    return table.with_columns(pl.col(name).list.first() for name in single)


def _item_column(names: list[str], path: Path, item: str | None) -> str:
    name = own_name(names, ITEM, item)
    if name is None:
        raise InputError(f"{path} has no item column; its columns: {shown(names)}; call it 'item'")
    return name


def says_something(table: pl.DataFrame) -> pl.Series:
    """Whether each row of a table of items holds anything beside the item."""
    return table.select(pl.any_horizontal(pl.exclude(ITEM).is_not_null()).alias(ITEM))[ITEM]


def items_table(table: pl.DataFrame, source: str) -> pl.DataFrame:
    """Bring item rows into (item, title, genres) and what else there is, one row an item, genres joined with `|`.

    Raises InputError, which names `source`, if a row has no item, or a column is of a type that cannot be used.
    """
    ids = id_column(table, ITEM, source)
    if ids.null_count():
        raise InputError(f"{source} row {ids.is_null().arg_true()[0] + 1} has no {ITEM}")
    ids = ids.cast(pl.Int64) if are_canonical(ids) else ids
    return (
        table.with_columns(ids, *(_text(table, name, source) for name in (TITLE, GENRES)))
        .select(*KNOWN, pl.exclude(KNOWN))
        .unique(ITEM, keep="first")
        .sort(ITEM)
    )


def _text(table: pl.DataFrame, name: str, source: str) -> pl.Series:
    """A column as texts, lists joined with `|`; null where it is absent or empty."""
    if name not in table.columns:
        return pl.Series(name, [None] * table.height, dtype=pl.String)
    values = table[name]
    each = values.dtype.inner if isinstance(values.dtype, pl.List) else values.dtype
    if each.is_nested() or each in (pl.Binary, pl.Object):
        raise InputError(f"{source} column {name} holds {values.dtype}; expected texts")
    texts = as_written(values, f"{source} column {name}")
    if isinstance(values.dtype, pl.List):
        return texts.list.join("|")
    values = texts
    if name == GENRES and not values.str.contains("|", literal=True).any():
        return values.str.replace_all(";", "|", literal=True)
    return values
