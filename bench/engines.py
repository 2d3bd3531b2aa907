"""Ways of other engines to a model's lists, and the seconds that each takes in turn.

In: a network, its exported model, and the histories of all users. Out: the ways by name, and seconds of each on the
same batches. `bench.scale` compares them on tables of any size, `bench/test_engines.py` on a trained model.

    compare(alternatives(network, model, histories), histories, batch_size=256, rounds=3)
"""

import time
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from bench.floor import head_width
from bench.peers.room import EVERY, left_out
from bench.peers.work import Search, faiss_search, implicit_search, rest
from bench.workloads.cases import BATCH, K
from infer.errors import InputError
from infer.histories.histories import Histories
from infer.histories.vocabulary import PAD, vocabulary
from infer.histories.windows import seen, windows
from infer.model.session import Model
from infer.model.signature import DROPPED
from infer.system.progress import progress
from infer.tables.columns import USER

OURS = "onnxruntime"
AGREE = 0.999  # share of the places in which two lists must agree: rounding may exchange neighbours
Way = Callable[[Histories], np.ndarray]
SEARCHES: dict[str, Callable[[np.ndarray, int], Search]] = {"implicit": implicit_search, "faiss": faiss_search}


def top_unseen(scores: torch.Tensor, histories: Histories) -> tuple[np.ndarray, np.ndarray]:
    """(users, K) items and scores on the host, best first, without seen items and padding.

    scores: (users, items + 1), on any device.
    """
    drop = torch.from_numpy(seen(histories)).to(scores.device)
    scores = scores.scatter(1, drop, DROPPED)
    scores[:, PAD] = DROPPED
    best = scores.topk(K)
    return best.indices.cpu().numpy(), best.values.cpu().numpy()


def alternatives(
    network: Any, model: Model, histories: Histories, batch: int = BATCH
) -> tuple[dict[str, Way], dict[str, str]]:
    """Ways to the same lists, by name: histories of some users -> (users, K) item indexes; and why others are left out.

    network: the model in PyTorch, on the device of `model`.  histories: of everyone who will be asked for.
    batch: users asked for at once.
    """
    items, width = len(model.metadata.item_ids), head_width(network.config)

    def apart(ways: dict[str, Way], absent: dict[str, str]) -> tuple[dict[str, Way], dict[str, str]]:
        without = left_out(ways, batch, items, width, network.window) | absent
        without.pop(OURS, None)
        return {name: way for name, way in ways.items() if name not in without}, without

    device = next(network.parameters()).device
    users = vocabulary(model.metadata.user_ids or [0], USER)
    index = histories.users.to_frame(USER).join(users, on=USER, how="left", maintain_order="left")["index"]
    row_of = dict(zip(histories.users.to_list(), index.fill_null(PAD).to_list(), strict=True))

    def rows(batch: Histories) -> np.ndarray:
        return np.array([row_of[user] for user in batch.users.to_list()], dtype=np.int64)

    def window(batch: Histories) -> torch.Tensor:
        return torch.from_numpy(windows(batch, network.window)).to(device)

    def torch_way(score: Callable[[Histories], torch.Tensor]) -> Way:
        return lambda batch: top_unseen(score(batch), batch)[0]

    ours: dict[str, Way] = {OURS: lambda batch: model.top(batch, rows(batch), K)[0]}
    if model.metadata.user_ids:
        eager = torch_way(lambda batch: network(torch.from_numpy(rows(batch)).to(device)))
        searches, absent = _searches(network, rows)
        return apart(ours | {"torch": eager} | searches, absent)
    ways: dict[str, Way] = {
        "torch, last position": torch_way(lambda batch: network.score(network.states(window(batch))[:, -1])),
        "torch, last query": torch_way(lambda batch: network(window(batch))),
        EVERY: torch_way(lambda batch: network.score(network.states(window(batch)))[:, -1]),
    }
    return apart(ours | ways, {})


def _searches(network: Any, rows: Callable[[Histories], np.ndarray]) -> tuple[dict[str, Way], dict[str, str]]:
    """Exact top k of other libraries on MF's own factors, made when they are asked first; why some are not there."""
    users, items = (
        np.ascontiguousarray(table.weight.detach().cpu().numpy()) for table in (network.users, network.items)
    )

    def way(search: Callable[[np.ndarray, int], Search]) -> Way:
        @cache
        def made() -> Search:
            return search(items, K)

        def lists(batch: Histories) -> np.ndarray:
            first, last = batch.offsets[0], batch.offsets[-1]
            return made()(users[rows(batch)], batch.items[first:last], batch.offsets - first)()

        return lists

    absent = {name: f"{name} is not installed" for name in SEARCHES if find_spec(name) is None}
    return {name: way(search) for name, search in SEARCHES.items() if name not in absent}, absent


@torch.no_grad()
def compare(ways: dict[str, Way], histories: Histories, batch_size: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each way on the same random batches, in turn; raises InputError if their lists differ."""
    rng = np.random.default_rng(0)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in progress(range(rounds + 1), desc="engines", unit=" rounds", leave=False):
        batch = histories.take(np.sort(rng.choice(len(histories), min(batch_size, len(histories)), replace=False)))
        expected = None
        for name, way in ways.items():
            rest()  # threads of the way before still wait for work, busily
            began = time.perf_counter()
            items = way(batch)
            seconds = time.perf_counter() - began
            if number:  # the first batch warms up
                taken[name].append(seconds)
            expected = items if expected is None else expected
            agree = np.mean(items == expected)
            if agree < AGREE:
                raise InputError(f"{name} lists other items than {OURS}: {agree:.1%} agree")
    return taken
