"""A small training that is stopped within an epoch, and what two trainings have in common.

In: a folder with a table (`tests.helpers.rounds`). Out: the content of its checkpoint.
"""

from pathlib import Path

import pytest
import torch

from train import command
from train.loop import loop
from train.saved import checkpoint

WORDS = ["bert", "--dim=4", "--max-length=6", "--feedforward=8", "--stride=3"]


def train(folder: Path, *words: str) -> dict:
    command.main([*WORDS, f"--artifacts={folder}", *words])
    return checkpoint.read(folder / "bert.pt", "")


def interrupted(folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str, after: int = 3) -> None:
    """Stop it while the epoch after `after` is trained."""
    epochs = loop.train_epoch

    def stopping(run, data, config, epoch, *others):
        if epoch > after:
            raise KeyboardInterrupt
        return epochs(run, data, config, epoch, *others)

    monkeypatch.setattr(loop, "train_epoch", stopping)
    with pytest.raises(KeyboardInterrupt):
        train(folder, *words)
    monkeypatch.setattr(loop, "train_epoch", epochs)


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def metrics(state: dict) -> list[tuple]:
    return [(r["epoch"], r["train_loss"], r["validation_ndcg_at_10"]) for r in state["history"]]
