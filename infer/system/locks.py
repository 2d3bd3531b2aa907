"""Locks between processes, on one machine or on several with a common folder; each ends with its process.

In: the path of a lock file. Out: a block that runs alone, or the word that another process is in it.

    with locked(Path("lists.publications/locks/store.lock"), wait=True): ...

A lock file may be removed by whoever holds its lock: one that was waiting notices, and takes the new file.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import lock_descriptor

from infer.errors import InputError, first_line

MOST_GONE = 100

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


@contextmanager
def alone(path: Path, wait: bool = False) -> Iterator[None]:
    """Hold a lock whose file and then empty folder go with it; raises as `locked` does."""
    with locked(path, wait):
        try:
            yield
        finally:
            with suppress(OSError):  # a folder of other locks stays
                path.unlink(missing_ok=True)
                path.parent.rmdir()


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock just now."""
    try:
        with locked(path, wait=False):
            return False
    except BusyError:
        return True


def _take(path: Path, wait: bool) -> int:
    """The open, locked file."""
    told, gone = False, 0
    while True:
        handle = _open(path)
        if handle is None:  # the folder was removed just now, or can never be there
            gone += 1
            if gone == MOST_GONE:
                raise InputError(f"cannot write {path.parents[1]}: no folder can be made there")
            continue
        try:
            got = _lock(handle, path, wait=False)
            if not got and wait:
                if not told:
                    log.info("waiting for another process that works on %s", path.parents[1])
                told = True
                got = _lock(handle, path, wait=True)
            if got and _is(path, handle):
                taken, handle = handle, -1
                return taken
        finally:
            if handle >= 0:
                os.close(handle)
        if not got:
            raise BusyError(f"another process is working on {path.parents[1]} ({path.stem}): wait until it ends")


def _open(path: Path) -> int | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot write {path.parents[1]}: {error.strerror}; earlier files are unchanged") from None


def _lock(handle: int, path: Path, wait: bool) -> bool:
    try:
        return lock_descriptor(handle, blocking=wait)
    except OSError as error:
        raise InputError(
            f"cannot lock {path}: {first_line(error)}; earlier files are unchanged, choose a place whose file system "
            "has locks"
        ) from None


def _is(path: Path, handle: int) -> bool:
    """Whether the open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
