"""Separated text as a lazy table, every value as text.

In: the text, and how it is written. Out: its rows, with a null for what stands for no value, and without the spaces
around values.

    scan(content, written, Path("ratings.csv"), nulls=["NA"])
"""

from pathlib import Path

import polars as pl

from infer.errors import InputError
from infer.formats.content import Content
from infer.formats.layout import Layout
from infer.formats.sniffing import Written

LINE = "line"


def scan(content: Content, written: Written, path: Path, nulls: list[str], check: bool = True) -> pl.LazyFrame:
    """The rows, lazily, under `distinct` names.

    nulls: texts that stand for no value.  check: whether rows that have too few or too many fields are looked for at
    once, where Polars does not see them itself.  Raises InputError for such a row.
    """
    names = distinct(written.names)
    if len(written.separator.encode()) == 1:
        rows = pl.scan_csv(
            content.source,
            separator=written.separator,
            has_header=written.header,
            skip_rows=0 if written.header else written.skipped,
            infer_schema=False,
            new_columns=names,
            quote_char='"' if written.quotes else None,
            truncate_ragged_lines=True,  # that what is cut off is empty is checked before
            glob=False,
        )
    else:
        rows = _split(content, written, names, path, check)
    if not (content.spaces or nulls):
        return rows
    return rows.select(value_of(pl.all(), nulls, content.spaces))


def value_of(columns: pl.Expr, nulls: list[str], spaces: bool = True) -> pl.Expr:
    """Values without the spaces around them, and null where none is left, or one of `nulls`.

    spaces: whether there are any; looking for them costs a quarter of the reading.
    """
    value = columns.str.strip_chars(" ") if spaces else columns
    return pl.when(~value.is_in(["", *nulls])).then(value)


def nulls_of(layout: Layout) -> list[str]:
    """The texts that stand for no value, besides none at all."""
    return [text.strip(" ") for text in (layout.nulls or "").split(",") if text.strip(" ")]


def distinct(names: list[str]) -> list[str]:
    """The names, each once: one that comes again, or is none, gets a number."""
    found: dict[str, None] = {}
    for name in names:
        again = 0
        tried = name
        while tried in found or (again and tried in names):
            tried, again = f"{name}_duplicated_{again}", again + 1
        found[tried] = None
    return list(found)


def _split(content: Content, written: Written, names: list[str], path: Path, check: bool) -> pl.LazyFrame:
    """Polars separates at single bytes, so a longer separator is split here, from whole lines."""
    lines = pl.scan_csv(
        content.source,
        separator="\x01",
        quote_char=None,
        has_header=False,
        infer_schema=False,
        new_columns=[LINE],
        glob=False,
    )
    fields = lines.select(pl.col(LINE).str.split(written.separator)).slice(written.skipped + written.header)
    if check:
        counted = fields.select(pl.col(LINE).list.len().alias("fields")).with_row_index("row")
        wrong = counted.filter(pl.col("fields") != len(names)).head(1).collect(engine="streaming")
        if wrong.height:
            raise InputError(f"{path} row {wrong['row'][0] + 1} has {wrong['fields'][0]} fields; expected {len(names)}")
    return fields.select(pl.col(LINE).list.get(n).alias(name).replace("", None) for n, name in enumerate(names))
