"""Training data as tensors, and what validation is measured on.

In: artifacts/interactions.parquet. Out: `Data`, and shuffled batches of ratings; `train.models.masking`
makes batches of sequences. Random numbers come from explicit generators, so that (seed, epoch)
decides them all.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import compress
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from infer.errors import InputError
from infer.formats.reading import reading
from infer.histories.histories import Histories, before, build_histories
from infer.histories.vocabulary import PAD, index_of, vocabulary
from infer.histories.windows import level_windows, seen, windows
from infer.system.columns import printable
from infer.system.fingerprints import fingerprint, sha256
from infer.tables.columns import (
    DATASET_KEY,
    INTERACTIONS_FILE,
    ITEM,
    ITEMS_FILE,
    PROTOCOL_KEY,
    RATING,
    SPLIT,
    TRAIN,
    USER,
    VALIDATION,
)
from infer.tables.interactions import read_interactions
from infer.tables.options import TableOptions
from infer.tables.rules import KEEP, keeps_seen, repeats_of, rules_in
from train.data import catalogue

# More distinct ratings than this are a continuous scale, which `rating_levels` cuts at quantiles.
MOST_LEVELS = 20


@dataclass(frozen=True)
class Data:
    """One prepared data set, indexed.

    item_ids, user_ids: the id with index n + 1 stands at n.  ratings: of the train rows that have one
    (rows,) each user index and item index, int32, and rating, float32; validation_ratings likewise; None without any.
    rating_levels: the distinct ratings of training, ascending.  histories: the users' training items
    and rating levels, row n being the user with index n + 1; a user may have none.
    targets: (users,) int64 index of each user's validation item, PAD if none.
    folder: where the data came from, with the table of items beside them.
    context: what validation reads of every user, where that is more than training may see: the histories, and what
    comes before the validation items of users who are held out whole; None: the histories.
    rules: which rows of a table count (`infer.tables.rules`).
    retired: (n,) ascending indexes of the items that only an earlier model knows; nobody may get them.
    written: what differs once the tables in the folder are replaced; empty: they were not read.
    """

    name: str
    checksum: str
    item_ids: list[int] | list[str]
    user_ids: list[int] | list[str]
    ratings: tuple[Tensor, Tensor, Tensor] | None
    validation_ratings: tuple[Tensor, Tensor, Tensor] | None
    rating_levels: list[float]
    histories: Histories
    targets: np.ndarray
    folder: Path
    context: Histories | None = None
    rules: dict[str, Any] = field(default_factory=dict)
    retired: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    written: tuple[int, ...] = ()

    def check_unchanged(self) -> None:
        """Raises InputError if the tables are no longer those that were read."""
        if self.written and _written(self.folder) != self.written:
            raise InputError(
                f"the tables in {self.folder} were written to while they were read: run again when nobody writes to "
                "them"
            )

    @property
    def known(self) -> Histories:
        """What validation reads of every user: `context`, or the histories."""
        return self.histories if self.context is None else self.context

    @cached_property
    def trained(self) -> np.ndarray:
        """(users,) int64 place, from 1, of each user among those whom training sees; PAD for the others."""
        sees = self.histories.lengths > 0
        return np.where(sees, np.cumsum(sees), PAD)

    @property
    def trained_ids(self) -> list[Any]:
        """The ids of the users whom training sees; that of place n + 1 stands at n."""
        return list(compress(self.user_ids, self.trained != PAD))

    @property
    def counts(self) -> np.ndarray:
        """(items + 1,) how many training histories hold each item; index 0 is padding."""
        return np.bincount(self.histories.distinct.items, minlength=len(self.item_ids) + 1)

    def windows(self, rows: Tensor, length: int) -> Tensor:
        """(users, length) int64 latest items before validation of the users in these rows, left-padded."""
        return torch.from_numpy(windows(self.known.take(rows.numpy()), length))

    def level_windows(self, rows: Tensor, length: int) -> Tensor:
        """(users, length) int64 rating levels of the items in `windows`."""
        return torch.from_numpy(level_windows(self.known.take(rows.numpy()), length))

    def seen(self, rows: Tensor) -> Tensor:
        """(users, width) int64 all items before validation of the users in these rows, filled up with padding."""
        return torch.from_numpy(seen(self.known.take(rows.numpy())))

    def blocked(self, rows: Tensor) -> Tensor:
        """(users, width) int64 items that lists do not hold: the seen ones, unless these are kept, and the retired."""
        seen = torch.full((len(rows), 1), PAD) if keeps_seen(self.rules) else self.seen(rows)
        return torch.cat([seen, torch.from_numpy(self.retired).expand(len(rows), -1)], 1)

    def target(self, rows: Tensor) -> Tensor:
        """(users,) int64 index of the validation item of the users in these rows, PAD if none."""
        return torch.from_numpy(self.targets)[rows]

    def measured_rows(self, most: int, seed: int) -> Tensor:
        """(users,) ascending rows of the users with a validation item, or a seeded sample of `most` of them."""
        rows = np.flatnonzero(self.targets != PAD)
        if len(rows) > most:
            rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
        return torch.from_numpy(rows)


def load(artifacts: Path, numbered: list[int] | list[str] | None = None) -> Data:
    """Read the table that `python -m train.data` wrote.

    Raises InputError if it is not there, or is replaced meanwhile.

    numbered: item ids that keep their indexes, whether the table has them or not; new ones follow.
    """
    path = artifacts / INTERACTIONS_FILE
    if not path.is_file():
        raise InputError(f"{path} does not exist: run `python -m train.data --artifacts={quote(str(artifacts))}` first")
    written = _written(artifacts)
    with reading(path):
        about, schema = pl.read_parquet_metadata(path), pl.read_parquet_schema(path)
    if SPLIT not in schema and PROTOCOL_KEY not in about:
        raise InputError(f"{path} has no column split: write it with `python -m train.data`")
    options = TableOptions(split=SPLIT if SPLIT in schema else None, repeats=repeats_of(about))
    table = read_interactions(path, options).interactions
    if SPLIT not in table.columns:  # `train.data` held nothing out
        table = table.with_columns(pl.lit(TRAIN).alias(SPLIT))
    item_ids, retired = catalogue.item_ids(artifacts, table, about), np.zeros(0, np.int64)
    if numbered is not None:
        item_ids, retired = catalogue.kept_in_place(item_ids, numbered)
    users = table[USER].unique().sort()
    user_ids = users.to_list()
    table = _indexed(table, user_ids, item_ids)
    train, (known, held_out) = table.filter(pl.col(SPLIT) == TRAIN), before(table, VALIDATION)
    if train.is_empty():
        raise InputError(f"{path} has no items to train on: write it again")
    targets = np.full(len(user_ids), PAD, dtype=np.int64)
    targets[held_out[USER].to_numpy() - 1] = held_out[ITEM].to_numpy()
    levels, keeps = _levels(train), repeats_of(about) == KEEP
    histories = _histories(train, users, len(item_ids), levels, keeps)
    data = Data(
        name=printable(about.get(DATASET_KEY, path.name)),
        checksum=sha256(path),
        item_ids=item_ids,
        user_ids=user_ids,
        ratings=_ratings(train),
        validation_ratings=_ratings(held_out),
        rating_levels=levels,
        histories=histories,
        targets=targets,
        rules=rules_in(about) or {},
        retired=retired,
        folder=artifacts,
        context=_histories(known, users, len(item_ids), levels, keeps) if known.height > train.height else None,
        written=written,
    )
    data.check_unchanged()
    return data


def _written(folder: Path) -> tuple[int, ...]:
    """What differs once one of the tables is replaced, comes or goes."""
    tables = (folder / name for name in (INTERACTIONS_FILE, ITEMS_FILE))
    return tuple(value for table in tables if table.is_file() for value in fingerprint(table))


def _indexed(table: pl.DataFrame, user_ids: list[Any], item_ids: list[Any]) -> pl.DataFrame:
    """The rows in their order, which is that of the users and their time, with indexes instead of ids.

    A row takes 13 to 17 bytes: tables of many millions of rows are copied several times.
    """
    ids = ((USER, user_ids), (ITEM, item_ids))
    columns = [pl.Series(name, index_of(table[name], vocabulary(known, name))) for name, known in ids]
    if RATING in table.columns:
        columns.append(table[RATING])
    return pl.DataFrame([*columns, table[SPLIT].cast(pl.Categorical)])


def _histories(rows: pl.DataFrame, users: pl.Series, items: int, levels: list[float], repeats: bool) -> Histories:
    """The histories of all users from rows of `_indexed`."""
    itself = vocabulary(list(range(1, items + 1)), ITEM).cast({ITEM: pl.Int32})
    numbers = pl.Series(USER, np.arange(1, len(users) + 1, dtype=np.int32))
    found = build_histories(rows, itself, numbers, levels, in_order=True, repeats=repeats)
    return replace(found, users=users)


def _levels(train: pl.DataFrame) -> list[float]:
    """The distinct ratings, or as many quantiles of them, ascending; none without ratings."""
    if RATING not in train.columns:
        return []
    distinct = train[RATING].drop_nulls().unique().sort()
    if len(distinct) > MOST_LEVELS:
        shares = np.linspace(0, 1, MOST_LEVELS)
        distinct = pl.Series([train[RATING].quantile(share) for share in shares]).unique().sort()
    return distinct.cast(pl.Float64).to_list()


def _ratings(rows: pl.DataFrame) -> tuple[Tensor, Tensor, Tensor] | None:
    """User indexes, item indexes (int32) and ratings (float32) of rows of `_indexed` that have one, (rows,) each."""
    if RATING not in rows.columns or (rows.height and rows[RATING].null_count() == rows.height):
        return None
    rows = rows.filter(pl.col(RATING).is_not_null())
    users, items = (torch.from_numpy(rows[name].cast(pl.Int32).to_numpy().copy()) for name in (USER, ITEM))
    return users, items, torch.from_numpy(rows[RATING].cast(pl.Float32).to_numpy().copy())
