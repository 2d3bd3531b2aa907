"""Score a table shard by shard: read, cut, score, write; each shard once, whatever happens between.

In: a `Job`, a `Source` and where the lists go. Out: the files of `infer.output`. Memory holds one shard's rows
and lists, whatever the number of users.
"""

from dataclasses import asdict

import numpy as np
import polars as pl
from tqdm import tqdm

from infer.errors import InputError
from infer.lists import model_lists, reference_lists
from infer.output import Output, read_json
from infer.report import Tally, Totals, totals
from infer.schema import USER
from infer.sequences import digests
from infer.source import Shard, Source
from infer.stages import Stages
from infer.task import Job

HISTORY = "history"


class Earlier:
    """The published lists of an earlier run, for users whose history has not changed since."""

    def __init__(self, output: Output) -> None:
        """Raises InputError if there is no earlier run with the same model and options."""
        manifest = read_json(output.manifest)
        if not isinstance(manifest, dict) or not output.folder.is_dir() or not output.users.is_file():
            raise InputError(f"--only-changed: there are no complete lists at {output.folder}; score everyone first")
        for key in ("model", "options"):
            if manifest.get("plan", {}).get(key) != output.plan[key]:
                raise InputError(
                    f"--only-changed: {output.folder} was made with another {key}; score everyone again without it"
                )
        self.digest = manifest["digest"]
        files = sorted(output.folder.glob("part-*.parquet"))
        if any(pl.read_parquet_metadata(path).get("plan") != self.digest for path in [*files, output.users]):
            raise InputError(f"--only-changed: {output.folder} and {output.manifest} are of different runs; score all")
        self.lists = pl.scan_parquet(files, glob=False)
        self.users = pl.scan_parquet(output.users, glob=False)

    def unchanged(self, users: pl.DataFrame) -> tuple[np.ndarray, pl.DataFrame]:
        """Which of consecutive users (user, history) are as they were: (users,) bool, and their lists."""
        inside = pl.col(USER).is_between(pl.lit(users[USER][0]), pl.lit(users[USER][-1]))  # texts would be columns
        known = self.users.filter(inside).collect()
        same = users.join(known, on=[USER, HISTORY], how="left", maintain_order="left", coalesce=False)
        mask = same[f"{USER}_right"].is_not_null()
        lists = self.lists.filter(inside).collect()
        return mask.to_numpy(), lists.filter(pl.col(USER).is_in(users[USER].filter(mask).implode()))


def score_shard(
    job: Job, source: Source, shard: Shard, k: int, batch_size: int, stages: Stages, bar: tqdm, earlier: Earlier | None
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, int]]:
    """One shard's lists, its users with the digests of their histories, and its totals."""
    with stages("read"):
        rows = source.read(shard)
    with stages("windows"):
        task = job.task(rows, in_order=True)
        users = pl.DataFrame([task.histories.users, pl.Series(HISTORY, digests(task.histories))])
    found = asdict(totals(task)) | {"scored": len(task.histories), "repeated": shard.rows - rows.height}
    bar.update(shard.users - len(task.histories))
    if earlier is None or not len(task.histories):
        return model_lists(task, k, batch_size, stages, bar), users, found
    same, kept = earlier.unchanged(users)
    bar.update(int(same.sum()))
    task = task.take(np.flatnonzero(~same))
    lists = pl.concat([kept, model_lists(task, k, batch_size, stages, bar)]).sort(USER, "rank")
    return lists, users, found | {"scored": len(task.histories)}


def measure_shards(
    job: Job, source: Source, whole: Source, output: Output, name: str, k: int, seed: int
) -> tuple[dict[str, pl.DataFrame], Totals]:
    """Metrics of the complete lists of a source's users, beside random and popular ones, and totals.

    whole: the table that popularity is counted in; the source itself unless users were chosen.
    """
    counts, population = np.zeros(job.items.height, dtype=np.int64), 0
    for shard in tqdm(whole.shards, desc="counting", unit=" parts", leave=False, disable=None):
        task = job.task(whole.read(shard), in_order=True)
        counts += task.counts
        population += len(task.histories)
    found = Totals()
    tallies = {n: Tally(job.items, counts, population, k) for n in ("random", "popularity", name)}
    first_row = 0
    for shard in tqdm(source.shards, desc="measuring", unit=" parts", leave=False, disable=None):
        task = job.task(source.read(shard), in_order=True)
        own = pl.read_parquet(output.part(shard.number), glob=False)
        for n, lists in {**reference_lists(task, counts, k, seed, first_row), name: own}.items():
            tallies[n].add(lists, task.targets)
        first_row += len(task.histories)
        found += totals(task)
    return {n: tally.metrics() for n, tally in tallies.items()}, found
