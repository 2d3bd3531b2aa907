"""Is a file still the one it was? Its SHA-256, and a cheap fingerprint that tells whether it was written to."""

import hashlib
from collections.abc import Sequence
from pathlib import Path


def fingerprint(path: Path, files: Sequence[Path] | None = None) -> tuple[int, ...]:
    """What differs once a file is replaced or written to: device, inode, bytes, nanoseconds of the last write.

    files: of a folder, those that are read: it differs once one of them does, comes or goes.
    """
    if files is not None:
        return tuple(value for member in files for value in fingerprint(member))
    stat = path.stat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def sha256(path: Path, files: Sequence[Path] | None = None) -> str:
    """Hexadecimal SHA-256 of a file's bytes, as `sha256sum` prints it.

    files: of a folder, those that are read: of their names in it and their SHA-256s, in this order.
    """
    if files is not None:
        lines = [f"{sha256(member)}  {_name(member, path)}\n" for member in files]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _name(member: Path, folder: Path) -> str:
    """Of a file in a folder or below it; files elsewhere, as of a lake's table that was moved, by their full names."""
    return member.relative_to(folder).as_posix() if member.is_relative_to(folder) else member.as_posix()
