"""The floor of training: MACs and bytes counted by hand, and that a real step stays above it."""

import re

import numpy as np
import pytest
import torch

from bench.training.floor import StepRates, StepWork, forward_macs, step_floor, step_work, trained_weights
from bench.training.steps import steps_of
from bench.workloads.tail import long_tailed
from infer.errors import InputError
from train.config import BertConfig
from train.models.masking import SequenceBatch

# dim 4, feed-forward 8: a projection is 16 MACs a position, a feed-forward block 2 x 4 x 8 = 64.
SMALL = {"block": "transformer", "layers": 1, "dim": 4, "heads": 2, "feedforward": 8, "max_length": 3, "negatives": 2}


def batch(places: list[int], window: list[list[int]]) -> SequenceBatch:
    asked = torch.tensor(places)
    return SequenceBatch(torch.tensor(window), torch.tensor(window), asked, asked, asked, torch.tensor([1, 2]))


# Padding and two items, of which each predicts the next.
CAUSAL = batch([1, 2], [[0, 5, 6]])


@pytest.mark.parametrize(
    ("changes", "encoder", "head"),
    [
        # Key and value of two positions 2 x 32, query, output and feed-forward of two 2 x (32 + 64), both attentions
        # over 1 + 2 positions 2 x 3 x 4; two targets with three scores each.
        ({}, 64 + 192 + 24, 2 * 3 * 4),
        ({"layers": 2}, 2 * (64 + 192 + 24), 2 * 3 * 4),
        ({"block": "hstu"}, 2 * 5 * 16 + 24, 2 * 3 * 4),  # gate, query, value, key and output
        ({"transform": True}, 64 + 192 + 24 + 2 * 16, 2 * 3 * 4),
        ({"loss": "softmax"}, 64 + 192 + 24, 2 * 10 * 4),  # nine items and padding
        # A chain of rank 5 sums over the same positions, and is as many columns of the head; a fixed one is no work.
        ({"chain": 5, "chain_trained": True}, 64 + 192 + 24 + 3 * 5, 2 * 3 * (4 + 5)),
        ({"chain": 5}, 64 + 192 + 24, 2 * 3 * 4),
    ],
)
def test_macs_by_hand(changes: dict, encoder: int, head: int) -> None:
    assert forward_macs(BertConfig(**SMALL | changes), CAUSAL, 9) == (encoder, head)


def test_a_last_layer_computes_what_is_asked_for() -> None:
    # Of two sequences only the last places are asked for: they read both positions of theirs, and one.
    both = batch([2, 5], [[0, 5, 6], [0, 0, 7]])
    last = BertConfig(**SMALL, masking="last")
    assert forward_macs(last, both, 9)[0] == 3 * 32 + 2 * (32 + 64) + 2 * (2 + 1) * 4
    # A layer before it has every position, and every pair: 4 + 1.
    earlier = 3 * (64 + 64) + 2 * 5 * 4
    two = BertConfig(**SMALL | {"layers": 2}, masking="last")
    assert forward_macs(two, both, 9)[0] == earlier + 3 * 32 + 2 * (32 + 64) + 2 * 3 * 4
    with pytest.raises(InputError, match="--norm=query"):
        forward_macs(BertConfig(**SMALL, norm="query"), both, 9)


def test_a_step_has_three_passes_and_the_optimizers_memory() -> None:
    work = step_work(BertConfig(**SMALL), [CAUSAL, batch([2], [[0, 5, 6]])], 9, weights=10)
    # The second batch asks at one position: 64 + 96 + 2 x 2 x 4, and three scores.
    assert work.encoder == 3 * (280 + 176) / 2 and work.head == 3 * (24 + 12) / 2
    assert work.encoder_shape == (2, 4, 8) and work.head_shape == (2, 4, 2)
    assert work.optimizer_bytes == 10 * 4 * 2 * 4, "value, two moments and the average"
    assert step_work(BertConfig(**SMALL, average=0.0), [CAUSAL], 9, 10).optimizer_bytes == 10 * 3 * 2 * 4


def test_seconds_by_hand() -> None:
    work = StepWork(600.0, 200.0, 80.0, (1, 1, 1), (1, 1, 1))
    assert step_floor(work, StepRates(100.0, 50.0, 40.0)) == {"products": 10.0, "memory": 2.0, "floor": 12.0}


def test_the_command_says_what_is_measured_beside_the_floor(run) -> None:
    words = ["--items=500", "--users=20", "--length=30", "--steps=2", "--rounds=1", "--layers=1", "--window=20"]
    done = run("bench", "training", *words)
    assert done.returncode == 0, done.stderr
    sizes, rates, floor, measured = done.stdout.splitlines()
    assert sizes.startswith("1 transformer, 64 dimensions, ") and sizes.endswith(" targets a step, 1 thread")
    assert "GMAC/s" in rates and float(re.findall(r"([\d.]+) x floor", measured)[0]) > 1
    least, taken = (int(re.findall(r"([\d,]+) targets/s", line)[0].replace(",", "")) for line in (floor, measured))
    assert 0 < taken < least


def test_all_weights_that_are_trained_count() -> None:
    steps = steps_of(long_tailed(9, np.array([5, 5])), 1, **SMALL | {"chain": 3})
    fixed = 2 * (9 + 2) * 3
    assert trained_weights(steps.run.model) == sum(weight.numel() for weight in steps.run.model.parameters()) - fixed
