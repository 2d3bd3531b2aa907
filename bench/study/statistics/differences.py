"""Is one model of the study better than another, for everyone and within cohorts?

In: the ranks of one data set by (split, experiment, seed). Out: the table differences of
`bench.study.statistics.tables`; `bench.study.statistics.significance` does the statistics.

    python -m bench.study
"""

import polars as pl

from bench.study.experiments import (
    COHORT_PAIRS,
    EXPERIMENTS,
    LEAVE_ONE_OUT,
    PAIRS,
    PRIMARY,
    PRIMARY_METRICS,
    REFIT_PAIRS,
)
from bench.study.statistics.significance import judged, paired
from infer.metrics.cohorts import EDGES, cohort

COMPARED = ("hit@10", "ndcg@10", "hit@100")
COHORT_METRICS = ("hit@10", "hit@100")
PRIMARY_FAMILY, SECONDARY_FAMILY, COHORT_FAMILY, REFIT_FAMILY = "primary", "secondary", "cohorts", "on everything"
MEASURED = {
    **dict.fromkeys(("value", "low", "high", "p"), pl.Float64),
    **dict.fromkeys(("users", "seeds"), pl.Int64),
    "over": pl.String,
}
VERDICT = {"p_corrected": pl.Float64, "significant": pl.Boolean, "why": pl.String}
ROW = {**dict.fromkeys(("split", "family", "one", "other", "by", "cohort", "metric"), pl.String), **MEASURED}
SCHEMA = ROW | VERDICT
DETERMINISTIC = {e.name for e in EXPERIMENTS if not e.random}
Ranks = dict[tuple[str, str, int], pl.DataFrame]  # (split, experiment, seed) -> ranks


def differences(ranks: Ranks) -> pl.DataFrame:
    """A row a pair, split and metric (by and cohort null), and a row for each cohort of some pairs.

    value: the first model's metric minus the second's, over the same users and seeds.  p_corrected: within its family.
    """
    rows = []
    for split in dict.fromkeys(key[0] for key in ranks):
        for model, other in (*PAIRS, *REFIT_PAIRS):
            ours, theirs = same_seeds(ranks, split, model, other)
            for metric in COMPARED if ours else ():
                names = {"split": split, "family": family(split, model, other, metric), "one": model, "other": other}
                rows.append(names | vars(paired(ours, theirs, metric)))
    for model, other in COHORT_PAIRS:
        ours, theirs = same_seeds(ranks, LEAVE_ONE_OUT, model, other)
        for by in EDGES if ours else ():
            names = {"split": LEAVE_ONE_OUT, "family": COHORT_FAMILY, "one": model, "other": other, "by": by}
            labels = ours[0].select(cohort(by).alias("cohort"))["cohort"].unique().sort()
            for label in labels:
                inside = [[table.filter(cohort(by) == label) for table in tables] for tables in (ours, theirs)]
                tests = (paired(inside[0], inside[1], metric) for metric in COHORT_METRICS)
                rows += [names | {"cohort": label} | vars(test) for test in tests]
    return judged(pl.DataFrame([{name: row.get(name) for name in ROW} for row in rows], schema=ROW))


def family(split: str, one: str, other: str, metric: str) -> str:
    """Which tests it is corrected with."""
    if (one, other) in REFIT_PAIRS:
        return REFIT_FAMILY
    primary = (one, other) in PRIMARY and metric in PRIMARY_METRICS and split == LEAVE_ONE_OUT
    return PRIMARY_FAMILY if primary else SECONDARY_FAMILY


def same_seeds(ranks: Ranks, split: str, one: str, other: str) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """Tables of the seeds that both models have; one without randomness stands beside every seed of the other."""
    first, second = (
        {seed: table for (s, name, seed), table in ranks.items() if (s, name) == (split, model)}
        for model in (one, other)
    )
    if one in DETERMINISTIC and first:
        first = dict.fromkeys(second if other not in DETERMINISTIC else first, next(iter(first.values())))
    if other in DETERMINISTIC and second:
        second = dict.fromkeys(first, next(iter(second.values())))
    shared = sorted(set(first) & set(second))
    return [first[seed] for seed in shared], [second[seed] for seed in shared]
