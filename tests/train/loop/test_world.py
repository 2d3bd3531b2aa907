"""Several processes train as one: parts of batches, and two real processes against one with the same batches."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from infer.errors import InputError
from tests.helpers.rounds import write
from train.config import BertConfig
from train.data.dataset import load
from train.loop.world import ALONE, World, joined
from train.models.masking import SequenceBatch
from train.models.mf import RatingBatch
from train.models.registry import build
from train.saved import checkpoint

WORDS = [
    "--dim=4", "--max-length=6", "--feedforward=8", "--stride=2", "--batch-size=5", "--dropout=0",
    "--patience=0", "--chain=3", "--content=0",
]  # fmt: skip


def batch() -> SequenceBatch:
    """Three windows of four places; of the first and the last two items are asked for, of the second one."""
    return SequenceBatch(
        window=torch.arange(12).view(3, 4), levels=torch.arange(12).view(3, 4) % 3,
        place=torch.tensor([1, 3, 5, 8, 11]), item=torch.tensor([5, 6, 7, 8, 9]),
        weight=torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]), negatives=torch.tensor([1, 2]),
    )  # fmt: skip


def test_parts_of_a_batch_have_every_window_and_target_once() -> None:
    first, second = (batch().part(rank, 2) for rank in range(2))
    assert first.window.tolist() == [[0, 1, 2, 3]]
    assert second.window.tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]]
    assert (first.place.tolist(), second.place.tolist()) == ([1, 3], [1, 4, 7])
    assert (first.item.tolist(), second.item.tolist()) == ([5, 6], [7, 8, 9])
    assert (first.mass, second.mass, batch().mass) == (3.0, 12.0, 15.0)
    assert first.negatives.tolist() == second.negatives.tolist() == [1, 2]
    own = replace(batch(), negatives=torch.arange(10).view(5, 2)).part(1, 2)
    assert own.negatives.tolist() == [[4, 5], [6, 7], [8, 9]]


def test_parts_of_ratings_have_each_once() -> None:
    ratings = RatingBatch(*(torch.arange(5) + n for n in (0, 10, 20)))
    parts = [ratings.part(rank, 3) for rank in range(3)]
    assert [part.user.tolist() for part in parts] == [[0], [1, 2], [3, 4]]
    assert [part.mass for part in parts] == [1.0, 2.0, 2.0] and parts[2].rating.tolist() == [23, 24]


def test_shares_of_a_loss_add_up_to_the_loss_and_its_gradient(tmp_path: Path) -> None:
    """Also where there are more processes than windows: one without a part counts nothing."""
    write(tmp_path, list(range(10, 20)))
    data = load(tmp_path)
    config = BertConfig(dim=4, heads=1, max_length=6, feedforward=8, dropout=0.0, batch_size=3, artifacts=tmp_path)
    model = build("bert", data, config)[0].train()
    whole = next(iter(model.training_batches(data, torch.Generator().manual_seed(0))))
    loss = model.loss(whole)
    expected = torch.autograd.grad(loss, model.items.weight)[0]
    for size in (2, 3, 7):
        parts = [World(rank, size).own(whole) for rank in range(size)]
        assert sum(share for _, share in parts) == pytest.approx(1.0)
        losses = [model.loss(part) * share for part, share in parts]
        torch.testing.assert_close(sum(losses), loss, rtol=1e-5, atol=0)
        gradient = torch.autograd.grad(sum(losses), model.items.weight)[0]
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6)
    assert ALONE.own(whole) == (whole, 1.0)


def test_processes_that_nobody_started_are_one_line(monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(InputError, match=r"the 2 processes do not find each other .*torchrun"), joined("cpu"):
        pass


def test_what_has_no_steps_is_for_one_process(tmp_path: Path) -> None:
    from train.presets import configuration
    from train.trainer import train

    config = replace(configuration("markov"), artifacts=tmp_path)
    with pytest.raises(InputError, match="markov is not trained by steps"):
        train("markov", config, world=World(0, 2))


def together(folder: Path, *words: str, processes: int = 2) -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}", "--master-addr=127.0.0.1",
        f"--master-port={port}", "-m", "train", *words, f"--artifacts={folder}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=os.environ | {"USE_LIBUV": "0"})
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_two_processes_train_as_one_does_and_either_goes_on_with_the_other(tmp_path: Path) -> None:
    from train import command

    write(tmp_path, list(range(10, 20)))
    command.main(["hybrid", *WORDS, "--epochs=3", "--name=one", f"--artifacts={tmp_path}"])
    said = together(tmp_path, "hybrid", *WORDS, "--epochs=3", "--name=two")
    assert said.count("epoch   3") == 1 and said.count("two.pt") == 1
    one, two = (checkpoint.read(tmp_path / f"{name}.pt", "") for name in ("one", "two"))
    for ours, theirs in zip(one["history"], two["history"], strict=True):
        for name in ("train_loss", "validation_loss", "validation_ndcg_at_10"):
            assert theirs[name] == pytest.approx(ours[name], rel=1e-4), name
    assert (one["provenance"].get("processes"), two["provenance"]["processes"]) == (None, 2)
    for name, weight in one["model"].items():
        if name.endswith("in_proj_bias"):
            continue  # a bias of keys changes no attention: its gradient is rounding, which Adam makes steps of
        torch.testing.assert_close(two["model"][name], weight, rtol=1e-3, atol=1e-4)
    said = together(tmp_path, "hybrid", *WORDS, "--name=one", "--epochs=4")
    assert f"resuming after epoch 3 ({tmp_path / 'one.state.pt'}), --epochs=4 instead of 3 and 2 processes" in said
    assert len(checkpoint.read(tmp_path / "one.pt", "")["history"]) == 4
