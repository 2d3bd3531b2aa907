"""Other libraries' side: the work they are given, their answers, and what happens when one fails."""

import sys
import threading
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import polars as pl
import pytest

from bench.peers import peer as peers
from bench.peers.peer import ENVIRONMENTS, PEERS, Peer, environment, write_work
from bench.peers.work import PEERS as LIBRARIES
from bench.peers.work import first_unseen, rest
from infer.errors import InputError
from infer.histories.histories import Histories

# Items 1 to 4 along an axis each; user 0 has seen 1 and 2, user 1 has seen 4, user 2 nothing.
HISTORIES = Histories(pl.Series([7, 8, 9]), np.array([1, 2, 4], dtype=np.int32), np.array([0, 2, 3, 3]))
VECTORS = np.vstack([np.zeros((1, 4)), np.eye(4)]).astype(np.float32)
QUERIES = np.array([[4, 3, 1, 2], [1, 2, 3, 4]], dtype=np.float32)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the libraries' side in this environment."""
    monkeypatch.setattr(peers, "environment", lambda name: Path(sys.executable))


def test_implicit_answers_by_hand(here, tmp_path: Path) -> None:
    write_work(tmp_path, HISTORIES, np.array([0, 1]), 4, 2, 3, (QUERIES, VECTORS))
    peer = Peer("implicit", tmp_path)
    assert peer.about["version"] and "same factors" in peer.about["note"]
    assert peer.round() > 0 and peer.round() > 0 and peer.at_rest
    peer.close()
    assert np.load(peer.lists).tolist() == [[4, 3], [3, 2]]


@pytest.mark.parametrize(
    ("name", "model", "words"),
    [
        ("rectools", "rectools.models.BERT4RecModel", ("n_blocks", "n_heads", "n_factors")),
        ("replay", "replay.models.nn.sequential.Bert4Rec", ("block_count", "head_count", "hidden_size")),
    ],
)
def test_a_library_has_as_many_layers_heads_and_dimensions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, model: str, words: tuple[str, ...]
) -> None:
    modules = (
        "pandas", "rectools", "rectools.dataset", "rectools.models", "replay", "replay.data", "replay.data.nn",
        "replay.models", "replay.models.nn", "replay.models.nn.sequential", "replay.models.nn.sequential.compiled",
    )  # fmt: skip
    for module in modules:
        monkeypatch.setitem(sys.modules, module, MagicMock())
    write_work(tmp_path, HISTORIES, np.array([0, 1]), 4, 2, 3, encoder=(3, 4, 128))
    with np.load(tmp_path / "work.npz") as work:
        LIBRARIES[name](dict(work))
    module, _, kind = model.rpartition(".")
    made = getattr(sys.modules[module], kind).call_args.kwargs
    assert [made[word] for word in words] == [3, 4, 128]


def test_candidates_that_were_seen_are_passed_over() -> None:
    seen = np.zeros((2, 5), dtype=bool)
    seen[0, [1, 4]] = seen[1, 2] = True
    lists = first_unseen(np.array([[4, 1, 3, 2], [3, 2, 4, 1]]), seen, 2)
    assert lists.tolist() == [[3, 2], [3, 4]]


def test_threads_that_wait_busily_are_waited_for() -> None:
    ended = threading.Event()

    def spin() -> None:
        while not ended.is_set():
            pass

    assert rest()
    spinning = threading.Thread(target=spin)
    spinning.start()
    try:
        assert not rest(limit=0.2)
    finally:
        ended.set()
        spinning.join()
    assert rest()


def test_a_library_that_fails_is_named(here, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"implicit failed: FileNotFoundError.*work\.npz"):
        Peer("implicit", tmp_path)


def test_every_library_has_an_environment() -> None:
    assert {name for name, _ in PEERS.values()} == set(ENVIRONMENTS)


def test_an_environment_that_cannot_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDER_PEERS", str(tmp_path))
    monkeypatch.setitem(ENVIRONMENTS, "mf", (f"no-such-wheel @ file://{tmp_path}/no-such.whl",))
    with pytest.raises(InputError, match="pip cannot install mf in"):
        environment("mf")
    assert not (tmp_path / "mf" / "installed.json").exists()
