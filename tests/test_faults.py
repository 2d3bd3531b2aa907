"""Killed at any moment, on a full disk or in a folder that nobody may write, a command loses nothing.

Afterwards every earlier file is there, whole, or is the whole new one; and the same command ends with what an
undisturbed run ends with, and leaves no temporary file. `-m long` kills each command at fifty random points.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import faults
import pytest
from checkerboard import checkerboard

FEW, MANY = 4, 50
STUDY = ("--short", "--epochs=1", "--seeds=1", "--negatives=3", "--only=mf-paper,markov,hybrid-paper")


@dataclass
class Stage:
    """A command that is about to replace the output of an earlier run.

    folder: what it reads and writes.  earlier: its files before.  expected: those after an undisturbed run.
    """

    module: str
    words: list[str]
    folder: Path
    log: Path
    earlier: dict[str, bytes]
    expected: dict[str, bytes]
    undisturbed: faults.Done

    def run(self, **how) -> faults.Done:
        return faults.run(self.module, self.words, self.log, **how)

    def check(self) -> None:
        faults.check_whole(self.folder, self.earlier, self.expected)

    def check_next_run(self) -> None:
        done = self.run()
        assert done.status == 0, done.errors
        faults.check_complete(self.folder, self.expected)


# For each: the module, what makes the earlier output, and the command itself. {f} stands for the folder.
INTO, MODEL = ["--artifacts={f}"], ["--model={f}/mf.onnx"]
BERT = ["bert", "--preset=paper", "--window=8", "--artifacts={f}"]
COMMANDS = {
    "data": ("train.data", ["--dataset={f}/old.csv", *INTO], ["--dataset={f}/ratings.csv", *INTO]),
    "train": ("train.__main__", [*BERT, "--epochs=2", "--seed=1"], [*BERT, "--epochs=5"]),
    "export": ("export.__main__", ["mf", *INTO], ["mf", *INTO]),
    "batch": ("infer.batch", [*MODEL, "--shard-users=8", "--k=3"], [*MODEL, "--shard-users=8"]),
    "evaluate": ("infer.evaluate", [*MODEL, "--negatives=5", "--seed=1"], [*MODEL, "--negatives=5"]),
    "study": ("bench.study", None, [*INTO, "--output={f}/study", *STUDY]),
}


@pytest.fixture(scope="module")
def prepared(artifacts: Path, ratings_csv: Path) -> dict[str, dict[str, bytes]]:
    """What each command starts from."""
    kept = {name: (artifacts / name).read_bytes() for name in ("interactions.parquet", "items.parquet")}
    kept |= {name: (artifacts / name).read_bytes() for name in ("mf.pt", "mf.onnx")}
    tables = {"ratings.csv": ratings_csv.read_bytes(), "old.csv": checkerboard(seed=1).write_csv().encode()}
    two = {name: kept[name] for name in ("interactions.parquet", "items.parquet")}
    return {"data": tables, "train": two, "study": two} | dict.fromkeys(("export", "batch", "evaluate"), kept)


def stage(name: str, prepared: dict, folder: Path, log: Path) -> Stage:
    """Make the earlier output, note what an undisturbed run makes of it, and put the earlier output back."""
    module, before, words = COMMANDS[name]
    folder.mkdir(exist_ok=True)
    faults.restore(folder, prepared[name])
    if before is not None:
        done = faults.run(module, [word.format(f=folder) for word in before], log)
        assert done.status == 0, done.errors
    if name == "export":  # an earlier file of other weights
        (folder / "mf.onnx").write_bytes((folder / "mf.onnx").read_bytes()[:-1] + b"\n")
    earlier = faults.snapshot(folder)
    words = [word.format(f=folder) for word in words]
    done = faults.run(module, words, log)
    assert done.status == 0, done.errors
    expected = faults.snapshot(folder)
    assert not any(map(faults.temporary, expected)) and expected != earlier
    faults.restore(folder, earlier)
    return Stage(module, words, folder, log, earlier, expected, done)


def kill(found: Stage, times: int, seed: int) -> None:
    """Kill the command at random: by turns at a share of its time and at one of its file operations."""
    draw, longest = random.Random(seed), found.undisturbed.seconds
    for number in range(times):
        faults.restore(found.folder, found.earlier)
        if number % 2:
            done = found.run(operation=draw.randint(1, found.undisturbed.operations))
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
