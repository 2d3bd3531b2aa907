"""One run of the batch scorer on its way to publication in the cloud: what `infer.publishing.output` is on a disk.

In: a plan. Out: parts that lie in the store as soon as they are scored, and the step that publishes or holds them.

    s3://shop/lists/hybrid.topk.publications/000013/
        lists, users       a file for each part that is done: where they are now is where they will be read
        manifest.json      once all are done

The catalogue says which number a plan's unfinished run has. The same command, on any machine, goes on there: parts
that are there are fetched, and not scored again. No locks: two processes with the same plan write the same bytes to the
same places, and of two with different plans the one that publishes second is told, and keeps its parts.
"""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

import polars as pl

from infer.errors import InputError
from infer.publishing import catalogue
from infer.publishing.catalogue import Catalogue
from infer.publishing.cloud import CloudPublications
from infer.publishing.output import Output, part_name
from infer.publishing.publication import LISTS, MANIFEST, METRICS, USERS, Publication


class CloudOutput(Output):
    """Where one run's lists go. Its files are written to a temporary folder, and from there to the store."""

    publications: CloudPublications

    def __init__(self, publications: CloudPublications, plan: dict[str, Any]) -> None:
        super().__init__(publications, plan)
        self.objects = publications.objects
        self._name = ""
        self._base: str | None = None  # what readers found when this process began
        self._sender = ThreadPoolExecutor(1)
        self._sent: Future[None] | None = None

    @contextmanager
    def share(self, share: tuple[int, int], restart: bool) -> Iterator[bool]:
        """Work on a share (i, n) of the run: go on with what is there of it, or begin; as of `Output.share`."""
        self._base = self.publications.catalogue().current
        published = share[1] > 1 and self.is_published()
        if not published:
            self._begin(restart)
        try:
            yield published
        finally:
            self._sender.shutdown(cancel_futures=True)

    def locked(self, name: str, wait: bool = True) -> contextlib.AbstractContextManager[None]:
        """Nothing to hold: what this process writes to before it decides is its own."""
        return contextlib.nullcontext()

    @property
    def follows(self) -> str | None:
        """What readers found when this process began: if that is no longer so, this run is not published."""
        return self._base

    def write(self, number: int, lists: pl.DataFrame, users: pl.DataFrame, numbers: dict[str, Any]) -> None:
        """Write a part's users, then its lists; they are on their way while the next part is scored."""
        super().write(number, lists, users, numbers)
        self._wait()
        self._sent = self._sender.submit(self._send, number)

    def ready(self, numbers: Sequence[int]) -> int:
        """How many of these parts are complete, whoever scored them; if all are, they can be read now."""
        self._wait()
        there = set(self.objects.keys(f"{self._name}/{LISTS}/"))
        ready = [number for number in numbers if f"{self._name}/{LISTS}/{part_name(number)}" in there]
        if len(ready) == len(numbers):
            self._fetch(part_name(number) for number in ready)
        return len(ready)

    def publish(self, keep: int) -> Publication:
        """Let readers find the complete lists; keep so many publications.

        Raises InputError if others were published since this process began: its parts stay.
        """
        self._check(self.publications.catalogue())
        self._describe()
        way = self._way(keep - 1)

        def altered(known: Catalogue) -> Catalogue:
            self._check(known)
            return known.publishing(self._name, keep, way)

        catalogue.change(self.objects, altered)
        return self._put_aside()

    def hold(self) -> Publication:
        """Put the complete lists aside, where they can be looked at; raises InputError as `publish` does."""
        self._check(self.publications.catalogue())
        self._describe()

        def altered(known: Catalogue) -> Catalogue:
            if known.held == (self._name, self.digest):
                return known
            self._check_own(known)
            return known.holding(self._name, self.digest)

        catalogue.change(self.objects, altered)
        return self._put_aside()

    def abandon(self, work: bool) -> None:
        """Leave what is there of the run in the store, for others who work on it or go on with it."""
        shutil.rmtree(self.work, ignore_errors=True)

    def _begin(self, restart: bool) -> None:
        """Take a number, or go on with the one that this plan's unfinished run has."""
        self.publications.create()
        known = catalogue.change(self.objects, lambda known: known.begun(self.digest, restart))
        self._name = known.runs[self.digest]
        for folder in (self.publication.folder / LISTS, self.publication.folder / USERS, self.source):
            folder.mkdir(parents=True, exist_ok=True)
        there = {key.removeprefix(f"{self._name}/") for key in self.objects.keys(f"{self._name}/")}
        if MANIFEST in there:
            names = [name for name in (MANIFEST, METRICS) if name in there]
            self.objects.fetch({f"{self._name}/{name}": self.publication.folder / name for name in names})
        self._fetch(name.removeprefix(f"{LISTS}/") for name in sorted(there) if name.startswith(f"{LISTS}/"))

    def _fetch(self, names: Iterator[str]) -> None:
        """Bring parts that are not here yet: users first, as lists say that both are there."""
        missing = [name for name in names if not (self.publication.folder / LISTS / name).exists()]
        for kind in (USERS, LISTS):
            files = {f"{self._name}/{kind}/{name}": self.publication.folder / kind / name for name in missing}
            self.objects.fetch(files)

    def _send(self, number: int) -> None:
        for kind in (USERS, LISTS):
            name = part_name(number)
            content = (self.publication.folder / kind / name).read_bytes()
            self.objects.create(f"{self._name}/{kind}/{name}", content)  # if another was faster, its bytes are the same

    def _way(self, length: int) -> list[str]:
        """The numbers that lead back from this run, nearest first, so many at most."""
        if self._base is None:
            return []
        base = self.publications.publication(self._base)
        way = (each.name for each in chain([base], self.publications.way_back(base)) if each.damage is None)
        return [*islice(way, length)]

    def _wait(self) -> None:
        """Until what was sent is there; raises InputError if it could not be sent."""
        if self._sent is not None:
            self._sent.result()

    def _describe(self) -> None:
        """Send the metrics, then the manifest."""
        for name in (METRICS, MANIFEST):
            if (self.publication.folder / name).exists():
                self.objects.upload(f"{self._name}/{name}", self.publication.folder / name)

    def _put_aside(self) -> Publication:
        """What was decided of, as its readers find it; and nothing is left that is in use no more."""
        folder = self.publications.store / self._name
        shutil.rmtree(folder, ignore_errors=True)  # copies of what was held
        self.publication.folder.rename(folder)
        shutil.rmtree(self.work, ignore_errors=True)
        self.publications.sweep()
        return self.publications.publication(self._name)

    def _check(self, known: Catalogue) -> None:
        if known.current == self._name:  # by this very process, whose answer was lost, or another share
            return
        self._check_own(known)
        if known.current != self._base:
            raise InputError(
                f"{self.publications.lists}: another run published {known.current} while this one scored, and that "
                f"stays; this one's lists are complete in {self.publications.address}/{self._name}: the same command "
                "compares them with what readers find now, and publishes them"
            )

    def _check_own(self, known: Catalogue) -> None:
        if known.runs.get(self.digest) != self._name:
            raise InputError(
                f"{self.publications.address}/{self._name} was published or dropped by another process while this one "
                "scored: run again"
            )
