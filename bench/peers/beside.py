"""Other libraries at a large catalogue, each in its environment, in turn with ours on one batch of users.

In: an open encoder and all histories. Out: seconds of both by library, and why others are left out.

    libraries, without = beside(model, histories, config, batch=256, rounds=3, folder=folder)

They have as many layers, heads and dimensions. Their weights are their own, so that lists are not compared
(`bench/test_peers.py` checks what can be).
"""

import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.floor import head_width
from bench.peers.peer import PEERS, Peer, is_installed, write_work
from bench.peers.room import left_out
from bench.peers.work import rest
from bench.ratios import paired_ratio
from bench.workloads.cases import K
from infer.errors import InputError
from infer.histories.histories import Histories
from infer.model.session import Model
from infer.system.progress import progress
from train.config import BertConfig

LIBRARIES = tuple(name for name, (_, kind) in PEERS.items() if kind == "bert")


def beside(
    model: Model, histories: Histories, config: BertConfig, batch: int, rounds: int, folder: Path
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Of each library its seconds and ours, its note and the ratio; and why others are left out, by name."""
    items, window = len(model.metadata.item_ids), model.metadata.window
    without = left_out(LIBRARIES, batch, items, head_width(config), window)
    found = {}
    rows = np.sort(np.random.default_rng(0).choice(len(histories), min(batch, len(histories)), replace=False))
    chosen = histories.take(rows)
    for name in (name for name in LIBRARIES if name not in without):
        if not is_installed(PEERS[name][0]):
            without[name] = f"its environment is not made: python -m bench.peers --only={PEERS[name][0]}"
            continue
        encoder = (config.layers, config.heads, config.dim)
        write_work(folder, histories, rows, items, K, window, encoder=encoder)
        try:
            found[name] = _in_turn(Peer(name, folder), model, chosen, rounds)
            found[name]["note"] += f"; ours has {config.layers} {config.block} blocks of {config.dim} dimensions"
        except InputError as error:
            without[name] = str(error)
    return found, without


def _in_turn(peer: Peer, model: Model, chosen: Histories, rounds: int) -> dict[str, Any]:
    ours, theirs = list[float](), list[float]()
    try:
        for number in progress(range(rounds + 1), desc=peer.name, unit=" rounds", leave=False):
            seconds = peer.round()
            rest()
            began = time.perf_counter()
            model.top(chosen, np.zeros(len(chosen), dtype=np.int64), K)
            if number:  # the first warms up
                ours.append(time.perf_counter() - began)
                theirs.append(seconds)
    finally:
        peer.close()
    about = {"version": peer.about["version"], "note": peer.about["note"]}
    return about | {"seconds": theirs, "ours": ours, "ratio": paired_ratio(theirs, ours)["ratio"]}
