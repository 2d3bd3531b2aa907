"""Folders that cannot be written: mounted read-only, or on a disk that is full."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def mounted(folder: Path, *words: str) -> Iterator[bool]:
    """Mount something at a folder for a while (`mount WORDS... FOLDER`); gives False where that is not allowed."""
    done = subprocess.run(["mount", *words, str(folder)], capture_output=True) if shutil.which("mount") else None
    worked = done is not None and done.returncode == 0
    try:
        yield worked
    finally:
        if worked:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[bool]:
    """Let nobody write into a folder: by its mode, or for root, to whom modes mean nothing, by a mount."""
    if os.geteuid() != 0:
        folder.chmod(0o555)
        try:
            yield True
        finally:
            folder.chmod(0o755)
        return
    with mounted(folder, "--bind", str(folder)) as bound:
        yield bound and subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)]).returncode == 0


@contextmanager
def full(folder: Path, free: int) -> Iterator[Callable[[], None]]:
    """Fill the file system of a folder up to `free` bytes; gives a function that makes room again."""
    filler = folder / ".filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            file.truncate(max(0, file.tell() - free))
    try:
        yield lambda: filler.unlink()
    finally:
        filler.unlink(missing_ok=True)
