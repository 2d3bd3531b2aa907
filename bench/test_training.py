"""A step of training by kind of encoder, beside its floor: products and the optimizer's memory alone.

pytest --benchmark-only bench/test_training.py
"""

import time

import numpy as np
import pytest
import torch

from bench.records.records import about
from bench.training.floor import step_floor, step_rates, step_work, trained_weights
from bench.training.steps import fastest, steps_of
from bench.workloads.tail import long_tailed

ITEMS, USERS, LENGTH, STEPS, ROUNDS = 9_724, 200, 160, 20, 6


@pytest.mark.parametrize("block", ["transformer", "hstu"])
@pytest.mark.benchmark(group="a step of training")
def test_training(benchmark, one_thread, block: str) -> None:
    """The default sizes of a small table; every weight must have moved and stayed finite."""
    steps = steps_of(long_tailed(ITEMS, np.full(USERS, LENGTH)), STEPS, block=block)
    model = steps.run.model
    before = [weight.detach().clone() for weight in model.parameters()]
    rounds = []
    benchmark.pedantic(lambda: rounds.append(fastest(steps, 1, time.process_time)), rounds=ROUNDS, warmup_rounds=1)
    work = step_work(steps.config, steps.batches, ITEMS, trained_weights(model))
    rates = step_rates(work)
    floor, seconds, targets = step_floor(work, rates), min(rounds) / STEPS, steps.targets / STEPS
    benchmark.extra_info |= about(
        "training", f"bert, {block}", "cpu", ran_on="cpu", items=ITEMS, window=steps.config.max_length,
        layers=steps.config.layers, dim=steps.config.dim, targets=targets, step_seconds=seconds, floor_seconds=floor,
        targets_per_second=targets / seconds, times_floor=seconds / floor["floor"], rates=vars(rates),
    )  # fmt: skip
    assert seconds > floor["products"], "faster than its own products"
    for weight, start in zip(model.parameters(), before, strict=True):
        assert torch.isfinite(weight).all() and not torch.equal(weight, start)
