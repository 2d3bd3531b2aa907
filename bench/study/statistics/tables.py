"""The study's trials as tidy tables: everything its page says is computed from these.

In: finished trials. Out, as a dictionary and as Parquet files; values are shares in [0, 1], times seconds. Each begins
with `data`, the data set, and `split` (of notes data alone):

    metrics      experiment, title, seed, part (test, validation), protocol, metric, value
    summary      experiment, title, protocol, metric, seeds, users, value, low, high, over, validation, optimism
    differences  family, one, other, by, cohort, metric, value, low, high, p, users, seeds, over, p_corrected,
                 significant, why
    scarcity     of, users, history, measured, family, one, other, metric, other_value, value, low, high, p, seeds,
                 over, validation, p_corrected, significant, why (with --curve)
    cohorts      experiment, title, by, cohort, users, metric, value, low, high (all seeds together)
    newcomers    experiment, title, metric, targets, value, low, high (never rated; validation and test)
    history      experiment, title, seed, elapsed, epoch, train_loss, validation_loss, validation_ndcg_at_10, seconds
    convergence  experiment, title, seed, goal, epochs, goal_epochs, seconds, goal_seconds
    costs        experiment, title, seed, seconds, peak_mib, parameters
    anchors      name, source, hit, ndcg, low, high, ratio, seeds, seconds, peak_mib, parameters (published and ours)
    speed        name, rounds, value, low, high (of the first data set)
    top          experiment, title, user, rank (0: held out), film, genres (of the first data set)
    about        name, value
    notes        data, note: what was left out, and why

low, high: 95% by `bench.study.statistics.significance.crossed`, over what `over` says.  optimism: validation minus
test.

    python -m bench.study
"""

import json
import os
import platform
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from bench.study.baselines import baseline_ranks
from bench.study.experiments import LEAVE_ONE_OUT
from bench.study.page.answers import EPOCHS, WHOLE
from bench.study.scarcity import SCHEMA as SCARCITY
from bench.study.scarcity import Cell, scarcity
from bench.study.statistics.anchors import anchors
from bench.study.statistics.costs import costs
from bench.study.statistics.curves import convergence, history, speed
from bench.study.statistics.differences import Ranks, differences
from bench.study.statistics.significance import BOTH, USERS_ONLY, crossed
from bench.study.study import Plan
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
from infer.tables.columns import GENRES, INTERACTIONS_FILE, ITEM, ITEMS_FILE, RANK, TEST, TITLE, USER, VALIDATION

SHOWN = ("bert-paper", "hybrid-paper", "scratch", "hybrid", "ease-markov", "best")
PARTS = (TEST, VALIDATION)
RESAMPLES = 1999  # of a summary, of which there are thousands
NAMES = ("experiment", "title", "protocol", "metric")
SUMMARY = {
    **dict.fromkeys(("split", *NAMES), pl.String), **dict.fromkeys(("seeds", "users"), pl.Int64),
    **dict.fromkeys(("value", "low", "high"), pl.Float64), "over": pl.String,
    **dict.fromkeys(("validation", "optimism"), pl.Float64),
}  # fmt: skip


def write_tables(plan: Plan, speeds: pl.DataFrame, user: str, folder: Path) -> dict[str, pl.DataFrame]:
    """Collect the trials and write one Parquet file a table."""
    tables = collect(plan, speeds, user)
    for name, table in tables.items():
        with replacing(folder / f"{name}.parquet", owned=True) as temporary:
            table.write_parquet(temporary, metadata=MARK)
    return tables


def collect(plan: Plan, speeds: pl.DataFrame, user: str) -> dict[str, pl.DataFrame]:
    """The tables by name; one without rows where no trial has what it shows."""
    by_set = []
    for number, data in enumerate(plan.sets):
        trials = [trial for trial in plan.trials if trial.data == data.name]
        tables = _of_set(trials, plan.cells.get(data.name, []), user if number == 0 else None)
        tables["speed"] = speed(speeds if number == 0 else speeds.clear())
        by_set.append({name: _placed(table, data.name) for name, table in tables.items()})
    found = {name: pl.concat([tables[name] for tables in by_set]) for name in by_set[0]}
    notes = pl.DataFrame(plan.notes, schema={"data": pl.String, "note": pl.String}, orient="row")
    return found | {"notes": notes}


def _placed(table: pl.DataFrame, data: str) -> pl.DataFrame:
    """With the columns data and split in front; what has no split is of leave-one-out."""
    split = [] if "split" in table.columns else [pl.lit(LEAVE_ONE_OUT).alias("split")]
    placed = table.select(pl.lit(data).alias("data"), *split, pl.all())
    return placed.select("data", "split", pl.exclude("data", "split"))


def _of_set(trials: list[Trial], cells: list[Cell], user: str | None) -> dict[str, pl.DataFrame]:
    """The tables of one data set. user: whose best films are shown, if any."""
    ranks: dict[str, Ranks] = {part: {} for part in PARTS}
    titles = {trial.experiment.name: trial.experiment.title for trial in trials}
    for split in dict.fromkeys(trial.split for trial in trials):
        of_split = [trial for trial in trials if trial.split == split]
        for part in PARTS:
            baselines = baseline_ranks(of_split[0], part)
            titles |= {name: name for name in baselines}
            ranks[part] |= {(split, name, 0): table for name, table in baselines.items()}
            file = "ranks.parquet" if part == TEST else f"{part}.ranks.parquet"
            ranks[part] |= {(split, t.experiment.name, t.seed): pl.read_parquet(t.file(file)) for t in of_split}
    metrics = pl.concat(
        [_metrics(*key, titles[key[1]], part, table) for part in PARTS for key, table in ranks[part].items()]
    )
    main = [trial for trial in trials if trial.split == LEAVE_ONE_OUT]
    parts = {cell.split for cell in cells if not cell.last}
    compared: Ranks = {key: table for key, table in ranks[TEST].items() if key[0] not in parts}
    epochs = history(main)
    curve = pl.DataFrame(schema=SCARCITY)
    if cells:
        interactions = pl.read_parquet(main[0].folder / INTERACTIONS_FILE)
        curve = scarcity(cells, ranks[TEST], ranks[VALIDATION], interactions)
    spent = {"summary": _summary(ranks[TEST], titles, metrics), "costs": costs(main)}
    return {
        "metrics": metrics,
        **spent,
        "anchors": anchors(spent, _shape(main[0].folder / INTERACTIONS_FILE)),
        "differences": differences(compared),
        "scarcity": curve,
        "cohorts": _cohorts(ranks[TEST], titles),
        "newcomers": _newcomers(main),
        "history": epochs,
        "convergence": convergence(epochs),
        "top": _top(main if user is not None else [], user or ""),
        "about": _about(main),
    }


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


def _metrics(split: str, experiment: str, seed: int, title: str, part: str, ranks: pl.DataFrame) -> pl.DataFrame:
    """Every metric under every protocol, of one trial."""
    parts = [
        values.mean().unpivot(variable_name="metric").with_columns(protocol=pl.lit(protocol))
        for protocol, values in _per_user(ranks).items()
    ]
    names = {"split": split, "experiment": experiment, "title": title, "seed": seed, "part": part}
    columns = (pl.lit(value).alias(name) for name, value in names.items())
    return pl.concat(parts).select(*columns, "protocol", "metric", "value")


def _summary(ranks: Ranks, titles: dict[str, str], metrics: pl.DataFrame) -> pl.DataFrame:
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


def _cohorts(ranks: Ranks, titles: dict[str, str]) -> pl.DataFrame:
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


def _shape(path: Path) -> tuple[int, int, int]:
    """How many users, items and interactions a table has."""
    table = pl.scan_parquet(path, glob=False).select(pl.col(USER).n_unique(), pl.col(ITEM).n_unique(), n=pl.len())
    return table.collect().row(0)


def _about(trials: list[Trial]) -> pl.DataFrame:
    cut = any(trial.config() != replace(trial, epochs=None).config() for trial in trials)
    report = json.loads(trials[0].file("evaluation.json").read_text())
    rows = {
        "data set": report["dataset"],
        "SHA-256 of interactions.parquet": report["interactions_checksum"],
        "held out": report["protocol"],
        "users, items, interactions": ", ".join(f"{n:,}" for n in _shape(trials[0].folder / INTERACTIONS_FILE)),
        "users measured": f"{report['users_measured']:,}",
        "seeds": ", ".join(str(seed) for seed in sorted({trial.seed for trial in trials})),
        EPOCHS: f"at most {trials[0].epochs} epochs" if cut else WHOLE,
        "sampled negatives": str(trials[0].negatives),
        "machine": f"{platform.machine()}, {platform.system()}, {os.cpu_count()} cores; one thread a model",
        **versions(*LIBRARIES),
    }
    return pl.DataFrame({"name": list(rows), "value": list(rows.values())})
