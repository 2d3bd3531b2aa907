"""Progress with the time left: a bar on a terminal, a line a minute in a log.

for part in progress(parts, desc="measuring", unit=" parts"): ...
"""

import atexit
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm

from infer.system.columns import printable

EVERY = 60.0  # seconds between two lines
TICK = 1.0  # seconds between two looks at whether one is due
LINE = "{desc}: {n_fmt}/{total_fmt}{unit}, {elapsed} so far, {remaining} left"

LONGEST_END = 5.0  # seconds that the end of a process waits for a line, as where nobody reads standard error
_ending = threading.Event()
_silent = ContextVar("_silent", default=False)


class _Lines(tqdm):  # type: ignore[misc]
    """A line a minute where nobody sees a bar move, also while a single step takes longer; none of what is done within
    that time."""

    told = 0.0  # when, by the bar's clock
    _ticking: threading.Thread | None = None

    def __init__(self, given: Iterable[Any] | None = None, **options: Any) -> None:
        lines = {"mininterval": EVERY, "maxinterval": 0, "miniters": 1, "delay": EVERY, "bar_format": LINE}
        super().__init__(given, **options | lines)
        if _Lines._ticking is None:
            _Lines._ticking = threading.Thread(target=_tick, name="progress", daemon=True)
            _Lines._ticking.start()
            atexit.register(_stop)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Write a line; tqdm would go back to the begin of the one before."""
        if msg is None and self.is_due():
            self.told = self._time()
            self.fp.write(f"{self}\n")
            self.fp.flush()

    def is_due(self) -> bool:
        """Whether the last line, or the begin, was a minute ago."""
        began = getattr(self, "start_t", None)  # None while it is made
        return began is not None and self._time() - max(began, self.told) >= EVERY

    def close(self) -> None:
        """Say nothing more, as no bar has to be left or taken away."""
        if getattr(self, "disable", False):  # which TQDM_DISABLE sets, too
            return
        if sys.is_finalizing():  # threads are gone by now, with whatever lock they held
            return
        self.disable = True
        self._decr_instances(self)


def _tick() -> None:
    """Tell bars that no step moves; one whose file is closed, as at the end of a process, is left."""
    while not _ending.wait(TICK):
        with _Lines.get_lock():  # under which bars are added
            bars = list(_Lines._instances)
        for bar in bars:
            if isinstance(bar, _Lines) and not getattr(bar, "disable", True) and bar.is_due():  # True: not made yet
                with suppress(OSError, ValueError):
                    bar.refresh()


def _stop() -> None:
    """End that before Python does: a thread that is ended while it holds tqdm's lock keeps it, and bars that go last
    would wait for it for ever."""
    _ending.set()
    if _Lines._ticking is not None:
        _Lines._ticking.join(LONGEST_END)


def progress(given: Iterable[Any] | None = None, **options: Any) -> "tqdm[Any]":
    """A bar of tqdm's if standard error is a terminal, else its figures once a minute; options: tqdm's own."""
    options["desc"] = printable(options.get("desc") or "")  # a file's name, or that of an object that others named
    if _silent.get() or sys.stderr is None:
        return tqdm(given, disable=True, **options)
    return (tqdm if sys.stderr.isatty() else _Lines)(given, **options)


def is_shown() -> bool:
    """Whether somebody sees a bar move: for libraries that have bars of their own."""
    return not _silent.get() and sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def no_progress() -> Iterator[None]:
    """Show no bars of what is done within, whatever other threads do."""
    earlier = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(earlier)
