"""Read a table of users that says which group each belongs to: an age, a country, a tariff.

In: a file, a folder or a cloud address, and the name of a column. Out: a `UserGroups`, which gives the group of any
users; memory holds the ids of the table and two bytes a user.

    python -m infer.batch --model hybrid.onnx --user-groups users.csv --group-column age

Users of whom the table says nothing form a group of their own, the last one.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from infer.errors import InputError
from infer.formats.layout import shown
from infer.formats.places import located, open_place
from infer.formats.reading import collect
from infer.tables.columns import USER, check_once, find
from infer.tables.ids import are_whole, id_column, in_type, places, without_zeros
from infer.tables.options import TableOptions
from infer.tables.texts import as_written

GROUP, UNKNOWN = "group", "(unknown)"
MOST = 50  # groups: memory holds a number for each of them and each item


@dataclass(frozen=True)
class UserGroups:
    """The group of each user.

    table: (user, group), one row a user in ascending order, group the number of its name.  names: of all groups, the
    last of them that of users who are not in the table.  column: that the groups come from.  said: what was found.
    """

    table: pl.DataFrame
    names: tuple[str, ...]
    column: str
    path: Path
    said: tuple[str, ...] = ()

    def of(self, users: pl.Series) -> np.ndarray:
        """(users,) the number of each user's group; whole numbers and texts are compared as texts, `7.0` being 7."""
        table, ids = self.table, users
        if users.dtype != table.schema[USER]:
            table, ids = self._as_texts, users.alias(USER).to_frame().select(_plain(USER))[USER]
        place = places(ids, table[USER])
        if table.is_empty():
            return np.full(len(users), len(self.names) - 1)
        found: np.ndarray = np.where(place >= 0, table[GROUP].to_numpy()[place], len(self.names) - 1).astype(np.int64)
        return found

    @cached_property
    def _as_texts(self) -> pl.DataFrame:
        """The table with users as texts, ascending; made once, as it takes seconds of millions of users."""
        return self.table.with_columns(_plain(USER)).unique(USER, keep="first", maintain_order=True).sort(USER)


def find_groups(path: Path, column: str | None = None, user: str | None = None) -> UserGroups:
    """Read a table of users in any format.

    column: that says the group; None: the only one beside the user.  user: name of the column of users, where the table
    has one of that name; else one of the usual ones.
    Raises InputError naming the file if it cannot be read, has no such columns, or has more than `MOST` groups.
    """
    path = located(path)
    opened = open_place(path)
    names = find(opened.names, path, TableOptions(user=user if user in opened.names else None), (USER,), ())
    column = column or _only(opened.names, names[USER], path)
    if column not in opened.names:
        raise InputError(f"{path} has no column '{column}'; its columns: {shown(opened.names)}")
    check_once(opened.names, [column], path)
    rows = collect(opened.rows.select(pl.col(names[USER]).alias(USER), pl.col(column).alias(GROUP)), path)
    ids = id_column(rows, USER, str(path))
    if ids.null_count():
        raise InputError(f"{path} row {ids.is_null().arg_true()[0] + 1} has no {USER}")
    ids = in_type(ids, pl.Int64()) if ids.dtype == pl.String and are_whole(ids) else ids
    values, expected = rows[GROUP], "texts or numbers"
    if values.dtype.is_nested() or values.dtype in (pl.Binary, pl.Object):
        raise InputError(f"{path} column {column} holds {values.dtype}; expected {expected}")
    values = values.fill_nan(None) if values.dtype.is_float() else values
    table = pl.DataFrame([ids, as_written(values, f"{path} column {column}", expected)])
    table = table.with_columns(pl.col(GROUP).str.strip_chars().replace("", None))
    first = table.unique(USER, keep="first", maintain_order=True).drop_nulls(GROUP)
    groups = _in_order(first[GROUP].unique())
    if not 0 < len(groups) <= MOST:
        found = f"{len(groups):,} different values" if groups else "no value"
        raise InputError(
            f"{path} column {column} has {found}; expected 1 to {MOST} groups: name another --group-column"
        )
    numbers = pl.DataFrame({GROUP: groups, "number": pl.Series(range(len(groups)), dtype=pl.Int16)})
    known = first.join(numbers, on=GROUP).select(USER, pl.col("number").alias(GROUP)).sort(USER)
    repeated = table.height - table[USER].n_unique()
    said = (
        *opened.said,
        *([f"{path.name}: {repeated:,} rows repeat a user, of whom the first counts"] * bool(repeated)),
    )
    return UserGroups(known, (*groups, _unused(UNKNOWN, groups)), column, path, said)


def _plain(name: str) -> pl.Expr:
    return without_zeros(pl.col(name).cast(pl.String))


def _only(columns: list[str], user: str, path: Path) -> str:
    """The one column beside that of the users."""
    others = [name for name in columns if name != user]
    if len(others) != 1:
        raise InputError(f"{path} has the columns {shown(columns)}: name that of the groups with --group-column")
    return others[0]


def _in_order(names: pl.Series) -> list[str]:
    """Ascending, as numbers if all are."""
    numbers = names.cast(pl.Float64, strict=False)
    return list(pl.DataFrame([names, numbers.alias("number")]).sort(
        *(["number"] if numbers.null_count() == 0 else []), GROUP)[GROUP])  # fmt: skip


def _unused(name: str, others: list[str]) -> str:
    """The name, in further brackets where a group has it."""
    while name in others:
        name = f"({name})"
    return name
