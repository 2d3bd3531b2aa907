"""Rows of a rule: items, or users and items, from a file, an address, a data frame or ids.

In: what the user gave. Out: a frame with the shared columns of ids, as they are written, and what else is asked for.

    python -m infer.batch --model hybrid.onnx --only-items stock.txt

A text file of one column is read as one id a line, with a header or without.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from infer.errors import InputError, UnknownItemsError
from infer.formats.layout import shown
from infer.formats.opening import kind_of
from infer.formats.packed import chunks, packing_in
from infer.formats.places import located, open_place
from infer.formats.probe import probe
from infer.formats.reading import collect
from infer.formats.sniffing import NamelessError
from infer.histories.vocabulary import PAD, index_of
from infer.sources.users import QUOTED, ids_in
from infer.tables.columns import ITEM, USER, check_once, own_name
from infer.tables.frames import to_polars
from infer.tables.ids import id_column
from infer.tables.numbers import as_numbers
from infer.tables.options import TableOptions

SEPARATORS = ",;|\t"
START = 4096  # bytes that are looked at


def rows_of(
    given: Any,
    option: str,
    needed: Sequence[str],
    values: Mapping[str, Sequence[str]] = {},
    events: TableOptions = TableOptions(),
) -> pl.DataFrame:
    """The columns of ids that are needed, Int64 or String, and numbers.

    given: a path, a data frame, or ids of items.  option: whose value it is, for messages.  values: columns of numbers
    by the names that they may have; those that are there are given.  events: how the table of interactions is read,
    whose names of the columns of ids count here, too.
    Raises InputError if it cannot be read, lacks a column or an id, or holds no rows.
    """
    source = str(given) if isinstance(given, Path) else "what was given"
    stated = {USER: events.user, ITEM: events.item}
    table, written = _table(given, option, needed, stated[ITEM])
    names = {}
    for target in needed:
        name = own_name(table.columns, target, stated[target])
        if name is None:
            raise InputError(
                f"{option}: {source} has no {target} column; its columns: {shown(table.columns)}; call it '{target}'"
            )
        names[target] = name
    for target, possible in values.items():
        found = [n for n in table.columns if n.strip().lower() in possible]
        if len(found) > 1:
            raise InputError(
                f"{option}: {source} has {' and '.join(found)}, of which one can be meant: leave out the other"
            )
        if found:
            names[target] = found[0]
    check_once(written, list(names.values()), source)
    table = table.select(pl.col(name).alias(target) for target, name in names.items())
    table = table.with_columns(id_column(table, name, source) for name in needed)
    if table.is_empty():
        raise InputError(f"{option}: {source} holds no rows")
    for name in table.columns:
        if name not in needed:
            table = table.with_columns(_numbers(table[name], f"{option}: {source}"))
        if table[name].null_count():
            raise InputError(f"{option}: {source} row {table[name].is_null().arg_true()[0] + 1} has no {name}")
    return table


def known_items(
    ids: pl.Series, option: str, given: Any, vocabulary: pl.DataFrame, model: str, said: list[str]
) -> np.ndarray:
    """(n,) the index of each item; those that the model does not know are counted and named in `said`.

    An item of a file that the model does not know as it stands is looked up without the spaces around it, too.
    Raises InputError if it knows none of them.
    """
    index = index_of(ids, vocabulary)
    if isinstance(given, Path) and ids.dtype == pl.String:
        index = np.where(index == PAD, index_of(ids.str.strip_chars(" "), vocabulary), index)
    unknown = ids.filter(pl.Series(index == PAD))
    source = source_of(given, option)
    if len(unknown) == len(ids):
        raise UnknownItemsError(
            f"{source} names no item of {model}: it has '{ids[0]}', the model '{vocabulary[ITEM][0]}'", option
        )
    if len(unknown):
        said.append(f"{source}: {model} does not know {len(unknown):,} of {len(ids):,} items, as '{unknown[0]}'")
    return index


def source_of(given: Any, option: str) -> str:
    """An option and the file that was given for it, for messages."""
    return f"{option}: {given}" if isinstance(given, Path) else option


def _table(given: Any, option: str, needed: Sequence[str], item: str | None) -> tuple[pl.DataFrame, list[str]]:
    """The rows, and the names of their columns as they are written, of which one may stand twice."""
    if not isinstance(given, Path):
        rows = _in_memory(given, option)
        return rows, rows.columns
    path = located(given)
    if list(needed) == [ITEM] and _is_plain(path):
        ids = ids_in(path, option)
        headed = own_name(ids[:1], ITEM, item) is not None
        return pl.DataFrame({ITEM: ids[headed:]}, schema={ITEM: pl.String}), [ITEM]
    probe(path)
    try:
        opened = open_place(path)
        return collect(opened.rows, path), opened.names
    except NamelessError as error:
        names = ",".join([*needed, "..."][: max(2, len(needed))])
        raise InputError(
            f"{option}: {path} begins with data, not with names of columns: '{error.line}'; put a line of names above "
            f"it ({names}), or write one id a line, in quotes where it holds a separator"
        ) from None


def _in_memory(given: Any, option: str) -> pl.DataFrame:
    if isinstance(given, Mapping):
        return pl.DataFrame({ITEM: list(given), "weight": list(given.values())}, strict=False)
    if isinstance(given, Sequence | np.ndarray | pl.Series) and not isinstance(given, str | bytes):
        return _ids(list(given), option)
    return to_polars(given)


def _ids(ids: list[Any], option: str) -> pl.DataFrame:
    if len({isinstance(i, str) for i in ids}) > 1 or any(isinstance(i, bool | float) for i in ids):
        raise InputError(f"{option}: expected ids, whole numbers or texts of one kind; found {ids[0]!r:.40} and others")
    try:
        return pl.DataFrame({ITEM: ids}, schema_overrides=None if ids else {ITEM: pl.Int64})
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        raise InputError(f"{option}: expected ids, whole numbers of 64 bits or texts; found {ids[0]!r:.40}") from None


def _is_plain(path: Path) -> bool:
    """Whether it is a text file of one column, with a header or without."""
    if not path.is_file():
        return False
    start = next(chunks(path, packing_in(path)), b"")[:START]
    if b"\0" in start or not start.strip() or kind_of(path) != "csv":
        return False
    first = start.decode("utf-8-sig", errors="replace").splitlines()[0].strip()
    return bool(QUOTED.fullmatch(first)) or not any(mark in first for mark in SEPARATORS)


def _numbers(values: pl.Series, source: str) -> pl.Series:
    numbers = as_numbers(values)
    broken = numbers.is_null() & values.is_not_null() | ~numbers.is_finite().fill_null(True)
    if broken.any():
        raise InputError(f"{source} has {values.filter(broken)[0]!r:.40} as {values.name}; expected a finite number")
    return numbers
