"""The options of commands that deliver lists.

In: a command's options class, which inherits these. Out: a `Delivery`.

    python -m infer.deliver --help
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from infer.cli import option
from infer.delivery.delivering import Delivery
from infer.delivery.items import ItemColumns
from infer.delivery.segments import Segments
from infer.delivery.shaping import ROWS
from infer.delivery.targets import target_of
from infer.errors import InputError
from infer.tables.columns import ITEMS_FILE
from infer.tables.config import ItemTableConfig
from infer.tables.options import TableOptions

TABLE = "recommendations"


@dataclass(frozen=True, kw_only=True)
class DeliveryConfig(ItemTableConfig):
    """Where lists go beside the published ones."""

    GROUP: ClassVar[str] = "where the lists are delivered"

    to: Path | None = option(
        None,
        "a file (.csv, .ndjson, .jsonl, each also with .gz; .parquet) or a database (postgresql://..., sqlite:///FILE)",
        address=True,
    )
    to_table: str | None = option(None, f"table of the database (default: {TABLE})")
    lists_as: Literal["rows", "lists"] = option("rows", "one row for each recommendation, or for each user, with lists")
    with_: str | None = option(None, "columns of the items beside every recommendation, with commas: title,genres")
    segments: Path | None = option(None, "table of users that says in which segment each is", address=True)
    segment_column: str | None = option(
        None, "its column (default: segment); {segment} in --to or --to-table gives each segment an output of its own"
    )

    def delivery(self, beside: Path | None, events: TableOptions = TableOptions()) -> Delivery | None:
        """The same as the library takes it, None without --to.

        beside: the folder where a table of items may lie; None: there is none.  events: how the table of interactions
        is read, whose names of columns count in those of items and segments, too.
        Raises InputError if an option needs another, or a table that is named cannot be read.
        """
        if self.to is None:
            others = {
                "--to-table": self.to_table,
                "--with": self.with_,
                "--segments": self.segments,
                "--segment-column": self.segment_column,
                "--lists-as": None if self.lists_as == ROWS else self.lists_as,
            }
            lone = next((name for name, value in others.items() if value is not None), None)
            if lone is not None:
                raise InputError(f"{lone} is of lists that are delivered: say where with --to")
            return None
        if self.segment_column is not None and self.segments is None:
            raise InputError("--segment-column is of no use without --segments, the table that it is in")
        target = target_of(self.to, self.to_table or TABLE)
        if self.to_table is not None and not target.is_database:
            raise InputError(f"--to-table is of a database; --to {self.to} is a file")
        found = Delivery(target, self.lists_as, self._items(beside, events), self._segments(events))
        found.check()
        return found

    def _items(self, beside: Path | None, events: TableOptions) -> ItemColumns | None:
        if self.with_ is None:
            return None
        path = self.items or (None if beside is None else beside / ITEMS_FILE)
        if path is None:
            raise InputError("--with: name the table of the items with --items")
        if self.items is None and not path.exists():
            raise InputError(f"--with: {path} is not there; name the table of the items with --items")
        return ItemColumns(path, self.with_, events.item)

    def _segments(self, events: TableOptions) -> Segments | None:
        return None if self.segments is None else Segments(self.segments, self.segment_column, events.user)
