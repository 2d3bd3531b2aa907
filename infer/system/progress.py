"""Progress with the time left, on a terminal only.

for part in progress(parts, desc="measuring", unit=" parts"): ...
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm

_silent = ContextVar("_silent", default=False)


def progress(given: Iterable[Any] | None = None, **options: Any) -> "tqdm[Any]":
    """A bar of tqdm's, shown if standard error is a terminal; options: tqdm's own."""
    return tqdm(given, disable=True if _silent.get() else None, **options)


@contextmanager
def no_progress() -> Iterator[None]:
    """Show no bars of what is done within, whatever other threads do."""
    earlier = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(earlier)
