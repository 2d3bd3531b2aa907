"""Evaluate one model under every protocol, in one run: full ranking, sampled negatives, cohorts.

In: a model written by `python -m export` and a table with held-out items. Out, beside the model:
MODEL.evaluation.json, MODEL.ranks.parquet (user, item, rank, rank_uniform, rank_popularity,
target_count, history_length) and MODEL.negatives.parquet (protocol, user, item).

    python -m infer.evaluate --model hybrid.onnx
    python -m infer.evaluate --model bert.onnx --negatives-file artifacts/hybrid.negatives.parquet

A user whom the model cannot personalise has no rank and counts as a miss.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from tqdm import tqdm

from infer.cli import option, parse, run
from infer.cohorts import cohort_metrics
from infer.errors import InputError
from infer.files import replacing, write_text
from infer.metrics import summarise
from infer.probe import probe
from infer.protocols import PROTOCOLS, rank_among, sample_negatives
from infer.report import provenance, totals
from infer.schema import DROPPED, ITEM, RANK, USER, vocabulary
from infer.session import Model
from infer.tables import read_table
from infer.task import ScoringConfig, Task, prepare

CUTOFFS = (1, 5, 10, 100)
# Scores of one batch: at most so many numbers in memory at once.
BUDGET = 16_000_000


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(ScoringConfig):
    """Options of `python -m infer.evaluate`."""

    negatives: int = option(100, "sampled negatives of each user", minimum=1)
    negatives_file: Path | None = option(None, "use the negatives another model was evaluated with")
    seed: int = option(0, "seed of the negatives", minimum=0)


def evaluate(task: Task, negatives: dict[str, np.ndarray]) -> pl.DataFrame:
    """Ranks of the held-out items: (user, item, rank, rank_PROTOCOL..., target_count, history_length).

    negatives: protocol -> (users, n) item indexes, in the order of `task.targets`.
    Raises InputError naming the user if a score is not a finite number.
    """
    rows, targets = _rows(task)
    found = {name: np.zeros(len(rows), dtype=np.int64) for name in (RANK, *(f"{RANK}_{p}" for p in negatives))}
    covered = task.model.covers(task.histories, task.user_index)[rows]
    size = max(1, BUDGET // (task.job.items.height + 1))
    for start in tqdm(range(0, len(rows), size), desc=task.model.path.name, unit=" batches", disable=None):
        part = slice(start, start + size)
        scores = _all_scores(task, rows[part], covered[part])
        found[RANK][part] = rank_among(scores, targets[part])
        for protocol, items in negatives.items():
            found[f"{RANK}_{protocol}"][part] = rank_among(scores, targets[part], items[part])
    ids = task.targets.select(USER, ITEM)
    return ids.with_columns(
        *(pl.when(pl.Series(covered)).then(pl.Series(values)).alias(name) for name, values in found.items()),
        pl.Series("target_count", task.counts[targets - 1]),
        pl.Series("history_length", task.histories.lengths[rows]),
    )


def negatives_of(task: Task, number: int, seed: int) -> dict[str, np.ndarray]:
    """Freshly sampled negatives of every protocol, in the order of `task.targets`."""
    rows, targets = _rows(task)
    histories = task.histories.take(rows)
    return {p: sample_negatives(histories, targets, task.counts, p, number, seed) for p in PROTOCOLS}


def read_negatives(path: Path, task: Task) -> dict[str, np.ndarray]:
    """Saved negatives; raises InputError if they are not of this table and split, or hold seen items."""
    probe(path)
    table = read_table(path)
    if path.suffix != ".parquet" or table.columns != ["protocol", USER, ITEM]:
        raise InputError(f"{path} holds no negatives: expected a MODEL.negatives.parquet")
    rows, targets = _rows(task)
    items = vocabulary(task.model.metadata.item_ids, ITEM)
    order = task.targets.select(USER).with_row_index("row")
    if table.schema[USER] != order.schema[USER] or table.schema[ITEM] != items.schema[ITEM]:
        raise InputError(f"{path} has other ids than {task.table}: they belong to another table")
    table = table.join(order, on=USER, how="left").join(items, on=ITEM, how="left", maintain_order="left")
    found = {}
    for protocol in PROTOCOLS:
        part = table.filter(pl.col("protocol") == protocol)
        sizes = part.group_by("row").len()["len"].unique()
        if (
            part["row"].null_count()
            or part["row"].n_unique() != len(rows)
            or part["index"].null_count()
            or len(sizes) != 1
        ):
            raise InputError(f"{path} does not fit {task.table}: other users or items; leave --negatives-file out")
        found[protocol] = (
            part.sort("row", maintain_order=True)["index"].to_numpy().reshape(len(rows), -1).astype(np.int64)
        )
        _check_unseen(task, path, rows, targets, found[protocol])
    return found


def evaluate_model(config: EvaluateConfig) -> tuple[Path, dict]:
    """Rank, measure and write MODEL.evaluation.json, .ranks.parquet and, if sampled, .negatives.parquet.

    Returns the report's path and its content. Raises InputError if a file cannot be used.
    """
    task = prepare(config, measure=True)
    if task.targets is None:
        raise InputError(f"{task.table} carries no held-out items: prepare it with `python -m train.data`")
    given = config.negatives_file
    negatives = read_negatives(given, task) if given else negatives_of(task, config.negatives, config.seed)
    ranks = evaluate(task, negatives)
    stem, folder = task.model.path.stem, task.model.path.parent
    report = describe(task, config, ranks, {name: part.shape[1] for name, part in negatives.items()})
    if given is None:
        with replacing(folder / f"{stem}.negatives.parquet") as part:
            _negatives_table(task, negatives).write_parquet(part)
    with replacing(folder / f"{stem}.ranks.parquet") as part:
        ranks.write_parquet(part)
    target = folder / f"{stem}.evaluation.json"
    write_text(target, json.dumps(report, indent=2) + "\n")
    return target, report


def main(words: Sequence[str]) -> None:
    """Parse, evaluate, print."""
    config = parse(EvaluateConfig, words, __doc__)
    target, report = evaluate_model(config)
    print(
        f"{report['model']} on {report['dataset']}: {report['users_measured']} held-out {config.split} items, "
        f"{report['protocol']} -> {target}"
    )
    print(_render(report))


def describe(task: Task, config: EvaluateConfig, ranks: pl.DataFrame, sizes: dict[str, int]) -> dict:
    """Everything measured, as plain JSON values. sizes: protocol -> negatives of each user."""
    columns = {"full": RANK, **{protocol: f"{RANK}_{protocol}" for protocol in sizes}}
    protocols = {name: _metrics(ranks.select(pl.col(column).alias(RANK))) for name, column in columns.items()}
    return provenance(task.job, config, totals(task)) | {
        "protocols": protocols,
        "negatives": sizes,
        "cohorts": cohort_metrics(ranks).to_dicts(),
    }


def _metrics(ranks: pl.DataFrame) -> dict[str, dict[str, float]]:
    tables = [summarise(ranks, k).filter(pl.col("metric").is_in([f"hit@{k}", f"ndcg@{k}"])) for k in CUTOFFS]
    longest = 2**31
    whole = summarise(ranks, longest).filter(pl.col("metric") == f"mrr@{longest}")
    rows = pl.concat([*tables, whole.with_columns(pl.lit("mrr").alias("metric"))]).to_dicts()
    return {row.pop("metric"): row for row in rows}


def _render(report: dict) -> str:
    """A line a metric and a column a protocol, then a line a cohort; percentages."""

    def cell(row: dict) -> str:
        return f"{row['value'] * 100:6.2f} [{row['low'] * 100:.2f}, {row['high'] * 100:.2f}]"

    names = {"full": "every unseen item"} | {p: f"{n} {p} negatives" for p, n in report["negatives"].items()}
    lines = ["".join([f"{'':12}", *(f"{name:>27}" for name in names.values())])]
    for metric in report["protocols"]["full"]:
        cells = (f"{cell(report['protocols'][name][metric]):>27}" for name in names)
        lines.append("".join([f"{metric + ' %':12}", *cells]))
    for row in report["cohorts"]:
        label = f"{row['by'].replace('_', ' ')} {row['cohort']}"
        lines.append(f"{label:24}{row['users']:>6} users  {row['metric']:>7} % {cell(row):>24}")
    return "\n".join(lines)


def _rows(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Row in the histories and item index of each held-out item, in the order of `task.targets`.

    Raises InputError if the model does not know a held-out item: it has no score to rank.
    """
    items = vocabulary(task.model.metadata.item_ids, ITEM)
    users = task.histories.users.to_frame(USER).with_row_index("row")
    joined = task.targets.join(users, on=USER, how="left", maintain_order="left").join(
        items, on=ITEM, how="left", maintain_order="left"
    )
    for column, what in (("row", USER), ("index", ITEM)):
        if joined[column].null_count():
            missing = joined.filter(pl.col(column).is_null())[what][0]
            raise InputError(f"{task.table}: {task.model.path.name} cannot rank the held-out {what} {missing}")
    return joined["row"].to_numpy().astype(np.int64), joined["index"].to_numpy().astype(np.int64)


def _all_scores(task: Task, rows: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """(users, items + 1) every score, seen items and padding at `DROPPED`."""
    model: Model = task.model
    part = task.histories.take(rows)
    items, scores = model.top(part, task.user_index[rows], task.job.items.height + 1)
    broken = ~np.isfinite(scores).all(1) & covered
    if broken.any():
        user = part.users[int(np.argmax(broken))]
        raise InputError(f"{model.path} gives user {user} a score that is not a finite number")
    dense = np.full((len(rows), task.job.items.height + 1), DROPPED, dtype=np.float32)
    np.put_along_axis(dense, items, scores, axis=1)
    return dense


def _check_unseen(task: Task, path: Path, rows: np.ndarray, targets: np.ndarray, negatives: np.ndarray) -> None:
    for n, row in enumerate(rows):
        history = task.histories.items[task.histories.offsets[row] : task.histories.offsets[row + 1]]
        own = set(negatives[n].tolist())
        if len(own) < negatives.shape[1] or int(targets[n]) in own or not own.isdisjoint(history.tolist()):
            raise InputError(
                f"{path} does not fit {task.table}: negatives of user {task.histories.users[int(row)]} are seen items "
                "or repeat; leave --negatives-file out"
            )


def _negatives_table(task: Task, negatives: dict[str, np.ndarray]) -> pl.DataFrame:
    ids = vocabulary(task.model.metadata.item_ids, ITEM)[ITEM]
    users = task.targets[USER]
    parts = [
        pl.DataFrame(
            {
                "protocol": pl.repeat(protocol, items.size, eager=True),
                USER: users.gather(np.repeat(np.arange(len(users)), items.shape[1])),
                ITEM: ids.gather(items.ravel() - 1),
            }
        )
        for protocol, items in negatives.items()
    ]
    return pl.concat(parts)


if __name__ == "__main__":
    raise SystemExit(run(main))
