"""Open one table of any kind: CSV, TSV, `::`-separated text or Parquet, also packed with gzip.

In: a file. Out: its rows, lazily; text files come with every value as text and a null for an empty one.

    scan_table(Path("ratings.csv")).collect()
"""

import io
from pathlib import Path

import polars as pl

from infer.errors import InputError
from infer.tables.columns import shown
from infer.tables.packed import unpack
from infer.tables.reading import collect, reading

LINE = "line"
PARQUET = (".parquet", ".pq")
SEPARATORS = {".csv": ",", ".tsv": "\t", ".dat": "::", ".txt": "\t", ".inter": "\t", ".item": "\t"}


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
        source: Path | bytes = unpacked or path
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
        raise InputError(f"{path} names a column twice: {shown(header)}")
    fields = parts.select(pl.col(LINE).list.len().alias("fields")).with_row_index("row")
    wrong = fields.filter(pl.col("fields") != len(header)).head(1).collect(engine="streaming")
    if wrong.height:
        raise InputError(f"{path} row {wrong['row'][0] + 1} has {wrong['fields'][0]} fields; expected {len(header)}")
    return parts.select(pl.col(LINE).list.get(n).alias(name) for n, name in enumerate(header))
