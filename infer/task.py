"""What is to be scored: one model and a table (`Job`), and histories cut at the held-out items (`Task`).

In: a model file and a table of interactions. Out: a `Task` of all users, or a `Job` that makes one
of any part of the table. Its `targets` are the held-out items if the table carries the
leave-one-out split and None if it does not.
"""

from dataclasses import MISSING, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from infer.cli import option
from infer.errors import InputError
from infer.files import sha256, stamp
from infer.probe import probe
from infer.reading import collect_names
from infer.schema import ITEM, PAD, PROTOCOL_KEY, SPLIT, TEST, USER, vocabulary
from infer.sequences import Histories, before, build_histories, index_of
from infer.session import Model, open_model
from infer.tables import PARQUET, Columns, read_interactions, scan_interactions


@dataclass(frozen=True, kw_only=True)
class ScoringConfig:
    """What batch scoring and single recommendations have in common."""

    model: Path = option(MISSING, "model file; looked for as given, then in artifacts/")
    interactions: Path | None = option(None, "table to score (default: the one the model was trained on)")
    user_column: str | None = option(None, "name of the user column in --interactions")
    item_column: str | None = option(None, "name of the item column in --interactions")
    timestamp_column: str | None = option(None, "name of the timestamp column in --interactions")
    rating_column: str | None = option(None, "name of the rating column in --interactions, if the model reads ratings")
    drop_bad_rows: bool = option(False, "leave rows out that cannot be used, and say how many; else they are refused")
    split: Literal["validation", "test"] = option(TEST, "which held-out item the metrics are of")
    device: Literal["cpu", "cuda"] = option("cpu", "where the model runs; never another silently")
    threads: int = option(0, "threads of ONNX Runtime; 0 means one for each core", minimum=0)


@dataclass(frozen=True)
class Job:
    """An open model and the table it is to score.

    checksum: SHA-256 of the table.  stamp: tells whether it is still that file.  split: which held-out
    item histories end before; None if whole histories are used.  protocol: how the table says its
    items were held out.  items, users: ids and indexes that the model knows; no users if it needs none.
    """

    model: Model
    table: Path
    columns: Columns
    checksum: str
    split: str | None
    protocol: str
    items: pl.DataFrame
    users: pl.DataFrame
    stamp: tuple[int, ...]

    @property
    def unchanged(self) -> bool:
        """Whether the table is as it was when its checksum was taken: neither replaced nor written to."""
        return self.table.exists() and stamp(self.table) == self.stamp

    def check_unchanged(self) -> None:
        """Raises InputError if the table is another than the one whose checksum was taken."""
        if not self.unchanged:
            raise InputError(
                f"{self.table} was changed while it was scored: run again when nobody writes to it; "
                "earlier lists are unchanged"
            )

    def task(self, interactions: pl.DataFrame, in_order: bool = False) -> "Task":
        """Histories of tidy rows, cut at the held-out items; in_order: whether they are by user and time."""
        targets = None
        if self.split is not None:
            interactions, targets = before(interactions, self.split)
        levels = self.model.metadata.rating_levels
        histories = build_histories(interactions, self.items, rating_levels=levels, in_order=in_order)
        return Task(self, histories, _user_index(self.users, histories.users), targets)


@dataclass(frozen=True)
class Task:
    """Histories that one model is to score, of all users or of some.

    targets: (user, item) held-out items, None without a split.  user_index: (users,) the model's
    own index of each user, PAD if it has none.
    """

    job: Job
    histories: Histories
    user_index: np.ndarray
    targets: pl.DataFrame | None

    @property
    def model(self) -> Model:
        """The open model."""
        return self.job.model

    @property
    def table(self) -> Path:
        """The file that the histories come from."""
        return self.job.table

    @property
    def counts(self) -> np.ndarray:
        """(items,) how many of the histories hold each item."""
        return np.bincount(self.histories.items, minlength=self.job.items.height + 1)[1:]

    @property
    def covered(self) -> np.ndarray:
        """(users,) bool: whom the model can personalise."""
        return self.model.covers(self.histories, self.user_index)

    @property
    def omitted(self) -> int:
        """How many of the users the model cannot personalise."""
        return int((~self.covered).sum())

    def take(self, rows: np.ndarray) -> "Task":
        """The histories in these rows, in this order, and the targets of their users."""
        histories = self.histories.take(rows)
        targets = self.targets
        if targets is not None:
            targets = targets.filter(pl.col(USER).is_in(histories.users.implode()))
        return replace(self, histories=histories, user_index=self.user_index[rows], targets=targets)


def open_job(config: ScoringConfig, measure: bool) -> Job:
    """Open the model and find the table; measure: whether to hold items out if the table does.

    Raises InputError if a file cannot be used, if ids have another type than the model's, or if the
    table that the model names is no longer the one it was trained on.
    """
    model = open_model(config.model, config.device, config.threads)
    metadata = model.metadata
    table = config.interactions or model.path.parent / metadata.interactions
    if config.interactions is None and not table.is_file():
        raise InputError(f"{table}, which {model.path.name} was trained on, is not there; give --interactions FILE")
    columns = Columns(
        config.user_column,
        config.item_column,
        config.timestamp_column,
        config.rating_column,
        drop_bad_rows=config.drop_bad_rows,
    )
    stamped = stamp(table) if table.exists() else ()
    checksum = sha256(table) if table.exists() else ""
    if checksum != metadata.dataset_checksum:
        probe(table)
    found = scan_interactions(table, columns)
    if checksum != metadata.dataset_checksum and config.interactions is None:
        raise InputError(
            f"{table} is not the table {model.path.name} was trained on ({metadata.dataset}): train and "
            "export again, or pass it as --interactions to score it all the same"
        )
    split = config.split if measure and SPLIT in collect_names(found, table) else None
    items, users = vocabulary(metadata.item_ids, ITEM), vocabulary(metadata.user_ids, USER)
    return Job(model, table, columns, checksum, split, _protocol(table), items, users, stamped)


def prepare(config: ScoringConfig, measure: bool) -> Task:
    """Everything in memory: open the model, read the interactions, cut them at the held-out items.

    Raises InputError as `open_job` does, and if there is nothing to measure.
    """
    job = open_job(config, measure)
    found = read_interactions(job.table, job.columns)
    interactions = found.interactions
    check_ids(job, interactions.schema)
    if str(found.notes):
        print(f"{job.table}: {found.notes}")
    task = job.task(interactions, in_order=True)
    if task.targets is not None and task.targets.is_empty():
        raise InputError(f"{job.table} has no {job.split} items to measure; use --no-metrics")
    return task


def check_ids(job: Job, schema: pl.Schema) -> None:
    """Raises InputError if the table's items are of another type than the model's."""
    if schema[ITEM] != job.items.schema[ITEM]:
        found, known = _kind(schema[ITEM]), _kind(job.items.schema[ITEM])
        raise InputError(f"{job.table} has {found} as item ids; {job.model.path.name} knows {known}")


def wanted_users(wanted: str) -> list[str]:
    """Ids as texts: separated by commas, or a file with one id a line."""
    path = Path(wanted)
    texts = path.read_text().split("\n") if path.is_file() else wanted.split(",")
    return list(dict.fromkeys(text.strip() for text in texts if text.strip()))


def select_users(task: Task, wanted: str, name: str = "--users") -> Task:
    """Keep the users in `wanted` (see `wanted_users`).

    Raises InputError, which names the option `name`, if the table lacks one of them.
    """
    texts = wanted_users(wanted)
    known = task.histories.users.cast(pl.String)
    check_users(known, texts, f"{name}: {task.table} has no user '{{}}'")
    return task.take(known.is_in(texts).arg_true().to_numpy())


def check_users(known: pl.Series, texts: list[str], message: str) -> None:
    """Raises InputError with the first of `texts` that is not `known` put into `message`."""
    have = set(known)
    strange = next((text for text in texts if text not in have), None if texts else "")
    if strange is not None:
        raise InputError(message.format(strange))


def _user_index(known: pl.DataFrame, users: pl.Series) -> np.ndarray:
    """(users,) the index each user has in the model, PAD for one that is not `known` (user, index)."""
    if known.is_empty() or known.schema[USER] != users.dtype:
        return np.full(len(users), PAD, dtype=np.int64)
    return index_of(users, known).astype(np.int64)


def _protocol(table: Path) -> str:
    """What `python -m train.data` wrote into the file; other tables say nothing of their split."""
    if table.is_dir() or table.suffix not in PARQUET:
        return "as the table's column split says"
    return pl.read_parquet_metadata(table).get(PROTOCOL_KEY, "as the table's column split says")


def _kind(dtype: pl.DataType) -> str:
    return "texts" if dtype == pl.String else "whole numbers"
