"""One run of the batch scorer: plan, parts, publication, report.

In: an open job and where its lists go. Out: the published lists, their manifest and their metrics, and an `Outcome`
that says what was done.

    score_table(open_job(open_model("hybrid.onnx")), Path("hybrid.topk.parquet"), Settings(k=10))
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from infer.errors import InputError
from infer.scoring.incremental import Earlier
from infer.scoring.job import Job, check_held_out, check_ids
from infer.scoring.output import Output, read_json
from infer.scoring.parts import measure_parts, score_part
from infer.scoring.report import LIBRARIES, report
from infer.scoring.totals import Totals
from infer.system.files import write_text
from infer.system.memory import peak_memory
from infer.system.progress import progress
from infer.system.stages import Stages
from infer.system.versions import versions
from infer.tables.notes import Notes
from infer.tables.source import PART_USERS, Source, open_source, select_users

PLAN_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a table is scored.

    k: items in each list.  batch_size: users scored at once, at most.  users: only these, as ids separated by commas
    or a file of them.  seed: of the random baseline.  share: (i, n) takes every n-th part of the table, from the i-th,
    counted from 0.  only_changed: score users whose history has changed, keep the earlier lists of the others.
    restart: drop an unfinished run.  part_users: users in one file of lists, at most.
    options: what the report says of how it was made.
    """

    k: int = 10
    batch_size: int = 256
    users: str | None = None
    seed: int = 0
    share: tuple[int, int] = (0, 1)
    only_changed: bool = False
    restart: bool = False
    part_users: int = PART_USERS
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a run did.

    already: whether another share had published the same lists before.  parts, ready: how many parts of the table
    there are, and have lists.  resumed: users scored by an earlier, stopped run.  published: whether the lists are in
    their place.  totals, rows, scored: users by what became of them, rows
    of the lists, users scored anew.  metrics: name -> (metric, value, low, high), None if nothing is held out.
    report: the file with them.  notes: what was found in the rows of the table.
    """

    folder: Path
    already: bool = False
    parts: int = 0
    ready: int = 0
    resumed: int = 0
    published: bool = False
    totals: Totals = field(default_factory=Totals)
    rows: int = 0
    scored: int = 0
    metrics: dict[str, pl.DataFrame] | None = None
    report: Path | None = None
    notes: Notes = field(default_factory=Notes)


def score_table(job: Job, folder: Path, settings: Settings, stages: Stages | None = None) -> Outcome:
    """Score this process's share of a table into `folder`, and publish the lists when all shares are there.

    Raises InputError if something given cannot be used; earlier lists in `folder` are unchanged then.
    """
    stages = stages or Stages()
    if folder.suffix != ".parquet":
        raise InputError(f"--output {folder}: expected a name that ends in .parquet")
    output = Output(folder, plan_of(job, settings))
    _, of = settings.share
    if of > 1 and (read_json(output.manifest) or {}).get("digest") == output.digest and not output.work.exists():
        return Outcome(folder, already=True)
    try:
        output.begin(settings.restart)
        return _score_share(job, output, settings, stages)
    finally:
        # What fails at once leaves nothing to go on with, nor do lists of a table that is no longer there;
        # another share may have begun all the same.
        begun = any((output.work / "lists").glob("*"))
        if of == 1 and output.work.exists() and not (begun and job.unchanged):
            output.discard()


def plan_of(job: Job, settings: Settings) -> dict[str, Any]:
    """Everything that the lists follow from; batch size, threads and device change only rounding."""
    return {
        "format": PLAN_FORMAT,
        "model": job.model.checksum,
        "data": {"sha256": job.checksum, "columns": asdict(job.columns), "users": settings.users},
        "options": {"k": settings.k, "split": job.split, "part_users": settings.part_users},
        "only_changed": settings.only_changed,
    }


def _score_share(job: Job, output: Output, settings: Settings, stages: Stages) -> Outcome:
    """Score this process's share and, if it was the last, finish."""
    first, of = settings.share
    with output.locked(f"shard-{first + 1}-of-{of}"):
        with stages("open"):
            whole = open_source(
                job.table, job.columns, output.work / "sorted", settings.part_users, optional=job.optional
            )
            check_ids(job, whole.rows.collect_schema())
            check_held_out(job, whole.rows)
            source = whole if settings.users is None else select_users(whole, settings.users)
        resumed = _score_parts(job, output, settings, source, stages)
        ready = sum(output.has(part.number) for part in source.parts)
        if ready < len(source.parts):
            return Outcome(output.folder, parts=len(source.parts), ready=ready, resumed=resumed)
        with output.locked("publication"):
            return _finish(job, output, settings, source, whole, resumed, stages)


def _score_parts(job: Job, output: Output, settings: Settings, source: Source, stages: Stages) -> int:
    """Score the parts of this process's share that are not there yet; returns how many users were there before."""
    first, of = settings.share
    share = source.parts[first::of]
    missing = [part for part in share if not output.has(part.number)]
    earlier = Earlier(output) if settings.only_changed else None
    total = sum(part.users for part in share)
    done = total - sum(part.users for part in missing)
    with progress(total=total, initial=done, unit=" users", desc=job.model.path.name) as bar:
        for part in missing:
            scored = score_part(job, source, part, settings.k, settings.batch_size, stages, bar, earlier)
            job.check_unchanged()
            with stages("write"):
                output.write(part.number, *scored)
    return done


def _finish(
    job: Job, output: Output, settings: Settings, source: Source, whole: Source, resumed: int, stages: Stages
) -> Outcome:
    """Measure and publish the complete lists."""
    name, parts = job.model.path.stem, [output.described(part.number) for part in source.parts]
    totals = Totals(*(sum(counts[field] for counts in parts) for field in ("users", "measured", "cold", "unknown")))
    metrics = None
    if totals.measured:
        with stages("measure"):
            metrics, totals = measure_parts(job, source, whole, output.read, name, settings.k, settings.seed)
    rows = sum(counts["rows"] for counts in parts)
    job.check_unchanged()
    with stages("publish"):
        about = {"dataset": job.model.metadata.dataset, "rows": rows, "users": totals.users}
        about |= {"versions": versions(*LIBRARIES), "device": job.model.device}
        about |= {"seconds": stages.as_dict(), "peak_memory_bytes": peak_memory()}
        output.publish(parts, about)
    target = None
    if metrics is not None:
        stem = output.folder.name.removesuffix(".parquet").removesuffix(".topk")
        target = output.folder.with_name(f"{stem}.metrics.json")
        content = report(job, settings.options, totals, settings.k, metrics)
        write_text(target, json.dumps(content, indent=2) + "\n")
    notes = Notes(repeated=sum(counts["repeated"] for counts in parts))
    notes.add(whole.notes)
    return Outcome(
        output.folder,
        parts=len(parts),
        ready=len(parts),
        resumed=resumed,
        published=True,
        totals=totals,
        rows=rows,
        scored=sum(counts["scored"] for counts in parts),
        metrics=metrics,
        report=target,
        notes=notes,
    )
