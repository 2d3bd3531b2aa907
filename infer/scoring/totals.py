"""Counts and measures of parts, and their sums: what is kept of a part is enough for the metrics of all.

In: one task after another, and its lists. Out: plain JSON values that travel with the part; then totals and metrics.
Neither grows with the number of users.
"""

import base64
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
import polars as pl

from infer.histories.vocabulary import index_of
from infer.metrics.beyond import Moments, list_rows, novelty
from infer.metrics.ranking import USERS, added, rank_counts, ranks, summarise_counts
from infer.metrics.repeats import REPEAT, repeat_counts, repeat_rows
from infer.scoring.popularity import Popularity
from infer.scoring.task import Task
from infer.tables.columns import ITEM, RANK

MODEL = "model"  # in measures, beside the baselines; and in lists, beside fallbacks


RANDOM, POPULARITY, RECENT, PERSONAL = BASELINES = ("random", "popularity", "recent popularity", "personal frequency")
BEFORE = "not re-ranked"  # the model's lists, where they are re-ranked


def is_baseline(name: str) -> bool:
    """Whether lists of this name in a report are no model's; those of recent popularity name their period, too."""
    return name in (*BASELINES, BEFORE) or name.startswith(f"{RECENT} ")


def name_of(model: str) -> str:
    """What a model's lists are called in a report: as its file, without the ending unless a baseline's are called so.

    model: the file's name without the ending.
    """
    return f"{model}.onnx" if is_baseline(model) else model


@dataclass(frozen=True)
class Totals:
    """users: with a history.  measured: with a held-out item.  cold: whom the model cannot
    personalise.  unknown: interactions with items that it does not know.  repeat_targets: of the measured, those who
    had the held-out item before.  excluded: held-out items that the rules exclude."""

    users: int = 0
    measured: int = 0
    cold: int = 0
    unknown: int = 0
    repeat_targets: int = 0
    excluded: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def totals(task: Task) -> Totals:
    """The numbers of one task; those of all parts of a table add up."""
    measured = 0 if task.targets is None else task.targets.height
    repeats = 0 if task.targets is None or REPEAT not in task.targets.columns else int(task.targets[REPEAT].sum())
    return Totals(len(task.histories), measured, task.cold, task.histories.unknown, repeats, task.excluded)


def totals_of(numbers: Iterable[dict[str, Any]]) -> Totals:
    """The sum of what `score_part` told of parts."""
    names = [f.name for f in fields(Totals)]
    return sum((Totals(*(part.get(name, 0) for name in names)) for part in numbers), Totals())


def measures(task: Task, lists: pl.DataFrame, popularity: Popularity, k: int) -> dict[str, Any]:
    """What the metrics of lists (user, rank, item) take, as plain JSON values.

    ranks: how many held-out items are at each rank that occurs, and, under null, in no list; users with such an item
    and without a list are misses.  bits: count, mean and squares of the lists' novelty.  items: which items any list
    has, as packed bits, compressed and in base64.  by_repeat: ranks of repeated and of new items, where histories keep
    repeats.
    """
    first = lists.filter(pl.col(RANK) <= k)
    counts = task.job.items.select(ITEM).with_columns(pl.Series("count", popularity.counts))
    listed = np.zeros(task.job.items.height + 1, dtype=bool)
    listed[index_of(first[ITEM].unique(), task.job.items)] = True
    ranked = ranks(first, task.held_out)
    by_repeat = {"by_repeat": repeat_counts(ranked, task.held_out, k)} if REPEAT in task.held_out.columns else {}
    return by_repeat | {
        "ranks": rank_counts(ranked, k).to_dict(as_series=False),
        "bits": astuple(Moments.of(novelty(first, counts, popularity.users))),
        "items": base64.b64encode(zlib.compress(np.packbits(listed[1:]).tobytes())).decode(),
    }


def metrics_of(name: str, numbers: Sequence[dict[str, Any]], items: int, k: int) -> dict[str, pl.DataFrame]:
    """(metric, value, low, high) of the baselines' lists and of the model's, `name`, over all parts.

    numbers: what `score_part` told of each.  items: in the catalogue.
    """
    tables = {}
    for measured in numbers[0]["measures"]:
        parts = [part["measures"][measured] for part in numbers]
        schema = {RANK: pl.Int64, USERS: pl.Int64}
        ranked = added(pl.DataFrame(part["ranks"], schema=schema) for part in parts)
        bits = sum((Moments(*part["bits"]) for part in parts), Moments())
        listed = np.zeros((items + 7) // 8, dtype=np.uint8)
        for part in parts:
            listed |= np.frombuffer(zlib.decompress(base64.b64decode(part["items"])), dtype=np.uint8)
        coverage = int(np.unpackbits(listed).sum()) / items
        table = pl.concat([summarise_counts(ranked, k), list_rows(coverage, bits, k)])
        if "by_repeat" in parts[0]:
            table = pl.concat([table, repeat_rows((part["by_repeat"] for part in parts), k)])
        tables[name if measured == MODEL else measured] = table
    return tables
