"""Open one table of any kind: CSV, TSV, `::`-separated text or Parquet, also packed with gzip.

In: a file. Out: its rows, lazily; text files come with every value as text and a null for an empty one.

    open_table(Path("ratings.csv")).rows.collect()
"""

import io
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from infer.errors import InputError
from infer.formats.layout import Layout, shown
from infer.formats.packed import check_unpacked, is_packed, unpack
from infer.formats.reading import collect, reading
from infer.system.files import replacing
from infer.system.inputs import check_input

LINE, UNPACKED = "line", "unpacked"
PARQUET = (".parquet", ".pq")
PACKED = ".gz"
SEPARATORS = {".csv": ",", ".tsv": "\t", ".dat": "::", ".txt": "\t", ".inter": "\t", ".item": "\t"}


def suffix_of(path: Path) -> str:
    """What kind of file its name says it is, in lower case; that it is packed is no kind."""
    return next((s.lower() for s in reversed(path.suffixes) if s.lower() != PACKED), "")


def is_parquet(path: Path) -> bool:
    """Whether the name, in any case, is one of a Parquet file."""
    return path.suffix.lower() in PARQUET


@dataclass(frozen=True)
class Opened:
    """A table as it is written.

    rows: lazily, under its own column names.  names: these names, in order; one may stand twice.  untyped: those
    whose values are texts only because the format has no types, so that `7` may be a number.  said: what was found
    out about the file, a sentence each.
    """

    rows: pl.LazyFrame
    names: list[str]
    untyped: frozenset[str] = frozenset()
    said: list[str] = field(default_factory=list)


def read_table(path: Path, layout: Layout = Layout()) -> pl.DataFrame:
    """Read a whole table; the arguments and errors are those of `open_table`."""
    return collect(open_table(path, layout).rows, path)


def open_table(path: Path, layout: Layout = Layout(), folder: Path | None = None) -> Opened:
    """Open one file, lazily; text comes with every value as text, and a null for an empty one.

    layout: how it is written.  folder: where content may be kept that must first be unpacked or recoded; None: memory.
    Raises InputError if the file is absent, empty, damaged or of an unknown type; damage further on shows when the
    rows are collected.
    """
    suffix = suffix_of(path)
    check_input(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected a file")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty")
    separator = layout.separator
    if suffix not in PARQUET and separator is None and suffix not in SEPARATORS:
        known = ", ".join([*SEPARATORS, *PARQUET])
        raise InputError(f"{path} has an unknown type '{suffix}'; expected one of {known}")
    with reading(path):
        if suffix in PARQUET:
            rows = pl.scan_parquet(path, glob=False)
            return Opened(rows, rows.collect_schema().names())
        source: Path | bytes = path
        if is_packed(path):
            if folder is None:
                content = io.BytesIO()
                unpack(path, content)
                source = content.getvalue()
            else:
                source = folder / UNPACKED
                with replacing(source) as temporary, temporary.open("wb") as file:
                    unpack(path, file)
        check_unpacked(_start(source), path)
        if layout.encoding is not None:
            source = (source if isinstance(source, bytes) else source.read_bytes()).decode(layout.encoding).encode()
        header = None if layout.header is None else layout.header.split(",")
        rows = _scan_text(path, source, separator or SEPARATORS[suffix], header)
        names = rows.collect_schema().names()
        return Opened(rows, names, frozenset(names))


def _start(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:4]
    with source.open("rb") as file:
        return file.read(4)


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
