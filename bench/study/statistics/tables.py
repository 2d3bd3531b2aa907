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
    tuning       experiment, title, trial, state, value, epochs, seconds, options, given (with --tuned)
    anchors      name, source, hit, ndcg, low, high, ratio, seeds, seconds, peak_mib, parameters (published and ours)
    speed        name, rounds, value, low, high (of the first data set)
    top          experiment, title, user, rank (0: held out), film, genres (of the first data set)
    about        name, value
    notes        data, note: what was left out, and why

low, high: 95% by `bench.study.statistics.significance.crossed`, over what `over` says; of cohorts and newcomers
Wilson's, of the mean over seeds with users alone, and of speed a t-interval of rounds.  optimism: validation minus
test.

    python -m bench.study
"""

import json
import os
import platform
from dataclasses import replace
from pathlib import Path

import polars as pl

from bench.study.baselines import baseline_ranks
from bench.study.experiments import LEAVE_ONE_OUT
from bench.study.kept import whole
from bench.study.page.answers import EPOCHS, WHOLE
from bench.study.scarcity import SCHEMA as SCARCITY
from bench.study.scarcity import Cell, scarcity
from bench.study.statistics.anchors import anchors
from bench.study.statistics.costs import costs
from bench.study.statistics.curves import convergence, history, speed
from bench.study.statistics.differences import Ranks, differences
from bench.study.statistics.figures import cohorts, metrics, newcomers, summary
from bench.study.study import Plan
from bench.study.trials import LIBRARIES, Trial, read_marker
from bench.study.tuning import tuning
from infer.model.session import open_model
from infer.scoring.job import open_job
from infer.scoring.lists import model_lists
from infer.scoring.task import prepare, select_users
from infer.system.files import replacing
from infer.system.ownership import MARK
from infer.system.versions import versions
from infer.tables.columns import GENRES, INTERACTIONS_FILE, ITEM, ITEMS_FILE, RANK, TEST, TITLE, USER, VALIDATION

SHOWN = ("bert-paper", "hybrid-paper", "scratch", "hybrid", "ease-markov", "best")
PARTS = (TEST, VALIDATION)


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
        searched = list({trial.experiment.name: trial.experiment for trial in trials}.values())
        tables["tuning"] = tuning(searched, plan.searches.get(data.name))
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
        there = whole(of_split)
        for part in PARTS:
            baselines = baseline_ranks(there, part)
            titles |= {name: name for name in baselines}
            ranks[part] |= {(split, name, 0): table for name, table in baselines.items()}
            of_part = [t for t in of_split if part in t.measured]
            ranks[part] |= {(split, t.experiment.name, t.seed): pl.read_parquet(t.ranks(part)) for t in of_part}
    measured = pl.concat(
        [metrics(*key, titles[key[1]], part, table) for part in PARTS for key, table in ranks[part].items()]
    )
    main = [trial for trial in trials if trial.split == LEAVE_ONE_OUT]
    parts = {cell.split for cell in cells if not cell.last}
    compared: Ranks = {key: table for key, table in ranks[TEST].items() if key[0] not in parts}
    epochs = history(main)
    curve = pl.DataFrame(schema=SCARCITY)
    if cells:
        curve = scarcity(cells, ranks[TEST], ranks[VALIDATION])
    spent = {"summary": summary(ranks[TEST], titles, measured), "costs": costs(main)}
    return {
        "metrics": measured,
        **spent,
        "anchors": anchors(spent, _shape(main[0].folder / INTERACTIONS_FILE)),
        "differences": differences(compared),
        "scarcity": curve,
        "cohorts": cohorts(ranks[TEST], titles),
        "newcomers": newcomers(main),
        "history": epochs,
        "convergence": convergence(epochs),
        "top": _top(main if user is not None else [], user or ""),
        "about": _about(main),
    }


def _top(trials: list[Trial], user: str) -> pl.DataFrame:
    """The five best films of a user by each of some models, and the held-out one."""
    schema = dict.fromkeys(("experiment", "title", "user", "rank", "film", "genres"), pl.String)
    parts = [pl.DataFrame(schema=schema | {"rank": pl.Int32})]
    shown = [trial for trial in trials if trial.seed == 0 and trial.experiment.name in SHOWN]
    for trial in (trial for trial in shown if trial.file("onnx").is_file()):
        task = select_users(prepare(open_job(open_model(trial.file("onnx"), threads=1))), [user], "--user")
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
    said = sorted({marker["machine"] for marker in map(read_marker, (t.marker for t in trials)) if "machine" in marker})
    here = f"{platform.machine()}, {platform.system()}, {os.cpu_count()} cores"
    report = json.loads(whole(trials).file("evaluation.json").read_bytes())
    rows = {
        "data set": report["dataset"],
        "SHA-256 of interactions.parquet": report["interactions_checksum"],
        "held out": report["protocol"],
        "users, items, interactions": ", ".join(f"{n:,}" for n in _shape(trials[0].folder / INTERACTIONS_FILE)),
        "users measured": f"{report['users_measured']:,}",
        "seeds": ", ".join(str(seed) for seed in sorted({trial.seed for trial in trials})),
        EPOCHS: f"at most {trials[0].epochs} epoch{'s' * (trials[0].epochs != 1)}" if cut else WHOLE,
        "sampled negatives": str(trials[0].negatives),
        "machine": f"{' and '.join(said) or here}; one thread a model",
        **versions(*LIBRARIES),
    }
    return pl.DataFrame({"name": list(rows), "value": list(rows.values())})
