"""The options of every command that reads a table of interactions, and of those that read one of items.

In: a command's options class, which inherits these. Out: a `TableOptions`.

    python -m infer.batch --help
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from infer.cli import option
from infer.formats.layout import Layout
from infer.tables.options import TableOptions


@dataclass(frozen=True, kw_only=True)
class TableConfig:
    """How a table of interactions is read."""

    GROUP: ClassVar[str] = "how the table of interactions is read"

    user_column: str | None = option(None, "name of the user column")
    item_column: str | None = option(None, "name of the item column")
    timestamp_column: str | None = option(None, "name of the timestamp column")
    rating_column: str | None = option(None, "name of the rating column")
    drop_bad_rows: bool = option(False, "leave rows out that cannot be used, and say how many; else they are refused")
    split_column: str | None = option(None, "name of a column that says which rows are held out")
    format: Literal["csv", "jsonl", "parquet", "arrow", "delta", "iceberg"] | None = option(
        None, "how the table is written (default: found out; csv is any separated text)"
    )
    separator: str | None = option(None, "between the values of a text file, `tab` for a tabulator")
    header: str | None = option(None, "names of the columns of a text file whose first line is none, with commas")
    encoding: str | None = option(None, "of a text file: utf-8, utf-16, latin-1, ...")
    compression: Literal["none", "gzip", "bz2", "zip", "xz", "zstd"] | None = option(None, "how a file is packed")
    nulls: str | None = option(None, "texts that stand for no value, with commas: NA,NULL")
    quote: Literal["none", "double"] | None = option(
        None, 'quotes in a text file: part of its values, or around values, with "" for one within (default: found out)'
    )
    query: str | None = option(None, "SQL that gives the rows, where the table is a database's address")
    timestamp_format: str | None = option(None, "how times are written: %d/%m/%Y %H:%M")
    order: Literal["time", "rows", "none"] = option(
        "time", "what orders a user's rows: time, the rows themselves (oldest first), or nothing"
    )
    where: str | None = option(None, "SQL that is true of the rows that count: \"event = 'purchase'\"")
    event_column: str | None = option(None, "name of a column of event types, which --event-weights weighs")
    event_weights: str | None = option(None, "what each event type counts, instead of a rating: view=1,purchase=5")
    least_rating: float | None = option(None, "rows with a lower rating do not count")
    repeats: Literal["latest", "keep"] | None = option(
        None, "of a user and item that come again, the latest row counts, or all are kept (default: as trained; latest)"
    )

    @property
    def table_options(self) -> TableOptions:
        """The same as the library takes it."""
        return TableOptions(
            user=self.user_column,
            item=self.item_column,
            timestamp=self.timestamp_column,
            rating=self.rating_column,
            drop_bad_rows=self.drop_bad_rows,
            split=self.split_column,
            layout=Layout(
                self.format,
                self.separator,
                self.header,
                self.encoding,
                self.compression,
                self.nulls,
                self.query,
                self.quote,
            ),
            timestamp_format=self.timestamp_format,
            order=self.order,
            where=self.where,
            event=self.event_column,
            event_weights=self.event_weights,
            least_rating=self.least_rating,
            repeats=self.repeats,
        )


@dataclass(frozen=True, kw_only=True)
class ItemTableConfig:
    """The table of items that other options speak of."""

    GROUP: ClassVar[str] = "the table of items"

    items: Path | None = option(
        None,
        "table of items: titles, categories and more; a file, folder or address (default: the one beside the model)",
        address=True,
    )
