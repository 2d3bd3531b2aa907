"""Histories that one model is to score, cut at the held-out items.

In: a `Job` and rows of its table. Out: a `Task`. Its `targets` are the held-out items if the table carries a split and
None if it does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from infer.candidates.options import DROP, ONLY
from infer.histories.digests import combined, digests
from infer.histories.histories import Histories, before, build_histories, merged
from infer.histories.vocabulary import PAD, index_of
from infer.metrics.repeats import marked
from infer.model.choice import Choice, chosen
from infer.model.session import Model
from infer.scoring.job import Job, check_held_out, nothing_held_out, of_types, with_users
from infer.sources.users import rows_of
from infer.tables.columns import ITEM, TIMESTAMP, USER
from infer.tables.interactions import read_interactions
from infer.tables.notes import Notes
from infer.tables.rules import KEEP


@dataclass(frozen=True)
class Task:
    """Histories that one model is to score, of all users or of some.

    targets: (user, item) held-out items, None without a split.  user_index: (users,) the model's
    own index of each user, PAD if it has none.  notes: what was found in the rows of the table.  recent: of the
    histories what counts as seen; None: all.
    """

    job: Job
    histories: Histories
    user_index: np.ndarray
    targets: pl.DataFrame | None
    notes: Notes = field(default_factory=Notes)
    recent: Histories | None = None

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
    def personalisable(self) -> np.ndarray:
        """(users,) bool: whom the model can personalise."""
        return self.model.personalisable(self.histories, self.user_index)

    @cached_property
    def blocked(self) -> Histories:
        """Items that each user does not get: seen ones, if these are dropped, and those that a rule excludes."""
        rules, seen = self.job.candidates, self.histories.distinct if self.recent is None else self.recent
        blocked = seen if rules.seen == DROP else None
        if rules.blocked is not None:
            excluded = rules.blocked.take(self.histories.users)
            blocked = excluded if blocked is None else merged(blocked, excluded)
        return Histories.empty(self.histories.users) if blocked is None else blocked

    @cached_property
    def own(self) -> Histories | None:
        """The only items that each user gets, ascending; None if there is no such rule."""
        rules, users = self.job.candidates, self.histories.users
        own = None
        if rules.seen == ONLY:
            seen = self.histories.distinct if self.recent is None else self.recent
            own = merged(seen, Histories.empty(users))  # in the order in which equal scores stand
        if rules.only is not None:
            named = rules.only.take(users)
            own = named if own is None else own.within(named)
        return own if own is None else own.where(rules.mask[own.items])

    def allowed(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        """(n,) bool: whether the user in each row may get this item."""
        free: np.ndarray = self.job.candidates.mask[items] & ~self.blocked.holds(rows, items)
        return free if self.own is None else np.asarray(free & self.own.holds(rows, items))

    @property
    def excluded(self) -> int:
        """How many held-out items the rules exclude, whether or not seen ones are dropped: no list can hold them."""
        rules, users = self.job.candidates, self.histories.users
        if self.targets is None or (rules.allowed is None and rules.blocked is None and self.own is None):
            return 0
        places = users.to_frame(USER).with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
        rows = self.targets.join(places, on=USER, how="left", maintain_order="left")["row"].fill_null(-1).to_numpy()
        items = index_of(self.targets[ITEM], self.job.items)
        free = rules.mask[items]
        if rules.blocked is not None:
            free &= ~rules.blocked.take(users).holds(rows, items)
        if self.own is not None:
            free &= self.own.holds(rows, items)
        return int((~free & (items != PAD)).sum())

    @property
    def digests(self) -> np.ndarray:
        """(users,) uint64: equal for users whose histories, and what rules say of them, are equal."""
        found = digests(self.histories)
        rules = self.job.candidates
        if rules.blocked is not None or self.recent is not None:
            found = combined(found, digests(self.blocked))
        if self.own is not None and (rules.only is not None or self.recent is not None):
            found = combined(found, digests(self.own))
        return found

    @property
    def widths(self) -> np.ndarray:
        """(users,) how many items are dropped for each user, at most, or are the only ones if these are more."""
        dropped = self.blocked.lengths + len(self.job.candidates.dropped)
        return dropped if self.own is None else np.maximum(dropped, self.own.lengths)

    def choice(self, rows: np.ndarray) -> Choice:
        """Which items the users in these rows may get."""
        rules = self.job.candidates
        own = None if self.own is None else self.own.take(rows)
        return chosen(self.blocked.take(rows), rules.dropped, rules.scored, own, rules.boosts)

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
        recent = None if self.recent is None else self.recent.take(rows)
        return replace(self, histories=histories, user_index=self.user_index[rows], targets=targets, recent=recent)


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
    recent = _recent(job, interactions, targets, histories.users) if job.candidates.within else None
    return Task(job, histories, _user_index(job.users, histories.users), targets, recent=recent)


def _recent(job: Job, rows: pl.DataFrame, targets: pl.DataFrame | None, users: pl.Series) -> Histories:
    """What each user has seen within the time that counts: before the held-out item, or before the table's end."""
    moment = pl.lit(float(job.newest))
    if targets is not None:
        held = targets.group_by(USER).agg(pl.col(TIMESTAMP).min().cast(pl.Float64).alias("moment"))
        rows = rows.join(held, on=USER, how="left", maintain_order="left")
        moment = pl.col("moment").fill_null(moment)
    rows = rows.filter(pl.col(TIMESTAMP) >= moment - job.candidates.within)
    return build_histories(rows, job.items, users=users, in_order=True, repeats=True).distinct


def prepare(job: Job) -> Task:
    """Everything in memory: read the job's table, cut it at the held-out items.

    Raises InputError if ids have another type than the model's, and if there is nothing to measure.
    """
    tidied = read_interactions(job.table, job.options, job.optional, job.known)
    job.check_unchanged()
    job = of_types(job, tidied.types, lambda: tidied.interactions[ITEM].unique())
    check_held_out(job, tidied.interactions.lazy())
    if job.candidates.within:
        job = replace(job, newest=float(tidied.interactions[TIMESTAMP].max()))  # type: ignore[arg-type]
    job = with_users(job, tidied.interactions.lazy())
    tidied.notes.said[:0] = job.said
    return replace(cut(job, tidied.interactions, in_order=True), notes=tidied.notes)


def select_users(task: Task, wanted: str | Sequence[str], name: str = "--users") -> Task:
    """Keep the users in `wanted` (`infer.sources.users.rows_of`).

    Raises InputError, which names the option `name`, if the table lacks one of them.
    """
    users = task.histories.users.to_frame(USER).with_row_index("row")
    return task.take(rows_of(users.lazy(), wanted, task.table, name)["row"].to_numpy())


def rankable(task: Task) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    """The held-out rows whose item the model knows and whose user has a history, in the order of `task.targets`; the
    row in the histories and the item index of each. Others have no score to rank.
    """
    users = task.histories.users.to_frame(USER).with_row_index("row")
    joined = task.held_out.join(users, on=USER, maintain_order="left").join(
        task.job.items, on=ITEM, maintain_order="left"
    )
    row, index = (joined[name].to_numpy().astype(np.int64) for name in ("row", "index"))
    return joined.drop("row", "index"), row, index


def _user_index(known: pl.DataFrame, users: pl.Series) -> np.ndarray:
    """(users,) the index each user has in the model, PAD for one that is not `known` (user, index)."""
    if known.is_empty():
        return np.full(len(users), PAD, dtype=np.int64)
    return index_of(users, known).astype(np.int64)
