"""A data set by name or path, read, its last items held out, and written.

In: what to read and how to split it. Out: interactions with a `split` column, and items.

    prepare(DataConfig(dataset="ml-latest-small"))
"""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from infer.cli import option
from infer.errors import InputError
from infer.formats.places import located
from infer.formats.probe import probe
from infer.system.addresses import Address, path_name, place
from infer.system.columns import printable
from infer.system.files import replacing_together
from infer.system.fingerprints import sha256
from infer.system.locks import alone
from infer.system.ownership import MARK, claim
from infer.tables.columns import (
    DATASET_KEY,
    INTERACTIONS_FILE,
    ITEM,
    ITEMS_FILE,
    PROTOCOL_KEY,
    RATING,
    RULES_KEY,
    TIDY_KEY,
    USER,
)
from infer.tables.interactions import read_interactions
from infer.tables.items import Items
from infer.tables.rules import KEEP, SEEN_KEY, rules_of
from infer.tables.tidy import Tidy
from train.data import movielens, sources
from train.data.catalogue import CATALOGUE_KEY, EVENTS, ITEMS, ItemsConfig, check_items, given_items, newcomers
from train.data.holding import SplitConfig, hold_out, measured

log = logging.getLogger(__name__)

# Options that do nothing with a named data set, whose files are known; and those that do nothing without one.
OF_FILES = (
    *("user_column", "item_column", "timestamp_column", "rating_column", "split_column"),
    *("format", "separator", "header", "encoding", "quote", "compression", "nulls", "query"),
    *("title_column", "genres_column"),
)
OF_NAMED = ("data_dir", "cache_dir", "mirror")


@dataclass(frozen=True, kw_only=True)
class DataConfig(ItemsConfig, SplitConfig):
    """Options of `python -m train.data`."""

    dataset: str | None = option(
        None,
        f"{', '.join(sources.SOURCES)}, or a file, folder or address (default {sources.DEFAULT}; if that cannot be "
        "reached, MovieLens 100K from the package index)",
        files=True,
    )
    data_dir: Path | None = option(None, f"folder that holds the named set (or ${sources.DATA_DIR_VARIABLE})")
    cache_dir: Path | None = option(None, "where downloads are kept (default: the user's cache folder)")
    mirror: str | None = option(None, "URL of a folder with the archives, instead of GroupLens")
    artifacts: Path = option(Path("artifacts"), "folder to write to")


def load(config: DataConfig) -> tuple[str, Tidy, Items]:
    """Find and read a data set: its name, its tidy interactions, its items.

    Raises InputError if it is neither a known name nor a file, cannot be reached, or is damaged.
    Only the default falls back to another data set, and says so; a set asked for by name never does
    (ml-100k falls back to its own copy in the wheel).
    """
    name = config.dataset or sources.DEFAULT
    _check_source(config, name)
    if name not in sources.SOURCES:
        path = place(name)
        if not isinstance(path, Address) and not path.exists():
            whole = "; of a folder all files are read: name the folder" if "*" in name else ""
            raise InputError(f"--dataset {name} is neither a file nor one of {', '.join(sources.SOURCES)}{whole}")
        name, path = printable(path_name(path)), located(path, config.table_options.layout)
        probe(path)
        tidied = read_interactions(path, config.table_options)
        interactions, items = given_items(config, config.table_options, tidied.interactions)
        return name, replace(tidied, interactions=interactions), items
    try:
        files = sources.locate(name, config.data_dir, config.cache_dir, config.mirror)
    except sources.Unreachable as error:
        if config.dataset not in (None, "ml-100k"):
            raise
        log.warning(f"WARNING: {error}. Using MovieLens 100K from the {sources.RECBOLE} wheel INSTEAD.")
        files = sources.from_package_index(config.cache_dir)
    return files.name, movielens.ratings(files, config.table_options), Items(movielens.items(files))


def _check_source(config: DataConfig, name: str) -> None:
    """Raise InputError if an option is stated that does nothing with this data set."""
    named = name in sources.SOURCES
    if named and config.items is not None:
        raise InputError(f"--items is of a data set given as a file; {name} has its own table of items")
    for field in OF_FILES if named else OF_NAMED:
        if getattr(config, field) is not None:
            use = "a data set given as a file" if named else f"a named data set ({', '.join(sources.SOURCES)})"
            raise InputError(f"--{field.replace('_', '-')} is for {use}; found --dataset={name}")
    check_items(config, () if named else ("title_column", "genres_column", "catalogue"))


def prepare(config: DataConfig) -> Path:
    """Read a data set, hold items out, write interactions and items; returns where the interactions lie.

    Raises InputError as `load` does, if a split cannot be made as asked, and if another process prepares data there;
    earlier files are unchanged then.
    """
    config.check()
    target, items_target = config.artifacts / INTERACTIONS_FILE, config.artifacts / ITEMS_FILE
    named = config.dataset or sources.DEFAULT
    given = named if named in sources.SOURCES else place(named)
    claim([target, items_target], inputs=[given if isinstance(given, Path) else None, config.items])
    with alone(config.artifacts / "locks" / "train.data.lock"):  # or the files of two would lie beside each other
        return _prepared(config, named, given)


def _prepared(config: DataConfig, named: str, given: str | Path) -> Path:
    """As `prepare`, where no other process does the same.  named: the data set.  given: the same, or its place."""
    target, items_target = config.artifacts / INTERACTIONS_FILE, config.artifacts / ITEMS_FILE
    log.info(f"reading {given} ...")
    name, tidied, items = load(config)
    catalogue = config.catalogue or (EVENTS if named in sources.SOURCES else ITEMS)
    made = hold_out(tidied.interactions, config)
    table = made.interactions
    new = newcomers(table, items.table)
    seen = {SEEN_KEY: config.seen} if config.seen == KEEP else {}
    rules = json.dumps(rules_of(config.table_options) | seen)
    about = {DATASET_KEY: name, PROTOCOL_KEY: made.protocol, TIDY_KEY: "1", RULES_KEY: rules}
    with replacing_together([items_target, target], owned=True) as (temporary_items, temporary):
        items.table.write_parquet(temporary_items, metadata=MARK)
        if catalogue == ITEMS and len(new):
            about[CATALOGUE_KEY] = sha256(temporary_items)
        table.write_parquet(temporary, metadata=about)
    for line in tidied.notes.lines:
        log.info(f"{name}: {line}")
    for sentence in [*_unasked(tidied.interactions, config), *made.said]:
        log.info(f"{name}: {sentence}")
    for sentence in items.said:
        log.info(sentence)
    users, rated = table[USER].n_unique(), table[ITEM].n_unique()
    log.info(f"{name}: {table.height:,} interactions of {users:,} users with {rated:,} items -> {target}")
    if len(new) and catalogue == ITEMS:
        log.info(f"{len(new):,} items that no event names are candidates, too; --catalogue=events leaves them out")
    elif len(new):
        log.info(f"{len(new):,} items that no event names are no candidates; --catalogue=items makes them so")
    for sentence in measured(table, config):
        log.info(sentence)
    log.info(f"held out: {made.protocol}")
    return target


def _unasked(interactions: pl.DataFrame, config: DataConfig) -> Iterator[str]:
    """What the table holds that was not asked for, a sentence each."""
    if config.order == "none" and config.ties == "item" and config.split in ("leave-one-out", "users"):
        yield "without an order the last item of a user is that with the highest id; --ties=random draws one"
    if RATING in interactions.columns and config.least_rating is None and config.event_weights is None:
        least, most = interactions.select(least=pl.col(RATING).min(), most=pl.col(RATING).max()).row(0)
        if least is not None:
            yield (
                f"ratings from {least:g} to {most:g}: every row counts as liked, whatever its rating; "
                "--least-rating leaves lower ones out"
            )
