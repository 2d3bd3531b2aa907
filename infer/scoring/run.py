"""One run of the batch scorer: plan, parts, decision, publication.

In: an open job and where its lists go. Out: the published lists, their manifest and their metrics, and an `Outcome`
that says what was done.

    score_table(open_job(open_model("hybrid.onnx")), Path("hybrid.topk.parquet"), Settings(k=10))
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from infer.errors import InputError, ReplacedError
from infer.publishing.figures import figures_of
from infer.publishing.incremental import Earlier
from infer.publishing.opening import output_of, publications_at
from infer.publishing.output import Output, part_of
from infer.publishing.recovery import STORE
from infer.scoring.counted import Counted, counted
from infer.scoring.decision import decide, done_by_another
from infer.scoring.extras import Extras, open_extras
from infer.scoring.figures import BeyondTotals
from infer.scoring.job import Job, check_held_out, typed, with_newest, with_users
from infer.scoring.outcome import Outcome
from infer.scoring.parts import How
from infer.scoring.plan import Settings, check_replaced, plan_of
from infer.scoring.recency import check_age
from infer.scoring.report import LIBRARIES, report
from infer.scoring.reranking import Reranking
from infer.scoring.totals import metrics_of, name_of, totals_of
from infer.scoring.work import Engine, Work, in_this_process
from infer.sources.cutting import Part
from infer.sources.source import Source, open_source, select_users
from infer.sources.users import chosen_ids
from infer.system.memory import peak_memory
from infer.system.progress import progress
from infer.system.stages import Stages
from infer.system.versions import versions
from infer.tables.columns import USER
from infer.tables.notes import Notes

NEWEST = "newest_event"  # in a manifest: seconds since 1970, or null


def score_table(
    job: Job, folder: Path, settings: Settings, stages: Stages | None = None, engine: Engine = in_this_process
) -> Outcome:
    """Score this process's share of a table into `folder`, and publish the lists when all shares are there.

    engine: scores the parts.
    Raises InputError if something given cannot be used, also ReplacedError if readers find other lists by the end, and
    HeldError if a figure is beyond its limit; the earlier lists are unchanged then.
    """
    stages = stages or Stages()
    publications = publications_at(folder)
    tables = (job.table, settings.fallback.items, *job.candidates.files)
    publications.check([path for path in tables if path is not None])
    current = publications.current()
    if current is not None and current.damage is not None and not (settings.only_changed or settings.merge):
        current = None  # which holds the new lists, once they are there
    ids = None if settings.users is None else chosen_ids(settings.users)
    extras = open_extras(job.model, settings.extras, job.options.item)
    plan = plan_of(job, settings, ids, current) | ({"figures": extras.plan} if extras.plan else {})
    check_replaced(current, plan, settings.accept, publications.lists)
    output, begun = output_of(publications, plan), False
    try:
        with output.share(settings.share, settings.restart) as published:
            begun = True
            if published:
                there = publications.current()
                if there is not None and NEWEST in there.manifest:  # which earlier versions did not say
                    check_age(job, there.manifest[NEWEST], settings.max_age)
                return Outcome(publications.lists, already=True, publication=there)
            if output.keeps_current:
                return _score_share(job, output, settings, ids, stages, extras, engine)
    except BaseException as error:
        # What fails at once leaves nothing to go on with, nor do lists of a table that is no longer there, or that may
        # not be published.
        scored = any(output.part(0).parent.glob("part-*"))
        lost = isinstance(error, ReplacedError) or (settings.share[1] == 1 and not job.unchanged)
        output.abandon(begun and (not scored or lost))
        raise
    # Since it was planned another was published, by a process that ran or as what a killed one had decided.
    output.abandon(work=True)
    return score_table(job, folder, settings, stages, engine)


def _score_share(
    job: Job,
    output: Output,
    settings: Settings,
    ids: Sequence[str] | None,
    stages: Stages,
    extras: Extras,
    engine: Engine,
) -> Outcome:
    """Score this process's share and, if it was the last, decide."""
    parts, resumed, own, notes, about = 0, 0, 0, Notes(), dict[str, Any]()
    if not output.complete:
        job, source, found, chosen = _open(job, output, settings, ids, stages)
        parts, notes = len(source.parts), source.notes
        reranking, said = settings.variety.reranking(job)
        notes.said[:0] = [*job.said, *said]
        resumed, own, about = _score_parts(
            job, output, settings, source, found, chosen, stages, extras, reranking, engine
        )
    with output.locked(STORE):
        if not output.work.exists():
            return done_by_another(output)
        if not output.complete:
            ready = output.ready([part.number for part in source.parts])
            if ready < parts:
                return Outcome(output.publications.lists, parts=parts, ready=ready, resumed=resumed, own=own)
            _describe(job, output, settings, source.parts, notes, stages, extras, about)
        job.check_unchanged()
        _check_current(output, settings)
        with stages("publish"):
            publication = decide(output, settings)
    lists = output.publications.lists
    return Outcome(lists, parts=parts, ready=parts, resumed=resumed, own=own, publication=publication)


def _check_current(output: Output, settings: Settings) -> None:
    """Raises ReplacedError if readers have gone back meanwhile to lists that this run may not replace, or does not
    keep; whoever calls holds the lock `store`."""
    current, lists = output.publications.current(), output.publications.lists
    if not output.keeps_current:
        raise ReplacedError(
            f"{lists}: readers find {current and current.name} by now, and this run keeps lists of "
            f"{output.plan['base']['name']}: run again"
        )
    check_replaced(current if current and current.damage is None else None, output.plan, settings.accept, lists)


def _open(
    job: Job, output: Output, settings: Settings, ids: Sequence[str] | None, stages: Stages
) -> tuple[Job, Source, Counted, set[str] | None]:
    """The job in the table's types of ids, what to score, what was counted over the whole table, and the chosen users;
    shares find it out once."""
    with output.locked("source"):
        with stages("open"):
            whole = open_source(
                job.table, job.options, output.source, settings.part_users, optional=job.optional, known=job.known
            )
            check_age(job, whole.notes.latest, settings.max_age)
            job = typed(job, whole)
            check_held_out(job, whole.rows)
            job = with_users(with_newest(job, whole), whole.rows)
        with stages("count"):
            found = counted(job, whole, settings.fallback, output.source)
    if settings.users is None:
        return job, whole, found, None
    chosen = select_users(whole, settings.users, settings.part_users)
    if chosen_ids(settings.users) != ids:
        raise InputError(f"--users {settings.users} was changed meanwhile: run again when nobody writes to it")
    users = set(chosen.rows.select(pl.col(USER).unique().cast(pl.String)).collect()[USER])
    return job, (whole if settings.merge else chosen), found, users


def _score_parts(
    job: Job,
    output: Output,
    settings: Settings,
    source: Source,
    found: Counted,
    chosen: set[str] | None,
    stages: Stages,
    extras: Extras,
    reranking: Reranking | None,
    engine: Engine,
) -> tuple[int, int, dict[str, Any]]:
    """Score the parts of this process's share that are not there yet; returns how many users were there before and how
    many are new, and what is said of the engine."""
    first, of = settings.share
    share = source.parts[first::of]
    missing = [part for part in share if not output.has(part.number)]
    earlier = None
    if settings.only_changed or settings.merge:
        base = output.plan["base"]
        kept = None if base is None else output.publications.get(base["name"])
        earlier = Earlier(kept, output.plan, chosen if settings.merge else None)
    how = How(
        settings.k,
        settings.batch_size,
        settings.seed,
        found.popularity,
        found.recent,
        found.fallback,
        extras.of(job),
        reranking,
        settings.reasons,
    )
    total = sum(part.users for part in share)
    done = total - sum(part.users for part in missing)
    in_memory = chosen is not None and not settings.merge
    work = Work(job, output, settings.share, source, in_memory, settings.part_users, how, earlier, stages)
    with progress(total=total, initial=done, unit=" users", desc=job.model.path.name) as bar:
        return done, total - done, engine(work, missing, bar) if missing else {}


def _describe(
    job: Job,
    output: Output,
    settings: Settings,
    parts: Sequence[Part],
    notes: Notes,
    stages: Stages,
    extras: Extras,
    engine: dict[str, Any],
) -> None:
    """Write the manifest of complete lists, and their metrics."""
    name = name_of(job.model.path.stem)
    beyond = BeyondTotals(extras.of(job), name, job.items.height, settings.k)
    numbers = [beyond.take(output.numbers(part.number)) for part in parts]
    totals, metrics = totals_of(numbers), None
    if totals.measured:
        with stages("measure"):
            items = job.items.height
            tables = beyond.added(metrics_of(name, numbers, items, settings.k))
            metrics = report(job, settings.options, totals, settings.k, tables, output.plan)
    found = Notes(repeated=sum(part["repeated"] for part in numbers), further=sum(part["further"] for part in numbers))
    found.add(notes)
    described = [part_of(part, told) for part, told in zip(parts, numbers, strict=True)]
    with stages("publish"):
        figures = figures_of(output.publication, output.plan, described, job.items.height)
        about = {
            "plan": output.plan,
            "rules": job.candidates.given,
            "digest": output.digest,
            "model": job.model.path.name,
            "dataset": job.model.metadata.dataset,
            "rows": figures["rows"],
            "users": totals.users,
            "notes": found.lines,
            NEWEST: found.latest,
            "figures": figures,
            "beyond_accuracy": beyond.as_json(extras.said),
            "versions": versions(*LIBRARIES),
            "device": job.model.device,
            "seconds": stages.as_dict(),
            "peak_memory_bytes": peak_memory(),
            "parts": described,
        } | engine
        output.describe(about, metrics)
