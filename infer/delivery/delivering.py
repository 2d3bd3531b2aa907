"""Bring published lists to where they are shown, part after part.

In: published lists and a `Delivery`. Out: a file or table, or one for each segment, whole or as it was; and a
`Delivered`, which says what was written.

    deliver(Path("artifacts/hybrid.topk.parquet"), Delivery(target_of(Path("lists.csv"), "")))
"""

import json
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from infer.delivery.database import COLUMNS, check_database, written_tables
from infer.delivery.files import Write, check_files, written_files
from infer.delivery.items import ItemColumns
from infer.delivery.published import Published
from infer.delivery.segments import NONE, SEGMENT, Segments
from infer.delivery.shaping import LISTS, ROWS, shaped
from infer.delivery.targets import Target, check_file_names
from infer.errors import InputError, first_line
from infer.publishing.opening import publications_at
from infer.publishing.recovery import lock
from infer.system.addresses import Address
from infer.system.progress import progress
from infer.system.scratch import scratch
from infer.tables.columns import USER

log = logging.getLogger(__name__)

WHOLE = ""  # the one output, where segments have none of their own
SOON = 2  # seconds, within which no progress is shown


@dataclass
class Delivery:
    """What is delivered to where. lists_as: rows or lists.  items, segments: what is joined to the lists."""

    target: Target
    lists_as: str = ROWS
    items: ItemColumns | None = None
    segments: Segments | None = None

    def check(self) -> None:
        """Raises InputError if segments have outputs of their own and are not given."""
        if self.target.by_segment and self.segments is None:
            raise InputError("{segment} in --to or --to-table needs --segments, the table that names them")

    def check_target(self) -> None:
        """Raises InputError if the target would not take lists, as far as that shows before they are made."""
        if self.target.is_database:
            check_database(self.target)
        elif not self.target.by_segment:
            check_files(self.target, [WHOLE], self.inputs)

    @property
    def inputs(self) -> list[Path]:
        """What is read beside the lists."""
        return [table.path for table in (self.items, self.segments) if table is not None]

    def shape(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of a part with the further columns, as they are delivered, and `segment` if there are segments."""
        rows = rows if self.items is None else self.items.joined(rows)
        rows = rows if self.segments is None else self.segments.joined(rows)
        return shaped(rows, self.lists_as, () if self.segments is None else (SEGMENT,))


@dataclass
class Delivered:
    """What was written. users, rows: how many, by segment, or of all as `WHOLE`."""

    publication: str
    delivery: Delivery
    users: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)

    def told(self) -> Iterator[str]:
        """Line by line."""
        target, segments, items = self.delivery.target, self.delivery.segments, self.delivery.items
        users, rows = sum(self.users.values()), sum(self.rows.values())
        if segments is not None and target.by_segment:
            shown = ", ".join(f"{name} {count:,}" for name, count in self.users.items())
            outputs = f"; users by segment: {shown}"
        else:
            outputs = ""
        place = f"{target.place} table {target.table}" if target.is_database else str(target.place)
        what = "lists" if self.delivery.lists_as == LISTS else "recommendations"
        yield f"delivered publication {self.publication}: {users:,} users, {rows:,} {what} -> {place}{outputs}"
        if segments is not None and segments.absent:
            yield f"{segments.absent:,} of these users are not in {segments.path}: they are in the segment {NONE}"
        if items is not None and items.missing:
            yield (
                f"{len(items.missing):,} items of the lists are not in {items.path}, as '{min(items.missing)}': their "
                "columns of --with are empty"
            )


def deliver(lists: Path, delivery: Delivery) -> Delivered:
    """Deliver what readers find now.

    Raises InputError if something given cannot be used, or the target refuses; what was delivered before stays.
    """
    delivery.check()
    with lock(publications_at(_known(lists)), "delivery"):
        published = Published(lists)
        folder = Path(tempfile.mkdtemp(dir=scratch()))
        try:
            return _deliver(published, delivery, folder)
        except (OSError, pl.exceptions.PolarsError) as error:  # of what is kept in the folder meanwhile
            raise InputError(f"{lists} cannot be delivered: {first_line(error)}") from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def warn_of_target(delivery: Delivery) -> None:
    """Say so if the target would not take lists now. It is no error: until there are some it may, and others read them
    where they are published."""
    try:
        delivery.check_target()
    except InputError as error:
        log.warning("as it is now, the lists will be published, but not delivered: %s", error)


def delivered_after(lists: Path, delivery: Delivery) -> Delivered:
    """`deliver`, of lists that have just been published, which an error says."""
    try:
        return deliver(lists, delivery)
    except InputError as error:
        raise InputError(
            f"{lists} is published, but not delivered: {error}; the same command, or infer.deliver, delivers it"
        ) from None


def _known(lists: Path) -> Path:
    """The lists, of which there are some: a lock makes folders."""
    Published(lists)
    return lists


def _deliver(published: Published, delivery: Delivery, folder: Path) -> Delivered:
    segments, target = delivery.segments, delivery.target
    if segments is not None:
        segments.sort(folder, published.empty.schema[USER])
    names = segments.names if segments is not None and target.by_segment else [WHOLE]
    done = Delivered(published.name, delivery, dict.fromkeys(names, 0), dict.fromkeys(names, 0))
    empty = delivery.shape(published.empty)
    about: dict[str, dict[str, Any]] = {}
    bar = progress(total=published.rows, unit=" rows", desc=f"delivering to {target.place}", delay=SOON)
    with bar, _writing(published, delivery, names, empty, about) as write:
        if target.is_database:  # whose lock is held now: who delivers later ones waits for it
            _check_current(published)
        for part in published.parts():
            rows = delivery.shape(part)
            for name, own in _by_segment(rows, target.by_segment):
                write(name, own)
                done.users[name] += own[USER].n_unique()
                done.rows[name] += own.height
            bar.update(part.height)
        for table in (delivery.items, segments):
            if table is not None:
                table.check_found()
        model = published.publication.manifest["model"]
        for name in names:
            about[name] = {"rows": done.rows[name], "users": done.users[name]}
            about[name] |= {"publication": published.name, "model": model}
        if not target.is_database:
            _check_current(published)
    return done


def _check_current(published: Published) -> None:
    """Raise InputError if readers find other lists by now, which may have been delivered already.

    Lists of a disk have a lock, and are the current ones while it is held, or are followed by their own delivery.
    """
    if not isinstance(published.lists, Address):
        return
    now = publications_at(published.lists).current()
    if now is None or now.name != published.name:
        raise InputError(
            f"{published.lists}: publication {published.name} is no longer the current one, so it is not delivered: "
            "run again to deliver what is"
        )


def _writing(
    published: Published,
    delivery: Delivery,
    names: Sequence[str],
    empty: pl.DataFrame,
    about: dict[str, dict[str, Any]],
) -> AbstractContextManager[Write]:
    """What takes the rows; `about` is read once they are there."""
    target = delivery.target
    own = empty.drop(SEGMENT) if target.by_segment else empty
    if target.is_database:
        remark = f"publication {published.name} of {published.publication.manifest['model']}"
        remark += f"{COLUMNS}{json.dumps(own.columns, ensure_ascii=False)}"
        return written_tables(target, target.names(names), own, remark)
    if target.by_segment:
        check_file_names(names)
    check_files(target, names, [published.lists, published.store, *delivery.inputs])
    return written_files(target, names, own, about)


def _by_segment(rows: pl.DataFrame, apart: bool) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of each segment, without the column that names it; or all."""
    if not apart:
        yield WHOLE, rows
        return
    for (name,), own in rows.partition_by(SEGMENT, as_dict=True, maintain_order=True, include_key=False).items():
        yield str(name), own
