"""When a model's training reaches a goal, from its curve.

In: a curve of `bench.test_convergence` (lists epoch, elapsed, validation_loss, ndcg). Out: (epoch, seconds), or None.
"""

from typing import Any

from bench.records.runs import Record

Reached = tuple[int, float] | None
SCRATCH = "bert"


def reached_ndcg(curve: dict[str, list[Any]], goal: float) -> Reached:
    """The first epoch whose NDCG@10 is at least `goal`, and the seconds by its end."""
    return _first(curve, [value >= goal for value in curve["ndcg"]])


def reached_loss(curve: dict[str, list[Any]], goal: float | None) -> Reached:
    """The first epoch whose validation loss is at most `goal`; None without a loss or a goal."""
    if goal is None:
        return None
    return _first(curve, [loss is not None and loss <= goal for loss in curve["validation_loss"]])


def scratch_loss(records: list[Record], like: Record) -> float | None:
    """The best validation loss of the model from scratch in the same run on the same device, if it is there."""
    for record in records:
        if record.part == "convergence" and record.series == (SCRATCH, like.info["device"], like.run):
            return min(record.info["curve"]["validation_loss"])
    return None


def comparable_loss(record: Record) -> bool:
    """Whether its validation loss is the cross-entropy over all items, in the unit of the model from scratch's."""
    return record.info["model"] in (SCRATCH, "hybrid")


def _first(curve: dict[str, list[Any]], met: list[bool]) -> Reached:
    if True not in met:
        return None
    place = met.index(True)
    return curve["epoch"][place], curve["elapsed"][place]
