"""Hold out by time: everyone's history ends at the same moments, so that nothing is learnt from the future.

In: interactions ordered by (user, timestamp, item). Out: a `train.data.splits.Split`; a user's first item after each
moment is held out if something came before it, and what follows a test item is dropped.

    python -m train.data --split=time --test-share=0.1
    python -m train.data --split=period --test-period=7d --validation-period=1d
"""

import math
from typing import Any

import polars as pl

from infer.errors import InputError
from infer.tables.columns import ITEM, SPLIT, TEST, TEST_HISTORY, TIMESTAMP, TRAIN, USER, VALIDATION
from infer.tables.notes import date
from train.data.splits import Split, check_shares


def by_time(
    interactions: pl.DataFrame,
    validation_share: float,
    test_share: float,
    dated: bool = True,
    times: pl.Series | None = None,
) -> Split:
    """Two moments by shares.

    validation_share, test_share: of the interactions that lie between the two moments, and after the second; 0: no
    such part.  dated: whether times are times, and not numbers of rows.  times: before ties were ordered by fractions
    of a second, in any order; None: those of the interactions.
    Raises InputError if the shares or the times leave nobody to measure.
    """
    check_shares(validation_share, test_share, "time")
    times = (interactions[TIMESTAMP] if times is None else times).sort()
    first, second = (
        times[min(int(len(times) * (1 - share)), len(times) - 1)] if share else math.inf
        for share in (validation_share + test_share, test_share)
    )
    return _at(interactions, first, second, bool(validation_share), "shares", dated)


def by_period(
    interactions: pl.DataFrame, validation_seconds: float, test_seconds: float, times: pl.Series | None = None
) -> Split:
    """Two moments counted back from the latest event: the test period ends with it, before that lies validation's.

    What happened just when a period begins is before it, so that of days without a time one is `1d`. A period of 0
    seconds is none.  times: as of `by_time`.
    Raises InputError if the periods leave nobody to measure.
    """
    if not validation_seconds and not test_seconds:
        raise InputError(
            "--split period holds nothing out without a period: --test-period=7d is the last week; "
            "--split=none trains on everything"
        )
    times = interactions[TIMESTAMP] if times is None else times
    latest: Any = times.max()
    starts: list[Any] = [
        times.filter(times > latest - seconds).min() if seconds else math.inf
        for seconds in (validation_seconds + test_seconds, test_seconds)
    ]
    first, second = starts
    return _at(interactions, first, second, bool(validation_seconds), "periods")


def _at(
    interactions: pl.DataFrame, first: float, second: float, validates: bool, options: str, dated: bool = True
) -> Split:
    """Cut at two moments, which are times of the table; infinite: no test.  validates: whether a part lies between."""
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
    wanted = {TRAIN: True, VALIDATION: validates, TEST: math.isfinite(second)}
    for name in (name for name, is_wanted in wanted.items() if is_wanted):
        if kept.filter(pl.col(SPLIT) == name).is_empty():
            raise InputError(f"the time split leaves no {name} items: try other {options}, or --split=leave-one-out")
    moments = [*([first] if validates else []), *([second] if math.isfinite(second) else [])]
    stated = " and ".join(date(moment) if dated else f"row {int(moment) + 1:,}" for moment in moments)
    protocol = f"global time split at {stated}, the first item of each user after it"
    said = []
    if left_out := len(table) - len(kept):
        reason = "they follow a test item, or are of users who begin after the last moment"
        said.append(f"{left_out:,} rows are left out: {reason}")
        if alone := table[ITEM].n_unique() - kept[ITEM].n_unique():
            said.append(f"{alone:,} items have no other rows than these")
    return Split(kept, protocol, said)
