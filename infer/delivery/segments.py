"""The segment of every user, from a table of users in any format.

In: the table, and the name of its column of segments. Out: the segments' names, and lists with a column `segment`.

    python -m infer.deliver --lists=artifacts/hybrid.topk.parquet --to="lists-{segment}.csv" \
        --segments=customers.csv --segment-column=plan

Users without a segment, and those that the table lacks, are in the segment `none`. The table may be of any length: it
is kept in sorted runs on the disk, of which each part of the lists reads what lies between its users.
"""

from pathlib import Path

import polars as pl

from infer.errors import InputError, unread
from infer.formats.databases import is_database
from infer.formats.layout import shown
from infer.formats.places import located, open_place
from infer.formats.reading import collect
from infer.tables.columns import USER, check_once, own_name
from infer.tables.ids import id_column, in_type
from infer.tables.texts import as_written

SEGMENT, NONE = "segment", "none"
MOST = 256  # segments
RUN = 400_000  # rows
GROUP = 16_384  # rows of a run that are read at once


class Segments:
    """A table of users with their segments. absent: users of the lists, so far, that it lacks; found: those it has."""

    def __init__(self, path: Path, column: str | None, user: str | None = None) -> None:
        """column: of the segments; None: `segment`.  user: what the table of interactions calls the column of users,
        which counts where this one has such a column, too.

        Raises InputError if the table cannot be read, or lacks one of them.
        """
        self.path, self.absent, self.found = path, 0, 0
        self.names: list[str] = []
        self.runs: list[Path] = []
        if is_database(path):
            raise InputError(f"--segments is a file, a folder or an address in the cloud; found {path}, a database")
        self.place = located(path)
        self.opened = open_place(self.place)
        names, user = self.opened.names, own_name(self.opened.names, USER, user)
        if user is None:
            raise InputError(f"{path} has no user column; its columns: {shown(names)}; call it 'user'")
        column = column or SEGMENT
        if column not in names:
            others = [name for name in names if name != user]
            raise InputError(f"{path} has no column '{column}' for --segment-column; it has: {shown(others)}")
        check_once(names, [user, column], path)
        self.user, self.column = user, column

    def sort(self, folder: Path, users: pl.DataType) -> None:
        """Read the table into runs in a folder; users: the type of the lists' users.

        Raises InputError if its users are of another type, one of them has two segments, or there are too many.
        """
        whole, found = folder / "users.parquet", set[str]()
        rows = self.opened.rows.select(pl.col(self.user).alias(USER), pl.col(self.column).alias(SEGMENT))
        try:
            rows.sink_parquet(whole)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(unread(self.path, error)) from None
        if rows.collect_schema()[SEGMENT].is_nested():
            raise InputError(f"{self.path} column '{self.column}' holds lists; expected one segment a user")
        scanned = pl.scan_parquet(whole, glob=False)
        height = int(collect(scanned.select(pl.len()), self.place).item())
        for start in range(0, height, RUN):
            run = collect(scanned.slice(start, RUN), self.place)
            names = as_written(run[SEGMENT], f"{self.path} column '{self.column}'", "names of segments")
            run = run.with_columns(self._ids(run, users), names).drop_nulls(USER)
            run = run.with_columns(pl.when(pl.col(SEGMENT) != "").then(SEGMENT).otherwise(pl.lit(NONE)).alias(SEGMENT))
            found.update(run[SEGMENT].unique())
            if len(found) > MOST:
                raise InputError(
                    f"{self.path} column '{self.column}' has over {MOST} values; expected names of segments"
                )
            self.runs.append(folder / f"run-{len(self.runs)}.parquet")
            run.unique().sort(USER, SEGMENT).write_parquet(self.runs[-1], row_group_size=GROUP)
        whole.unlink()
        if not self.runs:
            raise InputError(f"{self.path} has no users")
        self.names = sorted(found | {NONE})

    def _ids(self, run: pl.DataFrame, users: pl.DataType) -> pl.Series:
        """The users as the lists have them: Int64 or String."""
        ids = id_column(run, USER, str(self.path))
        if users == pl.String:
            return ids.cast(pl.String)
        numbers = in_type(ids, pl.Int64())
        strange = ids.filter(numbers.is_null() & ids.is_not_null())
        if len(strange):
            raise InputError(f"{self.path} has texts as users, as '{strange[0]}'; the lists have whole numbers")
        return numbers

    def joined(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of consecutive users with a further column `segment`; raises InputError if the lists have one."""
        if SEGMENT in rows.columns:
            raise InputError(f"the lists have a column {SEGMENT} already: deliver without --segments")
        key = pl.col(USER).cast(pl.String if rows.schema[USER] == pl.String else pl.Int64).alias("__user__")
        users = rows.select(key).unique(maintain_order=True)
        if users.is_empty():
            return rows.with_columns(pl.lit(None, pl.String).alias(SEGMENT))
        least, most = users["__user__"].min(), users["__user__"].max()
        near = pl.scan_parquet(self.runs, glob=False).filter(pl.col(USER).is_between(pl.lit(least), pl.lit(most)))
        own = collect(near.rename({USER: "__user__"}), self.place).join(users, on="__user__", how="semi").unique()
        twice = own.group_by("__user__").agg(pl.col(SEGMENT).sort()).filter(pl.col(SEGMENT).list.len() > 1)
        if twice.height:
            user, names = twice.sort("__user__").row(0)
            raise InputError(f"{self.path} has user {user} in the segments {' and '.join(names)}; expected one")
        self.found += own.height
        self.absent += users.height - own.height
        whole = rows.with_columns(key).join(own, on="__user__", how="left", maintain_order="left")
        return whole.with_columns(pl.col(SEGMENT).fill_null(NONE)).drop("__user__")

    def check_found(self) -> None:
        """Raises InputError if no user of the lists is in the table, as in that of another shop."""
        if self.absent and not self.found:
            raise InputError(f"{self.path} has none of the {self.absent:,} users of the lists: name another --segments")
