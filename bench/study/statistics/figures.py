"""Figures of the study's models: metrics of every trial, means over seeds with intervals, cohorts, newcomers.

In: ranks of trials. Out: tables whose columns `bench.study.statistics.tables` lists.

    python -m bench.study
"""

import numpy as np
import polars as pl

from bench.study.experiments import LEAVE_ONE_OUT
from bench.study.statistics.differences import Ranks
from bench.study.statistics.significance import BOTH, USERS_ONLY, crossed
from bench.study.trials import Trial
from infer.metrics.cohorts import cohort_metrics
from infer.metrics.intervals import wilson
from infer.metrics.ranking import rank_metrics
from infer.metrics.sampled import PROTOCOLS
from infer.scoring.evaluation import CUTOFFS
from infer.tables.columns import RANK, USER, VALIDATION

RESAMPLES = 1999  # of a summary, of which there are thousands
NAMES = ("experiment", "title", "protocol", "metric")
SUMMARY = {
    **dict.fromkeys(("split", *NAMES), pl.String), **dict.fromkeys(("seeds", "users"), pl.Int64),
    **dict.fromkeys(("value", "low", "high"), pl.Float64), "over": pl.String,
    **dict.fromkeys(("validation", "optimism"), pl.Float64),
}  # fmt: skip


def _per_user(ranks: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Every metric of each user, a column each, under every protocol that the ranks have."""
    found = {}
    for protocol, column in (("full", RANK), *((p, f"{RANK}_{p}") for p in PROTOCOLS)):
        expressions = {n: e for k in CUTOFFS for n, e in rank_metrics(k).items() if n.startswith(("hit", "ndcg"))}
        expressions["mrr"] = (1 / pl.col(RANK)).fill_null(0.0)
        if column in ranks.columns:
            by_rank = ranks.sort(USER).select(pl.col(column).alias(RANK))
            found[protocol] = by_rank.select(e.cast(pl.Float64).alias(n) for n, e in expressions.items())
    return found


def metrics(split: str, experiment: str, seed: int, title: str, part: str, ranks: pl.DataFrame) -> pl.DataFrame:
    """Every metric under every protocol, of one trial."""
    parts = [
        values.mean().unpivot(variable_name="metric").with_columns(protocol=pl.lit(protocol))
        for protocol, values in _per_user(ranks).items()
    ]
    names = {"split": split, "experiment": experiment, "title": title, "seed": seed, "part": part}
    columns = (pl.lit(value).alias(name) for name, value in names.items())
    return pl.concat(parts).select(*columns, "protocol", "metric", "value")


def summary(ranks: Ranks, titles: dict[str, str], metrics: pl.DataFrame) -> pl.DataFrame:
    """A row a model, protocol and metric: its mean over seeds on test items, and on validation items."""
    key = ["split", "experiment", "protocol", "metric"]
    earlier = metrics.filter(pl.col("part") == VALIDATION).group_by(key).agg(pl.col("value").mean().alias("validation"))
    rows = []
    for split, experiment in dict.fromkeys((s, e) for s, e, _ in ranks):
        tables = [_per_user(table) for (s, e, _), table in ranks.items() if (s, e) == (split, experiment)]
        for protocol, first in tables[0].items():
            values = np.stack([table[protocol].to_numpy().T for table in tables], axis=1)  # (metrics, seeds, users)
            seeds, users = values.shape[1:]
            for metric, of_metric, bounds in zip(first.columns, values, crossed(values, RESAMPLES), strict=True):
                if np.ptp(of_metric) == 0:  # nothing to draw: not a single hit has an upper bound all the same
                    bounds = wilson(float(of_metric.flat[0]), users)
                names = (split, experiment, titles[experiment], protocol, metric)
                over = BOTH if seeds > 1 else USERS_ONLY
                rows.append((*names, seeds, users, float(of_metric.mean()), *bounds, over))
    table = pl.DataFrame(rows, schema=dict(list(SUMMARY.items())[:-2]), orient="row")
    table = table.join(earlier, on=key, how="left", maintain_order="left")
    return table.with_columns(optimism=pl.col("validation") - pl.col("value"))


def cohorts(ranks: Ranks, titles: dict[str, str]) -> pl.DataFrame:
    """Seeds share their users, so they are averaged, not counted as more users."""
    groups: dict[str, list[pl.DataFrame]] = {}
    for (split, experiment, _), table in ranks.items():
        if split == LEAVE_ONE_OUT:
            groups.setdefault(experiment, []).append(cohort_metrics(table))
    parts = []
    for name, of_seeds in groups.items():
        by = ("by", "cohort", "users", "metric")
        mean = pl.concat(of_seeds).group_by(by, maintain_order=True).agg(pl.col("value").mean())
        bounds = [wilson(min(1.0, value), users) for value, users in mean.select("value", "users").iter_rows()]
        low, high = (pl.Series(side, [b[n] for b in bounds]) for n, side in enumerate(("low", "high")))
        names = (pl.lit(name).alias("experiment"), pl.lit(titles[name]).alias("title"))
        parts.append(mean.select(*names, *by, "value", low, high))
    return pl.concat(parts)


def newcomers(trials: list[Trial]) -> pl.DataFrame:
    """Held-out items that nobody had rated, of validation and test together, over all seeds; of models with both."""
    rows = []
    for name in dict.fromkeys(trial.experiment.name for trial in trials if VALIDATION in trial.measured):
        of_model = [trial for trial in trials if trial.experiment.name == name]
        files = [trial.ranks(part) for trial in of_model for part in trial.measured]
        tables = [pl.read_parquet(path) for path in files]
        ranks = pl.concat([table.filter(pl.col("target_count") == 0) for table in tables])
        targets = ranks.height // len(of_model)
        for k in (10, 100) if targets else ():
            share = float((ranks[RANK] <= k).fill_null(False).sum() / ranks.height)
            rows.append((name, of_model[0].experiment.title, f"hit@{k}", targets, share, *wilson(share, targets)))
    schema = dict.fromkeys(("experiment", "title", "metric"), pl.String) | {"targets": pl.Int64}
    return pl.DataFrame(rows, schema=schema | dict.fromkeys(("value", "low", "high"), pl.Float64), orient="row")
