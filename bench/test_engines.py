"""The same lists by other engines, in alternation: ratios to ONNX Runtime.

pytest --benchmark-only bench/test_engines.py

torch              eager, reading the newest position alone, as the exported graph does
torch.compile      the same, compiled; where it fails, the reason is recorded
torch, all positions   a transformer whose last layer computes and scores every position, as a plain loop does
"""

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from bench.engines import top_unseen
from bench.peers.work import rest
from bench.ratios import ROUNDS, paired_ratio
from bench.workloads.cases import BATCH, Case, K
from bench.workloads.workload import KINDS
from infer.errors import first_line

Way = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def by_torch(model: Case, score: Callable[..., torch.Tensor]) -> Way:
    """Windows, scores, seen items dropped, top k: (users,) rows to (users, K) items and scores on the host."""

    def top(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            return top_unseen(score(*model.inputs(rows)), model.part(rows)[0])

    return top


def all_positions(model: Case) -> Way:
    """Every position through every layer and the head, of which the newest is kept."""
    return by_torch(model, lambda window: model.twin.score(model.twin.states(window))[:, -1])


def ways(model: Case, rows: np.ndarray) -> tuple[dict[str, Way], dict[str, str]]:
    """The engines that work here, by name, and why others do not."""
    working, failed = {"torch": by_torch(model, model.twin)}, {}
    if hasattr(model.twin, "states"):
        working["torch, all positions"] = all_positions(model)
    compiled = by_torch(model, torch.compile(model.twin))
    try:
        compiled(rows)
        working["torch.compile"] = compiled
    except Exception as error:  # its backends raise whatever their compilers do
        failed["torch.compile"] = first_line(error)[:160]
    return working, failed


@pytest.mark.parametrize("kind", KINDS)
def test_engines(benchmark, case, kind: str, device: str) -> None:
    benchmark.group = f"engines: batch of {BATCH}"
    timed = case(kind, device)
    rows = timed.batch(BATCH)
    others, failed = ways(timed, rows)
    seconds: dict[str, list[float]] = {name: [] for name in others}
    order = list(others)

    def take_turns() -> None:
        order.append(order.pop(0))
        for name in order:
            rest()
            began = time.perf_counter()
            items, scores = others[name](rows)
            seconds[name].append(time.perf_counter() - began)
            timed.check(rows, items, scores)
        rest()

    histories, users = timed.part(rows)
    items, scores = benchmark.pedantic(
        lambda: timed.model.top(histories, users, K), setup=take_turns, rounds=ROUNDS, warmup_rounds=2
    )
    timed.check(rows, items, scores)
    ours = benchmark.stats.stats.data
    engines = {
        name: {"seconds": float(np.median(theirs)), **paired_ratio(theirs, ours)} for name, theirs in seconds.items()
    }
    benchmark.extra_info |= timed.about("engines", batch=BATCH, engines=engines, failed=failed)
