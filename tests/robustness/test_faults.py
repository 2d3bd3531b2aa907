"""Killed at any moment, on a full disk or in a folder that nobody may write, a command loses nothing.

Afterwards every earlier file is there, whole, or is the whole new one; and the same command ends with what an
undisturbed run ends with, and leaves no temporary file. `-m long` kills each command at fifty random points.
"""

import random
from pathlib import Path

import pytest

from tests.helpers import faults
from tests.helpers.stages import COMMANDS, Stage, stage

FEW, MANY = 4, 50


def kill(found: Stage, times: int, seed: int) -> None:
    """Kill the command at its last file operation and at random: by turns at a share of its time and at one of them."""
    draw, longest, last = random.Random(seed), found.undisturbed.seconds, found.undisturbed.operations
    for number in range(times + 1):
        faults.restore(found.folder, found.earlier)
        if number == times or number % 2:
            done = found.run(operation=last if number == times else draw.randint(1, last))
        else:
            done = found.run(seconds=(seconds := draw.random() * longest))
            while done.status == 0:  # it was done sooner than usual
                faults.restore(found.folder, found.earlier)
                longest, seconds = seconds, draw.random() * seconds
                done = found.run(seconds=seconds)
        assert done.status == -9 and not done.errors
        found.check()
        found.check_next_run()


@pytest.mark.parametrize("name", ["data", "train", "batch", "evaluate"])
def test_a_command_that_is_killed_loses_nothing(name: str, prepared: dict, tmp_path: Path) -> None:
    kill(stage(name, prepared, tmp_path / "work", tmp_path / "log"), FEW, seed=0)


@pytest.mark.long
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_is_killed_at_fifty_points_loses_nothing(name: str, prepared: dict, tmp_path: Path) -> None:
    kill(stage(name, prepared, tmp_path / "work", tmp_path / "log"), MANY, seed=1)


@pytest.mark.long
def test_scoring_that_is_killed_at_each_of_its_file_operations_loses_nothing(prepared: dict, tmp_path: Path) -> None:
    found = stage("batch", prepared, tmp_path / "work", tmp_path / "log")
    for operation in range(1, found.undisturbed.operations + 1):
        faults.restore(found.folder, found.earlier)
        assert found.run(operation=operation).status == -9
        found.check()
        found.check_next_run()
