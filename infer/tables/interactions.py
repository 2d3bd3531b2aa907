"""Read a table of interactions, wherever it lies: in a file, a folder, the cloud or a database.

In: a path, and how it is to be read. Out: tidy interactions (user, item, timestamp and, where present, rating and
split), ordered by (user, timestamp, item), without repeated pairs.

    python -m infer.batch --model hybrid.onnx --interactions ratings.csv --user-column userId
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from infer.errors import InputError
from infer.formats.layout import shown
from infer.formats.opening import Opened, first_rows
from infer.formats.places import is_plain_file, located, one_scan, open_files
from infer.formats.reading import collect, collect_names
from infer.tables import columns
from infer.tables.columns import ITEM, RATING, ROW, SPLIT, TIMESTAMP, USER, find
from infer.tables.concatenated import concatenated
from infer.tables.events import chosen, named_in, weights_of
from infer.tables.ids import Known
from infer.tables.options import TableOptions
from infer.tables.tidy import Tidy, nothing_in, tidy

OPTIONAL = (RATING, SPLIT)


@dataclass(frozen=True)
class Scanned:
    """A table under the shared names, lazily, in the types of the file.

    untyped, said: as of `infer.formats.opening.Opened`, under the shared names.  every: the rows before some were
    left out by `where`, for counting; None if all are there.  files: how many tables they are put together of, all of
    which any slice of the rows asks.  parts: the files of a folder, and their rows or how many these are, all of them.
    """

    rows: pl.LazyFrame
    untyped: frozenset[str] = frozenset()
    said: list[str] = field(default_factory=list)
    every: pl.LazyFrame | None = None
    files: int = 1
    parts: Sequence[tuple[str, int | pl.LazyFrame]] = ()

    def place(self, row: int) -> str:
        """In which of several files a row (from 0) stands, as ` (row 3 of day=2/b.parquet)`; empty of one file."""
        for name, height in self.heights():
            if row < height:
                return f" (row {row + 1} of {name})"
            row -= height
        return ""

    def heights(self) -> Iterator[tuple[str, int]]:
        """The files of a folder, and how many rows each has."""
        for name, rows in self.parts:
            yield name, rows if isinstance(rows, int) else collect(rows.select(pl.len()), Path(name)).item()

    def nothing(self, path: Path, options: TableOptions) -> InputError:
        """What to raise where no row counts: `where` is to blame only if there were rows that it could leave out."""
        blamed = self.every is not None and collect(self.every.head(1), path).height > 0
        return nothing_in(str(path), options if blamed else replace(options, where=None))

    def left_out(self, where: str | None, path: Path) -> list[str]:
        """What is said of the rows that `where` leaves out."""
        if self.every is None:
            return []
        kept, total = (collect(rows.select(pl.len()), path).item() for rows in (self.rows, self.every))
        return [f'{kept:,} of {total:,} rows count (--where "{where}")']


def read_interactions(
    path: Path,
    options: TableOptions = TableOptions(),
    optional: Sequence[str] = OPTIONAL,
    known: Known = Known(),
) -> Tidy:
    """Read and tidy one table of interactions; optional: as of `choose_columns`; known: as of `tidy`.

    Raises InputError naming the file and the row.
    """
    path = located(path, options.layout)
    scanned = scan_interactions(path, options, optional)
    rows = collect(scanned.rows, path)
    if rows.is_empty():
        raise scanned.nothing(path, options)
    tidied = tidy(rows, str(path), options, scanned.untyped, known, scanned.place)
    tidied.notes.said[:0] = [*scanned.said, *scanned.left_out(options.where, path)]
    return tidied


def names_in(path: Path, options: TableOptions = TableOptions()) -> list[str]:
    """The shared names of the columns that a table has, from the first lines of a file alone."""
    path = located(path, options.layout)
    if not is_plain_file(path):
        return collect_names(scan_interactions(path, options).rows, path)
    return collect_names(choose_columns(first_rows(path, options.layout), path, options).rows, path)


def column_names(path: Path, options: TableOptions) -> list[str]:
    """A table's own names of columns, from the first lines of a file alone."""
    if is_plain_file(path):
        return first_rows(path, options.layout).names
    return open_files(path, options.layout)[0][1].names


def scan_interactions(
    path: Path,
    options: TableOptions = TableOptions(),
    optional: Sequence[str] = OPTIONAL,
    folder: Path | None = None,
) -> Scanned:
    """The columns that matter, lazily, under the shared names and in the types of the file.

    optional: as of `choose_columns`.  folder: as of `infer.formats.opening.open_table`.
    A folder is all files in it, in the order of their names.
    """
    files = open_files(path, options.layout, folder)
    if len(files) == 1:
        return choose_columns(files[0][1], path, options, optional)
    parts, first = list[tuple[Path, Scanned]](), 0
    for file, opened in files:
        parts.append((file, _chosen(opened, file, options, optional, first)))
        if options.where is not None:
            first += collect(opened.rows.select(pl.len()), file).item()
    before = [part.every.select(pl.first().is_null().alias(ROW)) for _, part in parts if part.every is not None]
    untyped = frozenset[str]().union(*(part.untyped for _, part in parts))
    said = list(dict.fromkeys(line for _, part in parts for line in part.said))
    tables = [(file, part.rows) for file, part in parts]
    alike = one_scan(files) if options.where is None else None
    if alike is not None:
        tables = [(files[0][0], _chosen(alike, files[0][0], options, optional).rows)]
    rows = _ordered(concatenated(tables), options)
    found = [(str(file.relative_to(path)), opened.rows) for file, opened in files]
    return Scanned(rows, untyped, said, pl.concat(before) if before else None, len(tables), found)


def choose_columns(opened: Opened, path: Path, options: TableOptions, optional: Sequence[str] = OPTIONAL) -> Scanned:
    """The columns that matter, under the shared names, of the rows that count.

    optional: which of rating and split are read where the table has them; the values of others do not matter.
    Without an order in time, the timestamp is the number of the row, or 0 if rows have no order at all.
    Raises InputError, naming `path`, if a column is missing, or one that was stated, though it is not read.
    """
    scanned = _chosen(opened, path, options, optional)
    return replace(scanned, rows=_ordered(scanned.rows, options))


def _chosen(opened: Opened, path: Path, options: TableOptions, optional: Sequence[str], first_row: int = 0) -> Scanned:
    """`choose_columns`, but for an order that is no column's.  first_row: how many rows of a folder come before."""
    if options.order != "time" and options.timestamp is not None:
        raise InputError(f"--order={options.order} reads no times: leave out --timestamp-column")
    timed = (TIMESTAMP,) if options.order == "time" else ()
    rated = () if options.event is not None else (RATING,)
    names = find(opened.names, path, options, needed=(USER, ITEM, *timed), optional=rated)
    said = [*opened.said, *([columns.told(names)] if columns.told(names) else [])]
    _weigh(names, opened, path, options)
    if options.least_rating is not None and RATING not in names:
        raise InputError(
            f"{path} has no rating column, which --least-rating={options.least_rating:g} needs; its columns: "
            f"{shown(opened.names)}; name it with --rating-column"
        )
    if RATING not in optional and options.least_rating is None:
        names.pop(RATING, None)
    if options.split is None and SPLIT in optional and SPLIT in opened.names:
        said.append(f"the column '{SPLIT}' is not used; --split-column={SPLIT} (train.data: --split=own) uses it")
    if options.split is not None:
        if options.split not in opened.names:
            raise InputError(f"{path} has no column '{options.split}'; its columns: {shown(opened.names)}")
        columns.check_once(opened.names, [options.split], path)
        if SPLIT in optional:
            names[SPLIT] = options.split
    rows, place, used = opened.rows, columns.unused(ROW, opened.names), [*names.values()]
    if options.where is not None:
        rows = chosen(rows.with_row_index(place, first_row), options.where, opened.names, opened.untyped, str(path))
        used += named_in(options.where)
    lacking = next((name for name in used if name in opened.lacking), None)
    if lacking is not None:
        raise InputError(
            f"{path}: {opened.lacking[lacking]} has no column '{lacking}', which other files have; expected it in all "
            "or none"
        )
    rows = rows.select(
        *(pl.col(source).alias(target) for target, source in names.items()),
        *([pl.col(place).alias(ROW)] if options.where is not None else []),
    )
    untyped = frozenset(name for name, source in names.items() if source in opened.untyped)
    every = None if options.where is None else opened.rows
    return Scanned(rows, untyped, said, every, parts=opened.parts)


def _ordered(rows: pl.LazyFrame, options: TableOptions) -> pl.LazyFrame:
    """The rows with a timestamp that says their order, where none of their columns does."""
    if options.order == "rows":
        return rows.with_row_index(TIMESTAMP).cast({TIMESTAMP: pl.Int64})
    return rows.with_columns(pl.lit(0, pl.Int64).alias(TIMESTAMP)) if options.order == "none" else rows


def _weigh(names: dict[str, str], opened: Opened, path: Path, options: TableOptions) -> None:
    """Let the column of events stand where that of ratings would."""
    if (options.event is None) != (options.event_weights is None):
        raise InputError("--event-column names the column of event types and --event-weights weighs them: give both")
    if options.event is None or options.event_weights is None:
        return
    if options.rating is not None:
        raise InputError("--event-weights stands where ratings would: give it, or --rating-column")
    weights_of(options.event_weights)
    if options.event not in opened.names:
        raise InputError(f"{path} has no column '{options.event}'; its columns: {shown(opened.names)}")
    columns.check_once(opened.names, [options.event], path)
    names[RATING] = options.event
