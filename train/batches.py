"""Training data as tensors: ratings, masked sequences, and what validation is measured on.

In: artifacts/interactions.parquet. Out: `Data`, and iterators of batches that draw every random
number from an explicit generator, so that (seed, epoch) decides them all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor

from infer.errors import InputError
from infer.files import sha256
from infer.schema import INTERACTIONS_FILE, ITEM, PAD, RATING, SPLIT, TRAIN, USER, VALIDATION, vocabulary
from infer.sequences import Histories, before, build_histories
from infer.tables import read_interactions
from train.data import DATASET_KEY


@dataclass(frozen=True)
class Data:
    """One prepared data set, indexed.

    item_ids, user_ids: the id with index n + 1 stands at n.  ratings: (train rows, 3) float32 of
    user index, item index, rating; validation_ratings likewise; None without a rating column.
    histories: the users' training items, row n being the user with index n + 1.
    targets: (users,) int64 index of each user's validation item, PAD if none.
    """

    name: str
    checksum: str
    item_ids: list[int] | list[str]
    user_ids: list[int] | list[str]
    ratings: tuple[Tensor, Tensor, Tensor] | None
    validation_ratings: tuple[Tensor, Tensor, Tensor] | None
    histories: Histories
    targets: np.ndarray


def load(artifacts: Path) -> Data:
    """Read the table that `python -m train.data` wrote; raises InputError if it is not there."""
    path = artifacts / INTERACTIONS_FILE
    if not path.is_file():
        raise InputError(f"{path} does not exist: run `python -m train.data --artifacts={artifacts}` first")
    table = read_interactions(path).interactions
    if SPLIT not in table.columns:
        raise InputError(f"{path} has no column split: write it with `python -m train.data`")
    item_ids, user_ids = (table[name].unique().sort().to_list() for name in (ITEM, USER))
    items = vocabulary(item_ids, ITEM)
    indexed = table.join(items.rename({"index": "i"}), on=ITEM, maintain_order="left").join(
        vocabulary(user_ids, USER).rename({"index": "u"}), on=USER, maintain_order="left"
    )
    train, held = before(table, VALIDATION)
    targets = np.full(len(user_ids), PAD, dtype=np.int64)
    rows = indexed.filter(pl.col(SPLIT) == VALIDATION)
    targets[rows["u"].to_numpy() - 1] = rows["i"].to_numpy()
    histories = build_histories(train, items)
    if len(histories) != len(user_ids) or held.is_empty():
        raise InputError(f"{path} has users without training items, or none to validate on: write it again")
    return Data(
        name=pl.read_parquet_metadata(path).get(DATASET_KEY, path.name),
        checksum=sha256(path),
        item_ids=item_ids,
        user_ids=user_ids,
        ratings=_ratings(indexed, TRAIN),
        validation_ratings=_ratings(indexed, VALIDATION),
        histories=histories,
        targets=targets,
    )


def rating_batches(ratings: tuple[Tensor, ...], size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, ...]]:
    """Shuffled (user (batch,), item (batch,), rating (batch,)) triples, each once."""
    order = torch.randperm(len(ratings[0]), generator=generator)
    for rows in order.split(size):
        yield tuple(column[rows] for column in ratings)


def one_masked(windows: Tensor, mask: int, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, ...]]:
    """Shuffled sequences with one random position each replaced by `mask` (the paper's training).

    windows: (sequences, length) left-padded. Yields (masked windows (batch, length),
    position (batch,), hidden item (batch,)). Padding is never the masked position.
    """
    order = torch.randperm(len(windows), generator=generator)
    for rows in order.split(size):
        batch = windows[rows]  # (batch, length)
        real = (batch != PAD).sum(1)  # (batch,)
        back = (torch.rand(len(rows), generator=generator) * real).long().clamp(max=windows.shape[1] - 1)
        position = windows.shape[1] - 1 - back
        hidden = batch.gather(1, position[:, None]).squeeze(1)
        yield batch.scatter(1, position[:, None], mask), position, hidden


def _ratings(indexed: pl.DataFrame, split: str) -> tuple[Tensor, Tensor, Tensor] | None:
    if RATING not in indexed.columns:
        return None
    rows = indexed.filter(pl.col(SPLIT) == split)
    users, items = (torch.from_numpy(rows[c].cast(pl.Int64).to_numpy().copy()) for c in ("u", "i"))
    return users, items, torch.from_numpy(rows[RATING].cast(pl.Float32).to_numpy().copy())
