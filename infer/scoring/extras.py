"""The tables that figures beyond accuracy are made with: items and their categories, users and their groups.

In: paths. Out: an `Extras`, opened and checked before anything is scored, and `Beyond` once the types of ids are known.

    open_extras(open_model("hybrid.onnx"), ExtraTables(user_groups=Path("users.csv"), group_column="age"))
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from infer.errors import InputError, NothingSaidError
from infer.formats.places import located
from infer.model.session import Model
from infer.scoring.beyond import Beyond
from infer.scoring.job import Job, files_in
from infer.scoring.numbering import numbered
from infer.system.fingerprints import sha256
from infer.tables.columns import GENRES, ITEM
from infer.tables.groups import UserGroups, find_groups
from infer.tables.items import find_items
from infer.tables.labels import COLUMN, VALUE, is_label

NEEDED = "diversity and calibration need a table of items with categories: --items FILE"


@dataclass(frozen=True)
class ExtraTables:
    """Where the tables are.

    items: None for the one beside the model, if it is there.  user_groups: None for no groups.  group_column: of that
    table, None for the only one beside the user.  user_column: of that table, where it has one of this name.
    """

    items: Path | None = None
    user_groups: Path | None = None
    group_column: str | None = None
    user_column: str | None = None


@dataclass(frozen=True)
class Extras:
    """The tables, read.

    items: (item, column, value) every category of each item; None: there are none.  plan: what tells these tables from
    others.  said: what was found in them.  wanted: whether there are to be figures at all.
    """

    items: pl.DataFrame | None = None
    groups: UserGroups | None = None
    plan: dict[str, Any] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    wanted: bool = True

    def of(self, job: Job) -> Beyond | None:
        """With categories by the indexes of the job's items, once the types of its ids are known; None: no figures."""
        if not self.wanted:
            return None
        return Beyond(None if self.items is None else numbered(self.items, job.items), self.groups)


def open_extras(model: Model, tables: ExtraTables | None = ExtraTables(), item: str | None = None) -> Extras:
    """Read the tables; None: there are to be no figures.  item: as of `infer.tables.items.find_items`.

    Raises InputError if one that is stated cannot be read; that it says nothing of this is said, and so is why the one
    beside the model cannot be used.
    """
    if tables is None:
        return Extras(plan={"wanted": False}, wanted=False)
    if tables.group_column is not None and tables.user_groups is None:
        raise InputError("--group-column is of a table of users: name it with --user-groups")
    plan: dict[str, Any] = {}
    said: list[str] = []
    beside = model.path.parent / model.metadata.items
    items, path = None, tables.items or (beside if beside.is_file() else None)
    if path is None:
        said.append(NEEDED)
    else:
        try:
            items = category_rows(path, item)
        except InputError as error:
            if tables.items is not None and not isinstance(error, NothingSaidError):
                raise  # such a table may be for another rule, as one of stock is
            said.append(str(error))
        if items is None:
            said.append(f"{path} has no categories; {NEEDED}" if not said else NEEDED)
        else:
            plan["items"] = _checksum(path)
    groups = None
    if tables.user_groups is not None:
        groups = find_groups(tables.user_groups, tables.group_column, tables.user_column)
        plan["groups"] = {"sha256": _checksum(tables.user_groups), "column": groups.column}
    return Extras(items, groups, plan, tuple(said))


def category_rows(path: Path, item: str | None = None) -> pl.DataFrame | None:
    """(item, column, value) every category of the items of a table: its genres, and columns of categories; None if it
    has none. Raises InputError as `find_items` does."""
    table = find_items(path, item=item).table
    columns = {name: pl.col(name) for name, dtype in table.schema.items() if isinstance(dtype, pl.List)}
    columns |= {GENRES: pl.col(GENRES).str.split("|")}
    rows = pl.concat(
        table.lazy()
        .select(ITEM, pl.lit(name).alias(COLUMN), values.alias(VALUE))
        .explode(VALUE)
        .with_columns(pl.col(VALUE).str.strip_chars())
        .filter(is_label(VALUE))
        .unique()
        for name, values in columns.items()
    ).collect()
    return None if rows.is_empty() else rows


def _checksum(path: Path) -> str:
    table = located(path)
    return sha256(table, files_in(table))
