"""What a training needs at least, by hand and beside what it takes; and what is said where that is not there."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.training.steps import steps_of
from bench.workloads.tail import long_tailed
from infer.errors import InputError
from infer.system.memory import peak_memory, reset_peak_memory
from tests.helpers.checkerboard import ROOT
from train import trainer
from train.memory import check_memory, parts, told_if_exhausted
from train.models.losses import softmax_loss
from train.presets import configuration
from train.sizing import sized

LENGTHS = np.array([100, 0, 20])


def test_weights_and_scores_by_hand() -> None:
    config = replace(sized(configuration("bert"), LENGTHS, items=1000), dim=64, batch_size=10, negatives=9)
    weights, scores = sorted(parts(config, 3, 1000, LENGTHS), key=lambda part: part.what, reverse=True)
    # Weight, gradient, two moments, average and the best epoch's, of 64 numbers and a bias.
    assert weights.bytes == 4 * 1000 * 65 * 6 and scores.bytes == 4 * 2 * 10 * (50 + 20) / 2 * 10
    whole = {part.what: part for part in parts(replace(config, loss="softmax"), 3, 1000, LENGTHS)}
    held = whole["scores of 1,000 items"]
    assert held.bytes == 4 * 10 * 35 * 1001 and held.less == "--loss=sampled"
    many = {part.what: part for part in parts(replace(config, loss="softmax", batch_size=500), 3, 1000, LENGTHS)}
    assert many[held.what].bytes == 4 * (2**20 // 1001) * 1001, "of some of the targets at a time"
    vast = {part.what: part for part in parts(replace(config, loss="softmax"), 3, 10**6, LENGTHS)}
    assert vast["scores of 1,000,000 items"].bytes == 4 * 64 * (10**6 + 1)
    rows = parts(replace(config, sparse_updates="on", average=0.0), 3, 1000, LENGTHS)
    assert max(part.bytes for part in rows) == 4 * 1000 * 65 * 4
    coded = {part.what: part.bytes for part in parts(replace(config, codes=16), 3, 1000, LENGTHS)}
    assert coded[weights.what] == 0
    hybrid = replace(sized(configuration("hybrid"), LENGTHS, items=1000), dim=64, chain=100)
    chained = {part.what: part for part in parts(hybrid, 3, 1000, LENGTHS)}[weights.what]
    assert chained.bytes == weights.bytes + 4 * 1000 * 2 * 100 * 3 and chained.less == "--dim or --codes=16 or --chain"
    assert [part.bytes for part in parts(configuration("mf", dim=8), 3, 1000, LENGTHS)] == [4 * 8 * 1003]
    assert parts(configuration("ease"), 3, 1000, LENGTHS) == []
    unmeasured = {part.what: part.bytes for part in parts(hybrid, 3, 1000, LENGTHS, measured=False)}
    assert unmeasured[weights.what] == 4 * 1000 * (65 * 5 + 2 * 100 * 2), "no epoch is the best"
    shared = {part.what: part.bytes for part in parts(config, 3, 1000, LENGTHS, processes=4)}
    assert shared[scores.what] == scores.bytes / 4 and shared[weights.what] == weights.bytes


def test_what_does_not_fit_is_refused_with_the_estimate_and_an_option() -> None:
    config = sized(configuration("bert", batch_size=100_000, negatives=10**4), np.full(1000, 200), items=1_000)
    found = parts(config, 1000, 1_000, np.full(1000, 200))
    needed = sum(part.bytes for part in found)
    check_memory(found, needed)
    with pytest.raises(InputError) as refused:
        check_memory(found, needed - 1)
    said = str(refused.value)
    assert said.startswith("training needs 372.6 GiB at least, 372.6 of them for the scores of 100000 sequences"), said
    assert said.endswith("GiB are free: try --batch-size or --negatives")


def test_a_training_takes_what_was_said_at_least() -> None:
    items = 30_000
    data = long_tailed(items, np.full(64, 60))
    reset_peak_memory()
    config = steps_of(data, 1, batch_size=32, negatives=20_000).config
    needed = sum(part.bytes for part in parts(config, 64, items, data.histories.lengths))
    assert 250 * 2**20 < needed < peak_memory() < 6 * needed


def test_full_softmax_never_holds_the_scores_of_all_targets() -> None:
    items, targets = 30_000, 2_000
    states, weight = torch.randn(targets, 8, requires_grad=True), torch.randn(items, 8, requires_grad=True)
    reset_peak_memory()
    before = peak_memory()
    softmax_loss(states, weight, None, torch.arange(targets), torch.full((targets,), 1 / targets)).backward()
    assert peak_memory() - before < 4 * items * targets / 4


def test_the_command_refuses_in_a_line(artifacts: Path, refused) -> None:
    words = ["--epochs=1", "--batch-size=2000000000", f"--artifacts={artifacts}", "--name=vast"]
    done = subprocess.run([sys.executable, "-m", "train", "bert", *words], cwd=ROOT, capture_output=True, text=True)
    refused(done, "try --batch-size or --negatives")
    assert not list(artifacts.glob("vast*"))


def test_what_takes_no_step_is_not_refused_for_one(artifacts: Path, monkeypatch) -> None:
    monkeypatch.setattr("train.memory.free_memory", lambda: 1)
    config = configuration("bert", artifacts=artifacts, epochs=1)
    with pytest.raises(InputError, match="training needs"):
        trainer.train("bert", config, "vast")
    with pytest.raises(InputError, match="--finish finishes an interrupted run, and there is none"):
        trainer.train("bert", config, "vast", trainer.Manner(finish=True))


def test_memory_that_ends_is_told_with_an_option(artifacts: Path, monkeypatch) -> None:
    monkeypatch.setattr(trainer, "_trained", lambda *_: torch.empty(2**50, dtype=torch.uint8))
    with pytest.raises(InputError, match=r"^out of memory: try --"):
        trainer.train("bert", configuration("bert", artifacts=artifacts, epochs=1), "vast")


def test_other_errors_are_left_alone() -> None:
    with pytest.raises(RuntimeError, match="shapes"), told_if_exhausted([]):
        torch.ones(2, 3) @ torch.ones(2, 3)
    with pytest.raises(InputError, match=r"^out of memory$"), told_if_exhausted([]):
        raise MemoryError
    with pytest.raises(InputError, match=r"^out of memory$"), told_if_exhausted([]):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def test_after_a_training_that_was_killed_the_next_one_says_what_may_help(
    artifacts: Path, typed, tmp_path: Path
) -> None:
    for name in ("interactions.parquet", "items.parquet"):
        shutil.copy(artifacts / name, tmp_path)
    words = ["train", "bert", "--epochs=40", f"--artifacts={tmp_path}"]
    running = subprocess.Popen([sys.executable, "-m", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    for line in running.stdout:
        if line.startswith("epoch"):
            break
    running.kill()
    running.communicate()
    done = typed("train", "bert", "--epochs=1", f"--artifacts={tmp_path}")
    assert "an earlier training of bert was killed from outside" in done.stdout, done.stderr
    assert ": if that was it, try --" in done.stdout
    assert "was killed" not in typed("train", "bert", "--epochs=1", f"--artifacts={tmp_path}").stdout
