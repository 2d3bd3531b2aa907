"""The published lists of one output, the earlier ones, and the one step that puts one in the place of another.

    hybrid.topk.parquet  -> hybrid.topk.publications/current/lists            what readers read
    hybrid.topk.json     -> hybrid.topk.publications/current/manifest.json
    hybrid.metrics.json  -> hybrid.topk.publications/current/metrics.json     if held-out items were measured
    hybrid.topk.publications/
        current -> 000012    the one symbolic link whose replacement publishes, or goes back
        000012/              lists/part-00000.parquet ..., users/part-00000.parquet ..., manifest.json, metrics.json
        000011/              earlier ones, as many as were to be kept
        held/                complete lists that a limit kept from publication, beside what they were compared with
        work/                an unfinished run (`infer.publishing.output`)
        locks/, format.json

In: the path of an output. Out: its publications, by number.

    python -m infer.rollback --output artifacts/hybrid.topk.parquet

Lists, manifest and metrics change together, since all are reached through `current`. Nothing is written over that is
not one of these links, nor into a folder without `format.json`.
"""

import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from infer.errors import InputError
from infer.publishing.publication import FOLLOWS, LISTS, MANIFEST, METRICS, NUMBER, Publication, read_json
from infer.system.files import point, sync_folder, sync_tree, write_text
from infer.system.inputs import check_path
from infer.system.project import PROJECT

log = logging.getLogger(__name__)

FORMAT = 1
FORMAT_FILE = "format.json"
CURRENT, HELD, WORK = "current", "held", "work"


class Publications:
    """All publications of one output.

    lists: where readers find the lists, the target of a link that somebody else made.  store: the folder of all.
    """

    def __init__(self, output: Path) -> None:
        """Raises InputError if the name does not end in .parquet, is not UTF-8, or cannot be one."""
        if output.suffix != ".parquet":
            raise InputError(f"--output {output}: expected a name that ends in .parquet")
        check_path(output)
        self.lists = output
        try:
            for _ in range(40):  # as many links as Linux follows
                if not self.lists.is_symlink() or self._is_own(self.lists):
                    break  # what is left is what somebody else made, and is followed
                self.lists = self.lists.parent / self.lists.readlink()
        except OSError as error:
            raise InputError(f"--output {output}: {error.strerror}") from None

    @property
    def store(self) -> Path:
        """The folder that holds all publications."""
        return _store(self.lists)

    @property
    def work(self) -> Path:
        """Where an unfinished run is."""
        return self.store / WORK

    @property
    def place(self) -> Path:
        """What messages call the store."""
        return self.store

    @property
    def pointer(self) -> Path | None:
        """Where readers learn what they are to read; None: the lists are found at their own path."""
        return None

    @property
    def metrics(self) -> Path:
        """Where readers find the metrics."""
        return self.lists.with_name(f"{_stem(self.lists).removesuffix('.topk')}.metrics.json")

    @property
    def links(self) -> dict[Path, str]:
        """What readers read: the links beside the store, and what each leads to in a publication."""
        return {self.lists: LISTS, self.lists.with_name(f"{_stem(self.lists)}.json"): MANIFEST, self.metrics: METRICS}

    @property
    def stamp(self) -> tuple[str, int]:
        """What changes with every publication that readers find: its number, and when its manifest was written."""
        found = self.current()
        return ("", 0) if found is None else (found.name, found.file(MANIFEST).stat().st_mtime_ns)

    def check(self, inputs: Sequence[Path] = ()) -> None:
        """Raises InputError if something of somebody else's is in the way, or if the output lies in an input."""
        place = self.lists.parent.resolve()
        inside = next((folder for folder in (place, *place.parents) if (folder / FORMAT_FILE).is_file()), None)
        if inside is not None and inside.suffix == ".publications":
            raise InputError(f"--output {self.lists} lies in {inside}, among the publications of another output")
        for path in self.links:
            if os.path.lexists(path) and not self._is_own(path):
                raise _not_ours(path)
        if os.path.lexists(self.store) and not self._is_own_store():
            raise InputError(
                f"{self.store} exists and was not written by this project: move it away, or choose another --output"
            )
        for path in inputs:
            if path.is_dir() and path.resolve() in (place, *place.parents):
                raise InputError(f"--output {self.lists} lies in the table {path}: choose a place outside of it")

    def create(self) -> None:
        """Make the store, or raise InputError if the system refuses."""
        try:
            self.store.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot write {self.lists}: {error.strerror}; earlier files are unchanged") from None
        if not (self.store / FORMAT_FILE).exists():
            point(self.store / "links", FORMAT_FILE)  # or the system says now that it has none
            (self.store / "links").unlink()
            write_text(self.store / FORMAT_FILE, json.dumps({"written_by": PROJECT, "format": FORMAT}) + "\n")

    def remove_if_empty(self) -> None:
        """Remove a store without any publication; whoever calls holds its lock, and nobody works in it."""
        if not self.all() and not any((self.store / name).exists() for name in (WORK, HELD)):
            shutil.rmtree(self.store, ignore_errors=True)

    def all(self) -> list[Publication]:
        """Everything that was published and is still there, oldest first."""
        found = self.store.iterdir() if self.store.is_dir() else ()
        names = [path for path in found if NUMBER.fullmatch(path.name) and (path / MANIFEST).is_file()]
        return [Publication(path) for path in sorted(names, key=lambda path: int(path.name))]

    def current(self) -> Publication | None:
        """The lists that readers find now; None if there are none."""
        link = self.store / CURRENT
        folder = self.store / link.readlink() if link.is_symlink() else link
        return Publication(folder) if link.is_symlink() and folder.is_dir() else None

    def held(self) -> Publication | None:
        """The complete lists that were last kept from publication, if they are still there."""
        return Publication(self.store / HELD) if (self.store / HELD / MANIFEST).is_file() else None

    def get(self, name: str) -> Publication:
        """A publication by its number, or `held`; raises InputError if it is not there."""
        known = {p.name: p for p in [*self.all(), *filter(None, [self.held()])]}
        name = name if name == HELD else name.rjust(6, "0")
        if name not in known:
            raise InputError(f"{self.place} has no publication {name}; it has {', '.join(known) or 'none'}")
        return known[name]

    def before(self, publication: Publication | None) -> list[Publication]:
        """What readers found before one and can go back to, oldest first; what was gone back from is not among it."""
        return [] if publication is None else [*self.way_back(publication)][::-1]

    def way_back(self, publication: Publication) -> Iterator[Publication]:
        """What was current when one was published, then what was when that was, and so on; damaged ones are left out.

        Of one that does not say so, of an earlier version or damaged, it is the one before in the order of publication.
        """
        there, found = {p.name: p for p in self.all()}, publication
        names = [*there]
        there.pop(found.name, None)
        while True:
            if found.damage is None and FOLLOWS in found.manifest:
                name = found.manifest[FOLLOWS]
            else:
                name = next(reversed(self._earlier(found.name, names)), None)
            if name not in there:
                return
            found = there.pop(name)  # each once, whatever a manifest says
            if found.damage is None:
                yield found

    def _earlier(self, name: str, names: Sequence[str]) -> Sequence[str]:
        """Those of `names`, in the order of publication, that were published before one."""
        return [known for known in names if int(known) < int(name)]

    def next_name(self) -> str:
        """The number that the next publication gets: above all that were ever there."""
        numbers = [int(path.name) for path in self.store.iterdir() if NUMBER.fullmatch(path.name)]
        return f"{max(numbers, default=0) + 1:06}"

    def switch(self, name: str) -> None:
        """Let readers find a publication instead of another, in one step; all of it is on the disk before."""
        measured = (self.store / name / METRICS).is_file()
        sync_tree(self.store / name)
        sync_folder(self.store)
        for path, inside in self.links.items():
            if (inside != METRICS or measured) and not self._is_own(path):
                try:
                    path.symlink_to(self._target(inside))  # which writes over nothing
                except FileExistsError:
                    raise _not_ours(path) from None
                sync_folder(path.parent)
        point(self.store / CURRENT, name)
        if not measured and self._is_own(self.metrics):
            self.metrics.unlink()

    def prune(self, keep: int) -> None:
        """Remove all but the current publication, those that lead back from it, and the latest others: `keep` in
        all; and lists that are held, with the publication that they were held against, as they are people's data."""
        current = self.current()
        way = [] if current is None else [p.name for p in islice(self.way_back(current), keep - 1)]
        others = [p for p in self.all() if p.name not in way and (current is None or p.name != current.name)]
        for old in others[: max(0, len(others) - (keep - 1 - len(way)))]:
            with _removing():
                (old.folder / MANIFEST).unlink()  # first: what is left of it is no publication
        for path in self.store.iterdir():
            if NUMBER.fullmatch(path.name) and not (path / MANIFEST).exists():  # also of a prune that was killed
                with _removing():
                    shutil.rmtree(path)
        held = self.held()
        against = None if held is None or held.damage is not None else held.manifest.get(FOLLOWS)
        if against not in [p.name for p in self.all()]:
            with _removing():
                (self.store / HELD / MANIFEST).unlink(missing_ok=True)  # first, as above
                shutil.rmtree(self.store / HELD)

    def _is_own(self, path: Path) -> bool:
        """Whether one of the `links` is there as `switch` makes it."""
        return path.is_symlink() and str(path.readlink()) == self._target(self.links[path])

    def _target(self, inside: str) -> str:
        return f"{self.store.name}/{CURRENT}/{inside}"

    def _is_own_store(self) -> bool:
        # Listed first: another process may be making it, and writes nothing else before the format.
        holds = _visible(self.store)
        found = read_json(self.store / FORMAT_FILE)
        if isinstance(found, dict) and found.get("written_by") == PROJECT:
            if found.get("format") != FORMAT:
                raise InputError(f"{self.store} has format {found.get('format')}; this version reads {FORMAT}")
            return True
        if (self.store / CURRENT).is_symlink():
            raise InputError(f"{self.store / FORMAT_FILE} is missing or damaged: put it back, or move the folder away")
        # Of a process that was killed before it had written anything.
        return holds is not None and not self.store.is_symlink() and not holds


@contextmanager
def _removing() -> Iterator[None]:
    """Lets what cannot be removed stay, and says so."""
    try:
        yield
    except FileNotFoundError:  # another process was faster
        pass
    except OSError as error:
        log.warning("%s is needed no more, and cannot be removed: %s", error.filename, error.strerror)


def _not_ours(path: Path) -> InputError:
    found = f"is a link to {path.readlink()}" if path.is_symlink() else "is no link that this project made"
    return InputError(f"{path} exists and {found}: move it away, or choose another --output")


def _visible(folder: Path) -> list[str] | None:
    """Names of what a folder holds, but for locks and what is being written; None if it is no folder, nothing if it
    has just been removed."""
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    except OSError:
        return None
    passing = (".part", ".link")
    return [n for n in names if n not in ("locks", "links") and not (n[0] == "." and n.endswith(passing))]


def _stem(path: Path) -> str:
    return path.name.removesuffix(".parquet")


def _store(path: Path) -> Path:
    return path.with_name(f"{_stem(path)}.publications")
