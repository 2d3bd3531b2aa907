"""Hold items out: a user's last ones, those of some users, or as the table's own column says.

In: interactions ordered by (user, timestamp, item). Out: the same with the column `split`, whose
values `infer.histories.histories.before` reads:

    train         for training, and history for every held-out item
    validation    the item that choices are made on; history for the test item
    test-history  history for the test item only
    history       of users who are held out whole: history for their held-out item, never trained on
    test          the item that is measured

`train.data.moments` holds out by time.

    python -m train.data --split=users --test-share=0.1
"""

from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from infer.errors import InputError
from infer.tables.columns import HISTORY, SPLIT, TEST, TEST_HISTORY, TIMESTAMP, TRAIN, USER, VALIDATION

BY_ITEM = "ties in time ordered by item id"
NOTHING = "nothing"


@dataclass(frozen=True)
class Split:
    """A table with the column `split`, and in words how it was made; said: what else was decided, a sentence each.

    The table of a split that holds nothing out has no such column.
    """

    interactions: pl.DataFrame
    protocol: str
    said: list[str] = field(default_factory=list)


def leave_one_out(interactions: pl.DataFrame) -> Split:
    """The last item is test, the second last validation; users with fewer than three rows stay train.

    Where that is everyone nothing is held out, and that is said.
    """
    newer = pl.int_range(pl.len()).reverse().over(USER)
    enough = pl.len().over(USER) >= 3
    split = (
        pl.when(enough & (newer == 0))
        .then(pl.lit(TEST))
        .when(enough & (newer == 1))
        .then(pl.lit(VALIDATION))
        .otherwise(pl.lit(TRAIN))
    )
    table = interactions.with_columns(split.alias(SPLIT))
    if table.filter(pl.col(SPLIT) == TEST).is_empty():
        said = "WARNING: no user has three interactions, so leave-one-out holds nothing out; --split=none asks for that"
        return Split(interactions, NOTHING, [said])
    return Split(table, "leave-one-out")


def without_validation(split: Split) -> Split:
    """The same with validation items, and what lies between them and test items, among those that are trained on."""
    if SPLIT not in split.interactions.columns:
        return split
    part = pl.when(pl.col(SPLIT).is_in([VALIDATION, TEST_HISTORY])).then(pl.lit(TRAIN)).otherwise(pl.col(SPLIT))
    table = split.interactions.with_columns(part.alias(SPLIT))
    return replace(split, interactions=table, protocol=f"{split.protocol}, validation items trained on")


def by_users(interactions: pl.DataFrame, validation_share: float, test_share: float, seed: int) -> Split:
    """Hold users out whole (strong generalisation, Liang et al. 2018): none of their rows is trained on.

    Their last item is measured, and what comes before it is its history.  validation_share, test_share: of the users
    with at least two interactions, who are drawn by the seed; 0: no such part.
    Raises InputError if the shares leave nobody to measure or nothing to train on.
    """
    check_shares(validation_share, test_share, "users")
    able = interactions.group_by(USER, maintain_order=True).len().filter(pl.col("len") >= 2)[USER]
    sizes = {}
    for name, share in ((TEST, test_share), (VALIDATION, validation_share)):
        sizes[name] = int(share * len(able) + 0.5)
        if share and not sizes[name]:
            raise InputError(
                f"--{name}-share {share:g} of the {len(able):,} users with two interactions is nobody: "
                "raise it, or give 0"
            )
    drawn = able.gather(np.random.default_rng(seed).permutation(len(able)))
    of_test, of_validation = drawn[: sizes[TEST]], drawn[sizes[TEST] : sizes[TEST] + sizes[VALIDATION]]
    newest = pl.int_range(pl.len()).reverse().over(USER) == 0
    part = (
        pl.when(pl.col(USER).is_in(of_test.implode()))
        .then(pl.when(newest).then(pl.lit(TEST)).otherwise(pl.lit(HISTORY)))
        .when(pl.col(USER).is_in(of_validation.implode()))
        .then(pl.when(newest).then(pl.lit(VALIDATION)).otherwise(pl.lit(HISTORY)))
        .otherwise(pl.lit(TRAIN))
    )
    table = interactions.with_columns(part.alias(SPLIT))
    _check_trains(table, f"--validation-share {validation_share:g} and --test-share {test_share:g} hold out every user")
    return Split(
        table,
        f"{sizes[VALIDATION]:,} validation and {sizes[TEST]:,} test users held out whole, drawn at random "
        f"(seed {seed}) from those with two interactions, the last item of each",
    )


def own(interactions: pl.DataFrame, column: str) -> Split:
    """As the table's own column says, which the reader has brought into our words (`infer.tables.split`).

    column: its own name. Raises InputError if there is no such column, or nothing is left to train on.
    """
    if SPLIT not in interactions.columns:
        raise InputError(f"there is no column '{column}', which --split=own reads; name it with --split-column")
    _check_trains(interactions, f"column '{column}' leaves no {TRAIN} items")
    return Split(interactions, f"as the table's own column '{column}' says, the earliest row of each user")


def check_shares(validation_share: float, test_share: float, split: str) -> None:
    """Raise InputError if the shares are none, hold nothing out, or leave nothing to train on."""
    shares = f"--validation-share {validation_share:g} and --test-share {test_share:g}"
    if validation_share == test_share == 0:
        raise InputError(f"{shares} hold nothing out: --split=none trains on everything, or raise one of them")
    if not (min(validation_share, test_share) >= 0 and validation_share + test_share < 1):
        raise InputError(f"{shares} of --split {split} must leave something to train on: together they are below 1")


def _check_trains(table: pl.DataFrame, reason: str) -> None:
    if table.filter(pl.col(SPLIT) == TRAIN).is_empty():
        raise InputError(f"{reason}, so there is nothing to train on")


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
