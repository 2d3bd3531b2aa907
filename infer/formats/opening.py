"""Open one table of any kind: separated text, JSON lines, Parquet or Arrow; text also packed, in any encoding.

In: a file. Out: its rows, lazily; text files come with every value as text and a null for an empty one.

    open_table(Path("ratings.csv")).rows.collect()

What a file is follows from its first bytes, then from its name.
"""

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from infer.errors import InputError
from infer.formats import sniffing, text
from infer.formats.content import UNPACKED, Content, Look, content_of, first_look, plain_name
from infer.formats.layout import Layout
from infer.formats.quoting import checked_fields
from infer.formats.reading import collect, reading
from infer.system.inputs import check_input

__all__ = ["UNPACKED", "Opened", "first_rows", "is_parquet", "kind_of", "open_table", "read_table", "suffix_of"]

MAGIC = {b"PAR1": "parquet", b"ARROW1": "arrow"}
PARQUET = (".parquet", ".pq")
KINDS = {".parquet": "parquet", ".pq": "parquet", ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow",
         ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}  # fmt: skip
SHOWN = {"parquet": "Parquet", "arrow": "Arrow", "jsonl": "JSON lines", "csv": "separated text"}
TEXT_OPTIONS = ("separator", "header", "nulls", "quote")


@dataclass(frozen=True)
class Opened:
    """A table as it is written.

    rows: lazily, under its own column names; of a name that stands twice, the first column has it.  names: these names,
    in order; one may stand twice.  untyped: those whose values are texts only because the format has no types, so that
    `7` may be a number.  said: what was found out about the file, a sentence each.  lacking: names that not all files
    of a folder have, and the first file without each.  parts: the files of a folder that was put together, and how
    many rows each has, in order.
    """

    rows: pl.LazyFrame
    names: list[str]
    untyped: frozenset[str] = frozenset()
    said: list[str] = field(default_factory=list)
    lacking: dict[str, str] = field(default_factory=dict)
    parts: list[tuple[str, int]] = field(default_factory=list)


def suffix_of(path: Path) -> str:
    """What kind of file its name says it is, in lower case; that it is packed is no kind."""
    return Path(plain_name(path)).suffix


def is_parquet(path: Path) -> bool:
    """Whether it is a file that begins as Parquet does, whatever its name."""
    return path.is_file() and _magic(path) == "parquet"


def read_table(path: Path, layout: Layout = Layout()) -> pl.DataFrame:
    """Read a whole table; the arguments and errors are those of `open_table`."""
    return collect(open_table(path, layout).rows, path)


def kind_of(path: Path, layout: Layout = Layout()) -> str:
    """What a file is: parquet, arrow, jsonl, or csv (separated text); raises InputError as `open_table` does."""
    return _looked_at(path, layout)[0]


def open_table(path: Path, layout: Layout = Layout(), folder: Path | None = None) -> Opened:
    """Open one file, lazily; text comes with every value as text, and a null for an empty one.

    layout: how it is written.  folder: where content may be kept that must first be unpacked or recoded; None: memory.
    Raises InputError if the file is absent, empty, damaged, or can be read in more than one way; damage further on
    shows when the rows are collected.
    """
    kind, look = _looked_at(path, layout)
    with reading(path):
        if look is None:
            return _typed(path, kind)
        if kind == "jsonl":
            return _json_lines(content_of(look, folder, marked=False), look, layout)
        written = sniffing.sniffed(look, layout)
        return _text(content_of(look, folder), written, look, layout)


def first_rows(path: Path, layout: Layout = Layout()) -> Opened:
    """The rows of the first lines alone, which give the names without all of a file being unpacked.

    JSON lines have the names that occur in these lines. The arguments and errors are those of `open_table`.
    """
    kind, look = _looked_at(path, layout)
    with reading(path):
        if look is None:
            return _typed(path, kind)
        start = Content(look.start.encode(), spaces=True)
        if kind == "jsonl":
            return _json_lines(start, look, layout)
        return _text(start, sniffing.sniffed(look, layout), look, layout, check=False)


def _looked_at(path: Path, layout: Layout) -> tuple[str, Look | None]:
    """What the file is, and its first lines if it is text."""
    check_input(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected a file")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty")
    if layout.query is not None:
        raise InputError(f"--query is for databases; {path} is a file (--where leaves rows out)")
    if layout.format in ("delta", "iceberg"):
        raise InputError(f"--format={layout.format} is a folder; {path} is a file")
    kind = layout.format or _magic(path) or KINDS.get(suffix_of(path), "")
    if kind in ("parquet", "arrow"):
        options = [*TEXT_OPTIONS, "encoding", *(["compression"] if layout.compression != "none" else [])]
        _refuse_options(path, kind, layout, options)
        return kind, None
    with reading(path):
        look = first_look(path, layout)
    start = look.start.lstrip()
    if layout.format is None:
        kind = "jsonl" if start.startswith("{") or kind == "jsonl" else "csv"
    if kind == "jsonl" or (layout.format is None and start[1:].lstrip().startswith("{")):
        if start.startswith("["):
            raise InputError(
                f"{path} is a JSON array; expected JSON lines, an object on each: `jq -c '.[]'` makes them of it"
            )
    if start.startswith(tuple(mark.decode() for mark in MAGIC)) and layout.format is None:
        raise InputError(f"{path} holds packed Parquet or Arrow: unpack it first")
    return kind, look


def _magic(path: Path) -> str | None:
    with reading(path), path.open("rb") as file:
        start = file.read(6)
    return next((kind for mark, kind in MAGIC.items() if start.startswith(mark)), None)


def _typed(path: Path, kind: str) -> Opened:
    if _magic(path) != kind:
        raise InputError(
            f"{path} cannot be read: it does not begin as {SHOWN[kind]} does; --format=csv reads it as separated text"
        )
    rows = pl.scan_parquet(path, glob=False) if kind == "parquet" else pl.scan_ipc(path, glob=False)
    return Opened(rows, rows.collect_schema().names(), said=_said(path, kind))


def _json_lines(content: Content, look: Look, layout: Layout) -> Opened:
    _refuse_options(look.path, "jsonl", layout, TEXT_OPTIONS)
    # A name may be a pattern to this reader, which has no option against it; an open file is none.
    source = content.source if isinstance(content.source, bytes) else content.source.open("rb")
    rows = pl.scan_ndjson(source, infer_schema_length=None)
    return Opened(rows, rows.collect_schema().names(), said=[*look.said, *_said(look.path, "jsonl")])


def _text(content: Content, written: sniffing.Written, look: Look, layout: Layout, check: bool = True) -> Opened:
    if check:
        written = checked_fields(content, written, look, layout)
    rows = text.scan(content, written, look.path, text.nulls_of(layout), check)
    names = rows.collect_schema().names()
    return Opened(rows, written.names, frozenset(names), [*look.said, *written.said])


def _said(path: Path, kind: str) -> list[str]:
    known = KINDS.get(suffix_of(path)) == kind
    return [] if known else [f"{path} is read as {SHOWN[kind]}, as it begins like that (--format)"]


def _refuse_options(path: Path, kind: str, layout: Layout, options: tuple[str, ...] | list[str]) -> None:
    stated = next((name for name in options if getattr(layout, name) is not None), None)
    if stated is not None:
        raise InputError(f"--{stated} is of separated text; {path} is {SHOWN[kind]}")
