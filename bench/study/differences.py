"""Is one model of the study better than another, for everyone and within cohorts?

In: ranks by (data, experiment, seed). Out: the table differences of `bench.study.tables`; `bench.study.significance`
does the statistics.

    python -m bench.study
"""

import polars as pl

from bench.study.experiments import COHORT_PAIRS, LEAVE_ONE_OUT, PAIRS
from bench.study.significance import paired
from infer.metrics.cohorts import EDGES, cohort

COMPARED = ("hit@10", "ndcg@10", "hit@100")
COHORT_METRICS = ("hit@10", "hit@100")
SCHEMA = {
    **dict.fromkeys(("data", "one", "other", "by", "cohort", "metric"), pl.String),
    **dict.fromkeys(("value", "low", "high", "p"), pl.Float64),
    **dict.fromkeys(("users", "seeds"), pl.Int64),
    **dict.fromkeys(("seeds_low", "seeds_high"), pl.Float64),
}


def differences(ranks: dict[tuple[str, str, int], pl.DataFrame]) -> pl.DataFrame:
    """A row a pair, split and metric (by and cohort null), and a row for each cohort of some pairs.

    value: the first model's metric minus the second's, over the same users and seeds.
    """
    rows = []
    for data in dict.fromkeys(key[0] for key in ranks):
        for model, other in PAIRS:
            ours, theirs = _same_seeds(*(_by_seed(ranks, data, name) for name in (model, other)))
            names = {"data": data, "one": model, "other": other}
            rows += [names | vars(paired(ours, theirs, metric)) for metric in COMPARED if ours]
    for model, other in COHORT_PAIRS:
        ours, theirs = _same_seeds(*(_by_seed(ranks, LEAVE_ONE_OUT, name) for name in (model, other)))
        for by in EDGES if ours else ():
            names = {"data": LEAVE_ONE_OUT, "one": model, "other": other, "by": by}
            labels = ours[0].select(cohort(by).alias("cohort"))["cohort"].unique().sort()
            for label in labels:
                inside = [[table.filter(cohort(by) == label) for table in tables] for tables in (ours, theirs)]
                tests = (paired(inside[0], inside[1], metric) for metric in COHORT_METRICS)
                rows += [names | {"cohort": label} | vars(test) for test in tests]
    return pl.DataFrame([{name: row.get(name) for name in SCHEMA} for row in rows], schema=SCHEMA)


def _by_seed(ranks: dict[tuple[str, str, int], pl.DataFrame], data: str, name: str) -> dict[int, pl.DataFrame]:
    return {seed: table for (d, n, seed), table in ranks.items() if (d, n) == (data, name)}


def _same_seeds(
    first: dict[int, pl.DataFrame], second: dict[int, pl.DataFrame]
) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """Tables of the seeds that both have; a model with one seed stands beside every seed of the other."""
    if 1 in (len(first), len(second)) and first and second:
        number = max(len(first), len(second))
        ours, theirs = (list(tables.values()) * (number if len(tables) == 1 else 1) for tables in (first, second))
        return ours, theirs
    shared = sorted(set(first) & set(second))
    return [first[seed] for seed in shared], [second[seed] for seed in shared]
