"""What is held out of a table, as its user asks for: the options, the split, and what it means in words.

In: tidy interactions and options. Out: a `train.data.splits.Split`, and sentences.

    hold_out(interactions, DataConfig(split="period", test_period="7d")).interactions
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

from infer.cli import option
from infer.errors import InputError
from infer.tables.columns import ITEM, SPLIT, TEST, TIMESTAMP, TRAIN, USER, VALIDATION
from infer.tables.config import TableConfig
from infer.tables.options import TableOptions
from infer.tables.periods import seconds_of
from infer.tables.rules import DROP, KEEP
from train.data import moments, splits

# What is true of the users who are not measured.
LATER = "have nothing to measure after or before the second moment"
UNMEASURED = {
    "leave-one-out": "have too few interactions (under 3)",
    "time": LATER,
    "period": LATER,
    "users": "are not among those held out to test on",
    "own": "have no test row",
}


@dataclass(frozen=True, kw_only=True)
class SplitConfig(TableConfig):
    """What is held out."""

    split: Literal["leave-one-out", "time", "period", "users", "own", "none"] = option(
        "leave-one-out",
        "what is held out: everyone's last items, what follows two moments (by shares or periods), a share of the "
        "users, what the table's own --split-column says, or nothing",
    )
    validation: bool = option(
        True,
        "hold items out to validate on; without they are trained on, as `train --refit` needs it",
        only={"split": ("leave-one-out", "own")},
    )
    validation_share: float = option(
        0.1,
        "share to validate on, of interactions (--split=time) or users (--split=users); 0: none",
        minimum=0,
        only={"split": ("time", "users")},
    )
    test_share: float = option(
        0.1,
        "share to test on, of the latest interactions (--split=time) or of users (--split=users); 0: none",
        minimum=0,
        only={"split": ("time", "users")},
    )
    validation_period: str | None = option(None, "--split=period: how long validation lasts, before the test: 1d")
    test_period: str | None = option(None, "--split=period: how long the test lasts, to the latest event: 7d, 12h, 2w")
    split_seed: int = option(0, "--split=users: seed by which users are drawn", minimum=0, only={"split": ("users",)})
    seen: Literal["drop", "keep"] = option(
        DROP, "with --repeats=keep: whether lists may hold what a user has had; models are validated so"
    )
    ties: Literal["item", "random"] = option("item", "order of a user's interactions in the same second")
    tie_seed: int = option(0, "seed of --ties=random", minimum=0, only={"ties": ("random",)})

    @property
    def table_options(self) -> TableOptions:
        """How the table is read: a column that says what is held out counts only if that is asked for."""
        asked = (self.split_column or SPLIT) if self.split == "own" else None
        return replace(super().table_options, split=asked)

    def check(self) -> None:
        """Raise InputError, with the reason, if options of the split exclude each other."""
        for name, value, belongs in (
            ("--test-period", self.test_period, "period"),
            ("--validation-period", self.validation_period, "period"),
            ("--split-column", self.split_column, "own"),
        ):
            if value is not None and self.split != belongs:
                raise InputError(f"{name} is for --split={belongs}; found --split={self.split}")
        if self.seen == KEEP and self.repeats != KEEP:
            raise InputError(
                "--seen=keep needs --repeats=keep: where a user has each item once, no held-out item was seen before"
            )
        if self.order in {"period": ("rows", "none"), "time": ("none",)}.get(self.split, ()):
            raise InputError(f"--split={self.split} needs times, which --order={self.order} does without")


def hold_out(interactions: pl.DataFrame, config: SplitConfig) -> splits.Split:
    """Order ties, hold items out, and say how; interactions are ordered by (user, timestamp, item)."""
    ties, times = splits.BY_ITEM, interactions[TIMESTAMP]
    if config.ties == "random":
        interactions = splits.shuffle_ties(interactions, config.tie_seed)
        ties = f"ties in time ordered at random (seed {config.tie_seed})"
    split = _split(interactions, times, config)
    if not config.validation:
        split = splits.without_validation(split)
    if SPLIT not in split.interactions.columns:
        return split
    return replace(split, protocol=f"{split.protocol}, {ties}")


def _split(interactions: pl.DataFrame, times: pl.Series, config: SplitConfig) -> splits.Split:
    """times: before ties were ordered, by which moments are found."""
    if config.split == "own":
        return splits.own(interactions, config.split_column or SPLIT)
    interactions = interactions.drop(SPLIT, strict=False)
    if config.split == "none":
        return splits.Split(interactions, splits.NOTHING)
    if config.split == "users":
        return splits.by_users(interactions, config.validation_share, config.test_share, config.split_seed)
    if config.split == "time":
        dated = config.order == "time"
        return moments.by_time(interactions, config.validation_share, config.test_share, dated, times)
    if config.split == "period":
        validation = seconds_of(config.validation_period, "--validation-period")
        return moments.by_period(interactions, validation, seconds_of(config.test_period, "--test-period"), times)
    return splits.leave_one_out(interactions)


def measured(table: pl.DataFrame, config: SplitConfig) -> Iterator[str]:
    """Who is measured, and what cannot be, a sentence each."""
    if SPLIT not in table.columns:
        yield "nothing is held out: everything is trained on, and nothing can be measured"
        return
    users, tested, validated = (
        rows[USER].n_unique() for rows in (table, *(table.filter(pl.col(SPLIT) == name) for name in (TEST, VALIDATION)))
    )
    untrained = table.group_by(ITEM).agg((pl.col(SPLIT) != TRAIN).all().alias("untrained"))["untrained"].sum()
    yield (
        f"{tested:,} users are measured, {users - tested:,} {UNMEASURED[config.split]}; "
        f"{untrained:,} items are in no row that is trained on"
    )
    if not tested:
        yield "nothing is held out to test on: scoring measures with --split=validation, or not with --no-metrics"
    if not validated:
        yield "nothing is held out for validation: every epoch is trained, and best cannot weigh its members"
