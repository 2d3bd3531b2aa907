"""Bring published lists to where they are shown: a file of another format, or a table of a database.

In: an output of `python -m infer.batch`. Out: what --to names, which appears whole or stays as it was: CSV, JSON lines,
one file of Parquet, or a table of PostgreSQL or SQLite.

    python -m infer.deliver --lists artifacts/hybrid.topk.parquet --to lists.csv
    python -m infer.deliver --lists artifacts/hybrid.topk.parquet --to lists.ndjson.gz --lists-as lists --with title
    python -m infer.deliver --lists artifacts/hybrid.topk.parquet --to sqlite:///shop.db --to-table recommendations

Only what is published is delivered, never lists that a limit holds. A file or table that this project did not write is
not replaced. `python -m infer.batch` takes the same options, and delivers what it has published.
"""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path

from infer.cli import option, parse, run, say
from infer.delivery.delivering import deliver
from infer.delivery.options import DeliveryConfig
from infer.delivery.published import Published
from infer.errors import InputError
from infer.system.addresses import Address
from infer.tables.options import TableOptions


@dataclass(frozen=True, kw_only=True)
class DeliverConfig(DeliveryConfig):
    """Options of `python -m infer.deliver`."""

    lists: Path = option(MISSING, "the published lists, as --output of infer.batch", address=True)
    user_column: str | None = option(None, "name of the user column of --segments (default: a usual one)")
    item_column: str | None = option(None, "name of the item column of --items (default: a usual one)")


def main(argv: Sequence[str]) -> None:
    """Parse, deliver, print."""
    config = parse(DeliverConfig, argv, __doc__)
    lists = Published(config.lists).lists
    if config.items is not None and config.with_ is None:
        raise InputError("--items is of no use without --with, which names columns of it")
    if config.item_column is not None and config.with_ is None:
        raise InputError("--item-column is of no use without --with: it names a column of the table of items")
    if config.user_column is not None and config.segments is None:
        raise InputError("--user-column is of no use without --segments: it names a column of that table")
    columns = TableOptions(user=config.user_column, item=config.item_column)
    delivery = config.delivery(None if isinstance(lists, Address) else lists.parent, columns)
    if delivery is None:
        raise InputError("option --to is missing: --to=lists.csv, or --to=sqlite:///FILE")
    say("\n".join(deliver(lists, delivery).told()))


if __name__ == "__main__":
    raise SystemExit(run(main))
