"""How the study's models trained: epochs, seconds, and when they reach the model from scratch.

In: finished trials. Out: the tables history, convergence and speed of `bench.study.statistics.tables`.

    python -m bench.study
"""

import polars as pl

from bench.study.experiments import TRANSFORMERS
from bench.study.statistics.significance import mean_interval
from bench.study.trials import Trial
from infer.tables.columns import VALIDATION

KEPT = ("epoch", "train_loss", "validation_loss", "validation_ndcg_at_10", "seconds")
HISTORY = pl.Schema({
    "experiment": pl.String, "title": pl.String, "seed": pl.Int64, "elapsed": pl.Float64, "epoch": pl.Int64,
    **dict.fromkeys(KEPT[1:], pl.Float64),
})  # fmt: skip
CONVERGENCE = {
    "experiment": pl.String, "title": pl.String, "seed": pl.Int64, "goal": pl.Float64, "epochs": pl.Int64,
    "goal_epochs": pl.Int64, "seconds": pl.Float64, "goal_seconds": pl.Float64,
}  # fmt: skip
GOAL = "scratch"


def history(trials: list[Trial]) -> pl.DataFrame:
    """A row an epoch of every model with a loss. elapsed: seconds since the start, with the preparation of
    its first vectors and the whole training of the models that it starts from."""
    parts = [pl.DataFrame(schema=HISTORY)]
    for trial in (trial for trial in trials if VALIDATION in trial.measured):
        table = pl.read_parquet(trial.file("history.parquet"))
        if table["train_loss"].null_count():
            continue
        before = sum(_seconds(pl.read_parquet(p.with_suffix(".history.parquet"))) for p in trial.parents().values())
        elapsed = pl.col("seconds").cum_sum() + pl.col("preparation_seconds") + before
        names = {"experiment": trial.experiment.name, "title": trial.experiment.title, "seed": trial.seed}
        fixed = [pl.lit(value).alias(name) for name, value in names.items()]
        parts.append(table.select(*fixed, elapsed.alias("elapsed"), *KEPT).cast(HISTORY))
    return pl.concat(parts)


def convergence(history: pl.DataFrame) -> pl.DataFrame:
    """Epochs and seconds until the best validation loss of training from scratch with the same seed.

    A row a transformer and seed, none where training from scratch has no validation losses; epochs and seconds are
    null where it never gets there. goal_epochs and goal_seconds are what training from scratch needed.
    """
    rows = []
    comparable = history.filter(pl.col("experiment").is_in(TRANSFORMERS))
    for curve in comparable.partition_by("experiment", "seed", maintain_order=True):
        goal = comparable.filter(pl.col("experiment") == GOAL, pl.col("seed") == curve["seed"][0])
        if goal["validation_loss"].count() == 0:
            continue
        best = goal.filter(pl.col("validation_loss") == pl.col("validation_loss").min()).row(0, named=True)
        reached = curve.filter(pl.col("validation_loss") <= best["validation_loss"]).head(1)
        epochs, seconds = reached.select("epoch", "elapsed").row(0) if reached.height else (None, None)
        names = (curve["experiment"][0], curve["title"][0], curve["seed"][0])
        rows.append((*names, best["validation_loss"], epochs, best["epoch"], seconds, best["elapsed"]))
    return pl.DataFrame(rows, schema=CONVERGENCE, orient="row")


def speed(measured: pl.DataFrame) -> pl.DataFrame:
    """(name, rounds, value, low, high): seconds of an epoch by loss, and sampled / softmax; t-intervals over rounds."""
    schema = {"name": pl.String, "rounds": pl.Int64, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64}
    if measured.is_empty():
        return pl.DataFrame(schema=schema)
    by_round = measured.pivot("loss", index="round", values="seconds_per_epoch").sort("round")
    by_round = by_round.with_columns(ratio=pl.col("sampled") / pl.col("softmax"))
    rows = [(n, by_round.height, *mean_interval(by_round[n].to_numpy())) for n in ("sampled", "softmax", "ratio")]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _seconds(table: pl.DataFrame) -> float:
    return table["seconds"].sum() + table["preparation_seconds"][0]
