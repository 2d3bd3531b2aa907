"""Score every user of a table with one ONNX file: top-k lists and metrics.

In: a model written by `python -m export` and interactions (the table the model was trained on, or
--interactions FILE). Out: MODEL.topk.parquet, a folder of Parquet files (user, rank, item, score);
MODEL.topk.json, its manifest; and MODEL.metrics.json.

    python -m infer.batch --model hybrid.onnx

If the table carries the leave-one-out split, each history ends just before the held-out item and
the metrics are of that item. If it does not, or with --no-metrics, whole histories are used.
Items of the history are never recommended. Users whom the model cannot personalise are left out,
counted, and count as misses in the metrics.

A run that was stopped goes on where it was with the same command; until it is complete, the
earlier lists stay. Machines with a common folder share the work with --shard 1/2 and --shard 2/2.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl
from tqdm import tqdm

from infer.cli import option, parse, run
from infer.errors import InputError
from infer.files import write_text
from infer.notes import Notes
from infer.output import Output, read_json
from infer.reading import collect
from infer.report import Totals, render, report, versions
from infer.schema import SPLIT
from infer.shards import Earlier, measure_shards, score_shard
from infer.source import SHARD_USERS, Source, open_source, select_users
from infer.stages import Stages, peak_memory
from infer.tables import scan_interactions
from infer.task import Job, ScoringConfig, check_ids, open_job

PLAN_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class BatchConfig(ScoringConfig):
    """Options of `python -m infer.batch`."""

    k: int = option(10, "items in each list", minimum=1)
    batch_size: int = option(256, "users scored at once, at most", minimum=1)
    users: str | None = option(None, "only these: ids separated by commas, or a file with one id a line")
    output: Path | None = option(None, "folder of top-k Parquet files (default: beside the model)")
    metrics: bool = option(True, "measure the held-out items if the table has a split")
    seed: int = option(0, "seed of the random reference lists", minimum=0)
    shard: str = option("1/1", "I/N: score every N-th part, from the I-th; all machines write into one folder")
    only_changed: bool = option(False, "score users whose history has changed; keep the earlier lists of the others")
    restart: bool = option(False, "drop an unfinished run and begin anew")
    shard_users: int = option(SHARD_USERS, "users in one file of lists, at most", minimum=1)

    @property
    def share(self) -> tuple[int, int]:
        """Which part of the work, from 0, and of how many; raises InputError if it is not I/N."""
        first, _, of = self.shard.partition("/")
        if not (first.isdecimal() and of.isdecimal() and 1 <= int(first) <= int(of)):
            raise InputError(f"--shard is I/N with I from 1 to N; found '{self.shard}'")
        return int(first) - 1, int(of)


def plan_of(job: Job, config: BatchConfig) -> dict:
    """Everything that the lists follow from; batch size, threads and device change only rounding."""
    return {
        "format": PLAN_FORMAT,
        "model": job.model.checksum,
        "data": {"sha256": job.checksum, "columns": asdict(job.columns), "users": config.users},
        "options": {"k": config.k, "split": job.split, "shard_users": config.shard_users},
        "only_changed": config.only_changed,
    }


def score(config: BatchConfig, job: Job, output: Output, source: Source, stages: Stages) -> bool:
    """Score this process's share of the shards that are not there yet; returns whether all are now."""
    first, of = config.share
    mine = [shard for shard in source.shards[first::of] if not output.has(shard.number)]
    earlier = Earlier(output) if config.only_changed else None
    done = sum(shard.users for shard in source.shards[first::of]) - sum(shard.users for shard in mine)
    if done:
        print(f"going on: {done} users were scored before ({output.work})")
    total = done + sum(shard.users for shard in mine)
    with tqdm(total=total, initial=done, unit=" users", desc=job.model.path.name, disable=None) as bar:
        for shard in mine:
            found = score_shard(job, source, shard, config.k, config.batch_size, stages, bar, earlier)
            job.check_unchanged()
            with stages("write"):
                output.write(shard.number, *found)
    return all(output.has(shard.number) for shard in source.shards)


def main(words: Sequence[str]) -> None:
    """Parse, score, measure, write, print."""
    config = parse(BatchConfig, words, __doc__)
    stages = Stages()
    _, of = config.share
    with stages("open"):
        job = open_job(config, config.metrics)
        path = config.output or job.model.path.with_suffix(".topk.parquet")
        if path.suffix != ".parquet":
            raise InputError(f"--output {path}: expected a name that ends in .parquet")
        output = Output(path, plan_of(job, config))
    if of > 1 and (read_json(output.manifest) or {}).get("digest") == output.digest and not output.work.exists():
        print(f"nothing to do: {output.folder} holds the lists of this model, table and options")
        return
    try:
        output.begin(config.restart)
        _score_all(config, job, output, stages)
    finally:
        # What fails at once leaves nothing to go on with, nor do lists of a table that is no longer there;
        # another share may have begun all the same.
        begun = any((output.work / "lists").glob("*"))
        if of == 1 and output.work.exists() and not (begun and job.unchanged):
            output.discard()


def _score_all(config: BatchConfig, job: Job, output: Output, stages: Stages) -> None:
    """Score this process's share and, if it was the last, finish."""
    first, of = config.share
    with output.locked(f"shard-{first + 1}-of-{of}"):
        with stages("open"):
            whole = open_source(job.table, job.columns, output.work / "sorted", config.shard_users)
            check_ids(job, whole.rows.collect_schema())
            _check_held_out(job)
            source = whole if config.users is None else select_users(whole, config.users)
        if score(config, job, output, source, stages):
            with output.locked("publication"):
                _finish(config, job, output, source, whole, stages)
            return
        ready = sum(output.has(shard.number) for shard in source.shards)
        print(f"{ready} of {len(source.shards)} parts are there: the lists appear when the other shares are done")


def _finish(config: BatchConfig, job: Job, output: Output, source: Source, whole: Source, stages: Stages) -> None:
    """Measure and publish the complete lists, and say what was done."""
    name, parts = job.model.path.stem, [output.totals(shard.number) for shard in source.shards]
    found = Totals(*(sum(part[field] for part in parts) for field in ("users", "measured", "omitted", "unknown")))
    metrics = None
    if found.measured:
        with stages("measure"):
            metrics, found = measure_shards(job, source, whole, output, name, config.k, config.seed)
    rows = sum(pl.scan_parquet(output.part(s.number)).select(pl.len()).collect().item() for s in source.shards)
    job.check_unchanged()
    with stages("publish"):
        about = {"dataset": job.model.metadata.dataset, "rows": rows, "users": found.users, "versions": versions()}
        about |= {"device": config.device, "seconds": stages.as_dict(), "peak_memory_bytes": peak_memory()}
        output.publish(len(source.shards), about)
    notes = Notes(repeated=sum(part["repeated"] for part in parts))
    notes.add(whole.notes)
    if str(notes):
        print(f"{job.table}: {notes}")
    _say_what_was_left_out(job, found)
    scored = sum(part["scored"] for part in parts)
    print(
        f"{name} on {job.model.metadata.dataset}: {found.users - found.omitted} users, {rows} recommendations "
        f"-> {output.folder}" + (f"; {scored} users scored anew" if config.only_changed else "")
    )
    if metrics is not None:
        target = output.folder.with_name(
            output.folder.name.removesuffix(".parquet").removesuffix(".topk") + ".metrics.json"
        )
        write_text(target, json.dumps(report(job, config, found, config.k, metrics), indent=2) + "\n")
        print(f"held-out {config.split} items of {found.measured} users, 95% intervals -> {target}")
        print(render(metrics))
    elif job.split is None:
        why = f"{job.table} carries no split" if config.metrics else "--no-metrics"
        print(f"no metrics ({why}): whole histories used")
    else:
        print("no metrics: none of these users has a held-out item")
    speed = found.users / max(
        1e-9, sum(stages.seconds.get(stage, 0.0) for stage in ("read", "windows", "model", "write"))
    )
    print(f"{speed:.0f} users/s; {stages}")


def _check_held_out(job: Job) -> None:
    if job.split is None:
        return
    held = scan_interactions(job.table, job.columns).filter(pl.col(SPLIT) == job.split).head(1)
    if collect(held, job.table).is_empty():
        raise InputError(f"{job.table} has no {job.split} items to measure; use --no-metrics")


def _say_what_was_left_out(job: Job, found: Totals) -> None:
    name = job.model.path.name
    if found.omitted:
        print(
            f"left out: {found.omitted} of {found.users} users whom {name} does not know "
            "(not in its training data, or without a known item in their history)"
        )
    if found.unknown:
        print(f"left out: {found.unknown} interactions with items that {name} does not know")
    if job.checksum != job.model.metadata.dataset_checksum and found.measured:
        print(
            f"note: {job.table} is not the table {name} was trained on "
            f"({job.model.metadata.dataset}); the model may have been trained on what is measured here"
        )


if __name__ == "__main__":
    raise SystemExit(run(main))
