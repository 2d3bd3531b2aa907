"""Progress with the time left: a bar on a terminal, a line a minute in a log.

for part in progress(parts, desc="measuring", unit=" parts"): ...
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm

EVERY = 60.0  # seconds between two lines
LINE = "{desc}: {n_fmt}/{total_fmt}{unit}, {elapsed} so far, {remaining} left"

_silent = ContextVar("_silent", default=False)


class _Lines(tqdm):  # type: ignore[misc]
    """A line every now and then where nobody sees a bar move; none of what is done within that time."""

    def __init__(self, given: Iterable[Any] | None = None, **options: Any) -> None:
        lines = {"mininterval": EVERY, "maxinterval": 0, "miniters": 1, "delay": EVERY, "bar_format": LINE}
        super().__init__(given, **options | lines)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Write a line; tqdm would go back to the begin of the one before."""
        began = getattr(self, "start_t", None)  # None while it is made
        if msg is None and began is not None and self._time() - began >= EVERY:
            self.fp.write(f"{self}\n")
            self.fp.flush()

    def close(self) -> None:
        """Say nothing more, as no bar has to be left or taken away."""
        if getattr(self, "disable", False):  # which TQDM_DISABLE sets, too
            return
        self.disable = True
        self._decr_instances(self)


def progress(given: Iterable[Any] | None = None, **options: Any) -> "tqdm[Any]":
    """A bar of tqdm's if standard error is a terminal, else its figures once a minute; options: tqdm's own."""
    if _silent.get() or sys.stderr is None:
        return tqdm(given, disable=True, **options)
    return (tqdm if sys.stderr.isatty() else _Lines)(given, **options)


@contextmanager
def no_progress() -> Iterator[None]:
    """Show no bars of what is done within, whatever other threads do."""
    earlier = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(earlier)
