"""Read interaction and item tables: CSV, TSV, `::`-separated or Parquet, into the shared columns.

In: a file, or a folder of Parquet files, and the names of its columns. Out: tidy interactions (user, item,
timestamp and, where present, rating and split), ordered by (user, timestamp, item), without repeated pairs.

    python -m infer.batch --model hybrid.onnx --interactions ratings.csv --user-column userId
"""

import io
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from infer import folders
from infer.errors import InputError
from infer.packed import unpack
from infer.reading import collect, collect_names, reading
from infer.schema import GENRES, ITEM, RATING, SPLIT, TIMESTAMP, TITLE, USER
from infer.tidy import Tidy, items_table, tidy

LINE = "line"
PARQUET = (".parquet", ".pq")
SEPARATORS = {".csv": ",", ".tsv": "\t", ".dat": "::", ".txt": "\t", ".inter": "\t", ".item": "\t"}
GUESSES = {
    USER: ("user", "userId", "user_id", "UserID"),
    ITEM: ("item", "movieId", "item_id", "MovieID", "itemId"),
    TIMESTAMP: ("timestamp", "Timestamp", "time"),
    RATING: ("rating", "Rating"),
    TITLE: ("title", "Title", "name"),
    GENRES: ("genres", "Genres", "genre"),
}


@dataclass(frozen=True)
class Columns:
    """How to read a table: its own column names, None for the usual ones (`GUESSES`); and whether rows that cannot be
    used are dropped and counted, or refused."""

    user: str | None = None
    item: str | None = None
    timestamp: str | None = None
    rating: str | None = None
    title: str | None = None
    genres: str | None = None
    drop_bad_rows: bool = False


def read_interactions(path: Path, columns: Columns = Columns()) -> Tidy:
    """Read and tidy one table of interactions; raises InputError naming the file and the row."""
    return tidy(collect(scan_interactions(path, columns), path), str(path), drop=columns.drop_bad_rows)


def scan_interactions(path: Path, columns: Columns = Columns(), unpacked: Path | None = None) -> pl.LazyFrame:
    """The columns that matter, lazily, under the shared names and in the types of the file.

    unpacked: the content of `path`, if that is a gzip file and not to be unpacked in memory.
    A folder is all Parquet files in it, in the order of their names (`infer.folders`).
    """
    if path.is_dir():
        return folders.concatenated([(part, _chosen(scan_table(part), part, columns)) for part in folders.parts(path)])
    return _chosen(scan_table(path, unpacked=unpacked), path, columns)


def _chosen(table: pl.LazyFrame, path: Path, columns: Columns) -> pl.LazyFrame:
    """The columns that matter under the shared names."""
    found = collect_names(table, path)
    names = _find(found, path, columns, needed=(USER, ITEM, TIMESTAMP), optional=(RATING,))
    keep = [pl.col(source).alias(target) for target, source in names.items()]
    return table.select(*keep, *([SPLIT] if SPLIT in found else []))


def read_items(path: Path, columns: Columns = Columns()) -> pl.DataFrame:
    """Read item titles and genres: (item, title, genres), absent columns filled with null."""
    table = read_table(path)
    names = _find(table.columns, path, columns, needed=(ITEM,), optional=(TITLE, GENRES))
    if len(names) == 1:
        raise InputError(f"{path} has neither titles nor genres; its columns: {_shown(table.columns)}")
    found = table.select(pl.col(source).alias(target) for target, source in names.items())
    return items_table(found, str(path))


def read_table(
    path: Path, separator: str | None = None, header: list[str] | None = None, encoding: str = "utf-8"
) -> pl.DataFrame:
    """Read a whole table; the arguments and errors are those of `scan_table`."""
    return collect(scan_table(path, separator, header, encoding), path)


def scan_table(
    path: Path,
    separator: str | None = None,
    header: list[str] | None = None,
    encoding: str = "utf-8",
    unpacked: Path | None = None,
) -> pl.LazyFrame:
    """A table, lazily; text files come with every value as text and a null for an empty one.

    separator: of a text file; by default from the name (.csv `,`; .tsv, .txt tab; .dat `::`).
    header: the column names of a text file that has no header line, and no quoting.
    encoding: of a text file, by Python's name.  unpacked: its content, if it is a gzip file.
    Raises InputError if the file is absent, empty, damaged, not UTF-8 or of an unknown type; damage
    further on shows when the rows are collected.
    """
    suffix = next((s for s in reversed(path.suffixes) if s != ".gz"), "")
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected a file")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty")
    if suffix not in PARQUET and separator is None and suffix not in SEPARATORS:
        known = ", ".join([*SEPARATORS, *PARQUET])
        raise InputError(f"{path} has an unknown type '{suffix}'; expected one of {known}")
    with reading(path):
        if suffix in PARQUET:
            return pl.scan_parquet(path, glob=False)
        source = unpacked or path
        if path.suffix == ".gz" and unpacked is None:
            content = io.BytesIO()
            unpack(path, content)
            source = content.getvalue()
        if encoding != "utf-8":
            source = (source if isinstance(source, bytes) else source.read_bytes()).decode(encoding).encode()
        return _scan_text(path, source, separator or SEPARATORS[suffix], header)


def _scan_text(path: Path, source: Path | bytes, separator: str, header: list[str] | None) -> pl.LazyFrame:
    if len(separator) == 1:
        if header is None:
            return pl.scan_csv(source, separator=separator, infer_schema=False, glob=False)
        return pl.scan_csv(
            source,
            separator=separator,
            has_header=False,
            infer_schema=False,
            new_columns=header,
            quote_char=None,
            glob=False,
        )
    # Polars separates at single bytes, so a longer separator is split here, from whole lines.
    lines = pl.scan_csv(
        source, separator="\x01", quote_char=None, has_header=False, infer_schema=False, new_columns=[LINE], glob=False
    )
    parts = lines.select(pl.col(LINE).str.split(separator))
    if header is None:
        first = parts.head(1).collect()[LINE]
        if first.is_empty() or first[0] is None:
            raise InputError(f"{path} has no header line")
        header, parts = first[0].to_list(), parts.slice(1)
    if len(set(header)) < len(header):
        raise InputError(f"{path} names a column twice: {_shown(header)}")
    fields = parts.select(pl.col(LINE).list.len().alias("fields")).with_row_index("row")
    wrong = fields.filter(pl.col("fields") != len(header)).head(1).collect(engine="streaming")
    if wrong.height:
        raise InputError(f"{path} row {wrong['row'][0] + 1} has {wrong['fields'][0]} fields; expected {len(header)}")
    return parts.select(pl.col(LINE).list.get(n).alias(name) for n, name in enumerate(header))


def _find(
    found: list[str], path: Path, columns: Columns, needed: tuple[str, ...], optional: tuple[str, ...]
) -> dict[str, str]:
    """Which of the file's columns holds what: {shared name: the file's name}."""
    names = {}
    for target in (*needed, *optional):
        stated = getattr(columns, target)
        if stated is not None and stated not in found:
            raise InputError(f"{path} has no column '{stated}'; its columns: {_shown(found)}")
        source = stated or next((g for g in GUESSES[target] if g in found), None)
        if source is not None:
            names[target] = source
        elif target in needed:
            raise InputError(
                f"{path} has no {target} column; its columns: {_shown(found)}; name it with --{target}-column"
            )
    return names


def _shown(columns: list[str]) -> str:
    shown = ", ".join(columns[:12]) + (", ..." if len(columns) > 12 else "")
    return shown if len(shown) <= 200 else shown[:200] + "..."
