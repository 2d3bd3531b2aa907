"""The data sets of a study: their names, what each can answer, and their other splits.

In: prepared data folders (`python -m train.data`). Out: a `DataSet` each, with notes on what is left out and why.

    python -m bench.study --artifacts=artifacts/small,artifacts/ml-1m
"""

import shutil
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import polars as pl

from bench.study.experiments import LEAVE_ONE_OUT
from infer.errors import InputError
from infer.formats.opening import read_table
from infer.system.files import replacing_together
from infer.system.fingerprints import sha256
from infer.tables.columns import (
    DATASET_KEY,
    INTERACTIONS_FILE,
    ITEM,
    ITEMS_FILE,
    PROTOCOL_KEY,
    RATING,
    RULES_KEY,
    SPLIT,
    TEST,
    TIMESTAMP,
    USER,
)
from train.data.catalogue import CATALOGUE_KEY, item_ids
from train.data.holding import hold_out
from train.data.prepare import DataConfig

LEAST_USERS = 100  # measured by a variation, or it tells nothing apart
KEPT_KEYS = (DATASET_KEY, CATALOGUE_KEY, RULES_KEY)


@dataclass(frozen=True)
class DataSet:
    """A prepared data set.

    name: as the tables say.  folder: where interactions.parquet and items.parquet lie.
    """

    name: str
    folder: Path

    @property
    def path(self) -> Path:
        """The table of interactions."""
        return self.folder / INTERACTIONS_FILE

    @cached_property
    def about(self) -> dict[str, str]:
        """What the table says of itself, of what holds for its other splits too."""
        found = pl.read_parquet_metadata(self.path)
        return {DATASET_KEY: self.path.name} | {key: found[key] for key in KEPT_KEYS if key in found}

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the table."""
        return sha256(self.path)

    @cached_property
    def rated(self) -> bool:
        """Whether the table has ratings."""
        return RATING in pl.read_parquet_schema(self.path)

    @property
    def measured(self) -> list[str]:
        """Ids of the users with a held-out item; raises InputError if there are none."""
        table = read_table(self.path)
        found = table.filter(pl.col(SPLIT) == TEST)[USER] if SPLIT in table.columns else pl.Series(dtype=pl.String)
        if found.is_empty():
            raise InputError(f"{self.path} has no held-out items: run `python -m train.data`")
        return found.cast(pl.String).to_list()

    def write(self, folder: Path, interactions: pl.DataFrame, protocol: str, **about: str) -> None:
        """A data set made of this one, with the same items.  about: what it says else, by the metadata's keys."""
        with replacing_together([folder / ITEMS_FILE, folder / INTERACTIONS_FILE], owned=True) as (items, table):
            shutil.copyfile(self.folder / ITEMS_FILE, items)
            interactions.write_parquet(table, metadata=self.about | about | {PROTOCOL_KEY: protocol})


def data_sets(artifacts: str) -> list[DataSet]:
    """The folders of a list separated by commas, named as their data set is; by folder where that is just a file's
    name, or two are named alike.

    Raises InputError if one is not prepared, or holds out others than everyone's last items, or two folders are called
    the same, by which trials lie apart.
    """
    folders = [Path(name.strip()) for name in artifacts.split(",") if name.strip()]
    if not folders:
        raise InputError("--artifacts takes prepared folders, separated by commas; found none")
    for folder in folders:
        for name in (INTERACTIONS_FILE, ITEMS_FILE):
            if not (folder / name).is_file():
                raise InputError(f"{folder / name} does not exist: run `python -m train.data` first")
        protocol = pl.read_parquet_metadata(folder / INTERACTIONS_FILE).get(PROTOCOL_KEY, LEAVE_ONE_OUT)
        if not protocol.startswith(LEAVE_ONE_OUT):
            raise InputError(
                f"--artifacts: the study compares models by everyone's last items, and {folder / INTERACTIONS_FILE} "
                f"holds out others ({protocol}): prepare it with `python -m train.data --split={LEAVE_ONE_OUT}`"
            )
    called = [folder.resolve().name for folder in folders]
    for name in called:
        if called.count(name) > 1:
            raise InputError(f"--artifacts: two folders are called '{name}'; rename one, for their trials' folders")
    stated = [DataSet("", folder).about[DATASET_KEY] for folder in folders]
    names = [folder if Path(own).suffix else own for own, folder in zip(stated, called, strict=True)]
    names = called if len(set(names)) < len(names) else names
    return [DataSet(name, folder) for name, folder in zip(names, folders, strict=True)]


@cache
def variation(data: DataSet, changes: tuple[tuple[str, Any], ...]) -> tuple[pl.DataFrame, str]:
    """Another split of the same interactions, and its protocol in words."""
    made = hold_out(pl.read_parquet(data.path).drop(SPLIT), DataConfig(**dict(changes)))
    return made.interactions, made.protocol


def unfit(data: DataSet, split: str, changes: dict[str, Any]) -> str | None:
    """Why a variation would say nothing of this data set; None if it would."""
    moments = pl.read_parquet(data.path, columns=[USER, TIMESTAMP])
    if "ties" in changes:
        untied = not moments.is_duplicated().any()
        return f"{split} is left out: no user has two interactions at the same time" if untied else None
    if moments.group_by(USER).agg(pl.col(TIMESTAMP).min())[TIMESTAMP].n_unique() == 1:
        return f"{split} is left out: everyone begins at the same time, so times are only an order"
    try:
        made, _ = variation(data, tuple(changes.items()))
    except InputError as error:
        return f"{split} is left out: {error}"
    users = made.filter(pl.col(SPLIT) == TEST)[USER].n_unique()
    if users < LEAST_USERS:
        return f"{split} is left out: {users} users would be measured, fewer than {LEAST_USERS}"
    return None


def catalogue_of(data: DataSet) -> dict[str, str]:
    """Metadata by which a part of the table has the candidates of the whole; empty where the items do not allow it."""
    whole = pl.read_parquet(data.path, columns=[ITEM])
    described = {CATALOGUE_KEY: sha256(data.folder / ITEMS_FILE)}
    alone = item_ids(data.folder, whole.clear(), described)
    return described if alone == item_ids(data.folder, whole, data.about) else {}
