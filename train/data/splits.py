"""Hold items out: a user's last ones, or the first of each user after a moment in time.

In: interactions ordered by (user, timestamp, item). Out: the same with the column `split`, whose
values `infer.histories.histories.before` reads:

    train         for training, and history for every held-out item
    validation    the item that choices are made on; history for the test item
    test-history  history for the test item only
    test          the item that is measured

    python -m train.data --split=time --test-share=0.1
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from infer.errors import InputError
from infer.tables.columns import SPLIT, TEST, TEST_HISTORY, TIMESTAMP, TRAIN, USER, VALIDATION

BY_ITEM = "ties in time ordered by item id"


@dataclass(frozen=True)
class Split:
    """A table with the column `split`, and in words how it was made."""

    interactions: pl.DataFrame
    protocol: str


def leave_one_out(interactions: pl.DataFrame) -> Split:
    """The last item is test, the second last validation; users with fewer than three rows stay train."""
    newer = pl.int_range(pl.len()).reverse().over(USER)
    enough = pl.len().over(USER) >= 3
    split = (
        pl.when(enough & (newer == 0))
        .then(pl.lit(TEST))
        .when(enough & (newer == 1))
        .then(pl.lit(VALIDATION))
        .otherwise(pl.lit(TRAIN))
    )
    return Split(interactions.with_columns(split.alias(SPLIT)), "leave-one-out")


def by_time(interactions: pl.DataFrame, validation_share: float, test_share: float) -> Split:
    """A global time split: everyone's history ends at the same two moments, so that nothing is learnt from the future.

    validation_share, test_share: of the interactions that lie between the two moments, and after the
    second. A user's first item after each is held out if something came before it; what follows a
    test item is dropped. Raises InputError if the shares or the times leave nobody to measure.
    """
    if not 0 < validation_share + test_share < 1 or min(validation_share, test_share) <= 0:
        raise InputError(
            f"--validation-share {validation_share} and --test-share {test_share} must be above 0 and leave "
            "something to train on"
        )
    times = interactions[TIMESTAMP].sort()
    first, second = (
        times[min(int(len(times) * (1 - share)), len(times) - 1)]
        for share in (validation_share + test_share, test_share)
    )
    time, position = pl.col(TIMESTAMP), pl.int_range(pl.len())
    period = pl.when(time < first).then(0).when(time < second).then(1).otherwise(2)
    table = interactions.with_columns(period.alias("period")).with_columns(
        (position.over(USER, "period") == 0).alias("opens"), (position.over(USER) == 0).alias("cold")
    )
    held = pl.col("opens") & ~pl.col("cold")
    before_first = (pl.col("period") == 0).any().over(USER)
    split = (
        pl.when(pl.col("period") == 0)
        .then(pl.lit(TRAIN))
        .when((pl.col("period") == 1) & held & before_first)
        .then(pl.lit(VALIDATION))
        .when(pl.col("period") == 1)
        .then(pl.lit(TEST_HISTORY))
        .when(held)
        .then(pl.lit(TEST))
    )
    kept = table.with_columns(split.alias(SPLIT)).filter(pl.col(SPLIT).is_not_null()).drop("period", "opens", "cold")
    for name in (TRAIN, VALIDATION, TEST):
        if kept.filter(pl.col(SPLIT) == name).is_empty():
            raise InputError(f"the time split leaves no {name} items: try other shares, or --split=leave-one-out")
    moments = " and ".join(_date(moment) for moment in (first, second))
    return Split(kept, f"global time split at {moments}, the first item of each user after it")


def shuffle_ties(interactions: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Order each user's interactions of the same second at random, by fractions of that second.

    Raises InputError if timestamps already have fractions, among which there is no telling a tie.
    """
    if not interactions.schema[TIMESTAMP].is_integer():
        raise InputError("--ties=random needs timestamps in whole seconds; these have fractions")
    draw = pl.Series("draw", np.random.default_rng(seed).random(interactions.height))
    tied = (USER, TIMESTAMP)
    fraction = (pl.col("draw").rank("ordinal").over(tied) - 1) / pl.len().over(tied)
    moved = interactions.with_columns(draw).with_columns((pl.col(TIMESTAMP) + fraction).alias(TIMESTAMP)).drop("draw")
    return moved.sort(USER, TIMESTAMP)


def _date(moment: float) -> str:
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{moment:g}"
