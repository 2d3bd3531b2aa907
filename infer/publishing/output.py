"""One run of the batch scorer on its way to publication: a folder of parts that can be resumed at any moment.

    hybrid.topk.publications/work/
        plan.json                     everything the lists follow from: no other run mixes with it
        publication/lists, users      a file for each part that is done, each whole or not at all
        publication/manifest.json     once all are done: what is left is to publish them
        source/                       the table, checked, sorted and cut, where it is not read where it lies
        number                        the name that the publication is about to get

In: a plan. Out: the parts that are there, and the step that publishes or holds them.

Who changes what others may see or use holds the lock `store`; who scores holds the lock of its share all the while,
so that nobody takes a running share for one that was stopped.
"""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from infer.errors import InputError
from infer.publishing.publication import LISTS, MANIFEST, METRICS, USERS, Publication, read_json
from infer.publishing.publications import HELD, Publications
from infer.publishing.recovery import STORE, abandon, busy, discard, lock, recover
from infer.sources.cutting import Part
from infer.system.files import replacing, write_text

PLAN_KEY, NUMBERS_KEY = "plan", "numbers"


class Output:
    """Where one run's lists go. plan: everything the lists follow from, as plain JSON values."""

    def __init__(self, publications: Publications, plan: dict[str, Any]) -> None:
        self.publications, self.plan = publications, plan
        self.work = publications.work
        self.publication = Publication(self.work / "publication")
        self.source = self.work / "source"
        self.digest = digest_of(plan)

    @contextmanager
    def share(self, share: tuple[int, int], restart: bool) -> Iterator[bool]:
        """Work on a share (i, n) of the run: go on with what is there of it, or begin.

        restart: drop what is there.  Gives whether the run was already published, so that nothing is left to do.
        Raises InputError, and changes nothing, if another process works on this share; if another run is unfinished
        or works; if something of somebody else's is in the way.
        """
        self.publications.check()
        first, of = share
        with ExitStack() as stack:
            with self.locked(STORE):
                self.publications.check()
                recovered = recover(self.publications)
                published = self.is_published() and (of > 1 or recovered)
                if not published:
                    stack.enter_context(self.locked(f"share-{first + 1}-of-{of}", wait=False))
                    self._take_up(restart, except_share=f"share-{first + 1}-of-{of}")
            yield published

    def locked(self, name: str, wait: bool = True) -> contextlib.AbstractContextManager[None]:
        """Hold a lock of this output; see `infer.system.locks.locked`."""
        return lock(self.publications, name, wait)

    def is_published(self) -> bool:
        """Whether the lists that readers find are of this very run."""
        current = self.publications.current()
        if current is None or current.damage is not None:
            return False
        mine, theirs = self.plan, current.manifest["plan"]
        if mine["base"]:  # which is that very publication, once it is there: what counts is who got new lists
            mine, theirs = (plan | {"base": (plan.get("base") or {}).get("scored")} for plan in (mine, theirs))
        return bool(theirs == mine)

    @property
    def keeps_current(self) -> bool:
        """Whether the lists that this run keeps, if it keeps any, are those that readers find."""
        base, current = self.plan["base"], self.publications.current()
        return base is None or (current is not None and current.name == base["name"])

    @property
    def follows(self) -> str | None:
        """The number of what readers find until this run is published; whoever asks holds the lock `store`."""
        current = self.publications.current()
        return None if current is None else current.name

    def part(self, number: int) -> Path:
        """The file of a part's lists."""
        return self.publication.folder / LISTS / part_name(number)

    def users(self, number: int) -> Path:
        """The file of a part's users."""
        return self.publication.folder / USERS / part_name(number)

    def has(self, number: int) -> bool:
        """Whether the part's lists are complete."""
        return self.part(number).exists()

    def ready(self, numbers: Sequence[int]) -> int:
        """How many of these parts are complete, whoever scored them; if all are, they can be read now."""
        return sum(self.has(number) for number in numbers)

    @property
    def complete(self) -> bool:
        """Whether all parts are there, and the manifest says so."""
        return (self.publication.folder / MANIFEST).exists()

    def write(self, number: int, lists: pl.DataFrame, users: pl.DataFrame, numbers: dict[str, Any]) -> None:
        """Write a part's users, then its lists, whose presence says that both are there."""
        with replacing(self.users(number), alone=True) as temporary:
            write_users(temporary, users, self.digest)
        with replacing(self.part(number), alone=True) as temporary:
            write_lists(temporary, lists, numbers, self.digest)

    def numbers(self, number: int) -> dict[str, Any]:
        """What `write` was told of a part; raises InputError if its file is damaged."""
        try:
            found: dict[str, Any] = json.loads(pl.read_parquet_metadata(self.part(number))[NUMBERS_KEY])
        except (OSError, KeyError, ValueError, pl.exceptions.PolarsError):
            raise InputError(f"{self.part(number)} is damaged: score again with --restart") from None
        return found

    def describe(self, about: dict[str, Any], metrics: dict[str, Any] | None = None) -> None:
        """Write the metrics, then the manifest, which says that the lists are complete."""
        if metrics is not None:
            write_text(self.publication.folder / METRICS, json.dumps(metrics, indent=2) + "\n")
        write_text(self.publication.folder / MANIFEST, json.dumps(about, indent=2) + "\n")

    def publish(self, keep: int) -> Publication:
        """Let readers find the complete lists; keep so many publications. Whoever calls holds the lock `store`."""
        self.publications.check()
        for folder in (LISTS, USERS):
            for stray in (self.publication.folder / folder).glob(".*"):
                stray.unlink()  # of a process that was killed while it wrote
        write_text(self.work / "number", self.publications.next_name())
        recover(self.publications, keep)
        current = self.publications.current()
        assert current is not None, "a publication that was switched to is there"
        return current

    def hold(self) -> Publication:
        """Put the complete lists aside, where they can be looked at; whoever calls holds the lock `store`."""
        held = self.publications.store / HELD
        shutil.rmtree(held, ignore_errors=True)
        self.publication.folder.rename(held)
        discard(self.publications)
        return Publication(held)

    def abandon(self, work: bool) -> None:
        """Leave nothing of a run that came to nothing, unless others work on it; work: drop what is there of it."""
        abandon(self.publications, work)

    def _take_up(self, restart: bool, except_share: str) -> None:
        """Make the work folder, or go on with one of the same plan; the lock `store` is held."""
        old_plan = read_json(self.work / "plan.json")
        same = old_plan == self.plan
        if self.work.exists() and (restart or not same):
            other = busy(self.publications, except_share)
            if other:
                raise InputError(
                    f"another process is working on {self.publications.lists} ({other}): wait until it ends"
                )
            if not restart and old_plan is not None:
                differing = [k for k in self.plan if not isinstance(old_plan, dict) or old_plan.get(k) != self.plan[k]]
                raise InputError(
                    f"{self.work} holds an unfinished run that differs in {' and '.join(differing) or 'its plan'}: "
                    "finish it with the options it was begun with, or give --restart to drop it"
                )
            discard(self.publications)
        self.publications.create()
        held = self.publications.held()
        try:
            self.work.mkdir(exist_ok=True)
            if not (self.work / "plan.json").exists():
                write_text(self.work / "plan.json", json.dumps(self.plan, indent=2) + "\n")
            mine = held is not None and held.damage is None and held.manifest["digest"] == self.digest
            if held is not None and mine and not restart and not self.publication.folder.exists():
                held.folder.rename(self.publication.folder)
            for folder in (self.publication.folder / LISTS, self.publication.folder / USERS, self.source):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot write {self.work}: {error.strerror}; earlier files are unchanged") from None


def write_users(path: Path, users: pl.DataFrame, digest: str) -> None:
    """Write a part's users as a run of the plan with this digest does, in place."""
    users.write_parquet(path, metadata={PLAN_KEY: digest})


def write_lists(path: Path, lists: pl.DataFrame, numbers: dict[str, Any], digest: str) -> None:
    """The same of its lists, with the numbers that travel with them."""
    lists.write_parquet(path, metadata={PLAN_KEY: digest, NUMBERS_KEY: json.dumps(numbers)})


def digest_of(plan: dict[str, Any]) -> str:
    """SHA-256 of a plan, in any order of its keys."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()


def part_name(number: int) -> str:
    """File name of a part."""
    return f"part-{number:05}.parquet"


def part_of(part: Part, numbers: dict[str, Any]) -> dict[str, Any]:
    """What the manifest says of a part."""
    told = {key: value for key, value in numbers.items() if key not in ("measures", "beyond")}
    return {"file": part_name(part.number), **told}
