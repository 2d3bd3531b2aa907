"""Is one model better than another on the same users? Paired intervals and tests.

In: MODEL.ranks.parquet files of `python -m infer.evaluate`, one a seed for each of two models. Out: the difference of
a metric with one bootstrap interval that holds the variance of users and of seeds, and a permutation test; `judged`
corrects the tests of a family and says which differences count.

    python -c "from bench.study.statistics.significance import paired; help(paired)"
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

from infer.errors import InputError
from infer.metrics.ranking import rank_metrics
from infer.tables.columns import ITEM, RANK, USER

RESAMPLES = 9999  # of signs
DRAWS = 4999  # of users and seeds
ALPHA = 0.05
BOTH, USERS_ONLY = "users and seeds", "users"
LARGEST = 20_000_000  # numbers held at once


@dataclass(frozen=True)
class Difference:
    """Metric of one model minus that of another, in the metric's own unit.

    low, high: 95% interval of `crossed`.  over: what it is over, `users and seeds`, or `users` alone where there is one
    seed.  p: two-sided permutation test (signs of the users' differences averaged over seeds), not corrected.
    """

    metric: str
    value: float
    low: float
    high: float
    p: float
    users: int
    seeds: int
    over: str


def paired(
    one: Sequence[pl.DataFrame], other: Sequence[pl.DataFrame], metric: str = "hit@10", seed: int = 0
) -> Difference:
    """How much better `one` is than `other`, the n-th tables of both having the n-th seed.

    Raises InputError if the tables are not as many, or not of the same users and held-out items.
    """
    if len(one) != len(other):
        raise InputError(f"expected as many seeds of both models; found {len(one)} and {len(other)}")
    _check_same([*one, *other])
    values = [np.stack([_per_user(table, metric) for table in tables]) for tables in (one, other)]
    by_seed = values[0] - values[1]  # (seeds, users)
    low, high = crossed(by_seed[None], seed=seed)[0]
    difference = by_seed.mean(0)  # (users,)
    p = permutation(difference, seed)
    over = BOTH if len(by_seed) > 1 else USERS_ONLY
    return Difference(metric, float(difference.mean()), low, high, p, len(difference), len(by_seed), over)


def crossed(values: np.ndarray, resamples: int = DRAWS, seed: int = 0) -> list[tuple[float, float]]:
    """95% percentile intervals of means by a crossed bootstrap: users and, independently, seeds are drawn again.

    values: (metrics, seeds, users). Owen 2007, *The pigeonhole bootstrap*: every seed meets every user, so that both
    are resampled, and one drawn user stands for all seeds. What a user has with one seed alone counts about thrice in
    it (the same paper), so it is too wide where that prevails. Of n seeds n - 1 are drawn (Rao & Wu 1988): n would make
    their variance too small by (n - 1) / n, which is half for two. One seed has no variance to draw, and is kept.
    """
    metrics, seeds, users = values.shape
    # Users with equal values are drawn together: counts of them are multinomial.
    patterns, counts = np.unique(values.reshape(metrics * seeds, users), axis=1, return_counts=True)
    rng, means = np.random.default_rng(seed), []
    for size in _batches(resamples, patterns.shape[1]):
        drawn = rng.multinomial(users, counts / users, size)  # (resamples, patterns)
        by_seed = (drawn @ patterns.T).reshape(size, metrics, seeds) / users
        chosen = rng.integers(seeds, size=(size, 1, max(1, seeds - 1)))
        means.append(np.take_along_axis(by_seed, chosen, axis=2).mean(2))
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5], axis=0)
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def permutation(difference: np.ndarray, seed: int = 0) -> float:
    """p of a two-sided permutation test of a mean of 0; difference: (users,), whose signs are drawn.

    SciPy's where it takes every sign once; beyond that the same with drawn ones, since its own takes half a minute for
    five thousand users and there are a hundred tests.
    """
    changed = difference[difference != 0]  # the sign of the others does not matter
    if len(changed) < 2:  # either sign of one value is as extreme
        return 1.0
    if 2 ** len(changed) <= RESAMPLES:
        found = stats.permutation_test((changed,), np.mean, permutation_type="samples", n_resamples=RESAMPLES)
        return float(found.pvalue)
    rng, extreme = np.random.default_rng(seed), 0
    # Sums that are equal but for rounding are as extreme.
    limit = abs(changed.sum()) - 1e-12 * np.abs(changed).sum()
    for size in _batches(RESAMPLES, len(changed)):
        signs = 2.0 * rng.integers(0, 2, (size, len(changed)), dtype=np.int8) - 1
        extreme += int((np.abs(signs @ changed) >= limit).sum())
    return (extreme + 1) / (RESAMPLES + 1)


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """(tests,) p-values corrected for their number (Holm 1979), in their order.

    The chance of any false positive stays below ALPHA however the tests depend on each other, as they do here: they
    share models and users. That is of the models as they were trained: `permutation` draws no seeds, so that where
    seeds differ the interval of `crossed`, which `verdict` asks for too, has to hold the rest.
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    corrected = np.empty(len(values))
    steps = values[order] * np.arange(len(values), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def verdict(low: float, high: float, corrected: float) -> tuple[bool, str | None]:
    """Whether a difference is significant, and if not, why.

    It is if its corrected p is below ALPHA and its interval excludes 0: both are shown, and neither may contradict
    the verdict.
    """
    reasons = []
    if low <= 0 <= high:
        reasons.append("the interval holds 0")
    if corrected >= ALPHA:
        reasons.append(f"corrected p is not below {ALPHA}")
    return not reasons, " and ".join(reasons) or None


def judged(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with low, high, p and family, and with what follows within each family: p_corrected, significant, why."""
    corrected = np.ones(rows.height)
    for family in rows["family"].unique():
        inside = (rows["family"] == family).to_numpy()
        corrected[inside] = holm(rows["p"].to_numpy()[inside])
    verdicts = [verdict(*row) for row in zip(rows["low"], rows["high"], corrected, strict=True)]
    return rows.with_columns(
        pl.Series("p_corrected", corrected, pl.Float64),
        pl.Series("significant", [v for v, _ in verdicts], pl.Boolean),
        pl.Series("why", [w for _, w in verdicts], pl.String),
    )


def mean_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float | None, float | None]:
    """Mean and 95% t-interval of a few values, as of rounds; no interval for a single one.

    For values without bounds: of shares `crossed` makes the intervals, which stay within [0, 1].
    """
    array = np.asarray(values, dtype=np.float64)
    if len(array) < 2:
        return float(array.mean()), None, None
    if np.ptp(array) == 0:
        return float(array[0]), float(array[0]), float(array[0])
    low, high = stats.t.interval(0.95, len(array) - 1, array.mean(), stats.sem(array))
    return float(array.mean()), float(low), float(high)


def _batches(resamples: int, width: int) -> list[int]:
    """Sizes that add up to `resamples`, each of no more than LARGEST numbers."""
    size = max(1, LARGEST // width)
    return [min(size, resamples - begin) for begin in range(0, resamples, size)]


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
