"""Read a table of interactions, wherever it lies: in a file, a folder, the cloud or a database.

In: a path, and the names of its columns. Out: tidy interactions (user, item, timestamp and, where present, rating and
split), ordered by (user, timestamp, item), without repeated pairs.

    python -m infer.batch --model hybrid.onnx --interactions ratings.csv --user-column userId
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from infer.formats.opening import Opened
from infer.formats.places import located, open_files
from infer.formats.reading import collect, collect_names
from infer.tables.columns import ITEM, RATING, SPLIT, TIMESTAMP, USER, find
from infer.tables.concatenated import concatenated
from infer.tables.options import TableOptions
from infer.tables.tidy import Tidy, tidy

OPTIONAL = (RATING, SPLIT)


@dataclass(frozen=True)
class Scanned:
    """A table under the shared names, lazily, in the types of the file.

    untyped, said: as of `infer.formats.opening.Opened`, under the shared names.
    """

    rows: pl.LazyFrame
    untyped: frozenset[str] = frozenset()
    said: list[str] = field(default_factory=list)


def read_interactions(path: Path, options: TableOptions = TableOptions(), optional: Sequence[str] = OPTIONAL) -> Tidy:
    """Read and tidy one table of interactions; optional: as of `choose_columns`.

    Raises InputError naming the file and the row.
    """
    path = located(path, options.layout)
    scanned = scan_interactions(path, options, optional)
    return tidy(collect(scanned.rows, path), str(path), drop=options.drop_bad_rows)


def names_in(path: Path, options: TableOptions = TableOptions()) -> list[str]:
    """The shared names of the columns that a table has."""
    path = located(path, options.layout)
    return collect_names(scan_interactions(path, options).rows, path)


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
    scanned = [(file, choose_columns(opened, file, options, optional)) for file, opened in files]
    if len(scanned) == 1:
        return scanned[0][1]
    untyped = frozenset[str]().union(*(one.untyped for _, one in scanned))
    said = list(dict.fromkeys(line for _, one in scanned for line in one.said))
    return Scanned(concatenated([(file, one.rows) for file, one in scanned]), untyped, said)


def choose_columns(opened: Opened, path: Path, options: TableOptions, optional: Sequence[str] = OPTIONAL) -> Scanned:
    """The columns that matter, under the shared names.

    optional: which of rating and split are read where the table has them; the values of others do not matter.
    Raises InputError, naming `path`, if a column is missing, or one that was stated, though it is not read.
    """
    names = find(opened.names, path, options, needed=(USER, ITEM, TIMESTAMP), optional=(RATING,))
    if RATING not in optional:
        names.pop(RATING, None)
    if SPLIT in optional and SPLIT in opened.names:
        names[SPLIT] = SPLIT
    rows = opened.rows.select(pl.col(source).alias(target) for target, source in names.items())
    return Scanned(rows, frozenset(n for n, source in names.items() if source in opened.untyped), opened.said)
