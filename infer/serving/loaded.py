"""What is served now, and putting new files in its place.

In: paths of models and lists. Out: open ones by name; what cannot be loaded leaves the earlier one serving.

    served = Served(models={"hybrid": Path("hybrid.onnx")}, lists={}, figures=Figures())
    served.refresh()
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import infer
from infer.errors import InputError, first_line
from infer.model.metadata import NONE
from infer.model.session import ARTIFACTS
from infer.model.signature import USER_INPUT, WINDOW_INPUT
from infer.serving.measured import Figures
from infer.serving.users import UserLists, stamp_of_lists

log = logging.getLogger(__name__)
Thing = TypeVar("Thing")
AGAIN_SECONDS = 60.0


@dataclass
class Slot(Generic[Thing]):
    """One thing that is served, replaced in one step.

    stamp: of the files, when they were last looked at.  again: when what could not be loaded is tried again, by
    `time.monotonic`; None: it could.  told: what was last said of it.
    """

    path: Path
    stamp: Any
    thing: Thing
    again: float | None = None
    told: tuple[Any, str] | None = None


def opened(path: Path, threads: int) -> "infer.Recommender":
    """A model that has answered once: its first reader does not wait for what is worked out once, and it needs its file
    no more, whatever becomes of that.

    Raises InputError if it cannot be opened, or its first answer is none.
    """
    model = infer.load(path, threads=threads)
    if USER_INPUT not in model.model.inputs and WINDOW_INPUT in model.model.inputs:
        # Of one item, whose reasons need a session of their own.
        model.recommend(model.metadata.item_ids[:1], k=1, reasons=int(model.metadata.attribution != NONE))
    if model.metadata.vectors:
        model.similar(model.metadata.item_ids[0], k=1)
    return model


def stamp_of_file(path: Path) -> tuple[int, int, int]:
    """What changes when a file is replaced or written to."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


class Served:
    """Open models and published lists by name, in the order in which they were given.

    Readers take `models[name].thing` once for a request and keep it to its end, whatever is loaded meanwhile.
    """

    def __init__(
        self, models: Mapping[str, Path], lists: Mapping[str, Path], figures: Figures, threads: int = 1
    ) -> None:
        """Raises InputError if one of them cannot be loaded."""
        self._figures, self._threads = figures, threads
        self.models: dict[str, Slot[infer.Recommender]] = {}
        self.lists: dict[str, Slot[UserLists]] = {}
        for name, path in models.items():
            # Found once: a file that appears in another folder later does not take its place.
            place = next((place for place in (path, ARTIFACTS / path) if place.is_file()), None)
            stamp = None if place is None else stamp_of_file(place)  # before it is read: what changes then is seen
            self.models[name] = Slot(place or path, stamp, opened(place or path, threads))
            self._count("model", name)
        for name, path in lists.items():
            self.lists[name] = Slot(path, stamp_of_lists(path), UserLists(path))
            self._count("lists", name)

    def refresh(self, everything: bool = False) -> None:
        """Load what has changed, or everything; takes its time, and readers get the earlier ones until then."""
        for name, model in self.models.items():
            self._refresh("model", name, model, stamp_of_file, lambda path: opened(path, self._threads), everything)
        for name, lists in self.lists.items():
            self._refresh("lists", name, lists, stamp_of_lists, UserLists, everything)

    def _refresh(
        self, what: str, name: str, slot: Slot[Thing], stamp_of: Callable[[Path], Any],
        load: Callable[[Path], Thing], everything: bool,
    ) -> None:  # fmt: skip
        try:
            stamp: Any = stamp_of(slot.path)
        except (OSError, InputError):
            stamp = None  # it is not there: said once, as what cannot be loaded
        late = slot.again is not None and time.monotonic() >= slot.again
        if stamp == slot.stamp and not everything and not late:
            return
        slot.stamp, slot.again = stamp, None  # before it is read: what changes meanwhile is loaded again
        try:
            slot.thing = load(slot.path)
        except Exception as error:  # whatever a file holds, the earlier one goes on serving
            self._figures.loads.labels(what, name, "failed").inc()
            # It may have been for want of memory or files, of which the files themselves tell nothing.
            slot.again = time.monotonic() + AGAIN_SECONDS
            reason = " ".join(first_line(error).split())
            if (stamp, reason) != slot.told:
                log.warning("%s %s: the earlier one goes on serving: %s", what, name, reason)
            slot.told = (stamp, reason)
            return
        slot.told = None
        self._count(what, name)
        log.info("%s %s: loaded again", what, name)

    def _count(self, what: str, name: str) -> None:
        self._figures.loads.labels(what, name, "loaded").inc()
        self._figures.loaded_at.labels(what, name).set(time.time())


def named(paths: list[Path], option: str, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Paths by the name that requests use: the file's, without its suffix; raises InputError if two are alike."""
    found: dict[str, Path] = {}
    for path in paths:
        name = path.name
        for suffix in suffixes:
            name = name.removesuffix(suffix)
        if name in found:
            raise InputError(f"{option}: {found[name]} and {path} would both be called '{name}': rename one of them")
        found[name] = path
    return found
