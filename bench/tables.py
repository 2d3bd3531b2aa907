"""The study's cells as tidy tables: everything its page says is computed from these.

In: finished cells. Out, as a dictionary and as Parquet files:

    metrics      data, experiment, title, seed, protocol, metric, value
    summary      data, experiment, title, protocol, metric, seeds, value, low, high (t-interval over seeds)
    differences  data, one, other, metric, value, low, high, p, seeds, seeds_low, seeds_high
    cohorts      experiment, title, by, cohort, users, metric, value, low, high (all seeds together)
    newcomers    experiment, title, metric, targets, value, low, high (never rated; validation and test)
    history      experiment, title, seed, epoch, elapsed, train_loss, validation_loss, validation_ndcg_at_10
    convergence  experiment, title, seed, goal, epochs, goal_epochs, seconds, goal_seconds
    top          experiment, title, rank, title of the film, genres
    about        name, value
"""

import json
import platform
from pathlib import Path

import numpy as np
import onnxruntime as ort
import polars as pl

from bench.cells import LEAVE_ONE_OUT, Cell
from bench.significance import mean_interval, paired
from infer.cohorts import cohort_metrics
from infer.files import replacing
from infer.metrics import wilson
from infer.protocols import PROTOCOLS, rank_among
from infer.references import popularity_order
from infer.schema import DROPPED, PAD, RANK
from infer.sequences import seen
from infer.task import ScoringConfig, prepare

PAIRS = (
    ("hybrid", "scratch"),
    ("hybrid-ppmi", "scratch"),
    ("hybrid-mf", "scratch"),
    ("hybrid-paper", "bert-paper"),
    ("best", "ease-markov"),
    ("best", "hybrid"),
    ("softmax", "scratch"),
)
COMPARED = ("hit@10", "ndcg@10")
REFERENCES = {"random": "random", "popularity": "popularity"}


def write_tables(cells: list[Cell], folder: Path) -> dict[str, pl.DataFrame]:
    """Collect the cells and write one Parquet file a table."""
    tables = collect(cells)
    for name, table in tables.items():
        with replacing(folder / f"{name}.parquet") as part:
            table.write_parquet(part)
    return tables


def collect(cells: list[Cell]) -> dict[str, pl.DataFrame]:
    """The tables by name; one without rows where no cell has what it shows."""
    ranks = {key(cell): pl.read_parquet(_file(cell, "ranks.parquet")) for cell in cells} | references(cells)
    metrics = pl.concat([_metrics(*name, table) for name, table in ranks.items()])
    main = [cell for cell in cells if cell.data == LEAVE_ONE_OUT]
    history = _history(main)
    return {
        "metrics": metrics,
        "summary": _summary(metrics),
        "differences": _differences(ranks),
        "cohorts": _cohorts(ranks),
        "newcomers": _newcomers(main),
        "history": history,
        "convergence": _convergence(history),
        "top": _top(main),
        "about": _about(main),
    }


def key(cell: Cell) -> tuple[str, str, str, int]:
    """(data, experiment, title, seed)."""
    return cell.data, cell.experiment.name, cell.experiment.title, cell.seed


def references(cells: list[Cell]) -> dict[tuple[str, str, str, int], pl.DataFrame]:
    """Ranks that popularity and chance give, against the same negatives as the models'."""
    found = {}
    for data in dict.fromkeys(cell.data for cell in cells):
        cell = next(cell for cell in cells if cell.data == data)
        model = cell.folder / f"{cell.experiment.name}.onnx"
        task = prepare(ScoringConfig(model=model, threads=1), measure=True)
        ranks = pl.read_parquet(_file(cell, "ranks.parquet"))
        negatives = pl.read_parquet(_file(cell, "negatives.parquet"))
        items = len(task.counts) + 1
        place = np.zeros(items)
        place[popularity_order(task.counts)] = np.arange(len(task.counts), 0, -1)
        index = dict(zip(task.model.metadata.item_ids, range(1, items), strict=True))
        rows = np.searchsorted(task.histories.users.to_numpy(), ranks["user"].to_numpy())
        targets = np.array([index[item] for item in ranks["item"]])
        chosen = {
            p: np.array([index[i] for i in negatives.filter(pl.col("protocol") == p)["item"]]).reshape(len(ranks), -1)
            for p in PROTOCOLS
        }
        for name in REFERENCES:
            columns: dict[str, list[np.ndarray]] = {
                column: [] for column in (RANK, *(f"{RANK}_{p}" for p in PROTOCOLS))
            }
            for part in np.array_split(np.arange(len(rows)), max(1, len(rows) * items // 16_000_000)):
                scores = np.broadcast_to(place, (len(part), items)).copy()
                if name == "random":
                    scores = np.stack([np.random.default_rng([0, int(row)]).random(items) for row in rows[part]])
                np.put_along_axis(scores, seen(task.histories.take(rows[part])), DROPPED, axis=1)
                scores[:, PAD] = DROPPED
                columns[RANK].append(rank_among(scores, targets[part]))
                for p in PROTOCOLS:
                    columns[f"{RANK}_{p}"].append(rank_among(scores, targets[part], chosen[p][part]))
            found[data, name, REFERENCES[name], 0] = ranks.with_columns(
                pl.Series(column, np.concatenate(values)) for column, values in columns.items()
            )
    return found


def _metrics(data: str, experiment: str, title: str, seed: int, ranks: pl.DataFrame) -> pl.DataFrame:
    rows = []
    for protocol, column in (("full", RANK), *((p, f"{RANK}_{p}") for p in PROTOCOLS)):
        rank = (
            ranks[column].to_numpy().astype(np.float64)
            if ranks[column].null_count() == 0
            else ranks[column].fill_null(2**31).to_numpy().astype(np.float64)
        )
        for k in (1, 5, 10, 100):
            hit = rank <= k
            rows.append((protocol, f"hit@{k}", hit.mean()))
            rows.append((protocol, f"ndcg@{k}", np.where(hit, 1 / np.log2(rank + 1), 0.0).mean()))
        rows.append((protocol, "mrr", np.where(rank < 2**31, 1 / rank, 0.0).mean()))
    table = pl.DataFrame(rows, schema=["protocol", "metric", "value"], orient="row")
    names = {"data": data, "experiment": experiment, "title": title, "seed": seed}
    return table.select(*(pl.lit(value).alias(name) for name, value in names.items()), pl.all())


def _summary(metrics: pl.DataFrame) -> pl.DataFrame:
    by = ["data", "experiment", "title", "protocol", "metric"]
    rows = []
    for group in metrics.partition_by(by, maintain_order=True):
        value, low, high = mean_interval(group["value"].to_numpy())
        rows.append((*group.select(by).row(0), group.height, value, low, high))
    schema = {
        **dict.fromkeys(by, pl.String),
        "seeds": pl.Int64,
        "value": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _differences(ranks: dict) -> pl.DataFrame:
    rows = []
    for data in dict.fromkeys(name[0] for name in ranks):
        for one, other in PAIRS:
            tables = [
                {seed: table for (d, experiment, _, seed), table in ranks.items() if (d, experiment) == (data, name)}
                for name in (one, other)
            ]
            if not all(tables):
                continue
            shared = sorted(set(tables[0]) & set(tables[1]))
            chosen = (
                [[t[s] for s in shared] for t in tables] if len(tables[1]) > 1 else [list(t.values()) for t in tables]
            )
            for metric in COMPARED:
                found = paired(*chosen, metric)
                rows.append({"data": data, "one": one, "other": other, **vars(found)})
    schema = {"data": pl.String, "one": pl.String, "other": pl.String, "metric": pl.String}
    numbers = dict.fromkeys(("value", "low", "high", "p", "users", "seeds", "seeds_low", "seeds_high"), pl.Float64)
    return pl.DataFrame(rows, schema=schema | numbers)


def _cohorts(ranks: dict) -> pl.DataFrame:
    groups: dict[tuple[str, str], list[pl.DataFrame]] = {}
    for (data, experiment, title, _), table in ranks.items():
        if data == LEAVE_ONE_OUT:
            groups.setdefault((experiment, title), []).append(table)
    parts = []
    for (experiment, title), tables in groups.items():
        # Seeds share their users, so they are averaged, not counted as more users.
        found = pl.concat([cohort_metrics(table) for table in tables])
        mean = found.group_by("by", "cohort", "users", "metric", maintain_order=True).agg(pl.col("value").mean())
        bounds = [wilson(min(1.0, value), users) for value, users in zip(mean["value"], mean["users"], strict=True)]
        mean = mean.with_columns(
            pl.Series("low", [low for low, _ in bounds]), pl.Series("high", [high for _, high in bounds])
        )
        parts.append(mean.select(pl.lit(experiment).alias("experiment"), pl.lit(title).alias("title"), pl.all()))
    return pl.concat(parts)


def _newcomers(cells: list[Cell]) -> pl.DataFrame:
    """Held-out items that nobody had rated, of validation and test together, over all seeds."""
    rows = []
    for name in dict.fromkeys(cell.experiment.name for cell in cells):
        own = [cell for cell in cells if cell.experiment.name == name]
        tables = [pl.read_parquet(_file(cell, f"{kind}ranks.parquet")) for cell in own for kind in ("", "validation.")]
        ranks = pl.concat([table.filter(pl.col("target_count") == 0) for table in tables])
        targets = ranks.height // len(own)
        for k in (10, 100):
            share = (ranks[RANK] <= k).fill_null(False).mean() if ranks.height else 0.0
            low, high = wilson(share, targets) if targets else (0.0, 1.0)
            rows.append((name, own[0].experiment.title, f"hit@{k}", targets, share, low, high))
    return pl.DataFrame(rows, schema=["experiment", "title", "metric", "targets", "value", "low", "high"], orient="row")


def _history(cells: list[Cell]) -> pl.DataFrame:
    parts = []
    for cell in cells:
        table = pl.read_parquet(_file(cell, "history.parquet"))
        if table["train_loss"].null_count() == 0:
            elapsed = pl.col("seconds").cum_sum() + pl.col("preparation_seconds")
            names = {"experiment": cell.experiment.name, "title": cell.experiment.title, "seed": cell.seed}
            kept = ("epoch", "train_loss", "validation_loss", "validation_ndcg_at_10", "seconds")
            parts.append(table.select(*(pl.lit(v).alias(n) for n, v in names.items()), elapsed.alias("elapsed"), *kept))
    return pl.concat(parts) if parts else pl.DataFrame(schema={"experiment": pl.String})


def _convergence(history: pl.DataFrame, goal: str = "scratch") -> pl.DataFrame:
    """Epochs and seconds until the goal model's best validation loss of the same seed; null if never."""
    rows = []
    if goal in history["experiment"]:
        for part in history.partition_by("experiment", "seed", maintain_order=True):
            own = history.filter(pl.col("experiment") == goal, pl.col("seed") == part["seed"][0])
            # Losses of another unit (squared error) or another evaluation do not compare.
            if own.is_empty() or part["experiment"][0].startswith("mf"):
                continue
            best = own.row(
                by_predicate=pl.col("epoch") == own["epoch"][int(own["validation_loss"].arg_min())], named=True
            )
            reached = part.filter(pl.col("validation_loss") <= best["validation_loss"]).head(1)
            epochs, seconds = reached.select("epoch", "elapsed").row(0) if reached.height else (None, None)
            names = (part["experiment"][0], part["title"][0], part["seed"][0])
            rows.append((*names, best["validation_loss"], epochs, best["epoch"], seconds, best["elapsed"]))
    columns = {"experiment": pl.String, "title": pl.String, "seed": pl.Int64, "goal": pl.Float64, "epochs": pl.Int64}
    more = {"goal_epochs": pl.Int64, "seconds": pl.Float64, "goal_seconds": pl.Float64}
    return pl.DataFrame(rows, schema=columns | more, orient="row")


def _top(cells: list[Cell]) -> pl.DataFrame:
    parts = []
    for cell in (cell for cell in cells if cell.seed == 0):
        table = pl.read_parquet(_file(cell, "top.parquet")).rename({"title": "film"})
        names = {"experiment": cell.experiment.name, "title": cell.experiment.title, "user": cell.user}
        parts.append(table.select(*(pl.lit(v).alias(n) for n, v in names.items()), "rank", "film", "genres"))
    return pl.concat(parts)


def _about(cells: list[Cell]) -> pl.DataFrame:
    report = json.loads(_file(cells[0], "evaluation.json").read_text())
    rows = {
        "data set": report["dataset"],
        "SHA-256 of interactions.parquet": report["interactions_checksum"],
        "protocol": report["protocol"],
        "users measured": str(report["users_measured"]),
        "machine": f"{platform.machine()}, {platform.system()}",
        "python": platform.python_version(),
        "onnxruntime": ort.__version__,
        "polars": pl.__version__,
        "numpy": np.__version__,
    }
    return pl.DataFrame({"name": list(rows), "value": list(rows.values())})


def _file(cell: Cell, suffix: str) -> Path:
    return cell.folder / f"{cell.experiment.name}.{suffix}"
