"""The baselines' ranks of the held-out items, to set beside those of the models: popular and random items.

In: a trial of the split, for its table and its negatives. Out: ranks tables like `infer.evaluate`'s, by name.

    python -m bench.study
"""

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
from infer.scoring.popularity import popularity_order
from infer.scoring.task import prepare
from infer.tables.columns import ITEM, RANK, USER

BASELINES = ("random", "popularity")
SEED = 0


def baseline_ranks(trial: Trial) -> dict[str, pl.DataFrame]:
    """Ranks of the trial's held-out items, against the same negatives: name -> ranks."""
    task = prepare(open_job(open_model(trial.file("onnx"), threads=1)))
    ranks, negatives = pl.read_parquet(trial.file("ranks.parquet")), pl.read_parquet(trial.file("negatives.parquet"))
    items = vocabulary(task.model.metadata.item_ids, ITEM)

    def indexes(column: pl.Series) -> np.ndarray:
        return column.to_frame(ITEM).join(items, on=ITEM, how="left", maintain_order="left")["index"].to_numpy()

    users = pl.DataFrame({USER: task.histories.users}).with_row_index("row")
    rows = ranks.select(USER).join(users, on=USER, how="left", maintain_order="left")["row"].to_numpy()
    targets = indexes(ranks[ITEM]).astype(np.int64)
    candidates = {
        p: indexes(negatives.filter(pl.col("protocol") == p)[ITEM]).reshape(len(rows), -1).astype(np.int64)
        for p in PROTOCOLS
    }
    order = popularity_order(task.counts)
    tables: dict[str, list[pl.DataFrame]] = {name: [] for name in BASELINES}
    for chunk in np.array_split(np.arange(len(rows)), max(1, len(rows) * (len(items) + 1) // BUDGET)):
        histories = task.histories.take(rows[chunk])
        for name in BASELINES:
            scores = _scores(name, histories, rows[chunk], order)
            columns = {RANK: rank_among(scores, targets[chunk])}
            columns |= {f"{RANK}_{p}": rank_among(scores, targets[chunk], candidates[p][chunk]) for p in PROTOCOLS}
            tables[name].append(pl.DataFrame(columns))
    return {name: ranks.with_columns(pl.concat(parts).get_columns()) for name, parts in tables.items()}


def _scores(name: str, histories: Histories, rows: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(users, items + 1) by place in the baseline's list of the whole catalogue; what it does not list at `DROPPED`."""
    items = len(order)
    if name == "popularity":
        lists = popular(histories, order, items)
    else:
        lists = random(histories, shuffled(items, SEED), rows, items, SEED)
    scores = np.full((len(rows), items + 1), DROPPED)
    np.put_along_axis(scores, lists, np.broadcast_to(np.arange(items, 0.0, -1.0), lists.shape), axis=1)
    scores[:, PAD] = DROPPED
    return scores
