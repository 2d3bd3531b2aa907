"""Write a folder whole or not at all, and only over one that this project wrote and nobody has changed since.

In: where it is to be, and what fills it. Out: the folder, with a manifest of its files and their SHA-256s.

    with whole(Path("hub"), {"model": "hybrid.onnx"}) as folder:
        (folder / "README.md").write_text("...", encoding="utf-8")

It is filled under another name beside its place, flushed, and renamed. An earlier one is first renamed too: a process
that is killed between these two leaves it as `.NAME.earlier`, and the next that writes there puts it back.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infer.errors import InputError, first_line
from infer.system.files import sync_folder, sync_tree
from infer.system.fingerprints import sha256
from infer.system.locks import alone
from infer.system.ownership import MARK

MANIFEST, NEW = "recommender.json", ".recommender.json.new"
FILES = "files"


@contextmanager
def whole(place: Path, about: dict[str, Any]) -> Iterator[Path]:
    """Yield an empty folder beside `place`; on success it becomes `place`, with `about` in its manifest.

    Raises InputError if something else is there, or the disk refuses; what was there then stays.
    """
    refuse_foreign(place)
    place = place.resolve()
    part, earlier = (place.with_name(f".{place.name}.{word}") for word in ("part", "earlier"))
    with alone(place.parent / ".locks" / f"{place.name}.lock"):
        try:
            if earlier.is_dir() and not place.exists():
                _refuse_foreign(earlier)
                earlier.rename(place)
            refuse_foreign(place)
            for left in (part, earlier):
                _remove(left)
            part.mkdir()
            (part / MANIFEST).write_text(json.dumps(MARK), encoding="utf-8")  # whose folder this is, from the start
            yield part
            manifest = MARK | about | {FILES: {name: sha256(part / name) for name in _names(part)}}
            # At once: without a word of whose it is, the folder of a killed process would never go.
            (part / NEW).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            (part / NEW).replace(part / MANIFEST)
            sync_tree(part)
            _exchange(part, place, earlier)
        except OSError as error:
            reason = error.strerror or first_line(error)
            raise InputError(f"cannot write {place}: {reason}; what was there is unchanged") from None
        finally:
            _remove(part)


def refuse_foreign(place: Path) -> None:
    """Raise InputError if `place` is anything but absent, an empty folder, or a folder as this project wrote it."""
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise InputError(f"cannot write {place}: it is no folder; move it away or choose another place")
    if place.is_dir() and any(place.iterdir()):
        _refuse_foreign(place)


def _refuse_foreign(place: Path) -> None:
    manifest = _manifest(place)
    if manifest is None or not isinstance(manifest.get(FILES), dict):
        raise InputError(f"{place} exists and was not written by this project: move it away or choose another place")
    names, known = set(_names(place)), manifest[FILES]
    changed = sorted(names - set(known)) + sorted(n for n in names & set(known) if sha256(place / n) != known[n])
    if changed:
        raise InputError(
            f"{place} holds {changed[0]}, which this project did not write or somebody changed since: move it away or "
            "choose another place"
        )


def _manifest(place: Path) -> dict[str, Any] | None:
    """What a folder says of itself; None if it is not this project's."""
    try:
        found = json.loads((place / MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and MARK.items() <= found.items() else None


def _names(place: Path) -> list[str]:
    """Of everything but folders, relative to the folder, in order; links are not followed."""
    every = [Path(folder, name) for folder, folders, files in os.walk(place) for name in (*folders, *files)]
    every = [path for path in every if path.is_symlink() or not path.is_dir()]
    return sorted(path.relative_to(place).as_posix() for path in every if path != place / MANIFEST)


def _exchange(part: Path, place: Path, earlier: Path) -> None:
    """Let `part` be `place`; what was there is removed afterwards."""
    if place.exists():
        place.rename(earlier)
    try:
        part.rename(place)
    except OSError:
        if earlier.exists():
            earlier.rename(place)
        raise
    sync_folder(place.parent)
    _remove(earlier)


def _remove(left: Path) -> None:
    """Remove a folder that a run of this project made under a name of its own, or nothing."""
    if left.is_dir() and not left.is_symlink() and (_manifest(left) is not None or _is_begun(left)):
        shutil.rmtree(left)


def _is_begun(left: Path) -> bool:
    """Whether a folder holds no more than a manifest without a word: its process was killed as it began."""
    return all(path.name == MANIFEST and path.is_file() and not path.stat().st_size for path in left.iterdir())
