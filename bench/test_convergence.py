"""Epochs and seconds to a stated NDCG@10, and the whole curve: the `fit()` that `python -m train` runs.

    pytest --benchmark-only bench/test_convergence.py

Seconds count the vectors a model starts from and, of best, its members; validation is not counted.
"""

import time
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
import torch

from bench.records.records import about
from bench.workloads.workload import KINDS, MAIN, prepared, trained, training_seconds
from infer.histories.vocabulary import PAD
from train.config import TrainConfig
from train.data.dataset import Data, load
from train.loop.loop import EpochRecord, Run, fit
from train.models.registry import build

# Of validation; on the synthetic data about half of all next items follow from the one before.
NDCG_GOAL = 0.35


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.benchmark(group="convergence")
def test_convergence(benchmark, workloads, one_thread, kind: str, device: str) -> None:
    folder = prepared(MAIN, workloads(MAIN))
    members = MAIN.members if kind == "best" else ()
    for member in members:
        trained(MAIN, folder, member)
    data, config = load(folder), MAIN.config(kind, folder, device=device)
    runs: list[Run] = []

    def start() -> tuple:
        began = time.perf_counter()
        model: Any = build(kind, data, config)[0]
        preparing = time.perf_counter() - began
        model.to(device)
        runs.append(Run(model, None if model.closed_form else model.optimizer(), preparing))
        return (runs[-1], data, config), {}

    records = benchmark.pedantic(lambda *given: list(fit(*given)), setup=start, rounds=1)
    before = runs[-1].preparation_seconds + sum(training_seconds(folder, member) for member in members)
    curve = learned(records, before)
    assert next(runs[-1].model.parameters(), torch.zeros(1)).device.type == device or kind == "best"
    gains = np.log2(np.arange(2, 12)) ** -1.0
    assert max(curve["ndcg"]) > 10 * gains.sum() / MAIN.items, "no better than a random order"
    benchmark.extra_info |= about(
        "convergence", kind, device, ran_on=device, items=MAIN.items, window=MAIN.window, users=len(data.user_ids),
        curve=curve, ndcg_goal=NDCG_GOAL, preparation_seconds=before,
    ) | throughput(runs[-1], data, config, records)  # fmt: skip


def learned(records: list[EpochRecord], before: float) -> dict[str, list]:
    """A list a column: epoch, seconds since the start, losses (None without one), NDCG@10 in [0, 1]."""
    return {
        "epoch": [record.epoch for record in records],
        "elapsed": list(accumulate((record.seconds for record in records), initial=before))[1:],
        "train_loss": [record.train_loss for record in records],
        "validation_loss": [record.validation_loss for record in records],
        "ndcg": [record.validation_ndcg_at_10 for record in records],
    }


def throughput(run: Run, data: Data, config: TrainConfig, records: list[EpochRecord]) -> dict[str, float]:
    """Sequences, tokens (items read) and targets a second of training; nothing for a closed form."""
    model: Any = run.model
    if model.closed_form:
        return {}
    batches = list(model.training_batches(data, torch.Generator().manual_seed(0)))
    counts = {
        "sequences": sum(len(batch.window) for batch in batches),
        "tokens": sum(int((batch.window != PAD).sum()) for batch in batches),
        "targets": sum(len(batch) for batch in batches),
    }
    seconds = float(np.median([record.seconds for record in records]))
    return {f"{name}_per_second": count / seconds for name, count in counts.items()}
