"""The baselines' ranks of the held-out items, to set beside those of the models.

In: a trial of the split, for its table and its negatives. Out: ranks tables like `infer.evaluate`'s, by name: random
and popular items; popular items of late, if the table has anything older; and a user's own items by frequency, if it
keeps repeats.

    python -m bench.study
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from bench.study.trials import Trial
from infer.histories.histories import Histories
from infer.histories.vocabulary import PAD, vocabulary
from infer.metrics.sampled import PROTOCOLS, rank_among
from infer.model.session import open_model
from infer.model.signature import DROPPED
from infer.scoring.baselines import popular, random, shuffled
from infer.scoring.evaluation import BUDGET
from infer.scoring.job import open_job
from infer.scoring.personal import personal
from infer.scoring.popularity import Popularity, popularity_order
from infer.scoring.recency import RECENT, Recent, checked_period, is_timed, lately
from infer.scoring.task import Task, prepare
from infer.sources.source import open_source
from infer.tables.columns import ITEM, RANK, TEST, USER, VALIDATION
from infer.tables.rules import KEEP

RANDOM, PERSONAL = "random", "personal frequency"
SEED = 0


def baseline_ranks(trial: Trial, split: str = TEST) -> dict[str, pl.DataFrame]:
    """Ranks of the trial's held-out items, of test items also against the same negatives: name -> ranks."""
    task = prepare(open_job(open_model(trial.file("onnx"), threads=1), split=split))
    before = f"{VALIDATION}." if split == VALIDATION else ""
    ranks, negatives = (pl.read_parquet(trial.file(f"{name}.parquet")) for name in (f"{before}ranks", "negatives"))
    protocols = () if before else PROTOCOLS  # the negatives of validation items are not kept
    ranks = ranks.drop([] if protocols else [f"{RANK}_{p}" for p in PROTOCOLS], strict=False)
    items = vocabulary(task.model.metadata.item_ids, ITEM)

    def indexes(column: pl.Series) -> np.ndarray:
        return column.to_frame(ITEM).join(items, on=ITEM, how="left", maintain_order="left")["index"].to_numpy()

    users = pl.DataFrame({USER: task.histories.users}).with_row_index("row")
    rows = ranks.select(USER).join(users, on=USER, how="left", maintain_order="left")["row"].to_numpy()
    targets = indexes(ranks[ITEM]).astype(np.int64)
    candidates = {
        p: indexes(negatives.filter(pl.col("protocol") == p)[ITEM]).reshape(len(rows), -1).astype(np.int64)
        for p in protocols
    }
    orders = _orders(task)
    tables: dict[str, list[pl.DataFrame]] = {name: [] for name in orders}
    for chunk in np.array_split(np.arange(len(rows)), max(1, len(rows) * (len(items) + 1) // BUDGET)):
        histories = task.histories.take(rows[chunk])
        for name, order in orders.items():
            scores = _scores(name, histories, rows[chunk], order)
            columns = {RANK: rank_among(scores, targets[chunk])}
            columns |= {f"{RANK}_{p}": rank_among(scores, targets[chunk], candidates[p][chunk]) for p in protocols}
            tables[name].append(pl.DataFrame(columns))
    return {name: ranks.with_columns(pl.concat(parts).get_columns()) for name, parts in tables.items()}


def _orders(task: Task) -> dict[str, np.ndarray]:
    """The baselines that mean something for this table: name -> (items,) the order that it lists items in."""
    popularity = popularity_order(task.counts)
    orders = {RANDOM: shuffled(len(popularity), SEED), "popularity": popularity}
    if is_timed(task.job):
        with TemporaryDirectory() as folder:
            job = task.job
            source = open_source(job.table, job.options, Path(folder), optional=job.optional, known=job.known)
            late = lately(job, source, checked_period(RECENT))
        recent = Recent(RECENT, late, Popularity(task.counts, len(task.histories)))
        if recent.differs:
            orders[f"recent popularity {RECENT}"] = recent.order
    if task.job.options.repeats == KEEP:
        orders[PERSONAL] = popularity
    return orders


def _scores(name: str, histories: Histories, rows: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(users, items + 1) by place in the baseline's list of the whole catalogue; what it does not list at `DROPPED`."""
    items = len(order)
    if name == RANDOM:
        lists = random(histories, order, rows, items, SEED)
    else:
        lists = popular(histories, order, items)
    if name == PERSONAL:
        lists = personal(histories, lists, items)
    scores = np.full((len(rows), items + 1), DROPPED)
    np.put_along_axis(scores, lists, np.broadcast_to(np.arange(items, 0.0, -1.0), lists.shape), axis=1)
    scores[:, PAD] = DROPPED
    return scores
