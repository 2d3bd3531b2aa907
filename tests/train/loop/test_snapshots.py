"""Snapshots within an epoch: a run that is killed after one ends as if it had never stopped."""

from pathlib import Path

import pytest
import torch

from infer.errors import InputError
from tests.helpers.rounds import write
from train import command
from train.loop import loop
from train.loop.snapshots import Snapshots
from train.loop.world import ALONE
from train.saved import checkpoint

# Dropout and a falling rate, so that an epoch that began anew would end elsewhere.
WORDS = [
    "bert", "--dim=4", "--max-length=6", "--feedforward=8", "--stride=2", "--batch-size=4", "--dropout=0.3",
    "--schedule=linear", "--patience=0",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, list(range(10, 20)))
    return tmp_path


def train(folder: Path, *words: str) -> dict:
    epochs = () if any(word.startswith("--epochs") for word in words) else ("--epochs=2",)
    command.main([*WORDS, f"--artifacts={folder}", *epochs, *words])
    return checkpoint.read(folder / "bert.pt", "")


def killed(folder: Path, monkeypatch, step: int, *words: str) -> None:
    """Stop it in the second epoch before this step, with a snapshot after each of them."""
    every = "--snapshot-minutes=1e-9"
    made, step_once = [], loop.train_step

    def stopping(*given):
        made.append(given)
        if len(made) == step:
            raise KeyboardInterrupt
        return step_once(*given)

    monkeypatch.setattr(loop, "train_step", stopping)
    with pytest.raises(KeyboardInterrupt):
        train(folder, every, *words)
    monkeypatch.setattr(loop, "train_step", step_once)


@pytest.mark.parametrize("words", [(), ("--sparse-updates=on", "--negatives=2", "--average=0.9")])
@pytest.mark.parametrize("more", [3, 0])
def test_a_run_goes_on_from_a_snapshot_to_the_same_weights(
    more: int, words: tuple[str, ...], folder: Path, monkeypatch, capsys
) -> None:
    whole = train(folder, *words)
    for path in (folder / "bert.pt", folder / "bert.state.pt"):
        path.unlink()
    steps = _steps(folder)
    killed(folder, monkeypatch, more + 2 + steps * (more > 0), *words)
    said = capsys.readouterr().out
    after = f"after epoch {int(more > 0)} and {more + 1} step{'s' * (more > 0)} of the next"
    assert f"whose steps after number {more + 1} are lost: the same command resumes {after}" in said
    found = train(folder, *words)
    assert f"resuming {after} (" in capsys.readouterr().out
    assert found["model"].keys() == whole["model"].keys()
    assert all(torch.equal(found["model"][name], whole["model"][name]) for name in found["model"])
    assert [row["train_loss"] for row in found["history"]] == [row["train_loss"] for row in whole["history"]]
    assert checkpoint.read(folder / "bert.state.pt", "")["midway"] is None


def test_what_has_no_whole_epoch_cannot_be_finished(folder: Path, monkeypatch) -> None:
    killed(folder, monkeypatch, 3)
    with pytest.raises(InputError, match="has no whole epoch yet"):
        train(folder, "--finish")


def test_what_is_finished_within_an_epoch_has_no_figures_of_the_one_before(folder: Path, monkeypatch) -> None:
    killed(folder, monkeypatch, 3 + _steps(folder))
    found = train(folder, "--finish")
    assert found["best"]["epoch"] == 1 and found["best"]["validation_ndcg_at_10"] is None
    assert found["history"][-1]["validation_ndcg_at_10"] is not None


def test_weights_that_diverge_take_no_place_of_those_before(folder: Path, monkeypatch) -> None:
    steps = _steps(folder)
    made, step_once = [], loop.train_step

    def diverging(*given):
        made.append(step_once(*given))
        return made[-1] * float("nan" if len(made) == steps + 2 else 1)

    monkeypatch.setattr(loop, "train_step", diverging)
    with pytest.raises(InputError, match="the loss of epoch 2 is nan: try a smaller --learning-rate"):
        train(folder, "--snapshot-minutes=1e-9")
    assert len(made) == steps + 2, "it ends at once"
    state = checkpoint.read(folder / "bert.partial.pt", "")
    assert state["midway"]["steps"] == 1 and state["midway"]["loss"] > 0


def test_a_snapshot_is_due_after_so_many_minutes(monkeypatch) -> None:
    now, kept = [100.0], []
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    snapshots = Snapshots(2.0, lambda: kept.append(now[0]))
    dues = []
    for now[0] in (100.0, 219.9, 220.0, 221.0, 339.0, 340.0):
        dues.append(snapshots.due(1, ALONE))
        if dues[-1]:
            snapshots.write(ALONE)
    assert dues == [False, False, True, False, False, True] and kept == [220.0, 340.0]


def _steps(folder: Path) -> int:
    """Of the first epoch, as a run of one has them."""
    command.main([*WORDS, f"--artifacts={folder}", "--name=one", "--epochs=1"])
    return checkpoint.read(folder / "one.state.pt", "")["steps"]
