"""A full disk, a folder that nobody may write, too little memory: one line, and everything is as it was.

The disk is a small file system in memory where it can be mounted, and everywhere a limit on the size of files.
"""

from pathlib import Path

import pytest

from tests.helpers import disks
from tests.helpers.stages import COMMANDS, Stage, stage

DISK = 64 * 2**20
# What a full disk says, and what a limit on files says.
REASONS = ("No space left on device", "File too large", "os error 28", "os error 27")

SLOW = ("study", "export", "train")
NAMES = [pytest.param(name, marks=pytest.mark.long) if name in SLOW else name for name in COMMANDS]


def check_refused(found: Stage, reasons: tuple[str, ...], **how) -> None:
    done = found.run(**how)
    assert done.status in (1, 2), done.text
    assert len(done.errors) == 1 and done.errors[0].startswith("error: "), done.errors
    assert any(reason in done.errors[0] for reason in reasons), done.errors
    found.check()


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_loses_nothing(name: str, prepared: dict, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    with disks.mounted(folder, "-t", "tmpfs", "-o", f"size={DISK}", "none") as mounted:
        found = stage(name, prepared, folder, tmp_path / "log")
        check_refused(found, REASONS, limits={"RLIMIT_FSIZE": 400})
        if mounted:
            for free in (0, 4096):
                with disks.full(folder, free):
                    check_refused(found, REASONS)
        found.check_next_run()


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_nobody_may_write_loses_nothing(name: str, prepared: dict, tmp_path: Path) -> None:
    found = stage(name, prepared, tmp_path / "work", tmp_path / "log")
    with disks.read_only(found.folder) as locked:
        if not locked:
            pytest.skip("root may write everywhere, and nothing can be mounted here")
        check_refused(found, ("Read-only file system", "Permission denied"))
    found.check_next_run()
