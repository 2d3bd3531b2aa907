"""Score every user of a table with one ONNX file: top-k lists and metrics.

In: a model written by `python -m export` and interactions (the table the model was trained on, or
--interactions FILE). Out: MODEL.topk.parquet, a folder of Parquet files (user, rank, item, score);
MODEL.topk.json, its manifest; and MODEL.metrics.json.

    python -m infer.batch --model hybrid.onnx

If the table carries the leave-one-out split, each history ends just before the held-out item and
the metrics are of that item. If it does not, or with --no-metrics, whole histories are used.
Items of the history are never recommended. Users whom the model cannot personalise are left out,
counted, and count as misses in the metrics.

A run that was stopped can be resumed with the same command, and its output is byte-identical; until it is
complete, the earlier lists stay. Machines with a common folder share the work with --shard 1/2 and --shard 2/2.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from infer.cli import option, parse, run
from infer.errors import InputError
from infer.metrics.rendering import render
from infer.scoring.job import Job
from infer.scoring.options import ScoringConfig
from infer.scoring.run import Outcome, Settings, score_table
from infer.scoring.totals import Totals
from infer.system.stages import Stages
from infer.tables.source import PART_USERS


@dataclass(frozen=True, kw_only=True)
class BatchConfig(ScoringConfig):
    """Options of `python -m infer.batch`."""

    k: int = option(10, "items in each list", minimum=1)
    batch_size: int = option(256, "users scored at once, at most", minimum=1)
    users: str | None = option(None, "only these: ids separated by commas, or a file with one id a line")
    output: Path | None = option(None, "folder of top-k Parquet files (default: beside the model)")
    metrics: bool = option(True, "measure the held-out items if the table has a split")
    seed: int = option(0, "seed of the random baseline", minimum=0)
    shard: str = option("1/1", "I/N: score every N-th part, from the I-th; all machines write into one folder")
    only_changed: bool = option(False, "score users whose history has changed; keep the earlier lists of the others")
    restart: bool = option(False, "drop an unfinished run and begin anew")
    part_users: int = option(PART_USERS, "users in one file of lists, at most", minimum=1)

    @property
    def share(self) -> tuple[int, int]:
        """Which part of the work, from 0, and of how many; raises InputError if it is not I/N."""
        first, _, of = self.shard.partition("/")
        if not (first.isdecimal() and of.isdecimal() and 1 <= int(first) <= int(of)):
            raise InputError(f"--shard is I/N with I from 1 to N; found '{self.shard}'")
        return int(first) - 1, int(of)

    @property
    def settings(self) -> Settings:
        """These options as the library takes them; raises InputError as `share` does."""
        return Settings(
            k=self.k,
            batch_size=self.batch_size,
            users=self.users,
            seed=self.seed,
            share=self.share,
            only_changed=self.only_changed,
            restart=self.restart,
            part_users=self.part_users,
            options=asdict(self),
        )


def main(argv: Sequence[str]) -> None:
    """Parse, score, print."""
    config = parse(BatchConfig, argv, __doc__)
    settings, stages = config.settings, Stages()
    with stages("open"):
        job = config.job(config.metrics)
    folder = config.output or job.model.path.with_suffix(".topk.parquet")
    outcome = score_table(job, folder, settings, stages)
    print("\n".join(told(job, config, outcome, stages)))


def told(job: Job, config: BatchConfig, found: Outcome, stages: Stages) -> Iterator[str]:
    """What a run did, line by line."""
    if found.already:
        yield f"nothing to do: {found.folder} holds the lists of this model, table and options"
        return
    if found.resumed:
        yield f"going on: {found.resumed} users were scored before"
    if not found.published:
        yield f"{found.ready} of {found.parts} parts are there: the lists appear when the other shares are done"
        return
    if str(found.notes):
        yield f"{job.table}: {found.notes}"
    yield from _left_out(job, found.totals)
    totals, dataset = found.totals, job.model.metadata.dataset
    yield (
        f"{job.model.path.stem} on {dataset}: {totals.users - totals.cold} users, {found.rows} recommendations "
        f"-> {found.folder}" + (f"; {found.scored} users scored anew" if config.only_changed else "")
    )
    if found.metrics is not None:
        yield f"held-out {config.split} items of {totals.measured} users, 95% intervals -> {found.report}"
        yield render(found.metrics)
    elif job.split is None:
        why = f"{job.table} carries no split" if config.metrics else "--no-metrics"
        yield f"no metrics ({why}): whole histories used"
    else:
        yield "no metrics: none of these users has a held-out item"
    scoring = sum(stages.seconds.get(stage, 0.0) for stage in ("read", "windows", "model", "write"))
    yield f"{totals.users / max(1e-9, scoring):.0f} users/s; {stages}"


def _left_out(job: Job, totals: Totals) -> Iterator[str]:
    name = job.model.path.name
    if totals.cold:
        yield (
            f"left out: {totals.cold} of {totals.users} users whom {name} does not know "
            "(not in its training data, or without a known item in their history)"
        )
    if totals.unknown:
        yield f"left out: {totals.unknown} interactions with items that {name} does not know"
    if job.checksum != job.model.metadata.dataset_checksum and totals.measured:
        yield (
            f"note: {job.table} is not the table {name} was trained on "
            f"({job.model.metadata.dataset}); the model may have been trained on what is measured here"
        )


if __name__ == "__main__":
    raise SystemExit(run(main))
