"""The sampled negatives of a task: drawn, read from a file of another model's, or as a table to write."""

from pathlib import Path

import numpy as np
import polars as pl

from infer.errors import InputError
from infer.formats.opening import is_parquet, read_table
from infer.formats.probe import probe
from infer.metrics.sampled import PROTOCOLS, sample_negatives
from infer.scoring.task import Task, rankable
from infer.tables.columns import ITEM, USER


def negatives_of(task: Task, number: int, seed: int) -> dict[str, np.ndarray]:
    """Freshly sampled negatives of every protocol, in the order of `rankable`: items that the user may get."""
    if not number:
        return {}
    _, rows, targets = rankable(task)
    blocked, mask = task.blocked.take(rows), task.job.candidates.mask[1:]
    own = None if task.own is None else task.own.take(rows)
    return {p: sample_negatives(blocked, targets, task.counts, p, number, seed, mask, own) for p in PROTOCOLS}


def read_negatives(path: Path, task: Task) -> dict[str, np.ndarray]:
    """Saved negatives; raises InputError if they are not of this table and split, or hold seen items."""
    probe(path)
    table = read_table(path)
    if not is_parquet(path) or table.columns != ["protocol", USER, ITEM]:
        raise InputError(f"{path} holds no negatives: expected a MODEL.negatives.parquet")
    held, rows, targets = rankable(task)
    items = task.job.items
    order = held.select(USER).with_row_index("row")
    kinds = {USER: order, ITEM: items}
    if any(table.schema[name] not in (task.job.types.own[name], ids[name].dtype) for name, ids in kinds.items()):
        raise InputError(f"{path} has other ids than {task.table}: they belong to another table")
    table = task.job.types.back(table)
    table = table.join(order, on=USER, how="left").join(items, on=ITEM, how="left", maintain_order="left")
    negatives = {}
    for protocol in PROTOCOLS:
        drawn = table.filter(pl.col("protocol") == protocol)
        sizes = drawn.group_by("row").len()["len"].unique()
        if (
            drawn["row"].null_count()
            or drawn["row"].n_unique() != len(rows)
            or drawn["index"].null_count()
            or len(sizes) != 1
        ):
            raise InputError(f"{path} does not fit {task.table}: other users or items; leave --negatives-file out")
        negatives[protocol] = (
            drawn.sort("row", maintain_order=True)["index"].to_numpy().reshape(len(rows), -1).astype(np.int64)
        )
        _check_unseen(task, path, rows, targets, negatives[protocol])
    return negatives


def _check_unseen(task: Task, path: Path, rows: np.ndarray, targets: np.ndarray, negatives: np.ndarray) -> None:
    free: np.ndarray = task.allowed(np.repeat(rows, negatives.shape[1]), negatives.ravel())
    free = np.asarray(free.reshape(negatives.shape).all(axis=1))
    for n, row in enumerate(rows):
        drawn = set(negatives[n].tolist())
        if len(drawn) < negatives.shape[1] or int(targets[n]) in drawn or not free[n]:
            raise InputError(
                f"{path} does not fit {task.table}: negatives of user {task.histories.users[int(row)]} are seen items "
                "or repeat, or may not be recommended; leave --negatives-file out"
            )


def negatives_table(task: Task, negatives: dict[str, np.ndarray]) -> pl.DataFrame:
    """(protocol, user, item): a row a negative, as they are written."""
    ids = task.job.items[ITEM]
    users = rankable(task)[0][USER]
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
