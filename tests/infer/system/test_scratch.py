"""Temporary files go with their process, or with the next one's."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from infer.system import scratch as module
from infer.system.scratch import scratch
from tests.helpers.checkerboard import HANGS, ROOT

LEAVES = """
import sys, time
from infer.system.scratch import scratch
(scratch() / "table.parquet").write_text("rows")
print(scratch(), flush=True)
if sys.argv[1] == "stay":
    time.sleep(600)
"""


def process(place: Path, how: str) -> subprocess.Popen:
    environment = os.environ | {"TMPDIR": str(place), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", LEAVES, how], env=environment, stdout=subprocess.PIPE, text=True)


def test_a_process_removes_its_folder_and_that_of_a_killed_one_and_no_other(tmp_path: Path) -> None:
    for foreign in ("recommender-notes", "other"):
        (tmp_path / foreign).mkdir()
    killed, living = process(tmp_path, "stay"), process(tmp_path, "stay")
    try:
        folders = [Path(running.stdout.readline().strip()) for running in (killed, living)]
        killed.send_signal(signal.SIGKILL)
        killed.wait(HANGS)
        assert all((folder / "table.parquet").is_file() for folder in folders)
        ended = process(tmp_path, "end")
        own = Path(ended.communicate(timeout=HANGS)[0].strip())
        assert own.parent == tmp_path and own not in folders
        left = sorted(path.name for path in tmp_path.iterdir())
        assert left == sorted([folders[1].name, "recommender-notes", "other"])
    finally:
        living.kill()
        living.wait(HANGS)


def test_a_process_has_one_folder_and_another_where_it_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first = scratch()
    assert scratch() == first and first.parent == tmp_path
    module._clear(tmp_path)
    assert first.is_dir(), "its own lock is held"
    (first / ".lock").unlink()
    first.rmdir()
    assert scratch() != first and scratch().is_dir()


def test_a_command_leaves_no_folder(artifacts: Path, tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "infer.vectors", f"--model={artifacts / 'hybrid.onnx'}"]
    done = subprocess.run([*command, f"--output={tmp_path / 'v.npy'}"], env=environment, cwd=ROOT)
    assert done.returncode == 0 and (tmp_path / "v.npy").is_file()
    assert not list(tmp_path.glob("recommender-*"))
