"""How soon a model recommends well: turns, what is measured of a library's vectors, the record and its lines."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from bench import learning
from bench.learning import Learner, in_turn, lines, measure, ndcg
from bench.learning import main as command
from bench.peers import peer as peers
from bench.peers.peer import PEERS, TRAINER, Peer, is_installed
from bench.training import beside
from bench.training.ways import as_users, write_sequences
from infer.errors import InputError
from infer.histories.histories import Histories
from infer.histories.windows import windows
from tests.helpers.checkerboard import ROOT
from tests.helpers.told import bars_told
from train.data.dataset import Data, load

# A library whose states and vectors are given: what each user wants, from its second epoch on.
STUB = """
import sys
sys.path.insert(0, {root!r})
import numpy, torch
from bench.peers import training

def stub(items, offsets, sizes):
    def prepared(loss):
        weight, passes = torch.nn.Parameter(torch.ones(1)), []
        class Module(torch.nn.Module):
            pass
        def batches(size):
            passes.append(size)
            return [dict(rows=row) for row in range(3)]
        def states(window):
            assert window.shape[1] == sizes["window"] and (window[:, -1] > 0).all()
            wanted = torch.from_numpy(numpy.load({wanted!r}))
            return torch.nn.functional.one_hot(wanted, sizes["items"] + 1).float() * (1 if len(passes) > 1 else -1)
        return training.Prepared(
            lambda batch: weight.sum(), torch.optim.SGD([weight], 0.1), batches, lambda batch: 2,
            Module(), states, lambda: torch.eye(sizes["items"] + 1),
        )
    return training.Library(("softmax",), prepared, dict(rectools="9.9"), "a stub")

training.LIBRARIES["rectools"] = stub
training.main(sys.argv[1], __import__("pathlib").Path(sys.argv[2]))
"""
SMALL = {"dim": 8, "heads": 1, "layers": 1, "max_length": 4, "negatives": 4, "epochs": 2}


@pytest.fixture
def folder(artifacts: Path, tmp_path: Path) -> Path:
    shutil.copy(artifacts / "interactions.parquet", tmp_path)
    return tmp_path


@pytest.fixture
def stub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Data:
    """Take a stub for RecTools, no other library being there, and a small model for ours; the table."""
    monkeypatch.setattr(peers, "environment", lambda name: Path(sys.executable))
    monkeypatch.setattr(beside, "is_installed", lambda name: name == "rectools")
    known = learning.configuration
    monkeypatch.setattr(learning, "configuration", lambda kind, **more: known(kind, **more, **SMALL))
    program, wanted = folder / "stub.py", folder / "wanted.npy"
    monkeypatch.setattr(beside, "TRAINER", program)
    program.write_text(STUB.format(root=str(ROOT), wanted=str(wanted)))
    data = load(folder)
    np.save(wanted, data.targets[data.targets > 0])
    return data


def test_the_record_holds_curves_and_lines_say_when_a_share_of_ours_is_reached(
    stub: Data, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command([f"--artifacts={folder}", "--seconds=1", "--batch-sizes=2,3", f"--record={folder / 'r.json'}"])
    record, said = json.loads((folder / "r.json").read_text()), capsys.readouterr().out
    own, *others = record["rows"]
    assert (own["way"], len(own["curve"])) == ("bert", 2), "two epochs are all that it has"
    assert [(row["way"], row["loss"], row["batch"]) for row in others] == [("rectools", "softmax", n) for n in (2, 3)]
    for row in others:
        assert [found for _, found in row["curve"][:3]] == [0.0, 1.0, 1.0], "each batch size has a model of its own"
        assert row["ndcg@10"] == 1.0
        assert row["curve"][-1][0] >= 1 > row["curve"][-2][0]
    assert record["users"] == (stub.targets > 0).sum() and record["most_seconds"] == 1
    assert record["dataset_checksum"] == stub.checksum and record["device_name"]
    assert record["left_out"] == {"replay": "its environment is not made: python -m bench.peers --only=replay"}
    assert "rectools, softmax, batch 3" in said and "left out: its environment" in said


def test_figures_are_shown_also_where_their_record_cannot_be_written(
    stub: Data, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "file").write_text("no folder")
    with pytest.raises((InputError, OSError)):
        command([f"--artifacts={folder}", "--seconds=1", "--batch-sizes=2", f"--record={folder / 'file' / 'r.json'}"])
    assert "rectools, softmax, batch 2" in capsys.readouterr().out


def test_vectors_of_a_library_are_measured_as_our_scores_are(stub: Data) -> None:
    rows = torch.from_numpy(np.flatnonzero(stub.targets))
    users = np.eye(len(stub.item_ids) + 1, dtype=np.float32)[stub.targets[rows.numpy()]]
    items = np.eye(len(stub.item_ids) + 1, dtype=np.float32)
    assert ndcg(users, items, stub, rows) == 1.0
    # Nothing seen is in the way: with seen items above the wanted one, it is the first still.
    blocked = stub.seen(rows).numpy()
    for row, seen in zip(users, blocked, strict=True):
        row[seen[seen > 0]] = 2
    assert ndcg(users, items, stub, rows) == 1.0
    users[:] = 1
    users[np.arange(len(rows)), stub.targets[rows.numpy()]] = 0
    assert ndcg(users, items, stub, rows) < 0.5


def test_whoever_had_the_least_seconds_is_next_until_all_have_had_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []
    told, shown = bars_told(monkeypatch), list[float]()

    def learner(way: str, seconds: float, most: int = 99) -> Learner:
        def epoch() -> tuple[float, float] | None:
            turns.append(way)
            shown.append(told[0].n)
            return (seconds, 0.1 * turns.count(way)) if turns.count(way) <= most else None

        return Learner(way, "loss", 2, epoch)

    slow, fast, short = learner("slow", 4), learner("fast", 2), learner("short", 1, most=1)
    in_turn([slow, fast, short], 6)
    # "short" is asked once more, and is done.
    assert turns == ["slow", "fast", "short", "short", "fast", "slow", "fast"]
    assert [one.seconds for one in (slow, fast, short)] == [8, 6, 1]
    # An epoch that ends later than its seconds counts as these.
    assert shown == [0, 4, 6, 7, 12, 14, 16] and told[0].n == told[0].total == 18
    assert fast.curve == [(2, 0.1), (4, 0.2), (6, pytest.approx(0.3))]
    assert fast.reached(0.2) == 4 and slow.reached(0.3) is None and slow.best == 0.2


def test_lines_say_never_where_a_share_is_not_reached() -> None:
    shared = {"data": "d", "users": 5, "items": 9, "sequences": 7, "window": 4, "dim": 8, "left_out": {}}
    rows = [
        {"way": "bert", "loss": "sampled", "batch": 16, "curve": [[2.0, 0.04], [4.0, 0.08]], "ndcg@10": 0.08},
        {"way": "rectools", "loss": "softmax", "batch": 128, "curve": [[30.4, 0.05]], "ndcg@10": 0.05},
    ]
    head, names, own, other = lines({**shared, "rows": rows})
    assert head == (
        "d: 5 users, 9 items, 7 windows of 4, 8 dimensions; seconds of one thread until a share of bert's NDCG@10"
    )
    assert names.split() == ["NDCG@10", "epochs", "seconds", "50%", "80%", "90%", "100%"]
    assert own.split()[-7:] == ["8.00%", "2", "4", "2", "4", "4", "4"]
    assert other.split()[-7:] == ["5.00%", "1", "30", "30", "never", "never", "never"]


def test_what_cannot_be_measured_is_said(stub: Data, folder: Path, tmp_path: Path) -> None:
    none = np.zeros_like(stub.targets)
    config = learning.LearningConfig(artifacts=folder)
    with pytest.raises(InputError, match="holds nothing out for validation"):
        measure(config, Data(**{**vars(stub), "targets": none}), tmp_path)
    with pytest.raises(InputError, match="--batch-sizes"):
        command([f"--artifacts={folder}", "--batch-sizes=0"])
    with pytest.raises(InputError, match=rf"a step of 99999 is larger than all \d+ sequences of {folder}$"):
        command([f"--artifacts={folder}", "--batch-sizes=99999"])
    with pytest.raises(InputError, match="does not exist"):
        command([f"--artifacts={folder / 'nowhere'}"])


@pytest.mark.parametrize("name", beside.LIBRARIES)
def test_a_library_gives_states_and_vectors_by_our_numbers(name: str, tmp_path: Path) -> None:
    if not is_installed(PEERS[name][0]):
        pytest.skip(f"its environment is not made: python -m bench.peers --only={PEERS[name][0]}")
    # Each item is followed by the next, the last one by the first.
    begins = np.arange(60) % 30
    histories = Histories(
        pl.Series(range(60)), ((begins[:, None] + np.arange(12)) % 30 + 1).ravel().astype(np.int32), np.arange(61) * 12
    )
    data = Data(
        "round", "", list(range(1, 31)), list(range(60)), None, None, [], histories, (begins + 12) % 30 + 1, tmp_path
    )
    sizes = {"items": 30, "window": 5, "dim": 16, "layers": 1, "heads": 2, "dropout": 0.0, "negatives": 4}
    rows = torch.arange(60)
    cut = as_users(data, None, 5, 3)
    write_sequences(tmp_path, cut, sizes, windows(data.known.take(rows.numpy()), 5))
    peer = Peer(name, tmp_path, TRAINER)
    try:
        file = tmp_path / "vectors.npz"
        question = {"loss": "softmax", "batch": 4, "vectors": str(file), "seed": 0}
        found = []
        for _ in range(25):
            answer = peer.ask(json.dumps(question))
            assert answer["seconds"] > 0 and answer["targets"] == (cut.histories.lengths - 1).sum()
            with np.load(file) as made:
                assert made["users"].shape == (60, 16) and made["items"].shape == (31, 16)
                found.append(ndcg(made["users"], made["items"], data, rows))
        assert found[-1] > max(0.9, found[0]), "it learns what follows what, and its numbers are ours"
    finally:
        peer.close()
