"""What is published at an address, in one object, whose replacement is the moment of a publication.

In: the objects of an output's publications. Out: what is published, held and unfinished, as plain values.

    s3://shop/lists/hybrid.topk.publications/
        current.json     this object: one line of JSON, replaced only if it is still as it was read
        000012/          lists/part-00000.parquet ..., users/part-00000.parquet ..., manifest.json, metrics.json

There are no links and no renames in a store of objects. A run takes a number of its own, writes its files below it,
and becomes what readers find by one conditional put (If-Match) of `current.json`. Of two that publish at once the
store lets one through. A number is never used twice, so that files once published are never written to.
"""

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from infer.errors import InputError
from infer.publishing.publication import LISTS, MANIFEST, NUMBER
from infer.system.objects import Objects, Version
from infer.system.ownership import MARK

CURRENT_FILE = "current.json"
FORMAT = 1
TRIES = 50
NEVER = {"e_tag": '"0"', "version": "1"}  # no object's
ABANDONED = 3  # later runs, at least, after which an unfinished one is removed by one that publishes
PAUSE = 0.1  # seconds between two tries, on average


@dataclass(frozen=True)
class Catalogue:
    """published: numbers, in the order in which they were published.  current: what readers find.  held: the number
    and the plan's digest of what a limit kept from publication.  runs: the number of each unfinished run, by its plan's
    digest.  last: the highest number that was ever taken."""

    published: tuple[str, ...] = ()
    current: str | None = None
    held: tuple[str, str] | None = None
    runs: dict[str, str] = field(default_factory=dict)
    last: int = 0

    @property
    def names(self) -> set[str]:
        """Numbers whose files are in use."""
        return {*self.published, *self.runs.values(), *([] if self.held is None else [self.held[0]])}

    def begun(self, digest: str, restart: bool) -> "Catalogue":
        """With an unfinished run of a plan: the one that is there or was held; restart: a new one in any case."""
        runs, last, held = dict(self.runs), self.last, self.held
        if not restart and digest in runs:
            return self
        if not restart and held is not None and held[1] == digest:
            runs[digest], held = held[0], None
        else:
            last += 1
            runs[digest] = f"{last:06}"
        return replace(self, runs=runs, last=last, held=held)

    def publishing(self, name: str, keep: int, way: Sequence[str] = ()) -> "Catalogue":
        """With a run as what readers find; of the others those of `way`, which leads back from it, and the latest stay,
        `keep` in all, no run that is long out of date, and what was held as long as there is anything from before."""
        way = [known for known in way if known in self.published][: keep - 1]
        others = [known for known in self.published if known != name and known not in way]
        gone = others[: max(0, len(others) - (keep - 1 - len(way)))]
        kept = (*(known for known in self.published if known not in (name, *gone)), name)
        runs = {
            digest: run
            for digest, run in self.runs.items()
            if run != name and int(run) > int(name) - max(keep, ABANDONED)
        }
        held = self.held if self.held and any(int(known) < int(self.held[0]) for known in kept) else None
        return replace(self, published=kept, current=name, runs=runs, held=held)

    def holding(self, name: str, digest: str) -> "Catalogue":
        """With a run put aside, in the place of what was held before."""
        runs = {known: run for known, run in self.runs.items() if run != name}
        return replace(self, runs=runs, held=(name, digest))

    def content(self, place: str) -> bytes:
        """One line of JSON; place: the address of the publications."""
        found = None if self.current is None else f"{place}/{self.current}"
        readers = {"lists": found and f"{found}/{LISTS}/", "manifest": found and f"{found}/{MANIFEST}"}
        own = {
            "published": list(self.published),
            "held": None if self.held is None else {"name": self.held[0], "plan": self.held[1]},
            "runs": [{"name": name, "plan": digest} for digest, name in self.runs.items()],
            "last": self.last,
        }
        return (json.dumps(MARK | {"format": FORMAT, "current": self.current} | readers | own) + "\n").encode()


def read(objects: Objects) -> tuple[Catalogue, Version] | None:
    """The catalogue and its version; None if nothing was ever published there.

    Raises InputError if the object is not this project's, or cannot be read.
    """
    found = objects.read(CURRENT_FILE)
    if found is None:
        return None
    place = f"{objects.folder}/{CURRENT_FILE}"
    try:
        values = json.loads(found[0])
    except ValueError:
        values = None
    if not isinstance(values, dict) or not MARK.items() <= values.items():
        raise InputError(f"{place} exists and was not written by this project: choose another --output")
    if values.get("format") != FORMAT:
        raise InputError(f"{place} has format {values.get('format')}; this version reads {FORMAT}")
    try:
        return _catalogue(values), found[1]
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{place} is damaged: put an earlier version of it back, or choose another --output") from None


def create(objects: Objects) -> None:
    """Make the catalogue, unless there is one.

    Raises InputError if something of somebody else's lies there, or if the store does not keep to conditions.
    """
    if read(objects) is not None:
        return
    strange = next(iter(objects.keys()), None)
    empty = Catalogue().content(str(objects.folder))
    if read(objects) is not None:  # another's, made meanwhile
        return
    if strange is not None:
        raise InputError(
            f"{objects.folder} holds {strange} and no {CURRENT_FILE} of this project: choose another --output"
        )
    if objects.create(CURRENT_FILE, empty):
        if objects.create(CURRENT_FILE, empty) or objects.replace(CURRENT_FILE, empty, NEVER):
            raise InputError(
                f"{objects.folder}: this store writes over objects although it is asked not to (If-None-Match, "
                "If-Match), so that two runs could publish at once: choose another place"
            )


def change(objects: Objects, altered: Callable[[Catalogue], Catalogue]) -> Catalogue:
    """Replace the catalogue by what `altered` makes of it, in one step; returns the new one.

    altered: is asked again if another process was faster, or if an answer was lost: it must come to the same then. What
    it raises changes nothing.
    """
    for _ in range(TRIES):
        found = read(objects)
        if found is None:
            raise InputError(f"{objects.folder}/{CURRENT_FILE} is not there any more: put it back")
        new = altered(found[0])
        if new == found[0] or objects.replace(CURRENT_FILE, new.content(str(objects.folder)), found[1]):
            return new
        time.sleep(random.uniform(0, 2 * PAUSE))
    raise InputError(f"{objects.folder}/{CURRENT_FILE} is replaced all the time by other processes: run again")


def _catalogue(values: dict[str, Any]) -> Catalogue:
    held, published = values["held"], tuple(map(str, values["published"]))
    current = values["current"]
    if current is not None and current not in published:
        raise ValueError(current)
    found = Catalogue(
        published,
        current,
        None if held is None else (held["name"], held["plan"]),
        {run["plan"]: run["name"] for run in values["runs"]},
        int(values["last"]),
    )
    strange = [name for name in found.names if not NUMBER.fullmatch(name)]
    if strange:  # no folder of this output: its files would be looked for, and copied to, elsewhere
        raise ValueError(strange)
    return found
