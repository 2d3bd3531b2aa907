"""The study's trials as tidy tables: everything its page says is computed from these.

In: finished trials. Out, as a dictionary and as Parquet files; values are shares in [0, 1], times seconds:

    metrics      data, experiment, title, seed, protocol, metric, value
    summary      data, experiment, title, protocol, metric, seeds, value, low, high (t-interval over seeds)
    differences  data, one, other, by, cohort, metric, value, low, high, p, users, seeds, seeds_low, seeds_high
    cohorts      experiment, title, by, cohort, users, metric, value, low, high (all seeds together)
    newcomers    experiment, title, metric, targets, value, low, high (never rated; validation and test)
    history      experiment, title, seed, elapsed, epoch, train_loss, validation_loss, validation_ndcg_at_10, seconds
    convergence  experiment, title, seed, goal, epochs, goal_epochs, seconds, goal_seconds
    speed        name, rounds, value, low, high
    top          experiment, title, user, rank (0: held out), film, genres
    about        name, value

    python -m bench.study
"""

import json
import os
import platform
from pathlib import Path

import polars as pl

from bench.study.baselines import BASELINES, baseline_ranks
from bench.study.curves import convergence, history, speed
from bench.study.differences import differences
from bench.study.experiments import LEAVE_ONE_OUT
from bench.study.significance import mean_interval
from bench.study.trials import LIBRARIES, Trial
from infer.metrics.cohorts import cohort_metrics
from infer.metrics.intervals import wilson
from infer.metrics.ranking import rank_metrics
from infer.metrics.sampled import PROTOCOLS
from infer.model.session import open_model
from infer.scoring.evaluation import CUTOFFS
from infer.scoring.job import open_job
from infer.scoring.lists import model_lists
from infer.scoring.task import prepare, select_users
from infer.system.files import replacing
from infer.system.ownership import MARK
from infer.system.versions import versions
from infer.tables.columns import GENRES, ITEM, ITEMS_FILE, RANK, TITLE

Ranks = dict[tuple[str, str, int], pl.DataFrame]  # (data, experiment, seed) -> ranks
SHOWN = ("bert-paper", "hybrid-paper", "scratch", "hybrid", "ease-markov", "best")
SUMMARY = {"seeds": pl.Int64, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64}


def write_tables(trials: list[Trial], speeds: pl.DataFrame, user: str, folder: Path) -> dict[str, pl.DataFrame]:
    """Collect the trials and write one Parquet file a table."""
    tables = collect(trials, speeds, user)
    for name, table in tables.items():
        with replacing(folder / f"{name}.parquet", owned=True) as temporary:
            table.write_parquet(temporary, metadata=MARK)
    return tables


def collect(trials: list[Trial], speeds: pl.DataFrame, user: str) -> dict[str, pl.DataFrame]:
    """The tables by name; one without rows where no trial has what it shows."""
    ranks: Ranks = {}
    for data in dict.fromkeys(trial.data for trial in trials):
        of_split = [trial for trial in trials if trial.data == data]
        ranks |= {(data, name, 0): table for name, table in baseline_ranks(of_split[0]).items()}
        ranks |= {(data, t.experiment.name, t.seed): pl.read_parquet(t.file("ranks.parquet")) for t in of_split}
    titles = {trial.experiment.name: trial.experiment.title for trial in trials} | {name: name for name in BASELINES}
    metrics = pl.concat([_metrics(*key, titles[key[1]], table) for key, table in ranks.items()])
    main = [trial for trial in trials if trial.data == LEAVE_ONE_OUT]
    epochs = history(main)
    return {
        "metrics": metrics,
        "summary": _summary(metrics),
        "differences": differences(ranks),
        "cohorts": _cohorts(ranks, titles),
        "newcomers": _newcomers(main),
        "history": epochs,
        "convergence": convergence(epochs),
        "speed": speed(speeds),
        "top": _top(main, user),
        "about": _about(main),
    }


def _metrics(data: str, experiment: str, seed: int, title: str, ranks: pl.DataFrame) -> pl.DataFrame:
    """Every metric under every protocol, of one trial."""
    parts = []
    for protocol, column in (("full", RANK), *((p, f"{RANK}_{p}") for p in PROTOCOLS)):
        expressions = {n: e for k in CUTOFFS for n, e in rank_metrics(k).items() if n.startswith(("hit", "ndcg"))}
        expressions["mrr"] = (1 / pl.col(RANK)).fill_null(0.0)
        by_rank = ranks.select(pl.col(column).alias(RANK))
        means = by_rank.select(expression.mean().alias(name) for name, expression in expressions.items())
        parts.append(means.unpivot(variable_name="metric").with_columns(protocol=pl.lit(protocol)))
    names = {"data": data, "experiment": experiment, "title": title, "seed": seed}
    columns = (pl.lit(value).alias(name) for name, value in names.items())
    return pl.concat(parts).select(*columns, "protocol", "metric", "value")


def _summary(metrics: pl.DataFrame) -> pl.DataFrame:
    by = ["data", "experiment", "title", "protocol", "metric"]
    rows = [
        (*group.select(by).row(0), group.height, *mean_interval(group["value"].to_numpy()))
        for group in metrics.partition_by(by, maintain_order=True)
    ]
    return pl.DataFrame(rows, schema={**dict.fromkeys(by, pl.String), **SUMMARY}, orient="row")


def _cohorts(ranks: Ranks, titles: dict[str, str]) -> pl.DataFrame:
    """Seeds share their users, so they are averaged, not counted as more users."""
    groups: dict[str, list[pl.DataFrame]] = {}
    for (data, experiment, _), table in ranks.items():
        if data == LEAVE_ONE_OUT:
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


def _newcomers(trials: list[Trial]) -> pl.DataFrame:
    """Held-out items that nobody had rated, of validation and test together, over all seeds."""
    rows = []
    for name in dict.fromkeys(trial.experiment.name for trial in trials):
        of_model = [trial for trial in trials if trial.experiment.name == name]
        files = [trial.file(f"{split}ranks.parquet") for trial in of_model for split in ("", "validation.")]
        tables = [pl.read_parquet(path) for path in files]
        ranks = pl.concat([table.filter(pl.col("target_count") == 0) for table in tables])
        targets = ranks.height // len(of_model)
        for k in (10, 100) if targets else ():
            share = float((ranks[RANK] <= k).fill_null(False).sum() / ranks.height)
            rows.append((name, of_model[0].experiment.title, f"hit@{k}", targets, share, *wilson(share, targets)))
    schema = dict.fromkeys(("experiment", "title", "metric"), pl.String) | {"targets": pl.Int64}
    return pl.DataFrame(rows, schema=schema | dict.fromkeys(("value", "low", "high"), pl.Float64), orient="row")


def _top(trials: list[Trial], user: str) -> pl.DataFrame:
    """The five best films of a user by each of some models, and the held-out one."""
    schema = dict.fromkeys(("experiment", "title", "user", "rank", "film", "genres"), pl.String)
    parts = [pl.DataFrame(schema=schema | {"rank": pl.Int32})]
    for trial in (trial for trial in trials if trial.seed == 0 and trial.experiment.name in SHOWN):
        task = select_users(prepare(open_job(open_model(trial.file("onnx"), threads=1))), user, "--user")
        assert task.targets is not None, "the study's data are split"
        lists = model_lists(task, 5, batch_size=1).select(RANK, ITEM)
        table = pl.concat([lists, task.targets.select(pl.lit(0, dtype=pl.Int32).alias(RANK), ITEM)])
        films = pl.read_parquet(trial.folder / ITEMS_FILE).select(pl.col(ITEM).cast(pl.String), TITLE, GENRES)
        table = table.with_columns(pl.col(ITEM).cast(pl.String)).join(films, on=ITEM, how="left", maintain_order="left")
        names = {"experiment": trial.experiment.name, "title": trial.experiment.title, "user": user}
        film = pl.coalesce(pl.col(TITLE), pl.col(ITEM)).alias("film")
        fixed = [pl.lit(v).alias(n) for n, v in names.items()]
        parts.append(table.select(*fixed, RANK, film, pl.col(GENRES).cast(pl.String).alias("genres")))
    return pl.concat(parts)


def _about(trials: list[Trial]) -> pl.DataFrame:
    report = json.loads(trials[0].file("evaluation.json").read_text())
    rows = {
        "data set": report["dataset"],
        "SHA-256 of interactions.parquet": report["interactions_checksum"],
        "held out": report["protocol"],
        "users measured": f"{report['users_measured']:,}",
        "seeds": ", ".join(str(seed) for seed in sorted({trial.seed for trial in trials})),
        "epochs of a transformer": f"at most {trials[0].epochs}" if trials[0].epochs else "as configured",
        "sampled negatives": str(trials[0].negatives),
        "machine": f"{platform.machine()}, {platform.system()}, {os.cpu_count()} cores; one thread a model",
        **versions(*LIBRARIES),
    }
    return pl.DataFrame({"name": list(rows), "value": list(rows.values())})
