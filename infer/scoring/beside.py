"""What one user gets by one model, with the place of what was held out and reasons.

In: a `Job` and a user's id. Out: a `Recommended`.

    python -m infer.recommend --model hybrid.onnx,mf.onnx --user 1
"""

from dataclasses import dataclass

import polars as pl

from infer.errors import InputError
from infer.scoring.fallback import FallbackOptions
from infer.scoring.job import Job
from infer.scoring.lists import model_lists
from infer.scoring.reasons import with_reasons
from infer.scoring.single import fallback_lists, user_or_nobody
from infer.scoring.task import Task, prepare, select_users
from infer.scoring.variety import VarietyOptions
from infer.tables.columns import ITEM, RANK, USER


@dataclass(frozen=True)
class Recommended:
    """task: of the user alone.  lists: (rank, item, score[, because]), the first k.  places: (item, rank) of the
    held-out items, rank null if it is not among the `size` items that the user may get.  fallback: which, if the list
    is not the model's."""

    task: Task
    lists: pl.DataFrame
    places: pl.DataFrame
    size: int
    fallback: str | None = None


def for_user(
    job: Job,
    user: str,
    fallback: FallbackOptions | None,
    k: int,
    reasons: int = 0,
    variety: VarietyOptions = VarietyOptions(),
) -> tuple[Recommended, str]:
    """The user's list, and what was found in the table, as a line or nothing.

    fallback: what users get whom the model cannot personalise, or whom the table lacks; None: they are refused.
    reasons: so many items of the history at most, in a column `because`.  variety: how the list is re-ranked; places
    are those without.
    Raises InputError if there is nothing to recommend, or the table or a rule cannot be used.
    """
    whole = prepare(job)
    reranking, said = variety.reranking(whole.job)
    whole.notes.said.extend(said)
    task = user_or_nobody(whole, user) if fallback else select_users(whole, [user], "--user")
    # All are ranked: the held-out item may stand anywhere.
    size, kind = len(task.model.metadata.item_ids), None
    lists = model_lists(task, size, batch_size=1)
    first = None
    if fallback and lists.is_empty():
        lists, first = fallback_lists(whole.job, task, fallback, (size, None), (k, reranking))
        kind = fallback.kind
    if lists.is_empty():
        name, why = task.model.path.name, "it knows none of its items"
        if task.personalisable.all():
            why = "the rules leave nothing" if job.candidates.given else "all are seen"
        raise InputError(f"{name} cannot recommend to user {user}: {why}")
    targets = lists.clear() if task.targets is None else task.targets
    places = targets.select(ITEM).unique(maintain_order=True).join(lists.select(ITEM, RANK), on=ITEM, how="left")
    if first is None:
        first = lists.head(k) if reranking is None else model_lists(task, k, batch_size=1, reranking=reranking)
    if reasons and kind is None:
        first = with_reasons(task, first, reasons)
    notes = f"{whole.table}: {whole.notes}" if str(whole.notes) else ""
    return Recommended(task, first.drop(USER), places, lists.height, kind), notes
