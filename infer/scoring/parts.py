"""Score a table part by part: read, cut, score, write; each part once, whatever happens between.

In: a `Job`, a `Source` and where the lists go. Out: the files of `infer.scoring.output`. Memory holds one part's rows
and lists, whatever the number of users.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl
from tqdm import tqdm

from infer.histories.digests import digests
from infer.scoring.baselines import baseline_lists
from infer.scoring.incremental import HISTORY, Earlier
from infer.scoring.job import Job
from infer.scoring.lists import model_lists
from infer.scoring.task import cut
from infer.scoring.totals import Tally, Totals, totals
from infer.system.progress import progress
from infer.system.stages import Stages
from infer.tables.columns import USER
from infer.tables.source import Part, Source


def score_part(
    job: Job,
    source: Source,
    part: Part,
    k: int,
    batch_size: int,
    stages: Stages,
    bar: "tqdm[Any]",
    earlier: Earlier | None,
    popularity=None,
    seed=0,
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, int]]:
    """One part's lists, its users with the digests of their histories, and its totals."""
    with stages("read"):
        rows = source.read(part)
    with stages("windows"):
        task = cut(job, rows, in_order=True)
        users = pl.DataFrame([task.histories.users, pl.Series(HISTORY, digests(task.histories))])
    numbers = asdict(totals(task)) | {"scored": len(task.histories), "repeated": part.rows - rows.height}
    bar.update(part.users - len(task.histories))
    if earlier is None or not len(task.histories):
        lists = model_lists(task, k, batch_size, stages, bar)
    else:
        same, kept, users = earlier.unchanged(users)
        bar.update(int(same.sum()))
        task2 = task.take(np.flatnonzero(~same))
        new = model_lists(task2, k, batch_size, stages, bar)
        lists = pl.concat([t for t in (kept, new) if t.height] or [new]).sort(USER, "rank")
        numbers["scored"] = len(task2.histories)
    base = baseline_lists(task, popularity.counts, k, seed, 0) if popularity else {}
    numbers["interactions"] = int(task.histories.lengths.sum()) + task.histories.unknown
    numbers |= {
        "rows": lists.height,
        "listed": lists[USER].n_unique(),
        "popular": 0,
        "score_min": lists["score"].min(),
        "score_max": lists["score"].max(),
        "first": users[USER][0] if users.height else None,
        "last": users[USER][-1] if users.height else None,
    }
    if job.split is not None and base:
        ms = {}
        for n, l in {**base, "m": lists}.items():
            t = Tally(job.items, popularity.counts, popularity.users, k)
            t.add(l, task.held_out)
            ms[n] = {"ranks": t.ranked[0]["rank"].to_list(), "bits": t.bits[0].tolist(), "listed": t.listed.to_list()}
        numbers["measures"] = ms
    return lists, users, numbers


def measure_parts(
    job: Job, source: Source, whole: Source, read: Callable[[Part], pl.DataFrame], name: str, k: int, seed: int
) -> tuple[dict[str, pl.DataFrame], Totals]:
    """Metrics of the complete lists of a source's users, beside random and popular ones, and totals.

    read: gives a part's lists (user, rank, item, score).  whole: the table that popularity is counted in; the source
    itself unless users were chosen.
    """
    counts, population = np.zeros(job.items.height, dtype=np.int64), 0
    for part in progress(whole.parts, desc="counting", unit=" parts", leave=False):
        task = cut(job, whole.read(part), in_order=True)
        counts += task.counts
        population += len(task.histories)
    total = Totals()
    tallies = {n: Tally(job.items, counts, population, k) for n in ("random", "popularity", name)}
    first_row = 0
    for part in progress(source.parts, desc="measuring", unit=" parts", leave=False):
        task = cut(job, source.read(part), in_order=True)
        for n, lists in {**baseline_lists(task, counts, k, seed, first_row), name: read(part)}.items():
            tallies[n].add(lists, task.held_out)
        first_row += len(task.histories)
        total += totals(task)
    return {n: tally.metrics() for n, tally in tallies.items()}, total
