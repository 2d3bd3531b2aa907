"""A table of interactions of any length, read a range of users at a time.

In: a Parquet or text file. Out: a `Source`, whose parts are consecutive users; reading one gives
the same tidy rows that `infer.tables.interactions.read_interactions` gives of the whole. Memory holds a part.

    source = open_source(Path("ratings.parquet"), Columns(), folder)
    for part in source.parts: source.read(part)

Parquet that is ordered by user is read where it lies. Anything else is first checked, row by row,
and sorted into temporary files in `folder`, a bounded number of rows at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from infer.errors import InputError
from infer.system.files import replacing
from infer.tables.columns import ITEM, RATING, TIDY_KEY, TIMESTAMP, USER, Columns
from infer.tables.formats import PARQUET
from infer.tables.interactions import scan_interactions
from infer.tables.notes import Notes
from infer.tables.packed import unpack
from infer.tables.reading import collect, reading
from infer.tables.sorting import ROWS, blocks, sorted_by_user, typed
from infer.tables.tidy import tidy
from infer.tables.users import rows_of

PART_USERS = 8_192


@dataclass(frozen=True)
class Part:
    """Consecutive users: their number, and where their rows lie in the ordered table."""

    number: int
    users: int
    offset: int
    rows: int


@dataclass(frozen=True)
class Source:
    """Interactions ordered by user.

    path: the file as given.  rows: lazily, in the shared columns, ordered by user.  ordered: whether
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


def open_source(path: Path, columns: Columns, folder: Path, part_users: int = PART_USERS) -> Source:
    """Find out how the table is ordered, sort it into `folder` if need be, and cut it into parts.

    folder: belongs to this very table; files that a stopped run left there are used again.
    Raises InputError as `read_interactions` does, naming the file and the row.
    """
    rows, ordered, notes = _rows(path, columns, folder), False, Notes()
    if path.is_file() and path.suffix in PARQUET:
        with reading(path):
            ordered = TIDY_KEY in pl.read_parquet_metadata(path) and _is_typed(rows.collect_schema())
    if not ordered:
        rows, notes = typed(rows, path, folder, columns.drop_bad_rows)
    source = Source(path, rows, ordered, [], notes)
    parts = _cut(source, part_users)
    if parts is None and not ordered:
        rows, repeated = sorted_by_user(source.rows, path, folder)
        notes.add(repeated)
        source = Source(path, rows, True, [], notes)
        parts = _cut(source, part_users)
    if parts is None:
        raise InputError(f"{path} says that it is ordered by user, but is not: write it again")
    return replace(source, parts=parts)


def select_users(source: Source, wanted: str | Sequence[str]) -> Source:
    """The source of some users alone (`infer.tables.users.rows_of`), in memory.

    Raises InputError if the table lacks one of them.
    """
    rows = rows_of(source.rows, wanted, source.path)
    rows = rows if source.ordered else tidy(rows, str(source.path), number_ids=False).interactions
    return replace(from_frame(source.path, rows), notes=source.notes)


def from_frame(path: Path, table: pl.DataFrame, part_users: int = PART_USERS) -> Source:
    """A source of rows that are in memory, tidy already; raises ValueError if they are not ordered by user."""
    source = Source(path, table.lazy(), True, [])
    parts = _cut(source, part_users)
    if parts is None:
        raise ValueError(f"{path}: expected rows that are ordered by user")
    return replace(source, parts=parts)


def _is_typed(schema: pl.Schema) -> bool:
    """Whether the columns have the types that `tidy` gives them."""
    ids = all(schema[name] in (pl.Int64, pl.String) for name in (USER, ITEM))
    return ids and schema[TIMESTAMP].is_numeric() and (RATING not in schema or schema[RATING].is_numeric())


def _rows(path: Path, columns: Columns, folder: Path) -> pl.LazyFrame:
    """The table's rows, lazily; those of text come from a file in which any slice can be read without what comes
    before it."""
    if path.is_dir() or path.suffix in PARQUET:
        return scan_interactions(path, columns)
    target, unpacked = folder / "text.parquet", None
    if not target.exists():
        if path.suffix == ".gz" and path.is_file():
            unpacked = folder / "unpacked"
            with replacing(unpacked) as temporary, temporary.open("wb") as file:
                unpack(path, file)
        rows = scan_interactions(path, columns, unpacked)
        with replacing(target) as temporary, reading(path):
            rows.sink_parquet(temporary)
        if unpacked is not None:
            unpacked.unlink()
    return pl.scan_parquet(target, glob=False)


def _cut(source: Source, part_users: int) -> list[Part] | None:
    """Parts of at most `part_users` users and, but for a single user, `ROWS` rows; None if the
    table is not ordered by user."""
    last, begins, total = None, [], 0
    for block in blocks(source.rows.select(USER), source.path, "reading users"):
        users = block[USER]
        if not users.is_sorted() or (last is not None and users[0] < last):
            return None
        changed = (users != users.shift()).fill_null(True).to_numpy().copy()
        changed[0] = last is None or users[0] != last
        begins.append(np.flatnonzero(changed) + total)
        last, total = users[-1], total + block.height
    starts = np.concatenate([*begins, [total]])
    parts: list[Part] = []
    first = 0
    while first < len(starts) - 1:
        full = int(np.searchsorted(starts, starts[first] + ROWS, side="right")) - 1
        stop = max(first + 1, min(full, first + part_users, len(starts) - 1))
        parts.append(Part(len(parts), stop - first, int(starts[first]), int(starts[stop] - starts[first])))
        first = stop
    return parts
