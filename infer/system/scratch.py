"""The process's own folder for temporary files; what killed processes left of theirs is removed.

In: nothing. Out: a folder, which goes with the process.

    folder = Path(tempfile.mkdtemp(dir=scratch()))

Each such folder holds a locked file for as long as its process lives, on whose machine it is: whoever gets the lock may
remove the folder. So a killed run's copies of tables and lists last until the next command, and not for ever.
"""

import atexit
import os
import shutil
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

from filelock import lock_descriptor

PREFIX, LOCK = "recommender-", ".lock"
_folders: dict[tuple[int, str], Path] = {}  # by process, which may be forked, and by where temporary files are
_making = threading.Lock()


def scratch() -> Path:
    """The folder, below the system's place for temporary files; made anew if something has removed it."""
    key = os.getpid(), tempfile.gettempdir()
    with _making:
        found = _folders.get(key)
        if found is None or not found.is_dir():
            _clear(Path(key[1]))
            found = _folders[key] = _made()
        return found


def _made() -> Path:
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    handle = os.open(folder / f"{LOCK}.new", os.O_RDWR | os.O_CREAT, 0o600)
    with suppress(OSError):  # a file system without locks: nobody takes the folder for a dead process's
        if lock_descriptor(handle, blocking=False):
            (folder / f"{LOCK}.new").rename(folder / LOCK)  # it has its name once it is locked
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def _clear(place: Path) -> None:
    """Remove the folders of processes that are gone; others' are left alone."""
    for lock in place.glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError):
            if lock.parent.is_symlink() or lock.is_symlink() or lock.parent.stat().st_uid != os.getuid():
                continue
            handle = os.open(lock, os.O_RDWR)
            try:
                if lock_descriptor(handle, blocking=False):
                    shutil.rmtree(lock.parent, ignore_errors=True)
            finally:
                os.close(handle)
