"""The items of a data set that is given as a file: their table, under the ids of the events, and who is a candidate.

In: the options of `train.data`, and interactions. Out: the interactions and the items with ids of one type; and what
interactions.parquet says of the catalogue, which `item_ids` reads again.

    python -m train.data --dataset=orders.csv --items=products.csv --item-features=brand,price

The catalogue is every item of an event, and with --catalogue=items also those of which the table of items alone says
something: nobody has bought them yet, but models that know of content can recommend them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from infer.cli import option
from infer.errors import InputError
from infer.formats.layout import Layout
from infer.formats.places import located_items
from infer.formats.probe import probe
from infer.histories.vocabulary import PAD
from infer.system.fingerprints import sha256
from infer.tables.columns import GENRES, ITEM, ITEMS_FILE, TITLE
from infer.tables.ids import are_whole, in_type
from infer.tables.items import Items, find_items, says_something
from infer.tables.options import TableOptions

# In the metadata of interactions.parquet: the checksum of the table of items, if items without events are candidates.
CATALOGUE_KEY = "catalogue"
EVENTS, ITEMS = "events", "items"


@dataclass(frozen=True, kw_only=True)
class ItemsConfig:
    """How the table of items is read."""

    items: Path | None = option(
        None, "table of items, of any columns, for a data set that is no named one", address=True
    )
    items_item_column: str | None = option(None, "name of its item column (default: as --item-column, or a usual one)")
    title_column: str | None = option(None, "name of the title column")
    genres_column: str | None = option(None, "name of the genres column")
    item_features: str | None = option(
        None,
        "further columns to tell items by, with commas: brand,price,year=categories (or =numbers, =words); none "
        "(default: all that can be used)",
    )
    items_separator: str | None = option(None, "as --separator, of the table of items")
    items_header: str | None = option(None, "as --header, of the table of items")
    items_encoding: str | None = option(None, "as --encoding, of the table of items")
    items_quote: Literal["none", "double"] | None = option(None, "as --quote, of the table of items")
    catalogue: Literal["events", "items"] | None = option(
        None, "candidates: items of events, or all of the table of items, too (default: items; of MovieLens events)"
    )


def check_items(config: ItemsConfig, extra: Sequence[str] = ()) -> None:
    """Raise InputError if there are options of a table of items, but no table; extra: further names of such options."""
    others = ("items_item_column", "item_features", "items_separator", "items_header", "items_encoding", "items_quote")
    stated = [name for name in (*others, *extra) if getattr(config, name) is not None]
    if stated and config.items is None:
        raise InputError(f"--{stated[0].replace('_', '-')} is of the table of items: name one with --items")


def given_items(config: ItemsConfig, events: TableOptions, interactions: pl.DataFrame) -> tuple[pl.DataFrame, Items]:
    """The interactions and the stated table of items (or one without rows), with ids of one type.

    events: how the interactions were read. Ids are numbers only if both tables' are (`7.0` is 7); else both are texts.
    Raises InputError if the table of items cannot be read, or knows no item of the interactions.
    """
    if config.items is None:
        nothing = interactions.select(ITEM, *(pl.lit(None, pl.String).alias(name) for name in (TITLE, GENRES)))
        return interactions, Items(nothing.clear())
    path = located_items(config.items)
    probe(path)
    options = TableOptions(
        item=config.items_item_column,
        title=config.title_column,
        genres=config.genres_column,
        drop_bad_rows=events.drop_bad_rows,
        layout=Layout(
            separator=config.items_separator,
            header=config.items_header,
            encoding=config.items_encoding,
            nulls=events.layout.nulls,
            quote=config.items_quote,
        ),
    )
    try:
        found = find_items(path, options, config.item_features, events.item)
    except InputError as error:
        raise InputError(_of_items(str(error))) from None
    found.said = [_of_items(sentence) for sentence in found.said]
    before = interactions.schema[ITEM], found.table.schema[ITEM]
    if before == (pl.Int64, pl.String) and are_whole(found.table[ITEM]):
        whole = found.table.with_columns(in_type(found.table[ITEM], pl.Int64()))
        found.table = whole.unique(ITEM, keep="first", maintain_order=True).sort(ITEM)
    types = {interactions.schema[ITEM], found.table.schema[ITEM]}
    events_before, items_before = (_described(table[ITEM]) for table in (interactions, found.table))
    if len(types) > 1:
        found.table = found.table.cast({ITEM: pl.String}).sort(ITEM)
        if interactions.schema[ITEM] != pl.String:
            interactions = interactions.cast({ITEM: pl.String})
            found.said.append(f"{config.items.name}: not all item ids are whole numbers, so all are read as texts")
    named = interactions.select(ITEM).unique()
    lacking = named.join(found.table, on=ITEM, how="anti")[ITEM]
    if len(lacking) == named.height:
        raise InputError(
            f"{config.items} knows no item of the interactions: its ids are {items_before}, those of the interactions "
            f"{events_before}; --items-item-column names another column"
        )
    if len(lacking):
        found.said.append(
            f"{config.items.name} lacks {len(lacking):,} of the {named.height:,} items of the events, as "
            f"{lacking.min()!r:.40}: nothing tells what they are like"
        )
    return interactions, found


def _of_items(sentence: str) -> str:
    """What was said of any table, with the options that are of the table of items."""
    sentence = sentence.replace("; call it 'item'", "; name it with --items-item-column")
    return re.sub(r"--(separator|header|encoding|quote)\b", r"--items-\1", sentence)


def _described(ids: pl.Series) -> str:
    """The type and the first of some ids, for a message."""
    examples = ", ".join(repr(value)[:40] for value in ids.unique().sort().head(3))
    return f"{'numbers' if ids.dtype.is_integer() else 'texts'} such as {examples}"


def newcomers(interactions: pl.DataFrame, items: pl.DataFrame) -> pl.Series:
    """The ids of items of which something is known, but no event."""
    return items.filter(says_something(items)).join(interactions, on=ITEM, how="anti")[ITEM]


def item_ids(folder: Path, interactions: pl.DataFrame, metadata: dict[str, str]) -> list[int] | list[str]:
    """The catalogue in order; metadata: of interactions.parquet.

    Raises InputError if the table of items beside it is another one by now.
    """
    ids = interactions[ITEM].unique()
    if CATALOGUE_KEY in metadata:
        path = folder / ITEMS_FILE
        if not path.is_file() or sha256(path) != metadata[CATALOGUE_KEY]:
            raise InputError(
                f"{path} is not the table of items that the interactions were written with: write both again"
            )
        ids = pl.concat([ids, newcomers(interactions, pl.read_parquet(path, glob=False))])
    return ids.sort().to_list()


def kept_in_place(
    ids: list[int] | list[str], numbered: list[int] | list[str]
) -> tuple[list[int] | list[str], np.ndarray]:
    """The ids in an order in which those of `numbered` stand first and as there; and (n,) indexes of those not in ids.

    Raises InputError if not all are numbers, or all texts: the same item would have two ids.
    """
    if type(ids[0]) is not type(numbered[0]):
        found, earlier = ("numbers" if isinstance(some[0], int) else "texts" for some in (ids, numbered))
        raise InputError(
            f"--keep-items: the item ids of the table are {found}, those of the earlier model {earlier}: leave it out"
        )
    known, present = set(numbered), set(ids)
    joined: list[Any] = [*numbered, *(value for value in ids if value not in known)]
    retired = [index for index, value in enumerate(numbered, PAD + 1) if value not in present]
    return joined, np.array(retired, dtype=np.int64)
