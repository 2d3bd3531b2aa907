"""A table of interactions of any length, read a range of users at a time.

In: a Parquet or text file. Out: a `Source`, whose parts are consecutive users; reading one gives
the same tidy rows that `infer.tables.interactions.read_interactions` gives of the whole. Memory holds a part.

    source = open_source(Path("ratings.parquet"), TableOptions(), folder)
    for part in source.parts: source.read(part)

Parquet that is ordered by user is read where it lies. Anything else is first checked, row by row,
and sorted into files in `folder`, a bounded number of rows at a time (`infer.sources.sorting`).
What was found out is kept there too: a later call only opens.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from infer.errors import InputError
from infer.formats.opening import UNPACKED, is_parquet
from infer.formats.reading import collect, reading
from infer.sources.cutting import Part, cut
from infer.sources.prepared import ABOUT, TEXT, Prepared, read_prepared, write_prepared
from infer.sources.sorting import check, sorted_by_user
from infer.sources.users import rows_of
from infer.system.files import replacing, write_text
from infer.system.inputs import check_input
from infer.tables.columns import ITEM, RATING, TIDY_KEY, TIMESTAMP, USER
from infer.tables.ids import IDS, IdTypes, Known, id_types
from infer.tables.interactions import OPTIONAL, Scanned, scan_interactions
from infer.tables.notes import Notes
from infer.tables.options import TableOptions
from infer.tables.rules import repeats_of
from infer.tables.tidy import Rules, Tidy, checked, in_order
from infer.tables.timestamps import Notation

PART_USERS = 8_192


@dataclass(frozen=True)
class Source:
    """Interactions ordered by user.

    path: the file as given.  rows: lazily, in the shared columns, ordered by user, ids in the types in which they are
    read.  ordered: whether also by (timestamp, item) within each user and without what the rules leave out.  parts:
    whose rows follow each other and make up the whole.  types: of the ids.  rules: how rows are read that are not in
    order yet.  notes: what was found in the rows (`infer.tables.tidy`).
    """

    path: Path
    rows: pl.LazyFrame
    ordered: bool
    parts: list[Part]
    types: IdTypes
    rules: Rules
    notes: Notes = field(default_factory=Notes)

    @property
    def users(self) -> int:
        """How many users the table has."""
        return sum(part.users for part in self.parts)

    def read(self, part: Part, notes: Notes | None = None) -> pl.DataFrame:
        """The part's rows (user, item, timestamp[, rating][, split]), ordered, by default no pair twice.

        notes: where is counted what was left out just now.
        """
        rows = collect(self.rows.slice(part.offset, part.rows), self.path)
        if not self.ordered:
            return in_order(checked(rows, self.rules)[0], self.rules, Notes() if notes is None else notes)
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
    known: Known = Known(),
) -> Source:
    """Find out how the table is ordered, sort it into `folder` if need be, and cut it into parts.

    folder: belongs to this very table, these options and this `part_users`, and to one process at a time; what an
    earlier run found out is taken from it, and files that a stopped run left are used again.  optional: as of
    `infer.tables.interactions.choose_columns`.  known: the types of the ids that a model knows.
    Raises InputError as `read_interactions` does, naming the file and the row.
    """
    check_input(path)
    prepared = read_prepared(folder)
    if prepared is None:
        prepared = _prepare(path, options, folder, part_users, optional, known)
        write_prepared(folder, prepared)
    if prepared.files is None:
        rows = scan_interactions(path, options, optional).rows
    else:
        rows = pl.scan_parquet([folder / name for name in prepared.files], glob=False)
    if not prepared.sorted:
        rows = rows.with_columns(prepared.types.to_read())
    rules = Rules(str(path), options, prepared.notation)
    return Source(path, rows, prepared.ordered, prepared.parts, prepared.types, rules, prepared.notes)


def _prepare(
    path: Path, options: TableOptions, folder: Path, part_users: int, optional: Sequence[str], known: Known
) -> Prepared:
    scanned = scan_interactions(path, options, optional) if path.is_dir() or is_parquet(path) else None
    files = None
    if scanned is None or scanned.files > 1:
        scanned, files = _copied(path, options, folder, optional), [TEXT]
    if _says_ordered(path, scanned.rows, options, known):
        parts = _cut(scanned.rows, path, part_users)
        if parts is None:
            raise _unordered(path)
        types = id_types(scanned.rows.collect_schema(), {}, (), known)
        return Prepared(files, types, Notation(), True, True, parts, Notes())
    rules, types, notes = check(scanned, path, options, known)
    notes.said[:0] = [*scanned.said, *scanned.left_out(options.where, path)]
    parts = None if notes.left_out else _cut(scanned.rows.with_columns(types.to_read()), path, part_users)
    if parts is not None:
        return Prepared(files, types, rules.notation, False, False, parts, notes)
    ordered, found = sorted_by_user(scanned.rows, types, rules, path, folder)
    notes.add(found)
    parts = _cut(pl.scan_parquet(ordered, glob=False), path, part_users)
    if parts is None:
        raise _unordered(path)
    return Prepared([file.name for file in ordered], types, rules.notation, True, True, parts, notes)


def _cut(rows: pl.LazyFrame, path: Path, part_users: int) -> list[Part] | None:
    """The parts of a table; None if its users are not together.  Raises InputError if it has no rows."""
    parts = cut(rows, path, part_users)
    if parts is not None and not parts:
        raise InputError(f"{path} has no rows")
    return parts


def _says_ordered(path: Path, rows: pl.LazyFrame, options: TableOptions, known: Known) -> bool:
    """Whether a Parquet file says that it is tidy, has the types that `tidy` gives, and is to be read as it stands."""
    if path.is_dir() or not is_parquet(path) or options.where is not None or options.least_rating is not None:
        return False
    with reading(path):
        about, schema = pl.read_parquet_metadata(path), rows.collect_schema()
    retyped = any(schema[name] != pl.String and known.as_text(name, False) for name in IDS)
    return TIDY_KEY in about and _is_typed(schema) and not retyped and options.repeats in (None, repeats_of(about))


def _unordered(path: Path) -> InputError:
    return InputError(f"{path} says that it is ordered by user, but is not: write it again")


def select_users(source: Source, wanted: str | Sequence[str], part_users: int = PART_USERS) -> Source:
    """The source of some users alone (`infer.sources.users.rows_of`), in memory.

    Raises InputError if the table lacks one of them.
    """
    rows = rows_of(source.rows, wanted, source.path)
    if not source.ordered:
        rows = in_order(checked(rows, source.rules)[0], source.rules, Notes())
    parts = cut(rows.lazy(), source.path, part_users)
    if parts is None:
        raise _unordered(source.path)
    return replace(source, rows=rows.lazy(), ordered=True, parts=parts)


def from_frame(path: Path, tidied: Tidy, options: TableOptions, part_users: int = PART_USERS) -> Source:
    """A source of rows that are in memory, tidy already; raises ValueError if they are not ordered by user."""
    rows = tidied.interactions.lazy()
    parts = cut(rows, path, part_users)
    if parts is None:
        raise ValueError(f"{path}: expected rows that are ordered by user")
    return Source(path, rows, True, parts, tidied.types, Rules(str(path), options), tidied.notes)


def _is_typed(schema: pl.Schema) -> bool:
    """Whether the columns have the types that `tidy` gives them."""
    ids = all(schema[name] in (pl.Int64, pl.String) for name in (USER, ITEM))
    return ids and schema[TIMESTAMP].is_numeric() and (RATING not in schema or schema[RATING].is_numeric())


def _copied(path: Path, options: TableOptions, folder: Path, optional: Sequence[str]) -> Scanned:
    """The rows of a text or of files that are not alike, from a file of which any slice can be read alone."""
    target, about = folder / TEXT, folder / ABOUT
    if not (target.exists() and about.exists()):
        scanned = scan_interactions(path, options, optional, folder)
        said = [*scanned.said, *scanned.left_out(options.where, path)]
        with replacing(target) as temporary, reading(path):
            scanned.rows.sink_parquet(temporary)
            if pl.scan_parquet(temporary, glob=False).head(1).collect().is_empty():
                raise scanned.nothing(path, options)
        (folder / UNPACKED).unlink(missing_ok=True)
        known = {"untyped": sorted(scanned.untyped), "said": said, "parts": [*scanned.heights()]}
        write_text(about, json.dumps(known) + "\n")
    found = json.loads(about.read_text(encoding="utf-8"))
    parts = [(name, height) for name, height in found.get("parts", [])]
    return Scanned(pl.scan_parquet(target, glob=False), frozenset(found["untyped"]), found["said"], parts=parts)
