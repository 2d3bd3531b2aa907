"""Other libraries on the same users, k and seen rule, in alternation; only with --peers, which installs them apart.

pytest --benchmark-only --peers bench/test_peers.py
"""

import os
from pathlib import Path

import numpy as np
import pytest

from bench.engines import AGREE
from bench.peers.peer import PEERS, Peer, write_work
from bench.peers.work import rest
from bench.ratios import calm_ratio, paired_ratio
from bench.workloads.cases import BATCH, Case, K
from infer.histories.windows import seen
from infer.scoring.lists import model_lists
from train.config import BertConfig

ROUNDS = 24  # enough that both sides meet a calm moment


@pytest.mark.parametrize("peer", PEERS)
def test_peers(benchmark, case, peer: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Ours is `model_lists`: windows, session and the table of lists."""
    if not request.config.getoption("--peers"):
        pytest.skip("other libraries are timed with --peers")
    ours = case(PEERS[peer][1], "cpu")
    rows = ours.batch(BATCH)
    task = ours.task.take(rows)
    vectors: tuple[np.ndarray, ...] = ()
    if ours.kind == "mf":
        users, items = (table.weight.detach().numpy() for table in (ours.twin.users, ours.twin.items))
        vectors = (np.ascontiguousarray(users[task.user_index]), np.ascontiguousarray(items))
    config = ours.configs[0]
    encoder = (config.layers, config.heads, config.dim) if isinstance(config, BertConfig) else None
    write_work(tmp_path, ours.task.histories, rows, ours.items, K, ours.workload.window, vectors, encoder)
    other = Peer(peer, tmp_path)
    theirs: list[float] = []

    def its_turn() -> None:
        rest()
        theirs.append(other.round())  # answers when its own threads stand still

    benchmark.pedantic(lambda: model_lists(task, K, BATCH), setup=its_turn, rounds=ROUNDS, warmup_rounds=2)
    other.close()
    lists = np.load(other.lists)
    _check(ours, rows, lists, exact=bool(vectors))
    name, ratio = f"{peer} {other.about['version']}", paired_ratio(theirs, benchmark.stats.stats.data)
    # The seconds in the table are ours.
    between = f"{ratio['ratio']:.1f} [{ratio['low']:.1f}, {ratio['high']:.1f}]"
    benchmark.stats.group = f"ours, {BATCH} users; {name} took {between} times as long"
    benchmark.extra_info |= ours.about(
        "peers", batch=BATCH, peer=name, note=other.about["note"],
        peer_seconds=float(np.median(theirs[-ROUNDS:])), **ratio,
        calm=calm_ratio(theirs, benchmark.stats.stats.data), at_rest=other.at_rest,
        load=os.getloadavg()[0],
    )  # fmt: skip


def _check(ours: Case, rows: np.ndarray, lists: np.ndarray, exact: bool) -> None:
    """k different unseen items for everyone; the same as ours where the model is the same."""
    assert lists.shape == (len(rows), K) and lists.min() > 0 and lists.max() <= ours.items
    assert all(len(set(row)) == K for row in lists)
    histories, users = ours.part(rows)
    assert not (lists[:, :, None] == seen(histories)[:, None, :]).any(), "a list holds a seen item"
    if exact:
        items, _ = ours.model.top(histories, users, K)
        assert np.mean(lists == items) > AGREE, "the lists differ"
