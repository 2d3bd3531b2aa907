"""Histories that one model is to score, cut at the held-out items.

In: a `Job` and rows of its table. Out: a `Task`. Its `targets` are the held-out items if the table carries a split and
None if it does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from infer.errors import InputError
from infer.histories.histories import Histories, before, build_histories
from infer.histories.vocabulary import PAD, index_of
from infer.metrics.repeats import marked
from infer.model.session import Model
from infer.scoring.job import Job, check_held_out, nothing_held_out, of_types
from infer.sources.users import rows_of
from infer.tables.columns import ITEM, USER
from infer.tables.interactions import read_interactions
from infer.tables.notes import Notes
from infer.tables.rules import KEEP


@dataclass(frozen=True)
class Task:
    """Histories that one model is to score, of all users or of some.

    targets: (user, item) held-out items, None without a split.  user_index: (users,) the model's
    own index of each user, PAD if it has none.  notes: what was found in the rows of the table.
    """

    job: Job
    histories: Histories
    user_index: np.ndarray
    targets: pl.DataFrame | None
    notes: Notes = field(default_factory=Notes)

    @property
    def model(self) -> Model:
        """The open model."""
        return self.job.model

    @property
    def table(self) -> Path:
        """The file that the histories come from."""
        return self.job.table

    @property
    def held_out(self) -> pl.DataFrame:
        """The targets; raises InputError if the table carries no split."""
        if self.targets is None:
            raise nothing_held_out(self.table)
        return self.targets

    @property
    def counts(self) -> np.ndarray:
        """(items,) how many of the histories hold each item."""
        return np.bincount(self.histories.distinct.items, minlength=self.job.items.height + 1)[1:]

    @property
    def blocked(self) -> Histories:
        """The items that are never recommended to each user, each once: those that they have had."""
        return self.histories.distinct

    @property
    def personalisable(self) -> np.ndarray:
        """(users,) bool: whom the model can personalise."""
        return self.model.personalisable(self.histories, self.user_index)

    @property
    def cold(self) -> int:
        """How many of the users the model cannot personalise."""
        return int((~self.personalisable).sum())

    def take(self, rows: np.ndarray) -> "Task":
        """The histories in these rows, in this order, and the targets of their users."""
        histories = self.histories.take(rows)
        targets = self.targets
        if targets is not None:
            targets = targets.filter(pl.col(USER).is_in(histories.users.implode()))
        return replace(self, histories=histories, user_index=self.user_index[rows], targets=targets)


def cut(job: Job, interactions: pl.DataFrame, in_order: bool = False) -> Task:
    """Histories of tidy rows, cut at the held-out items; in_order: whether they are by user and time."""
    targets = None
    if job.split is not None:
        interactions, targets = before(interactions, job.split)
        if job.options.repeats == KEEP:
            targets = marked(targets, interactions)
    levels = job.model.metadata.rating_levels
    repeats = job.options.repeats == KEEP
    histories = build_histories(interactions, job.items, rating_levels=levels, in_order=in_order, repeats=repeats)
    return Task(job, histories, _user_index(job.users, histories.users), targets)


def prepare(job: Job) -> Task:
    """Everything in memory: read the job's table, cut it at the held-out items.

    Raises InputError if ids have another type than the model's, and if there is nothing to measure.
    """
    tidied = read_interactions(job.table, job.options, job.optional, job.known)
    job = of_types(job, tidied.types, lambda: tidied.interactions[ITEM].unique())
    check_held_out(job, tidied.interactions.lazy())
    tidied.notes.said[:0] = job.said
    return replace(cut(job, tidied.interactions, in_order=True), notes=tidied.notes)


def select_users(task: Task, wanted: str | Sequence[str], name: str = "--users") -> Task:
    """Keep the users in `wanted` (`infer.sources.users.rows_of`).

    Raises InputError, which names the option `name`, if the table lacks one of them.
    """
    users = task.histories.users.to_frame(USER).with_row_index("row")
    return task.take(rows_of(users.lazy(), wanted, task.table, name)["row"].to_numpy())


def target_rows(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Row in the histories and item index of each held-out item, in the order of `task.targets`.

    Raises InputError if the model does not know a held-out item: it has no score to rank.
    """
    users = task.histories.users.to_frame(USER).with_row_index("row")
    joined = task.held_out.join(users, on=USER, how="left", maintain_order="left").join(
        task.job.items, on=ITEM, how="left", maintain_order="left"
    )
    for column, what in (("row", USER), ("index", ITEM)):
        if joined[column].null_count():
            missing = joined.filter(pl.col(column).is_null())[what][0]
            raise InputError(f"{task.table}: {task.model.path.name} cannot rank the held-out {what} {missing}")
    return joined["row"].to_numpy().astype(np.int64), joined["index"].to_numpy().astype(np.int64)


def _user_index(known: pl.DataFrame, users: pl.Series) -> np.ndarray:
    """(users,) the index each user has in the model, PAD for one that is not `known` (user, index)."""
    if known.is_empty():
        return np.full(len(users), PAD, dtype=np.int64)
    return index_of(users, known).astype(np.int64)
