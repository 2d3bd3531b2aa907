"""Write files so that a reader sees the earlier file or the whole new one, never a part.

with replacing(Path("artifacts/hybrid.topk.parquet")) as temporary:
    table.write_parquet(temporary)

What is being written lies beside it as `.NAME.xxxxxxxx.part`, open and locked in its writer. One that a killed
process left has no lock any more, and is removed by the next that writes the same file. On Windows the open file is
the lock: nobody can remove it, while a lock of its own would keep the writer from writing.

The new file has the permissions of the earlier one; while it is written, nobody else may read it.

File, name and folder are flushed in this order, so a power cut leaves one of the two as well.
"""

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl
from filelock import lock_descriptor

from infer.errors import InputError, first_line
from infer.system.ownership import refuse_foreign

PART = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.part", re.DOTALL)
WINDOWS = os.name == "nt"


@contextmanager
def replacing(path: Path, alone: bool = False, owned: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success flush it and rename it onto `path`.

    alone: leave what killed writers left, which takes a listing of the folder: for who writes many files there, after
    `remove_abandoned` once.  owned: refuse to replace a file that this project did not write
    (`infer.system.ownership`). A link is written through. Raises InputError naming `path` when the folder or the disk
    refuses; an earlier `path` stays.
    """
    with replacing_together([path], alone, owned) as (temporary,):
        yield temporary


@contextmanager
def replacing_together(paths: Sequence[Path], alone: bool = False, owned: bool = False) -> Iterator[list[Path]]:
    """`replacing` of files that belong together: all are flushed before the first is renamed, in the order given.

    A kill can still come between two renames, but no disk that is full or slow. Raises InputError naming the file that
    was refused, or all where that cannot be told; earlier ones stay.
    """
    parts: list[_Part] = []
    named, renamed = "", []
    try:
        for path in paths:
            named = str(path)
            parts.append(_Part(path, alone, owned))
        named = " or ".join([str(paths[0]), *(str(p) if p.parent != paths[0].parent else p.name for p in paths[1:])])
        yield [part.temporary for part in parts]
        for part in parts:
            named = str(part.path)
            part.flush()
        for part in parts:
            named = str(part.path)
            part.rename()
            renamed.append(named)
        for folder in dict.fromkeys(part.place.parent for part in parts):
            sync_folder(folder)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        kept = f"{', '.join(renamed)} is new, the others are as before" if renamed else "earlier files are unchanged"
        raise InputError(f"cannot write {named}: {reason}; {kept}, free space or choose another place") from None
    finally:
        for part in parts:
            part.close()


def write_text(path: Path, text: str, owned: bool = False) -> None:
    """Replace `path` with `text` (UTF-8), as `replacing` does."""
    write_bytes(path, text.encode(), owned)


def write_bytes(path: Path, content: bytes, owned: bool = False) -> None:
    """Replace `path` with `content`, as `replacing` does."""
    with replacing(path, owned=owned) as temporary:
        temporary.write_bytes(content)


def remove_abandoned(folder: Path, name: str | None = None) -> None:
    """Remove part files of `folder`, or those of one `name`, that no process has locked: their writers were killed."""
    for file in folder.iterdir() if folder.is_dir() else ():
        match = PART.fullmatch(file.name)
        if match is None or name not in (None, match[1]) or file.is_symlink():
            continue
        with contextlib.suppress(OSError):  # gone, or not ours: it stays
            if WINDOWS:
                file.unlink()
                continue
            handle = os.open(file, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if _lock(handle):
                    file.unlink()
            finally:
                os.close(handle)


def sync_folder(folder: Path) -> None:
    """Flush the names in `folder`, so that a power cut loses none; nothing where a folder cannot be opened."""
    if not WINDOWS and os.access(folder, os.R_OK):
        _sync(folder)


def sync_tree(folder: Path) -> None:
    """Flush `folder` with every file and folder below: what they hold, then their names. Links are not followed."""
    for place, _, names in os.walk(folder, topdown=False):
        for file in (Path(place, name) for name in sorted(names)):
            if not file.is_symlink():
                _sync(file)
        sync_folder(Path(place))


def point(link: Path, target: str) -> None:
    """Let `link` be a symbolic link to `target`, in one step if it is one already; both names are flushed.

    target: a path, relative to the folder of `link`. One process at a time may point a link. Raises InputError if
    something else has the name, or if the file system has no links.
    """
    if link.exists() and not link.is_symlink():
        raise InputError(f"cannot make {link} a link to {target}: it exists and is no link; move it away")
    temporary = link.with_name(f".{link.name}.link")
    try:
        if temporary.is_symlink():  # of a process that was killed before it could rename it
            temporary.unlink()
        temporary.symlink_to(target, target_is_directory=(link.parent / target).is_dir())
        temporary.replace(link)
    except OSError as error:
        with contextlib.suppress(OSError):
            if temporary.is_symlink():
                temporary.unlink()
        raise InputError(
            f"cannot make {link} a link to {target}: {error.strerror}; choose a place whose file system has links"
        ) from None
    sync_folder(link.parent)


class _Part:
    """What becomes the file of `path`: a part file beside its `place`, open and locked."""

    def __init__(self, path: Path, alone: bool, owned: bool) -> None:
        self.path, self.place = path, _followed(path)
        if owned:
            refuse_foreign(path)
        if self.place.is_dir():
            raise InputError(f"cannot write {path}: it is a folder")
        if not alone:
            remove_abandoned(self.place.parent, self.place.name)
        handle, self.temporary = _own_part(self.place)
        self._handle: int | None = handle

    def flush(self) -> None:
        """What it holds is on the disk, and those may read it who may read the file that it replaces."""
        with self.temporary.open("rb+") as written:
            self.temporary.chmod(_mode(self.place))
            os.fsync(written.fileno())

    def rename(self) -> None:
        """It has the place's name."""
        if WINDOWS:  # which renames no file that is open
            self._unlock()
        self.temporary.replace(self.place)

    def close(self) -> None:
        """Nothing is left of it but what was renamed."""
        if WINDOWS:  # which removes no file that is open either
            self._unlock()
        self.temporary.unlink(missing_ok=True)
        self._unlock()  # once the file is gone

    def _unlock(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _own_part(path: Path) -> tuple[int, Path]:
    """A new part file of `path`, open and locked."""
    while True:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        _lock(handle, wait=True)
        if os.fstat(handle).st_nlink:
            return handle, Path(name)
        os.close(handle)  # another process took it for abandoned before it was locked


def _followed(path: Path) -> Path:
    """Where a file is to lie: `path`, whose folder is made, or what it links to, where nothing is made."""
    if not path.is_symlink():
        _make(path.parent)
        return path
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return target


def _make(folder: Path) -> None:
    """Make a folder and those above it; their names are flushed too."""
    new = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in new:
        sync_folder(place.parent)


def _sync(path: Path) -> None:
    """Flush a file or folder; raises InputError if the disk refuses, nothing if this is no disk that can."""
    try:
        handle = os.open(path, os.O_RDWR if WINDOWS else os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise InputError(f"cannot flush {path} to the disk: {error.strerror}") from None


def _lock(handle: int, wait: bool = False) -> bool:
    """Lock an open file for as long as this process has it open; False if it is locked, or cannot be."""
    try:
        return WINDOWS or lock_descriptor(handle, blocking=wait)
    except OSError:
        return False


def _mode(place: Path) -> int:
    """The permissions of the file there, those that the umask leaves if there is none."""
    try:
        if not WINDOWS:  # which renames nothing onto a file that may not be written
            return place.stat().st_mode & 0o777
    except FileNotFoundError:
        pass
    return 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
