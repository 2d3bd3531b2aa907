"""Read a table of interactions, whatever its format: a file, or a folder of Parquet files.

In: a path, and the names of its columns. Out: tidy interactions (user, item, timestamp and, where present, rating and
split), ordered by (user, timestamp, item), without repeated pairs.

    python -m infer.batch --model hybrid.onnx --interactions ratings.csv --user-column userId
"""

from pathlib import Path

import polars as pl

from infer.tables import folders
from infer.tables.columns import ITEM, RATING, SPLIT, TIMESTAMP, USER, Columns, find
from infer.tables.formats import scan_table
from infer.tables.reading import collect, collect_names
from infer.tables.tidy import Tidy, tidy


def read_interactions(path: Path, columns: Columns = Columns()) -> Tidy:
    """Read and tidy one table of interactions; raises InputError naming the file and the row."""
    return tidy(collect(scan_interactions(path, columns), path), str(path), drop=columns.drop_bad_rows)


def scan_interactions(path: Path, columns: Columns = Columns(), unpacked: Path | None = None) -> pl.LazyFrame:
    """The columns that matter, lazily, under the shared names and in the types of the file.

    unpacked: the content of `path`, if that is a gzip file and not to be unpacked in memory.
    A folder is all Parquet files in it, in the order of their names (`infer.tables.folders`).
    """
    if path.is_dir():
        return folders.concatenated(
            [(file, choose_columns(scan_table(file), file, columns)) for file in folders.files_of(path)]
        )
    return choose_columns(scan_table(path, unpacked=unpacked), path, columns)


def choose_columns(table: pl.LazyFrame, path: Path, columns: Columns) -> pl.LazyFrame:
    """The columns that matter, under the shared names; raises InputError, naming `path`, if one is missing."""
    present = collect_names(table, path)
    names = find(present, path, columns, needed=(USER, ITEM, TIMESTAMP), optional=(RATING,))
    keep = [pl.col(source).alias(target) for target, source in names.items()]
    return table.select(*keep, *([SPLIT] if SPLIT in present else []))
