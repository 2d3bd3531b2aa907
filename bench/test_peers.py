"""Other libraries on the same users, k and seen rule, in alternation; only with --peers, which installs them apart.

pytest --benchmark-only --peers bench/test_peers.py
"""

import time
from pathlib import Path

import numpy as np
import pytest

from bench.peers.peer import PEERS, Peer, write_work
from bench.workloads.cases import K
from infer.histories.windows import seen
from infer.scoring.lists import model_lists

BATCH, ROUNDS, PAUSE = 256, 8, 0.05


@pytest.mark.parametrize("peer", PEERS)
def test_peers(benchmark, case, peer: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Ours is `model_lists`: windows, session and the table of lists."""
    if not request.config.getoption("--peers"):
        pytest.skip("other libraries are timed with --peers")
    benchmark.group = f"peers: {BATCH} users"
    one = case(PEERS[peer][1], "cpu")
    rows = one.batch(BATCH)
    task = one.task.take(rows)
    vectors = ()
    if one.kind == "mf":
        users, items = (table.weight.detach().numpy() for table in (one.twin.users, one.twin.items))
        vectors = (np.ascontiguousarray(users[task.user_index]), np.ascontiguousarray(items))
    write_work(tmp_path, one.task.histories, rows, one.items, K, one.workload.window, vectors)
    other, seconds = Peer(peer, tmp_path), []

    def its_turn() -> None:
        time.sleep(PAUSE)
        seconds.append(other.round())
        time.sleep(PAUSE)

    benchmark.pedantic(lambda: model_lists(task, K, BATCH), setup=its_turn, rounds=ROUNDS, warmup_rounds=2)
    other.close()
    lists = np.load(other.lists)
    _check(one, rows, lists, exact=bool(vectors))
    own = np.array(benchmark.stats.stats.data)
    ratios = np.array(seconds[-len(own) :]) / own
    low, middle, high = (float(np.percentile(ratios, share)) for share in (25, 50, 75))
    benchmark.extra_info |= one.about(
        "peers", batch=BATCH, peer=f"{peer} {other.about['version']}", note=other.about["note"],
        peer_seconds=float(np.median(seconds[-len(own) :])), ratio=middle, low=low, high=high,
    )  # fmt: skip


def _check(one, rows: np.ndarray, lists: np.ndarray, exact: bool) -> None:
    """k different unseen items for everyone; the same as ours where the model is the same."""
    assert lists.shape == (len(rows), K) and lists.min() > 0 and lists.max() <= one.items
    assert all(len(set(row)) == K for row in lists)
    histories, users = one.part(rows)
    assert not (lists[:, :, None] == seen(histories)[:, None, :]).any(), "a list holds a seen item"
    if exact:
        ours, _ = one.model.top(histories, users, K)
        assert np.mean(lists == ours) > 0.999, "the lists differ"
