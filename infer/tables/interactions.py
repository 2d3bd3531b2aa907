"""Read a table of interactions, whatever its format: a file, or a folder of Parquet files.

In: a path, and the names of its columns. Out: tidy interactions (user, item, timestamp and, where present, rating and
split), ordered by (user, timestamp, item), without repeated pairs.

    python -m infer.batch --model hybrid.onnx --interactions ratings.csv --user-column userId
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from infer.system.inputs import check_input
from infer.tables import folders
from infer.tables.columns import ITEM, RATING, SPLIT, TIMESTAMP, USER, Columns, find
from infer.tables.formats import is_parquet, scan_table
from infer.tables.packed import first_lines
from infer.tables.reading import collect, collect_names
from infer.tables.tidy import Tidy, tidy

OPTIONAL = (RATING, SPLIT)


def read_interactions(path: Path, columns: Columns = Columns(), optional: Sequence[str] = OPTIONAL) -> Tidy:
    """Read and tidy one table of interactions; optional: as of `choose_columns`.

    Raises InputError naming the file and the row.
    """
    rows = collect(scan_interactions(path, columns, optional=optional), path)
    return tidy(rows, str(path), drop=columns.drop_bad_rows)


def names_in(path: Path, columns: Columns = Columns()) -> list[str]:
    """The shared names of the columns that a table has; of a text file only the first lines are read."""
    check_input(path)
    start = None if path.is_dir() or is_parquet(path) else first_lines(path)
    return collect_names(scan_interactions(path, columns, start), path)


def scan_interactions(
    path: Path,
    columns: Columns = Columns(),
    unpacked: Path | bytes | None = None,
    optional: Sequence[str] = OPTIONAL,
) -> pl.LazyFrame:
    """The columns that matter, lazily, under the shared names and in the types of the file.

    unpacked: the content of `path`, if that is a gzip file and not to be unpacked in memory.  optional: as of
    `choose_columns`.
    A folder is all Parquet files in it, in the order of their names (`infer.tables.folders`).
    """
    if path.is_dir():
        return folders.concatenated(
            [(file, choose_columns(scan_table(file), file, columns, optional)) for file in folders.files_of(path)]
        )
    return choose_columns(scan_table(path, unpacked=unpacked), path, columns, optional)


def choose_columns(
    table: pl.LazyFrame, path: Path, columns: Columns, optional: Sequence[str] = OPTIONAL
) -> pl.LazyFrame:
    """The columns that matter, under the shared names.

    optional: which of rating and split are read where the table has them; the values of others do not matter.
    Raises InputError, naming `path`, if a column is missing, or one that was stated, though it is not read.
    """
    present = collect_names(table, path)
    names = find(present, path, columns, needed=(USER, ITEM, TIMESTAMP), optional=(RATING,))
    if RATING not in optional:
        names.pop(RATING, None)
    keep = [pl.col(source).alias(target) for target, source in names.items()]
    return table.select(*keep, *([SPLIT] if SPLIT in optional and SPLIT in present else []))
