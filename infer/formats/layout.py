"""How a table is written, where its user says so; what is not said is found out from the table itself.

In: options. Out: a `Layout`, which travels with the path of the table.

    Layout(separator=";", nulls="NA")
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """How a table is written; None: found out.

    format: csv (any separated text), jsonl, parquet, arrow, delta or iceberg.  separator: of text, one or several
    characters; `tab` and `space` stand for themselves.  header: names of the columns, separated by commas, of a text
    file whose first line is no header.  encoding: of text, by Python's name.  compression: none, gzip, bz2, zip, xz or
    zstd.  nulls: texts that stand for no value in a text file, separated by commas, as they are without the spaces
    around them.  query: SQL that gives the rows, where the table is a database's.  quote: of a text file; none: quotes
    are part of its values, double: values may stand in quotes.
    """

    format: str | None = None
    separator: str | None = None
    header: str | None = None
    encoding: str | None = None
    compression: str | None = None
    nulls: str | None = None
    query: str | None = None
    quote: str | None = None


def shown(columns: list[str]) -> str:
    """Column names for a message: the first twelve, at most 200 characters; quoted if spaces would not be seen."""
    names = ", ".join(f"'{name}'" if name != name.strip() or not name else name for name in columns[:12])
    names += ", ..." if len(columns) > 12 else ""
    return names if len(names) <= 200 else names[:200] + "..."
