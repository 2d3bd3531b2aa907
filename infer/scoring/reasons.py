"""Reasons: which items of a user's history contributed most to each recommendation ("because you watched ...").

In: a task and lists of its users (user, rank, item, ...). Out: (user, rank, item, reason_rank, because, contribution),
or the same lists with a column `because` of items.

    python -m infer.recommend --model hybrid.onnx --user 1 --reasons 2

How a contribution is found is what the file says (`Metadata.attribution`). Only items that raise a score are reasons; a
recommendation may have fewer than were asked for, or none. Boosts of the shop's rules are no part of a contribution.
It takes as long as scoring as many histories as these have items; memory holds a block of users.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from infer.errors import InputError
from infer.histories.histories import Histories
from infer.histories.vocabulary import index_of
from infer.model.metadata import CLOSED_FORM, NONE, PADDING
from infer.model.session import Model
from infer.scoring import closed_form, occlusion
from infer.scoring.occlusion import Contributions
from infer.scoring.task import Task
from infer.tables.columns import BECAUSE, ITEM, RANK, USER

REASON_RANK, CONTRIBUTION = "reason_rank", "contribution"
# Of the score: a difference that is smaller is one of rounding.
ROUNDING = 1e-5


def check_reasons(model: Model) -> None:
    """Raises InputError if the file says that contributions cannot be found."""
    if model.metadata.attribution == NONE:
        raise InputError(
            f"{model.path.name} gives no reasons: it was trained on ratings, which are no sum over a user's items; "
            "train mf with --objective=implicit, or give another model"
        )


def reasons(task: Task, lists: pl.DataFrame, n: int) -> pl.DataFrame:
    """(user, rank, item, reason_rank, because, contribution): of each recommendation the n items of the history that
    raise its score most, in the score's unit; equal ones newest first.

    lists: (user, rank, item, ...) of users of the task, ordered by user and rank.
    Raises InputError as `check_reasons` does.
    """
    check_reasons(task.model)
    rows = _rows(task, lists)
    found = [_best(block, n) for block in _contributions(task, _explained(task, rows))]
    ids = task.job.items.rename({ITEM: BECAUSE, "index": "because_index"})
    chosen = pl.concat(found) if found else _best(_nothing(), n)
    return (
        rows.join(chosen, on=["row", "index"], how="inner")
        .join(ids, on="because_index", how="left")
        .sort("row", RANK, REASON_RANK)
        .select(USER, RANK, ITEM, REASON_RANK, BECAUSE, CONTRIBUTION)
    )


def with_reasons(task: Task, lists: pl.DataFrame, n: int) -> pl.DataFrame:
    """The lists, in their order, with a column `because`: a list of at most n items, in the items' own type."""
    told = reasons(task, lists, n).group_by(USER, RANK, maintain_order=True).agg(BECAUSE)
    return lists.join(told, on=[USER, RANK], how="left", maintain_order="left").with_columns(
        pl.col(BECAUSE).fill_null(pl.lit([], dtype=pl.List(lists.schema[ITEM])))
    )


def _rows(task: Task, lists: pl.DataFrame) -> pl.DataFrame:
    """(user, rank, item, row of the user in the task, index of the item)."""
    users = task.histories.users.to_frame(USER).with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    known = lists.select(USER, RANK, ITEM).join(users, on=USER, how="inner", maintain_order="left")
    return known.with_columns(pl.Series("index", index_of(known[ITEM], task.job.items).astype(np.int64)))


def _explained(task: Task, rows: pl.DataFrame) -> Histories:
    """Of each user of the task the listed items, ascending."""
    ordered = rows.sort("row", "index")
    sizes = np.bincount(ordered["row"].to_numpy(), minlength=len(task.histories))
    items = ordered["index"].cast(pl.Int32).to_numpy()
    return Histories(task.histories.users, items, np.concatenate([[0], np.cumsum(sizes)]))


def _contributions(task: Task, explained: Histories) -> Iterator[Contributions]:
    attribution = task.model.metadata.attribution
    if attribution == CLOSED_FORM:
        return closed_form.contributions(task, explained)
    return occlusion.contributions(task, explained, padding=attribution == PADDING)


def _best(found: Contributions, n: int) -> pl.DataFrame:
    """(row, index, because_index, reason_rank, contribution) of the n largest of each user's item."""
    table = pl.DataFrame(
        {
            "row": found.row.astype(np.int64),
            "index": found.item.astype(np.int64),
            "because_index": found.because.astype(np.int32),
            "place": found.place.astype(np.int64),
            CONTRIBUTION: found.value.astype(np.float32),
            "size": found.size.astype(np.float32),
        }
    )
    return (
        table.filter(pl.col(CONTRIBUTION) > ROUNDING * pl.col("size"))
        .sort("row", "index", CONTRIBUTION, "place", descending=[False, False, True, True])
        .with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("row", "index").alias(REASON_RANK))
        .filter(pl.col(REASON_RANK) <= n)
        .select("row", "index", "because_index", REASON_RANK, CONTRIBUTION)
    )


def _nothing() -> Contributions:
    empty = np.zeros(0)
    return Contributions(empty, empty, empty, empty, empty, empty)
