"""A command that is about to replace the output of an earlier run, and what that run left.

In: the name of a command and what it starts from. Out: a `Stage`, which runs it and checks its files.
"""

from dataclasses import dataclass
from pathlib import Path

from tests.helpers import faults

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
BERT = ["bert", "--preset=paper", "--max-length=8", "--artifacts={f}"]
COMMANDS = {
    "data": ("train.data.__main__", ["--dataset={f}/old.csv", *INTO], ["--dataset={f}/ratings.csv", *INTO]),
    "train": ("train.__main__", [*BERT, "--epochs=2", "--seed=1"], [*BERT, "--epochs=5"]),
    "export": ("export.__main__", ["mf", *INTO], ["mf", *INTO]),
    "batch": ("infer.batch", [*MODEL, "--part-users=8", "--k=3"], [*MODEL, "--part-users=8"]),
    "evaluate": ("infer.evaluate", [*MODEL, "--negatives=5", "--seed=1"], [*MODEL, "--negatives=5"]),
    "study": ("bench.study.__main__", None, [*INTO, "--output={f}/study", *STUDY]),
}


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
