"""Is a file still the one it was? Its SHA-256, and a cheap fingerprint that tells whether it was written to."""

import hashlib
from pathlib import Path


def fingerprint(path: Path) -> tuple[int, ...]:
    """What differs once a file, or one in a folder, is replaced or written to: device, inode, bytes, nanoseconds of
    the last write."""
    if path.is_dir():
        return tuple(value for member in sorted(path.iterdir()) if member.is_file() for value in fingerprint(member))
    stat = path.stat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes, as `sha256sum` prints it; of a folder's file names and their SHA-256s."""
    if path.is_dir():
        lines = [f"{sha256(member)}  {member.name}\n" for member in sorted(path.iterdir()) if member.is_file()]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
