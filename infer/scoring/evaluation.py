"""Ranks of the held-out items under every protocol, and the metrics that follow.

In: a task and sampled negatives. Out: (user, item, rank, rank_PROTOCOL..., target_count, history_length), and a report.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from infer.errors import InputError, TooFewError
from infer.metrics.cohorts import cohort_metrics
from infer.metrics.ranking import summarise
from infer.metrics.repeats import REPEAT
from infer.metrics.sampled import rank_among
from infer.model.session import Model
from infer.model.signature import DROPPED
from infer.scoring.negatives import negatives_of, negatives_table, read_negatives
from infer.scoring.report import provenance
from infer.scoring.task import Task, rankable
from infer.scoring.totals import totals
from infer.system.files import replacing_together
from infer.system.fingerprints import sha256
from infer.system.ownership import MARK, claim
from infer.system.progress import progress
from infer.tables.columns import ITEM, RANK, USER

CUTOFFS = (1, 5, 10, 100)
NEGATIVES = 100

# Scores of one batch: at most so many numbers in memory at once.
BUDGET = 16_000_000


def evaluate_model(
    task: Task,
    number: int | None = None,
    given: Path | None = None,
    seed: int = 0,
    options: dict[str, Any] | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Rank, measure and write MODEL.evaluation.json, .ranks.parquet and, if sampled, .negatives.parquet.

    number: sampled negatives of each user; 0: no sampled protocols; None: `NEGATIVES`, or none if the task's notes say
    that so many cannot be drawn.  given: negatives that another model was evaluated with.  options: what the report
    says of how it was made. Returns the report's path and its content.
    Raises InputError if a file cannot be used, if the table has no held-out items or too few items to draw.
    """
    stem, folder = task.model.path.stem, task.model.path.parent
    ranks_file, target = folder / f"{stem}.ranks.parquet", folder / f"{stem}.evaluation.json"
    negatives_file = given or folder / f"{stem}.negatives.parquet"
    inputs = [task.model.path, task.table, given, *task.job.candidates.files]
    claim([ranks_file, target], inputs)
    negatives = read_negatives(given, task) if given else _drawn(task, number, seed)
    drawn = bool(negatives) and not given
    if drawn:
        claim([negatives_file], inputs)
    ranks = evaluate(task, negatives)
    without = task.held_out.height - len(rankable(task)[0])
    if without:
        task.notes.said.append(
            f"{without:,} held-out items are misses: the model does not know them, or their user has no history"
        )
    sizes = {name: items.shape[1] for name, items in negatives.items()}
    report = MARK | describe(task, options or {}, ranks, sizes)
    # The report comes last: with its checksums, of these very files, a reader can tell files of two evaluations.
    files = [*([negatives_file] if drawn else []), ranks_file, target]
    with replacing_together(files, owned=True) as temporaries:
        *sampled, ranked, told = temporaries
        for temporary in sampled:
            task.job.types.to_own(negatives_table(task, negatives)).write_parquet(temporary, metadata=MARK)
        task.job.types.to_own(ranks).write_parquet(ranked, metadata=MARK)
        sampled_sum = sha256(sampled[0] if drawn else negatives_file) if negatives else None
        report |= {"negatives_checksum": sampled_sum, "ranks_checksum": sha256(ranked)}
        told.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return target, report


def _drawn(task: Task, number: int | None, seed: int) -> dict[str, np.ndarray]:
    try:
        return negatives_of(task, NEGATIVES if number is None else number, seed)
    except TooFewError as error:
        if number is not None:
            raise
        task.notes.said.append(f"measured among all items alone, without {NEGATIVES} sampled negatives: {error.why}")
        return {}


def evaluate(task: Task, negatives: dict[str, np.ndarray]) -> pl.DataFrame:
    """Ranks of the held-out items: (user, item, rank, rank_PROTOCOL..., target_count, history_length[, repeat]).

    An item that no list holds has no rank: the model does not know it, its user is cold or has no history, or may not
    get it, as it was seen and is dropped, or is excluded by a rule.
    negatives: protocol -> (users, n) item indexes, in the order of `rankable`.
    Raises InputError naming the user if a score is NaN or infinite.
    """
    held, rows, targets = rankable(task)
    ranks = {name: np.zeros(len(rows), dtype=np.int64) for name in (RANK, *(f"{RANK}_{p}" for p in negatives))}
    personalisable = task.model.personalisable(task.histories, task.user_index)[rows]
    listed = np.ones(len(rows), dtype=bool)
    size = max(1, BUDGET // (task.job.items.height + 1))
    for start in progress(range(0, len(rows), size), desc=task.model.path.name, unit=" batches"):
        batch = slice(start, start + size)
        scores = _all_scores(task, rows[batch], personalisable[batch])
        listed[batch] = np.take_along_axis(scores, targets[batch][:, None], 1)[:, 0] > DROPPED
        ranks[RANK][batch] = rank_among(scores, targets[batch])
        for protocol, items in negatives.items():
            ranks[f"{RANK}_{protocol}"][batch] = rank_among(scores, targets[batch], items[batch])
    ranked = pl.Series(personalisable & listed)
    found = held.select(USER, *(pl.when(ranked).then(pl.Series(values)).alias(name) for name, values in ranks.items()))
    whole = task.held_out.join(found, on=USER, how="left", maintain_order="left")
    for name, on, numbers in (("target_count", ITEM, task.counts), ("history_length", USER, task.histories.lengths)):
        known = task.job.items[ITEM] if on == ITEM else task.histories.users
        counts = pl.DataFrame([known, pl.Series(name, numbers)])
        whole = whole.join(counts, on=on, how="left", maintain_order="left").with_columns(pl.col(name).fill_null(0))
    kept = [USER, ITEM, *ranks, "target_count", "history_length", REPEAT]
    return whole.select(name for name in kept if name in whole.columns)


def describe(task: Task, options: dict[str, Any], ranks: pl.DataFrame, sizes: dict[str, int]) -> dict[str, Any]:
    """Everything measured, as plain JSON values. sizes: protocol -> negatives of each user."""
    columns = {"full": RANK, **{protocol: f"{RANK}_{protocol}" for protocol in sizes}}
    protocols = {name: _metrics(ranks.select(pl.col(column).alias(RANK))) for name, column in columns.items()}
    return provenance(task.job, options, totals(task)) | {
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


def _all_scores(task: Task, rows: np.ndarray, personalisable: np.ndarray) -> np.ndarray:
    """(users, items + 1) every score, seen items and padding at `DROPPED`."""
    model: Model = task.model
    histories = task.histories.take(rows)
    items, scores = model.top(histories, task.user_index[rows], task.job.items.height + 1, task.choice(rows))
    broken = ~np.isfinite(scores).all(1) & personalisable
    if broken.any():
        user = histories.users[int(np.argmax(broken))]
        raise InputError(f"{model.path} gives user {user} a NaN or infinite score")
    dense = np.full((len(rows), task.job.items.height + 1), DROPPED, dtype=np.float32)
    np.put_along_axis(dense, items, scores, axis=1)
    return dense
