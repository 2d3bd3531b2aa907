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
from infer.formats.places import located, located_items
from infer.formats.probe import probe
from infer.system.addresses import Address, path_name, place
from infer.system.files import replacing
from infer.system.ownership import MARK, claim
from infer.tables.columns import (
    DATASET_KEY,
    GENRES,
    INTERACTIONS_FILE,
    ITEM,
    ITEMS_FILE,
    PROTOCOL_KEY,
    SPLIT,
    TEST,
    TIDY_KEY,
    TITLE,
    TRAIN,
    USER,
)
from infer.tables.config import TableConfig
from infer.tables.interactions import read_interactions
from infer.tables.items import read_items
from infer.tables.options import TableOptions
from infer.tables.tidy import Tidy
from train.data import movielens, sources, splits

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DataConfig(TableConfig):
    """Options of `python -m train.data`."""

    dataset: str | None = option(
        None,
        f"{', '.join(sources.SOURCES)}, or a file, folder or address (default {sources.DEFAULT}; if that cannot be "
        "reached, MovieLens 100K from the package index)",
    )
    data_dir: Path | None = option(None, f"folder that holds the named set (or ${sources.DATA_DIR_VARIABLE})")
    cache_dir: Path | None = option(None, "where downloads are kept (default: the user's cache folder)")
    mirror: str | None = option(None, "URL of a folder with the archives, instead of GroupLens")
    items: Path | None = option(None, "table of titles and genres for a data set that is no named one", address=True)
    title_column: str | None = option(None, "name of the title column")
    genres_column: str | None = option(None, "name of the genres column")
    split: Literal["leave-one-out", "time"] = option(
        "leave-one-out", "hold out everyone's last items, or split by time"
    )
    validation_share: float = option(0.1, "--split=time: share of interactions to validate on", minimum=0)
    test_share: float = option(0.1, "--split=time: share of interactions, the latest, to test on", minimum=0)
    ties: Literal["item", "random"] = option("item", "order of a user's interactions in the same second")
    tie_seed: int = option(0, "seed of --ties=random", minimum=0)
    artifacts: Path = option(Path("artifacts"), "folder to write to")

    @property
    def table_options(self) -> TableOptions:
        """How both tables are read."""
        return replace(super().table_options, title=self.title_column, genres=self.genres_column)


def load(config: DataConfig) -> tuple[str, Tidy, pl.DataFrame]:
    """Find and read a data set: its name, its tidy interactions, its items.

    Raises InputError if it is neither a known name nor a file, cannot be reached, or is damaged.
    Only the default falls back to another data set, and says so; a set asked for by name never does
    (ml-100k falls back to its own copy in the wheel).
    """
    name = config.dataset or sources.DEFAULT
    if name not in sources.SOURCES:
        path = place(name)
        if not isinstance(path, Address) and not path.exists():
            raise InputError(f"--dataset {name} is neither a file nor one of {', '.join(sources.SOURCES)}")
        name, path = path_name(path), located(path, config.table_options.layout)
        probe(path)
        return name, read_interactions(path, config.table_options), _given_items(config)
    try:
        files = sources.locate(name, config.data_dir, config.cache_dir, config.mirror)
    except sources.Unreachable as error:
        if config.dataset not in (None, "ml-100k"):
            raise
        log.warning(f"WARNING: {error}. Using MovieLens 100K from the {sources.RECBOLE} wheel INSTEAD.")
        files = sources.from_package_index(config.cache_dir)
    return files.name, movielens.ratings(files), movielens.items(files)


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


def _given_items(config: DataConfig) -> pl.DataFrame:
    if config.items is not None:
        path = located_items(config.items)
        probe(path)
        return read_items(path, config.table_options)
    return pl.DataFrame(schema={ITEM: pl.Int64, TITLE: pl.String, GENRES: pl.String})


def prepare(config: DataConfig) -> Path:
    """Read a data set, hold items out, write interactions and items; returns where the interactions lie.

    Raises InputError as `load` does, and if nothing can be held out; earlier files are unchanged then.
    """
    target, items_target = config.artifacts / INTERACTIONS_FILE, config.artifacts / ITEMS_FILE
    named = config.dataset or sources.DEFAULT
    given = named if named in sources.SOURCES else place(named)
    claim([target, items_target], inputs=[given if isinstance(given, Path) else None, config.items])
    log.info(f"reading {given} ...")
    name, tidied, items = load(config)
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
        table.write_parquet(temporary, metadata={DATASET_KEY: name, PROTOCOL_KEY: made.protocol, TIDY_KEY: "1"})
        items.write_parquet(temporary_items, metadata=MARK)
    if str(tidied.notes):
        log.info(f"{name}: {tidied.notes}")
    catalogue = table[ITEM].n_unique()
    log.info(f"{name}: {table.height:,} interactions of {users:,} users with {catalogue:,} items -> {target}")
    log.info(
        f"{held.height:,} users are measured, "
        f"{users - held.height:,} have {few}; {only_held:,} items occur only as held-out items"
    )
    log.info(f"held out: {made.protocol}")
    return target
