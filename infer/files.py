"""Write files so that a reader sees the earlier file or the whole new one, never a part.

with replacing(Path("artifacts/hybrid.topk.parquet")) as part:
    table.write_parquet(part)
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from infer.errors import InputError, first_line


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success flush it and rename it onto `path`.

    Raises InputError naming `path` when the folder or the disk refuses; an earlier `path` stays.
    """
    part = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise InputError(f"cannot write {path}: it is a folder")
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        part = Path(name)
        os.fchmod(handle, 0o666 & ~_umask())
        os.close(handle)
        yield part
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise InputError(
            f"cannot write {path}: {reason}; earlier files are unchanged, free space or choose another place"
        ) from None
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace `path` with `text` (UTF-8)."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` with `content`."""
    with replacing(path) as part:
        part.write_bytes(content)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes, as `sha256sum` prints it; of a folder's file names and their SHA-256s."""
    if path.is_dir():
        found = [f"{sha256(part)}  {part.name}\n" for part in sorted(path.iterdir()) if part.is_file()]
        return hashlib.sha256("".join(found).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
