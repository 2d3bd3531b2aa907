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

from bench.workloads.cases import Case, K
from bench.workloads.workload import KINDS
from infer.errors import first_line
from infer.histories.vocabulary import PAD
from infer.histories.windows import seen
from infer.model.signature import DROPPED

BATCH, ROUNDS = 256, 12
# Threads of the engine before still wait for work, busily, and would be in the way of the next.
PAUSE = 0.02
Way = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def by_torch(one: Case, score: Callable[..., torch.Tensor]) -> Way:
    """Windows, scores, seen items dropped, top k: (users,) rows to (users, K) items and scores on the host."""

    def top(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            drop = torch.from_numpy(seen(one.part(rows)[0])).to(one.device)
            scores = score(*one.inputs(rows)).scatter(1, drop, DROPPED)
            scores[:, PAD] = DROPPED
            found = scores.topk(K)
            return found.indices.cpu().numpy(), found.values.cpu().numpy()

    return top


def all_positions(one: Case) -> Way:
    """Every position through every layer and the head, of which the newest is kept."""
    return by_torch(one, lambda window: one.twin.score(one.twin.states(window))[:, -1])


def ways(one: Case, rows: np.ndarray) -> tuple[dict[str, Way], dict[str, str]]:
    """The engines that work here, by name, and why others do not."""
    found, failed = {"torch": by_torch(one, one.twin)}, {}
    if hasattr(one.twin, "states"):
        found["torch, all positions"] = all_positions(one)
    compiled = by_torch(one, torch.compile(one.twin))
    try:
        compiled(rows)
        found["torch.compile"] = compiled
    except Exception as error:  # its backends raise whatever their compilers do
        failed["torch.compile"] = first_line(error)[:160]
    return found, failed


@pytest.mark.parametrize("kind", KINDS)
def test_engines(benchmark, case, kind: str, device: str) -> None:
    benchmark.group = f"engines: batch of {BATCH}"
    one = case(kind, device)
    rows = one.batch(BATCH)
    others, failed = ways(one, rows)
    seconds: dict[str, list[float]] = {name: [] for name in others}
    order = list(others)

    def take_turns() -> None:
        order.append(order.pop(0))
        for name in order:
            time.sleep(PAUSE)
            began = time.perf_counter()
            items, scores = others[name](rows)
            seconds[name].append(time.perf_counter() - began)
            one.check(rows, items, scores)
        time.sleep(PAUSE)

    histories, users = one.part(rows)
    items, scores = benchmark.pedantic(
        lambda: one.model.top(histories, users, K), setup=take_turns, rounds=ROUNDS, warmup_rounds=2
    )
    one.check(rows, items, scores)
    own = np.array(benchmark.stats.stats.data)
    engines = {}
    for name, found in seconds.items():
        ratios = np.array(found[-len(own) :]) / own
        low, middle, high = (float(np.percentile(ratios, share)) for share in (25, 50, 75))
        engines[name] = {"seconds": float(np.median(found)), "ratio": middle, "low": low, "high": high}
    benchmark.extra_info |= one.about("engines", batch=BATCH, engines=engines, failed=failed)
