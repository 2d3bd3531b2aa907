"""Users per second by model, device, batch size, window and catalogue; and the latency of one user.

    pytest --benchmark-only bench/test_inference.py

Timed is what the scorer does for a batch: windows from histories, the session, the sorted top k on the host. Users
are drawn at random, as a service would meet them; the command groups those with histories of similar length.
"""

import time

import numpy as np
import pytest

from bench.floor import head_width
from bench.workloads.cases import BATCH, Case, K, percentiles
from bench.workloads.workload import KINDS, MAIN, OTHERS

BATCHES = (1, 32, 256, 1024)
SECONDS, ROUNDS = 0.5, (10, 300)
SINGLE_ROUNDS = 300


def measure(benchmark, timed: Case, rows: np.ndarray, rates) -> None:
    """Time one batch for about SECONDS, check its lists, and keep the record."""
    histories, users = timed.part(rows)
    timed.model.top(histories, users, K)
    began = time.perf_counter()
    timed.model.top(histories, users, K)
    rounds = int(np.clip(SECONDS / (time.perf_counter() - began), *ROUNDS))
    items, scores = benchmark.pedantic(lambda: timed.model.top(histories, users, K), rounds=rounds, warmup_rounds=2)
    timed.check(rows, items, scores)
    stats = benchmark.stats.stats
    width = head_width(timed.configs[-1])
    floor = timed.floor(rows, stats.min, rates(len(rows), width, timed.items, timed.device))
    speed = {"users_per_second": len(rows) / stats.median}
    benchmark.extra_info |= timed.about("inference", batch=len(rows), **speed, **floor)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("kind", KINDS)
def test_batch_size(benchmark, case, rates, kind: str, device: str, batch: int) -> None:
    benchmark.group = f"inference: batch of {batch}, window {MAIN.window}, {MAIN.items} items"
    timed = case(kind, device)
    measure(benchmark, timed, timed.batch(batch), rates)


@pytest.mark.parametrize("workload", OTHERS)
@pytest.mark.parametrize("kind", KINDS)
def test_window_and_catalogue(benchmark, case, rates, kind: str, device: str, workload: str) -> None:
    if kind == "mf" and workload.startswith("window"):
        pytest.skip("mf reads no window")
    benchmark.group = f"inference: batch of {BATCH}, {workload}"
    timed = case(kind, device, OTHERS[workload])
    measure(benchmark, timed, timed.batch(BATCH), rates)


@pytest.mark.parametrize("kind", KINDS)
def test_latency(benchmark, case, kind: str, device: str) -> None:
    """One user at a time, another one in each round, so that all lengths of history occur."""
    benchmark.group = "latency: one user"
    timed = case(kind, device)
    order = iter(np.random.default_rng(0).permutation(len(timed.task.histories)))
    used: list[np.ndarray] = []
    lists: list[tuple[np.ndarray, np.ndarray]] = []

    def another() -> tuple:
        used.append(np.array([next(order)]))
        return timed.part(used[-1]), {}

    def ask(histories, users) -> None:
        lists.append(timed.model.top(histories, users, K))

    benchmark.pedantic(ask, setup=another, rounds=SINGLE_ROUNDS, warmup_rounds=20)
    for rows, (items, scores) in zip(used[::25], lists[::25], strict=True):
        timed.check(rows, items, scores)
    seconds = benchmark.stats.stats.data
    benchmark.extra_info |= timed.about("latency", batch=1, latency_seconds=percentiles(seconds))
