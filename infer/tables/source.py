"""A table of interactions of any length, read a range of users at a time.

In: a Parquet or text file. Out: a `Source`, whose parts are consecutive users; reading one gives
the same tidy rows that `infer.tables.interactions.read_interactions` gives of the whole. Memory holds a part.

    source = open_source(Path("ratings.parquet"), TableOptions(), folder)
    for part in source.parts: source.read(part)

Parquet that is ordered by user is read where it lies. Anything else is first checked, row by row,
and sorted into files in `folder`, a bounded number of rows at a time (`infer.tables.sorting`).
What was found out is kept there too: a later call only opens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from infer.errors import InputError
from infer.formats.opening import UNPACKED, is_parquet
from infer.formats.reading import collect, reading
from infer.system.files import replacing
from infer.system.inputs import check_input
from infer.tables.columns import ITEM, RATING, TIDY_KEY, TIMESTAMP, USER
from infer.tables.cutting import Part, cut
from infer.tables.interactions import OPTIONAL, scan_interactions
from infer.tables.notes import Notes
from infer.tables.options import TableOptions
from infer.tables.prepared import TEXT, Prepared, read_prepared, write_prepared
from infer.tables.sorting import cast_to, check, sorted_by_user
from infer.tables.tidy import tidy
from infer.tables.users import rows_of

PART_USERS = 8_192


@dataclass(frozen=True)
class Source:
    """Interactions ordered by user.

    path: the file as given.  rows: lazily, in the shared options, ordered by user.  ordered: whether
    also by (timestamp, item) within each user and without repeated pairs.  parts: whose rows follow
    each other and make up the whole.  notes: what was found in the rows (`infer.tables.tidy`).
    """

    path: Path
    rows: pl.LazyFrame
    ordered: bool
    parts: list[Part]
    notes: Notes = field(default_factory=Notes)

    @property
    def users(self) -> int:
        """How many users the table has."""
        return sum(part.users for part in self.parts)

    def read(self, part: Part) -> pl.DataFrame:
        """The part's rows (user, item, timestamp[, rating][, split]), ordered, no pair twice."""
        rows = collect(self.rows.slice(part.offset, part.rows), self.path)
        if not self.ordered:
            return tidy(rows, str(self.path), number_ids=False).interactions
        if rows.select(USER, ITEM, TIMESTAMP).null_count().sum_horizontal().item():
            raise InputError(f"{self.path} has rows without a user, item or timestamp")
        return rows


def open_source(
    path: Path,
    options: TableOptions,
    folder: Path,
    part_users: int = PART_USERS,
    *,
    optional: Sequence[str] = OPTIONAL,
) -> Source:
    """Find out how the table is ordered, sort it into `folder` if need be, and cut it into parts.

    folder: belongs to this very table, these columns and this `part_users`, and to one process at a time; what an
    earlier run found out is taken from it, and files that a stopped run left are used again.  optional: as of
    `infer.tables.interactions.choose_columns`.
    Raises InputError as `read_interactions` does, naming the file and the row.
    """
    check_input(path)
    prepared = read_prepared(folder)
    if prepared is None:
        prepared = _prepare(path, options, folder, part_users, optional)
        write_prepared(folder, prepared)
    if prepared.files is None:
        rows = scan_interactions(path, options, optional).rows
    else:
        rows = pl.scan_parquet([folder / name for name in prepared.files], glob=False)
    return Source(path, rows.with_columns(cast_to(prepared.types)), prepared.ordered, prepared.parts, prepared.notes)


def _prepare(path: Path, options: TableOptions, folder: Path, part_users: int, optional: Sequence[str]) -> Prepared:
    in_place = path.is_dir() or is_parquet(path)
    rows = scan_interactions(path, options, optional).rows if in_place else _text(path, options, folder, optional)
    files = None if in_place else [TEXT]
    if _says_ordered(path, rows):
        parts = cut(rows, path, part_users)
        if parts is None:
            raise _unordered(path)
        return Prepared(files, {}, True, parts, Notes())
    types, notes = check(rows, path, options.drop_bad_rows)
    parts = None if notes.unusable else cut(rows.with_columns(cast_to(types)), path, part_users)
    if parts is not None:
        return Prepared(files, types, False, parts, notes)
    ordered, repeated = sorted_by_user(rows, types, path, folder)
    notes.add(repeated)
    parts = cut(pl.scan_parquet(ordered, glob=False), path, part_users)
    if parts is None:
        raise _unordered(path)
    return Prepared([file.name for file in ordered], {}, True, parts, notes)


def _says_ordered(path: Path, rows: pl.LazyFrame) -> bool:
    """Whether a Parquet file says that it is tidy, and has the types that `tidy` gives."""
    if path.is_dir() or not is_parquet(path):
        return False
    with reading(path):
        return TIDY_KEY in pl.read_parquet_metadata(path) and _is_typed(rows.collect_schema())


def _unordered(path: Path) -> InputError:
    return InputError(f"{path} says that it is ordered by user, but is not: write it again")


def select_users(source: Source, wanted: str | Sequence[str], part_users: int = PART_USERS) -> Source:
    """The source of some users alone (`infer.tables.users.rows_of`), in memory.

    Raises InputError if the table lacks one of them.
    """
    rows = rows_of(source.rows, wanted, source.path)
    rows = rows if source.ordered else tidy(rows, str(source.path), number_ids=False).interactions
    return replace(from_frame(source.path, rows, part_users), notes=source.notes)


def from_frame(path: Path, table: pl.DataFrame, part_users: int = PART_USERS) -> Source:
    """A source of rows that are in memory, tidy already; raises ValueError if they are not ordered by user."""
    parts = cut(table.lazy(), path, part_users)
    if parts is None:
        raise ValueError(f"{path}: expected rows that are ordered by user")
    return Source(path, table.lazy(), True, parts)


def _is_typed(schema: pl.Schema) -> bool:
    """Whether the columns have the types that `tidy` gives them."""
    ids = all(schema[name] in (pl.Int64, pl.String) for name in (USER, ITEM))
    return ids and schema[TIMESTAMP].is_numeric() and (RATING not in schema or schema[RATING].is_numeric())


def _text(path: Path, options: TableOptions, folder: Path, optional: Sequence[str]) -> pl.LazyFrame:
    """The rows of a text file, from one in which any slice can be read without what comes before it."""
    target = folder / TEXT
    if not target.exists():
        scanned = scan_interactions(path, options, optional, folder)
        with replacing(target) as temporary, reading(path):
            scanned.rows.sink_parquet(temporary)
        (folder / UNPACKED).unlink(missing_ok=True)
    return pl.scan_parquet(target, glob=False)
