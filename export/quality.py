"""What a cheaper precision costs: the same users' lists in fp32 and in it, and the held-out items in both.

In: two model files of the same weights and the table they were trained on. Out: NDCG@10 of the validation
items for both, and the share of fp32's top ten that the other lists too; or InputError.
"""

from pathlib import Path

from infer.errors import InputError
from infer.metrics.ranking import rank_metrics, ranks
from infer.model.session import open_model
from infer.scoring.job import open_job
from infer.scoring.lists import model_lists
from infer.scoring.task import prepare
from infer.tables.columns import ITEM, USER, VALIDATION
from train.validation import K

BATCH_SIZE = 256


def check_quality(exact: Path, cheaper: Path, table: Path, largest_loss: float) -> dict[str, float]:
    """Compare on the validation items of `table`.

    largest_loss: how much of NDCG@10 may be lost, as a share of it.
    Raises InputError if more is lost, or if there is no table to measure it on.
    """
    if not table.is_file():
        raise InputError(f"{table}, on which the loss of another precision is measured, is not there")
    ndcg, lists = {}, {}
    for path in (exact, cheaper):
        task = prepare(open_job(open_model(path), table, split=VALIDATION))
        if task.targets is None:
            raise InputError(f"{table} holds nothing out, so the loss of another precision cannot be measured")
        lists[path] = model_lists(task, K, BATCH_SIZE)
        gain = ranks(lists[path], task.targets).select(rank_metrics(K)[f"ndcg@{K}"].mean())
        ndcg[path] = gain.item()
    both = lists[exact].join(lists[cheaper], on=[USER, ITEM]).height
    overlap = both / max(1, lists[exact].height)
    if not ndcg[cheaper] >= (1 - largest_loss) * ndcg[exact]:
        raise InputError(
            f"NDCG@{K} of validation items falls from {ndcg[exact]:.4f} to {ndcg[cheaper]:.4f}, by more than "
            f"--largest-loss {largest_loss}: the file was not written"
        )
    return {f"ndcg@{K}_fp32": ndcg[exact], f"ndcg@{K}": ndcg[cheaper], f"overlap@{K}": overlap}
