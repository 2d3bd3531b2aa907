"""Locks between processes, on one machine or on several with a common folder; each ends with its process.

In: the path of a lock file. Out: a block that runs alone, or the word that another process is in it.

    with locked(Path("lists.publications/locks/store.lock"), wait=True): ...

A lock file may be removed by whoever holds its lock: one that was waiting notices, and takes the new file.
"""

import contextlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import lock_descriptor

from infer.errors import InputError, first_line

log = logging.getLogger(__name__)


class BusyError(InputError):
    """Another process holds the lock."""


@contextmanager
def locked(path: Path, wait: bool) -> Iterator[None]:
    """Hold a lock; the folder of its file is made if need be.

    wait: until another process lets it go; else BusyError, which names the file.
    Raises InputError if the file system has no locks, or refuses the file.
    """
    handle = _take(path, wait)
    try:
        yield
    finally:
        os.close(handle)


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock just now."""
    try:
        with locked(path, wait=False):
            return False
    except BusyError:
        return True


def _take(path: Path, wait: bool) -> int:
    told = False
    try:
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # the folder was removed just now
                handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
                try:
                    got = lock_descriptor(handle, blocking=False)
                    if not got and wait:
                        if not told:
                            log.info("waiting for another process that works on %s", path.parents[1])
                        told = True
                        got = lock_descriptor(handle, blocking=True)
                    if got and path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                        taken, handle = handle, -1
                        return taken
                finally:
                    if handle >= 0:
                        os.close(handle)
                if not got:
                    raise BusyError(
                        f"another process is working on {path.parents[1]} ({path.stem}): wait until it ends"
                    )
    except OSError as error:
        raise InputError(
            f"cannot lock {path}: {first_line(error)}; earlier files are unchanged, choose a place whose file system "
            "has locks"
        ) from None
