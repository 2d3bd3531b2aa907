"""A folder that a file server shows: the earlier page or the whole new one, never a part.

In: files in a staging folder, and a text for `index.html`. Out: a folder like this, in which the replacement of one
file publishes:

    web/index.html                 names the folder beside it
    web/3f2a19c04b7d5e88/          everything else; called by its checksum, so that browsers never mix two pages

    with staged(Path("web")) as stage:
        ...
        publish(Path("web"), stage, lambda version: f"...")
"""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from infer.errors import InputError
from infer.system.files import sync_tree, write_text
from infer.system.locks import alone
from infer.system.ownership import HTML_MARK, is_ours

INDEX, ABOUT, PART, LOCKS = "index.html", "recommender.json", ".part", "locks"
STAGED = ".staged"  # in what is staged: that this command made the folder
VERSION = re.compile(r"[0-9a-f]{16}")


def check_output(output: Path, inputs: list[Path]) -> None:
    """Raise InputError if something is there that is no page of this project, or that is to be read."""
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise InputError(f"cannot write {output}: it is {'a link' if output.is_symlink() else 'no folder'}")
    if not output.exists():
        return
    for path in inputs:
        if output.resolve() in path.resolve().parents and VERSION.search(str(path)):
            raise InputError(f"{path} lies in {output}, which would be replaced: choose another --output")
    index = output / INDEX
    strange = [path.name for path in output.iterdir() if path.name not in (PART, LOCKS)]
    if index.exists() and is_ours(index):
        return
    if strange:
        raise _foreign(output, f" (it holds {sorted(strange)[0]})")


@contextmanager
def staged(output: Path) -> Iterator[Path]:
    """An empty folder beside what is shown, for one process at a time; it is gone afterwards, with an output that was
    not there before and has nothing else."""
    stage, existed = output / PART, output.exists()
    try:
        with alone(output / LOCKS / "web.lock"):
            if stage.is_dir() and any(stage.iterdir()) and not (stage / STAGED).exists():
                raise _foreign(stage)
            _remove(stage)  # of a process that was killed
            try:
                stage.mkdir()
                (stage / STAGED).touch()
                yield stage
            except OSError as error:
                raise InputError(f"cannot write {output}: {error.strerror or error}; an earlier page stays") from None
            finally:
                _remove(stage)
    finally:
        if not existed:
            with suppress(OSError):  # anything but empty it stays
                output.rmdir()


def publish(output: Path, stage: Path, page: Callable[[str], str]) -> str:
    """Show what is staged, and remove earlier versions; returns the version.

    page: the text of `index.html` for a version.
    """
    sync_tree(stage)
    version = _version(stage)
    place = output / version
    if place.exists() and _version(place) != version:  # something was changed in it
        if not is_ours(place / ABOUT):
            raise _foreign(place)
        _remove(place)
    if not place.exists():
        stage.rename(place)
    (place / STAGED).unlink(missing_ok=True)  # also if a process was killed before it did
    text = page(version)
    assert HTML_MARK in text[:4096], "the page carries the mark by which it is known"
    write_text(output / INDEX, text, owned=True)
    for other in output.iterdir():
        if VERSION.fullmatch(other.name) and other != place and is_ours(other / ABOUT):
            _remove(other)
    return version


def _foreign(folder: Path, holds: str = "") -> InputError:
    return InputError(
        f"{folder} exists and was not written by this command{holds}: move it away or choose another --output"
    )


def _version(folder: Path) -> str:
    """A checksum of names and contents."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != STAGED):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found.update(f"{path.relative_to(folder).as_posix()} {digest}\n".encode())
    return found.hexdigest()[:16]


def _remove(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
