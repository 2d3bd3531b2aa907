"""Is one model better than another on the same users? Paired intervals and tests by SciPy.

In: MODEL.ranks.parquet files of `python -m infer.evaluate`, one a seed for each of two models. Out: the
difference of a metric with a bootstrap interval over users, a permutation test, and a t-interval over
seeds.

    python -c "from bench.study.significance import paired; help(paired)"
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

from infer.errors import InputError
from infer.metrics.ranking import rank_metrics
from infer.tables.columns import ITEM, RANK, USER

RESAMPLES = 9999


@dataclass(frozen=True)
class Difference:
    """Metric of one model minus that of another, in the metric's own unit.

    low, high: 95% percentile bootstrap interval over users of the difference averaged over seeds.
    p: two-sided permutation test (signs of the users' differences). seeds_low, seeds_high: 95%
    t-interval over seeds, None with fewer than two.
    """

    metric: str
    value: float
    low: float
    high: float
    p: float
    users: int
    seeds: int
    seeds_low: float | None
    seeds_high: float | None

    @property
    def distinguishable(self) -> bool:
        """Whether the interval over users excludes 0."""
        return self.low > 0 or self.high < 0


def paired(
    one: Sequence[pl.DataFrame], other: Sequence[pl.DataFrame], metric: str = "hit@10", seed: int = 0
) -> Difference:
    """How much better `one` is than `other`, the n-th tables of both having the n-th seed.

    Raises InputError if the tables are not of the same users and held-out items.
    """
    values = [np.stack([_per_user(table, metric) for table in tables]) for tables in (one, other)]  # (seeds, users)
    _check_same([*one, *other])
    if len(one) == len(other):
        by_seed = (values[0] - values[1]).mean(1)
    else:
        by_seed = np.zeros(0)
    difference = values[0].mean(0) - values[1].mean(0)  # (users,)
    batch = max(1, 20_000_000 // len(difference))
    if not difference.any():
        low = high = 0.0
        p = 1.0
    else:
        low, high = stats.bootstrap(
            (difference,),
            np.mean,
            n_resamples=RESAMPLES,
            method="percentile",
            batch=batch,
            rng=np.random.default_rng(seed),
        ).confidence_interval
        p = stats.permutation_test(
            (difference,),
            np.mean,
            permutation_type="samples",
            n_resamples=RESAMPLES,
            batch=batch,
            rng=np.random.default_rng(seed),
        ).pvalue
    seeds = mean_interval(by_seed)[1:] if len(by_seed) > 1 else (None, None)
    return Difference(metric, float(difference.mean()), low, high, float(p), len(difference), len(by_seed), *seeds)


def mean_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float | None, float | None]:
    """Mean and 95% t-interval of a few values, as of seeds; no interval for a single one."""
    array = np.asarray(values, dtype=np.float64)
    if len(array) < 2:
        return float(array.mean()), None, None
    if np.ptp(array) == 0:
        return float(array[0]), float(array[0]), float(array[0])
    low, high = stats.t.interval(0.95, len(array) - 1, array.mean(), stats.sem(array))
    return float(array.mean()), float(low), float(high)


def _per_user(table: pl.DataFrame, metric: str) -> np.ndarray:
    k = int(metric.partition("@")[2])
    return table.sort(USER).select(rank_metrics(k)[metric].cast(pl.Float64)).to_series().to_numpy()


def _check_same(tables: Sequence[pl.DataFrame]) -> None:
    first = tables[0].select(USER, ITEM).sort(USER)
    for table in tables[1:]:
        if not table.select(USER, ITEM).sort(USER).equals(first):
            raise InputError("the models were evaluated on other users or held-out items: evaluate them on one table")
    if RANK not in tables[0].columns:
        raise InputError("expected tables with the columns user, item, rank")
