"""What a cheaper file costs: the same users' lists of the exact one in fp32 and of it, and the held-out items in both.

In: two model files of the same weights and the table they were trained on. Out: NDCG@10 of the validation
items for both, and the share of fp32's top ten that the other lists too; or InputError. Where nothing is held out for
validation only the lists are compared, and only if any loss is allowed.
"""

from pathlib import Path
from typing import cast

import numpy as np
import polars as pl

from infer.errors import InputError
from infer.formats.reading import collect, collect_names
from infer.metrics.ranking import rank_metrics, ranks
from infer.model.metadata import Metadata
from infer.model.session import open_model
from infer.scoring.job import open_job
from infer.scoring.lists import model_lists
from infer.scoring.task import Task, prepare
from infer.tables.columns import ITEM, SPLIT, USER, VALIDATION
from train.loop.validation import K

BATCH_SIZE = 256
MOST_USERS = 20_000  # by whom lists are compared


def check_quality(exact: Path, cheaper: Path, table: Path, largest_loss: float) -> dict[str, float]:
    """Compare on the validation items of `table`, of `MOST_USERS` drawn users if it has more.

    largest_loss: how much of NDCG@10 may be lost, as a share of it.
    Returns NDCG@10 in both and the share of the same items, each only if there is anything to measure it on.
    Raises InputError if more is lost, and that by more than a standard error of the users' differences, which a few
    users can lose by chance; or if there is nothing to measure it on, unless all of it may be lost.
    """
    if not table.is_file():
        raise InputError(f"{table}, on which its loss is measured, is not there")
    split = VALIDATION if _validates(table) else None
    if split is None and largest_loss < 1:
        raise InputError(
            f"{table} holds nothing out for validation, so its loss cannot be measured; "
            "--largest-loss=1 writes the file all the same"
        )
    gains, lists = {}, {}
    for path in (exact, cheaper):
        task = prepare(open_job(open_model(path), table, split=split))
        task = _some(task)
        lists[path] = model_lists(task, K, BATCH_SIZE)
        if task.targets is None:
            continue
        ranked = ranks(lists[path], task.targets).sort(USER)
        gains[path] = ranked.select(rank_metrics(K)[f"ndcg@{K}"].cast(pl.Float64)).to_series()
    both = lists[exact].join(lists[cheaper], on=[USER, ITEM]).height
    listed = lists[exact].height
    overlap = {f"overlap@{K}": both / listed} if listed else {}  # users who have all items get none
    if not gains:
        return overlap
    ndcg = {path: cast(float, values.mean()) for path, values in gains.items()}
    beyond = (1 - largest_loss) * gains[exact] - gains[cheaper]
    error = cast("float | None", beyond.std()) or 0.0
    if not cast(float, beyond.mean()) <= error / len(beyond) ** 0.5:
        raise InputError(
            f"NDCG@{K} of validation items falls from {ndcg[exact]:.4f} to {ndcg[cheaper]:.4f}, by more than "
            f"--largest-loss {largest_loss}: the file was not written"
        )
    return {f"ndcg@{K}_fp32": ndcg[exact], f"ndcg@{K}": ndcg[cheaper]} | overlap


def _some(task: Task) -> Task:
    """At most `MOST_USERS`, those with a held-out item if any has one."""
    users = task.histories.users
    rows = np.arange(len(users)) if task.targets is None else np.flatnonzero(users.is_in(task.targets[USER].implode()))
    if len(rows) <= MOST_USERS:
        return task
    return task.take(np.sort(np.random.default_rng(0).permutation(rows)[:MOST_USERS]))


def stated_loss(metadata: Metadata) -> str:
    """What is said of a file in another precision, or that searches cells; nothing of others."""
    parity = metadata.parity
    if metadata.precision == "fp32" and not metadata.probes:
        return ""
    same = f"{parity['overlap@10']:.1%} of the same items" if "overlap@10" in parity else "nobody is listed an item"
    exact = "of all items" if metadata.probes else "in fp32"
    measured = (
        f"NDCG@10 {parity['ndcg@10']:.4f} against {parity['ndcg@10_fp32']:.4f} {exact}"
        if "ndcg@10" in parity
        else "nothing is held out, so what NDCG@10 loses is not measured"
    )
    return f"; {measured}, {same}, {parity['size']:.0%} of the size"


def _validates(table: Path) -> bool:
    """Whether the table that `python -m train.data` wrote holds items out for validation."""
    rows = pl.scan_parquet(table, glob=False)
    if SPLIT not in collect_names(rows, table):
        return False
    return not collect(rows.filter(pl.col(SPLIT).cast(pl.String) == VALIDATION).head(1), table).is_empty()
