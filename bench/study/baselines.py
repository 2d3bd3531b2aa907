"""What popularity and chance give: ranks to set beside those of the models.

In: a trial of the split, for its table and its negatives. Out: ranks tables like `infer.evaluate`'s, by name.

    python -m bench.study
"""

import numpy as np
import polars as pl

from bench.study.trials import Trial
from infer.histories.vocabulary import PAD, vocabulary
from infer.histories.windows import seen
from infer.metrics.sampled import PROTOCOLS, rank_among
from infer.model.session import open_model
from infer.model.signature import DROPPED
from infer.scoring.baselines import popularity_order
from infer.scoring.job import open_job
from infer.scoring.task import Task, prepare
from infer.tables.columns import ITEM, RANK, USER

REFERENCES = ("random", "popularity")
# Scores of one batch: at most so many numbers in memory at once.
BUDGET = 16_000_000


def reference_ranks(trial: Trial) -> dict[str, pl.DataFrame]:
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
    found = {}
    for name in REFERENCES:
        parts = []
        for part in np.array_split(np.arange(len(rows)), max(1, len(rows) * (len(items) + 1) // BUDGET)):
            scores = _scores(name, task, rows[part], len(items))
            np.put_along_axis(scores, seen(task.histories.take(rows[part])), DROPPED, axis=1)
            scores[:, PAD] = DROPPED
            own = {RANK: rank_among(scores, targets[part])}
            own |= {f"{RANK}_{p}": rank_among(scores, targets[part], candidates[p][part]) for p in PROTOCOLS}
            parts.append(pl.DataFrame(own))
        found[name] = ranks.with_columns(pl.concat(parts).get_columns())
    return found


def _scores(name: str, task: Task, rows: np.ndarray, items: int) -> np.ndarray:
    """(users, items + 1) higher for what `infer.scoring.baselines` lists earlier."""
    if name == "popularity":
        order = popularity_order(task.counts)
        places = np.zeros(items + 1)
        places[order] = np.arange(items, 0, -1)
        return np.tile(places, (len(rows), 1))
    shuffle = np.random.default_rng(0).permutation(items) + 1
    place = np.zeros(items + 1, dtype=np.int64)
    place[shuffle] = np.arange(items)
    start = np.array([np.random.default_rng([0, int(row)]).integers(items) for row in rows])
    return items - (place[None] - start[:, None]) % items + 0.0
