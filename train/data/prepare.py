"""A data set by name or path, read, its last items held out, and written.

In: what to read and how to split it. Out: interactions with a `split` column, and items.

    prepare(DataConfig(dataset="ml-latest-small"))
"""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import polars as pl

from infer.cli import option
from infer.errors import InputError
from infer.formats.probe import probe
from infer.system.files import replacing
from infer.system.fingerprints import sha256
from infer.system.ownership import MARK, claim
from infer.tables.columns import (
    DATASET_KEY,
    INTERACTIONS_FILE,
    ITEM,
    ITEMS_FILE,
    PROTOCOL_KEY,
    SPLIT,
    TEST,
    TIDY_KEY,
    TRAIN,
    USER,
)
from infer.tables.config import TableConfig
from infer.tables.interactions import read_interactions
from infer.tables.items import Items
from infer.tables.tidy import Tidy
from train.data import movielens, sources, splits
from train.data.catalogue import CATALOGUE_KEY, EVENTS, ITEMS, ItemsConfig, check_items, given_items, newcomers

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DataConfig(ItemsConfig, TableConfig):
    """Options of `python -m train.data`."""

    dataset: str | None = option(
        None,
        f"{', '.join(sources.SOURCES)}, or a file (default {sources.DEFAULT}; if that cannot be reached, "
        "MovieLens 100K from the package index)",
    )
    data_dir: Path | None = option(None, f"folder that holds the named set (or ${sources.DATA_DIR_VARIABLE})")
    cache_dir: Path | None = option(None, "where downloads are kept (default: the user's cache folder)")
    mirror: str | None = option(None, "URL of a folder with the archives, instead of GroupLens")
    split: Literal["leave-one-out", "time"] = option(
        "leave-one-out", "hold out everyone's last items, or split by time"
    )
    validation_share: float = option(0.1, "--split=time: share of interactions to validate on", minimum=0)
    test_share: float = option(0.1, "--split=time: share of interactions, the latest, to test on", minimum=0)
    ties: Literal["item", "random"] = option("item", "order of a user's interactions in the same second")
    tie_seed: int = option(0, "seed of --ties=random", minimum=0)
    artifacts: Path = option(Path("artifacts"), "folder to write to")


def load(config: DataConfig) -> tuple[str, Tidy, Items]:
    """Find and read a data set: its name, its tidy interactions, its items.

    Raises InputError if it is neither a known name nor a file, cannot be reached, or is damaged.
    Only the default falls back to another data set, and says so; a set asked for by name never does
    (ml-100k falls back to its own copy in the wheel).
    """
    check_items(config)
    name = config.dataset or sources.DEFAULT
    if name not in sources.SOURCES:
        path = Path(name)
        if not path.exists():
            raise InputError(f"--dataset {name} is neither a file nor one of {', '.join(sources.SOURCES)}")
        probe(path)
        tidied = read_interactions(path, config.table_options)
        interactions, items = given_items(config, config.table_options, tidied.interactions)
        return path.name, replace(tidied, interactions=interactions), items
    if config.items is not None:
        raise InputError(f"--items is of a data set given as a file; {name} has its own table of items")
    try:
        files = sources.locate(name, config.data_dir, config.cache_dir, config.mirror)
    except sources.Unreachable as error:
        if config.dataset not in (None, "ml-100k"):
            raise
        log.warning(f"WARNING: {error}. Using MovieLens 100K from the {sources.RECBOLE} wheel INSTEAD.")
        files = sources.from_package_index(config.cache_dir)
    return files.name, movielens.ratings(files), Items(movielens.items(files))


def hold_out(interactions: pl.DataFrame, config: DataConfig) -> splits.Split:
    """Order ties, hold items out, and say how; interactions are ordered by (user, timestamp, item)."""
    ties = splits.BY_ITEM
    if config.ties == "random":
        interactions = splits.shuffle_ties(interactions, config.tie_seed)
        ties = f"ties in time ordered at random (seed {config.tie_seed})"
    if config.split == "time":
        split = splits.by_time(interactions, config.validation_share, config.test_share)
    else:
        split = splits.leave_one_out(interactions)
    return splits.Split(split.interactions, f"{split.protocol}, {ties}")


def prepare(config: DataConfig) -> Path:
    """Read a data set, hold items out, write interactions and items; returns where the interactions lie.

    Raises InputError as `load` does, and if nothing can be held out; earlier files are unchanged then.
    """
    target, items_target = config.artifacts / INTERACTIONS_FILE, config.artifacts / ITEMS_FILE
    given = config.dataset or sources.DEFAULT
    claim([target, items_target], inputs=[None if given in sources.SOURCES else Path(given), config.items])
    log.info(f"reading {given} ...")
    name, tidied, items = load(config)
    catalogue = config.catalogue or (EVENTS if name in sources.SOURCES else ITEMS)
    new = newcomers(tidied.interactions, items.table)
    made = hold_out(tidied.interactions.drop(SPLIT, strict=False), config)
    table = made.interactions
    held = table.filter(pl.col(SPLIT) == TEST)
    if held.is_empty():
        raise InputError(f"{name} has no user with three interactions: nothing can be held out")
    few = (
        "nothing to measure after or before the second moment"
        if config.split == "time"
        else "too few interactions (under 3)"
    )
    only_held = table.group_by(ITEM).agg((pl.col(SPLIT) != TRAIN).all().alias("held"))["held"].sum()
    users = table[USER].n_unique()
    with replacing(target, owned=True) as temporary, replacing(items_target, owned=True) as temporary_items:
        items.table.write_parquet(temporary_items, metadata=MARK)
        metadata = {DATASET_KEY: name, PROTOCOL_KEY: made.protocol, TIDY_KEY: "1"}
        if catalogue == ITEMS and len(new):
            metadata[CATALOGUE_KEY] = sha256(temporary_items)
        table.write_parquet(temporary, metadata=metadata)
    if str(tidied.notes):
        log.info(f"{name}: {tidied.notes}")
    for sentence in items.said:
        log.info(sentence)
    rated = table[ITEM].n_unique()
    log.info(f"{name}: {table.height:,} interactions of {users:,} users with {rated:,} items -> {target}")
    if len(new) and catalogue == ITEMS:
        log.info(f"{len(new):,} items that no event names are candidates, too; --catalogue=events leaves them out")
    elif len(new):
        log.info(f"{len(new):,} items that no event names are no candidates; --catalogue=items makes them so")
    log.info(
        f"{held.height:,} users are measured, "
        f"{users - held.height:,} have {few}; {only_held:,} items occur only as held-out items"
    )
    log.info(f"held out: {made.protocol}")
    return target
