"""What is to be scored: one model, and histories cut at the held-out items.

In: a model file and a table of interactions. Out: a `Task`, whose `targets` are the held-out items
if the table carries the leave-one-out split and None if it does not.
"""

from dataclasses import MISSING, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from infer.cli import option
from infer.errors import InputError
from infer.files import sha256
from infer.schema import ITEM, PAD, PROTOCOL_KEY, SPLIT, TEST, USER, vocabulary
from infer.sequences import Histories, before, build_histories
from infer.session import Model, open_model
from infer.tables import PARQUET, Columns, read_interactions


@dataclass(frozen=True, kw_only=True)
class ScoringConfig:
    """What batch scoring and single recommendations have in common."""

    model: Path = option(MISSING, "model file; looked for as given, then in artifacts/")
    interactions: Path | None = option(None, "table to score (default: the one the model was trained on)")
    user_column: str | None = option(None, "name of the user column in --interactions")
    item_column: str | None = option(None, "name of the item column in --interactions")
    timestamp_column: str | None = option(None, "name of the timestamp column in --interactions")
    rating_column: str | None = option(None, "name of the rating column in --interactions, if the model reads ratings")
    split: Literal["validation", "test"] = option(TEST, "which held-out item the metrics are of")
    device: Literal["cpu", "cuda"] = option("cpu", "where the model runs; never another silently")
    threads: int = option(0, "threads of ONNX Runtime; 0 means one for each core", minimum=0)


@dataclass(frozen=True)
class Task:
    """One model and the histories it is to score.

    targets: (user, item) held-out items, None without a split.  user_index: (users,) the model's
    own index of each user, PAD if it has none.  counts: (items,) how many histories of the whole
    table hold each item; population: how many histories that are, also after `select_users`.
    table, checksum: the file and its SHA-256.  protocol: how the table says its items were held out.
    """

    model: Model
    histories: Histories
    user_index: np.ndarray
    targets: pl.DataFrame | None
    counts: np.ndarray
    population: int
    table: Path
    checksum: str
    protocol: str

    @property
    def omitted(self) -> int:
        """How many of the users the model cannot personalise."""
        return int((~self.model.covers(self.histories, self.user_index)).sum())


def prepare(config: ScoringConfig, measure: bool) -> Task:
    """Open the model, read the interactions and cut them at the held-out items.

    Raises InputError if a file cannot be used, if ids have another type than the model's, or if the
    table that the model names is no longer the one it was trained on.
    """
    model = open_model(config.model, config.device, config.threads)
    metadata = model.metadata
    table = config.interactions or model.path.parent / metadata.interactions
    if config.interactions is None and not table.is_file():
        raise InputError(f"{table}, which {model.path.name} was trained on, is not there; give --interactions FILE")
    columns = Columns(config.user_column, config.item_column, config.timestamp_column, config.rating_column)
    interactions = read_interactions(table, columns).interactions
    checksum = sha256(table)
    if checksum != metadata.dataset_checksum and config.interactions is None:
        raise InputError(
            f"{table} is not the table {model.path.name} was trained on ({metadata.dataset}): train and "
            "export again, or pass it as --interactions to score it all the same"
        )
    items = vocabulary(metadata.item_ids, ITEM)
    if interactions.schema[ITEM] != items.schema[ITEM]:
        raise InputError(
            f"{table} has {_kind(interactions, ITEM)} as item ids; {model.path.name} knows {_kind(items, ITEM)}"
        )
    targets = None
    if measure and SPLIT in interactions.columns:
        interactions, targets = before(interactions, config.split)
        if targets.is_empty():
            raise InputError(f"{table} has no {config.split} items to measure; use --no-metrics")
    histories = build_histories(interactions, items, rating_levels=metadata.rating_levels)
    counts = np.bincount(histories.items, minlength=items.height + 1)[1:]
    index = _user_index(model, histories.users)
    return Task(model, histories, index, targets, counts, len(histories), table, checksum, _protocol(table))


def select_users(task: Task, wanted: str | None, name: str = "--users") -> Task:
    """Keep the users in `wanted` (ids separated by commas, or a file with one id a line).

    Raises InputError, which names the option `name`, if the table lacks one of them.
    """
    if wanted is None:
        return task
    path = Path(wanted)
    texts = path.read_text().split("\n") if path.is_file() else wanted.split(",")
    texts = [text.strip() for text in texts if text.strip()]
    known = task.histories.users
    rows = pl.DataFrame({USER: known.cast(pl.String)}).with_row_index("row")
    chosen = rows.filter(pl.col(USER).is_in(list(dict.fromkeys(texts))))
    strange = [text for text in dict.fromkeys(texts) if text not in set(chosen[USER])]
    if strange or not texts:
        raise InputError(f"{name}: {task.table} has no user '{strange[0] if strange else wanted}'")
    keep = chosen["row"].to_numpy()
    picked = task.histories.take(keep)
    targets = None if task.targets is None else task.targets.filter(pl.col(USER).is_in(picked.users.implode()))
    return replace(task, histories=picked, user_index=task.user_index[keep], targets=targets)


def _user_index(model: Model, users: pl.Series) -> np.ndarray:
    """(users,) the index each user has in the model, PAD for a user it does not know."""
    table = vocabulary(model.metadata.user_ids, USER)
    if table.is_empty() or table.schema[USER] != users.dtype:
        return np.full(len(users), PAD, dtype=np.int64)
    joined = users.to_frame(USER).join(table, on=USER, how="left", maintain_order="left")
    return joined["index"].fill_null(PAD).cast(pl.Int64).to_numpy()


def _protocol(table: Path) -> str:
    """What `python -m train.data` wrote into the file; other tables say nothing of their split."""
    if table.suffix not in PARQUET:
        return "as the table's column split says"
    return pl.read_parquet_metadata(table).get(PROTOCOL_KEY, "as the table's column split says")


def _kind(table: pl.DataFrame, column: str) -> str:
    return "texts" if table.schema[column] == pl.String else "whole numbers"
