"""Ids in one type: whole numbers of 64 bits, or texts, for a column as a whole.

In: a column of ids as its file has it. Out: the type in which it is read, and the type that its lists carry.

    id_column(pl.DataFrame({"user": ["7", "8"]}), "user", "ratings.csv")

- Whole numbers of any width are whole numbers, and lists carry their own width. So are decimals without places, and
  fractions (`1.0`, as pandas writes a column that once had a gap) if all of them are whole.
- Texts stay texts, also if they are all digits; bytes are texts in UTF-8.
- What is text only because its format has no types (CSV) is read as whole numbers if every id is written as one, `7`
  or `7.0`, not `007`; else it is text. For a model that knows texts it is text.
- Where a model knows texts and a table has numbers, or the other way round, both are compared as texts.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from infer.errors import InputError
from infer.tables.columns import BECAUSE, ITEM, USER

IDS = (USER, ITEM)
WITH_ZEROS = r"^(0|-?[1-9]\d*)\.0+$"  # as pandas writes whole numbers in a column that once had a gap
NULLS = ["NA", "N/A", "NULL", "null", "None", "NaN", "nan", "\\N", "-", "?", "(null)", "undefined"]
# Below 2 to this power every whole number is a fraction of its own, and none is read as one.
EXACT: dict[pl.DataType, int] = {pl.Float32(): 24, pl.Float64(): 53}


@dataclass(frozen=True)
class Known:
    """The types, Int64 or String, of the ids that a model knows; None: any.

    compares_users: whether it looks users up, too.
    """

    user: pl.DataType | None = None
    item: pl.DataType | None = None
    compares_users: bool = False

    def as_text(self, name: str, untyped: bool) -> bool:
        """Whether a table's ids are to be read as texts whatever they are."""
        dtype = getattr(self, name)
        return dtype == pl.String and (untyped or name == ITEM or self.compares_users)

    def has_numbers(self, name: str) -> bool:
        """Whether a table's ids are looked up among whole numbers."""
        return getattr(self, name) == pl.Int64 and (name == ITEM or self.compares_users)


@dataclass(frozen=True)
class IdTypes:
    """The types of the two columns of ids.

    read: Int64 or String, in which they are compared and ordered.  own: those of the table, which lists carry.
    zeros: columns whose whole numbers are written as `7.0`.  beside_numbers: columns of texts that are compared with
    whole numbers, where `7.0` is 7.
    """

    read: dict[str, pl.DataType]
    own: dict[str, pl.DataType]
    zeros: tuple[str, ...] = ()
    beside_numbers: tuple[str, ...] = ()

    def to_read(self) -> list[pl.Expr]:
        """The columns in the types in which they are read."""
        return [
            pl.col(name).cast(pl.String).pipe(without_zeros).alias(name)
            if name in self.beside_numbers
            else _read(name, dtype, name in self.zeros, self.own[name])
            for name, dtype in self.read.items()
        ]

    def to_own(self, table: pl.DataFrame) -> pl.DataFrame:
        """A table with ids in the types that lists carry."""
        return _cast(table, self.own)

    def back(self, table: pl.DataFrame) -> pl.DataFrame:
        """A table of lists with ids in the types in which they are compared."""
        return _cast(table, self.read)


def _cast(table: pl.DataFrame, types: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The columns of ids in these types, and the lists of items that are reasons."""
    given: dict[Any, pl.DataType] = {name: dtype for name, dtype in types.items() if name in table.columns}
    return table.cast(given | ({BECAUSE: pl.List(types[ITEM])} if BECAUSE in table.columns else {}))


def id_types(schema: pl.Schema, written: Mapping[str, "Written"], untyped: Collection[str], known: Known) -> IdTypes:
    """In which types a table's ids are read, and lists carry them.

    schema: of the table.  written: how the ids of its columns without types are written.
    """
    read: dict[str, pl.DataType] = {}
    own: dict[str, pl.DataType] = {}
    for name in IDS:
        if name in untyped:
            read[name] = pl.String() if known.as_text(name, True) else written[name].dtype
            own[name] = read[name]
        else:
            own[name] = own_type(schema[name])
            read[name] = pl.String() if own[name] == pl.String or known.as_text(name, False) else pl.Int64()
    zeros = tuple(n for n in IDS if n in untyped and read[n] == pl.Int64 and not written[n].plain)
    beside = tuple(n for n in IDS if read[n] == pl.String and own[n] == pl.String and known.has_numbers(n))
    return IdTypes(read, own, zeros, beside)


def _read(name: str, dtype: pl.DataType, zeros: bool, own: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if zeros:
        return column.cast(pl.String).str.replace(r"\.0+$", "").cast(dtype)
    return (column.cast(own) if dtype == pl.String else column).cast(dtype)


def without_zeros(texts: pl.Expr) -> pl.Expr:
    """Texts, of which whole numbers that are written as `7.0` are `7`."""
    return pl.when(texts.str.contains(WITH_ZEROS)).then(texts.str.replace(r"\.0+$", "")).otherwise(texts)


def in_type(ids: pl.Series, dtype: pl.DataType) -> pl.Series:
    """The same ids as Int64 or String, null where there is no such: whole numbers are `7` or `7.0`, and not `007`."""
    if ids.dtype != pl.String or dtype == pl.String:
        return ids.cast(dtype)
    texts = ids.to_frame().select(without_zeros(pl.first()))[:, 0]
    numbers = texts.cast(dtype, strict=False)
    return numbers.set(numbers.cast(pl.String) != texts, None)


def fits(ids: pl.Series, dtype: pl.DataType) -> bool:
    """Whether all ids are the same in another type."""
    there = ids.cast(dtype, strict=False)
    return there.null_count() == ids.null_count() and bool((there.cast(ids.dtype, strict=False) == ids).all())


def id_column(table: pl.DataFrame, name: str, source: str) -> pl.Series:
    """The column `name` as Int64 or String; null where there is no id.

    Raises InputError, which names `source`, if it holds neither whole numbers of 64 bits nor texts.
    """
    ids = table[name]
    dtype = ids.dtype
    if dtype == pl.Null:
        return ids.cast(pl.Int64)
    if dtype in (pl.String, pl.Categorical, pl.Binary) or dtype == pl.Enum:
        return _texts(ids, name, source)
    if dtype.is_float():
        _check_whole(ids, name, source)
        return ids.fill_nan(None).cast(pl.Int64)
    if not (dtype.is_integer() or (isinstance(dtype, pl.Decimal) and dtype.scale == 0)):
        field = "; write the field that is the id as a column of its own" if dtype == pl.Struct else ""
        raise InputError(f"{source} column {name} holds {dtype}; expected whole numbers or texts{field}")
    limits: list[Any] = [ids.min(), ids.max()]
    beyond = next((int(n) for n in limits if n is not None and not -(2**63) <= int(n) < 2**63), None)
    if beyond is not None:
        raise InputError(f"{source} column {name} holds {beyond}, beyond 64-bit signed integers")
    return ids.cast(pl.Int64)


def own_type(dtype: pl.DataType) -> pl.DataType:
    """The type in which lists carry ids that a table has in this one."""
    if dtype.is_integer():
        return dtype
    return pl.Int64() if dtype.is_numeric() or dtype == pl.Null else pl.String()


def told_of(name: str, dtype: pl.DataType) -> str:
    """What is said of a type that is not read as it stands; empty if nothing is."""
    if dtype.is_float() or isinstance(dtype, pl.Decimal):
        return f"{name} ids in {dtype} are read as whole numbers"
    return f"{name} ids in {dtype} are read as texts" if dtype == pl.Binary else ""


@dataclass
class Written:
    """How the ids of a column without types are written, block after block."""

    plain: bool = True
    whole: bool = True
    nulls: Counter[str] = field(default_factory=Counter)

    def add(self, ids: pl.Series) -> None:
        """Look at further ids, texts without a null."""
        plain = are_canonical(ids)
        self.plain = self.plain and plain
        self.whole = self.whole and (plain or are_whole(ids))
        if not plain:
            self.nulls.update(ids.filter(ids.is_in(NULLS)).to_list())

    def told(self, name: str) -> list[str]:
        """What is said of ids that may stand for no value."""
        rows = [f"{name} '{text}' is an id as any other in {n:,} rows" for text, n in sorted(self.nulls.items())]
        return [f"{', '.join(rows)} (--nulls={','.join(sorted(self.nulls))} if it means no value)"] if rows else []

    @property
    def dtype(self) -> pl.DataType:
        """The type that all of them can be read in."""
        return pl.Int64() if self.whole else pl.String()


def are_canonical(ids: pl.Series) -> bool:
    """Whether every id is a whole number of 64 bits, as a number or written as one is printed."""
    if ids.dtype.is_integer():
        return True
    numbers = ids.cast(pl.Int64, strict=False)
    return numbers.null_count() == 0 and bool((numbers.cast(pl.String) == ids).all())


def are_whole(ids: pl.Series) -> bool:
    """Whether every text is a whole number of 64 bits, written with or without `.0` behind it."""
    return are_canonical(ids.to_frame().select(without_zeros(pl.first()))[:, 0])


def _texts(ids: pl.Series, name: str, source: str) -> pl.Series:
    try:
        texts = ids.cast(pl.String)
    except pl.exceptions.PolarsError:
        raise InputError(
            f"{source} column {name} holds bytes that are no UTF-8; expected whole numbers or texts"
        ) from None
    return texts.set(texts == "", None)


def _check_whole(ids: pl.Series, name: str, source: str) -> None:
    bits = EXACT.get(ids.dtype, 11)  # of Float16
    broken = ids.filter(ids.is_not_nan() & ((ids != ids.floor()) | (ids.abs() >= 2**bits)))
    if len(broken):
        raise InputError(
            f"{source} column {name} holds {ids.dtype}, as {broken[0]!r}; expected whole numbers or texts, or whole "
            f"ones below 2^{bits} in {ids.dtype}"
        )


def places(ids: pl.Series, ascending: pl.Series) -> np.ndarray:
    """(n,) where each id stands among others of the same type, ascending and each once; -1 where it does not."""
    if ascending.is_empty():
        return np.full(len(ids), -1, dtype=np.int64)
    place = ascending.search_sorted(ids, "left").clip(upper_bound=len(ascending) - 1)
    return np.where((ascending.gather(place) == ids).to_numpy(), place.to_numpy().astype(np.int64), -1)
