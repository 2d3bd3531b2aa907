"""Locks between processes: one holder, waiting or refused; a lock file that was removed is nobody's."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from infer.errors import InputError
from infer.system import locks
from infer.system.locks import BusyError, is_locked, locked
from tests.helpers.checkerboard import HANGS, ROOT


def test_a_lock_has_one_holder_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "new" / "locks" / "a.lock"
    assert not is_locked(path)
    with locked(path, wait=False):
        assert is_locked(path)
        with pytest.raises(BusyError, match=r"another process is working on .*new \(a\): wait until it ends"):
            locked(path, wait=False).__enter__()
    assert not is_locked(path)


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "a.lock"
    body = f"from pathlib import Path\nfrom infer.system.locks import locked\nwith locked(Path({str(path)!r}), False):"
    command = [sys.executable, "-c", f"{body}\n    print('held', flush=True)\n    input()"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        assert process.stdout.readline() == "held\n" and is_locked(path)
        process.kill()
    assert not is_locked(path)


def test_whoever_waits_comes_next_though_the_holder_removed_the_file(tmp_path: Path, caplog) -> None:
    """The lock of a file that has lost its name keeps nobody out: it must be taken of the new file."""
    path, took = tmp_path / "locks" / "a.lock", threading.Event()

    def wait() -> None:
        with locked(path, wait=True):
            took.set()
            assert is_locked(path), "the file of that name is the one that is locked"
            done.wait(HANGS)

    done = threading.Event()
    with locked(path, wait=False):
        other = threading.Thread(target=wait)
        other.start()
        assert not took.wait(0.2)
        path.unlink()
    assert took.wait(HANGS)
    assert is_locked(path)
    done.set()
    other.join()
    assert not is_locked(path)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"cannot write .*file: Not a directory; earlier files are unchanged"):
        locked(tmp_path / "file" / "locks" / "a.lock", wait=True).__enter__()

    monkeypatch.setattr(locks, "_open", lambda _: None)
    with pytest.raises(InputError, match=r"cannot write .*: no folder can be made there"):
        locked(tmp_path / "locks" / "a.lock", wait=True).__enter__()
    monkeypatch.undo()

    def missing(handle: int, blocking: bool) -> bool:
        raise OSError(38, os.strerror(38))

    monkeypatch.setattr(locks, "lock_descriptor", missing)
    with pytest.raises(InputError, match=r"cannot lock .*a\.lock: .*not implemented; .* file system has locks"):
        locked(tmp_path / "locks" / "a.lock", wait=True).__enter__()
