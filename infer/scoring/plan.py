"""Everything that lists follow from: runs of one plan go on with each other, others do not mix.

In: a job, its settings and the lists that readers find now. Out: plain JSON values, which stand in the manifest.

    plan_of(job, Settings(k=10), None, None)
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from infer.errors import InputError, ReplacedError
from infer.publishing.gate import Limits
from infer.publishing.publication import Publication
from infer.scoring.extras import ExtraTables
from infer.scoring.fallback import FallbackOptions
from infer.scoring.job import Job
from infer.scoring.reasons import check_reasons
from infer.scoring.recency import checked_period
from infer.scoring.variety import VarietyOptions
from infer.sources.source import PART_USERS

PLAN_FORMAT = 3


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a table is scored.

    k: items in each list.  batch_size: users scored at once, at most.  users: only these, see `chosen_ids`.
    merge: keep the earlier lists of all other users.  seed: of the random baseline.  share: (i, n) takes every n-th
    part of the table, from the i-th, counted from 0.  only_changed: score users whose history has changed, keep the
    earlier lists of the others.  restart: drop an unfinished run.  part_users: users in one file of lists, at most.
    limits: beyond which lists are held.  accept: publish them all the same.  keep: publications to keep, this one
    included.  max_age: refuse a table whose newest event is older (`2d`), None: never.  fallback: for users whom the
    model cannot personalise.  variety: how lists are re-ranked.  reasons: items of the history to name for each
    recommendation.  options: what the report says of how it was made.
    extras: tables of items and users that figures beyond accuracy are made with; None: no such figures.
    """

    k: int = 10
    batch_size: int = 256
    users: str | None = None
    merge: bool = False
    seed: int = 0
    share: tuple[int, int] = (0, 1)
    only_changed: bool = False
    restart: bool = False
    part_users: int = PART_USERS
    limits: Limits = field(default_factory=Limits)
    accept: bool = False
    keep: int = 3
    max_age: str | None = None
    fallback: FallbackOptions = FallbackOptions()
    variety: VarietyOptions = VarietyOptions()
    reasons: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    extras: ExtraTables | None = field(default_factory=ExtraTables)


def plan_of(job: Job, settings: Settings, ids: Sequence[str] | None, current: Publication | None) -> dict[str, Any]:
    """The plan of a run; batch size, threads and device change only rounding.

    ids: of the users to score, None for all.  current: the lists that readers find now.
    Raises InputError if options contradict each other.
    """
    if settings.max_age is not None:
        checked_period(settings.max_age, "--max-age")
    if settings.merge and ids is None:
        raise InputError("--merge puts the lists of some users among the earlier ones: name them with --users")
    if settings.merge and settings.only_changed:
        raise InputError("--merge scores the users that --users names, --only-changed those who changed: give one")
    digest = None if ids is None else hashlib.sha256(json.dumps(sorted(ids)).encode()).hexdigest()
    base = None
    if (settings.only_changed or settings.merge) and current is not None:
        base = {"name": current.name, "digest": current.manifest["digest"]}
        base |= {"scored": digest} if settings.merge else {}
    variety = settings.variety.plan(job)
    if settings.reasons:
        check_reasons(job.model)
    return {
        "format": PLAN_FORMAT,
        "model": job.model.checksum,
        "data": {"sha256": job.checksum, "columns": asdict(job.options)},
        "users": None if settings.merge else digest,
        "options": {
            "k": settings.k,
            "split": job.split,
            "part_users": settings.part_users,
            "rules": job.candidates.determining,
            "pairs": job.candidates.by_user,
            "seed": None if job.split is None else settings.seed,
            "keeps": "only-changed" if settings.only_changed else "merge" if settings.merge else None,
        }
        | settings.fallback.plan(job)
        | ({"variety": variety} if variety else {})
        | ({"reasons": settings.reasons} if settings.reasons else {}),
        "base": base,
    }


def check_replaced(current: Publication | None, plan: dict[str, Any], accept: bool, lists: Path) -> None:
    """Raises ReplacedError if lists of some users would replace everyone's, or lists for measuring those to serve."""
    if current is None:
        return
    earlier = current.manifest["plan"]
    if plan["users"] is not None and earlier["users"] is None:
        raise ReplacedError(
            f"{lists} holds everyone's lists: give the lists of --users an --output of their own, or put them among "
            "the others with --merge"
        )
    if plan["options"]["split"] is not None and earlier["options"]["split"] is None and not accept:
        raise ReplacedError(
            f"{lists} holds lists of whole histories; these would hide the held-out {plan['options']['split']} items "
            "from them: give --production, or for measuring another --output (--accept replaces them all the same)"
        )
