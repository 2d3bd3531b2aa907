"""Training beside other libraries: the same sequences and targets for all, the best batch size, the record."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.peers import peer as peers
from bench.peers import training as worker
from bench.peers.peer import PEERS, TRAINER, Peer, is_installed
from bench.training import beside, ways
from bench.training.__main__ import main as command
from bench.training.beside import batch_sizes, lines, summed_up
from bench.training.floor import StepRates, step_floor
from bench.training.ways import Measured, as_users, in_turn, needed, ours, theirs, write_sequences
from bench.workloads.tail import long_tailed
from infer.errors import InputError
from tests.helpers.checkerboard import ROOT
from tests.helpers.told import bars_told

SIZES = {"items": 600, "window": 5, "dim": 8, "layers": 1, "heads": 2, "dropout": 0.2, "negatives": 512}
# A library that moves one weight, and counts what it is told to.
STUB = """
import sys
sys.path.insert(0, {root!r})
import torch
from bench.peers import training

def stub(items, offsets, sizes):
    weight = torch.nn.Parameter(torch.ones(1))
    rows = torch.from_numpy(training.windows(items, offsets, sizes["window"] + 1, 0))
    def prepared(loss):
        return training.Prepared(
            lambda batch: weight.sum() * {factor}, torch.optim.SGD([weight], 0.1),
            lambda size: [dict(rows=part) for part in rows.split(size)],
            lambda batch: int(((batch["rows"][:, :-1] > 0) & (batch["rows"][:, 1:] > 0)).sum()) + {more},
            None, None, None,
        )
    return training.Library(("softmax", "sampled"), prepared, dict(rectools="9.9"), "a stub")

training.LIBRARIES["rectools"] = stub
training.main(sys.argv[1], __import__("pathlib").Path(sys.argv[2]))
"""


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Take a stub for RecTools, which counts `more` targets in a batch than there are; no other library is there."""
    monkeypatch.setattr(peers, "environment", lambda name: Path(sys.executable))
    monkeypatch.setattr(beside, "is_installed", lambda name: name == "rectools")
    monkeypatch.setattr(ways, "TURN_SECONDS", 0.01)
    program = tmp_path / "stub.py"
    monkeypatch.setattr(beside, "TRAINER", program)

    def made(more: int = 0, factor: str = "1") -> None:
        program.write_text(STUB.format(root=str(ROOT), more=more, factor=factor))

    return made


WORDS = [
    *("--peers", "--items=600", "--users=9", "--length=12", "--dim=8", "--window=5", "--rounds=2"),
    *("--batch-sizes=4,2", "--sequences=6"),
]


def test_the_record_holds_all_ways_and_the_best_of_each(stub, tmp_path: Path, capsys, monkeypatch) -> None:
    stub()
    told = bars_told(monkeypatch)
    command([*WORDS, f"--record={tmp_path / 'r.json'}"])
    record, said = json.loads((tmp_path / "r.json").read_text()), capsys.readouterr().out
    # By default a step has about 800 items: all six sequences.
    assert record["default_batch"] == 6 and record["rounds"] == 2 and record["sequences"] == 6
    assert [(row["way"], row["loss"], row["batch"]) for row in record["rows"]] == [
        *((way, "sampled", size) for way in ("transformer", "transformer, narrow", "hstu") for size in (2, 4, 6)),
        *(("rectools", loss, size) for loss in ("softmax", "sampled") for size in (2, 4)),
    ]
    for row in record["rows"]:
        assert len(row["seconds"]) == 2 and min(row["seconds"]) > 0
        assert row["targets_per_second"] == pytest.approx(record["targets"] / min(row["seconds"]))
        assert ("times_floor" in row) == (row["way"] != "rectools")
    own = {row["batch"]: row["targets_per_second"] for row in record["rows"] if row["way"] == "transformer"}
    best = record["best"]["rectools"]
    rates = [row["targets_per_second"] for row in record["rows"] if row["way"] == "rectools"]
    assert best["targets_per_second"] == max(rates)
    assert best["ratio_to_default"] == pytest.approx(own[6] / max(rates))
    assert best["ratio_to_best"] == pytest.approx(max(own.values()) / max(rates))
    assert record["libraries"] == {"rectools": {"versions": {"rectools": "9.9"}, "note": "a stub"}}
    assert record["left_out"] == {"replay": "its environment is not made: python -m bench.peers --only=replay"}
    assert [(bar.desc, bar.n) for bar in told] == [("starting", 2), ("rounds", 3)]
    assert record["device_name"] and record["versions"]["torch"] and record["part"] == "training beside others"
    assert "rectools 9.9" in said and "x floor" in said and "replay                  left out: its envi" in said


def test_figures_are_shown_also_where_their_record_cannot_be_written(stub, tmp_path: Path, capsys) -> None:
    stub()
    (tmp_path / "file").write_text("no folder")
    with pytest.raises((InputError, OSError)):
        command([*WORDS, f"--record={tmp_path / 'file' / 'r.json'}"])
    assert "rectools 9.9" in capsys.readouterr().out


def test_a_library_that_counts_other_targets_is_an_error(stub) -> None:
    stub(more=1)
    with pytest.raises(InputError, match=r"rectools counts \d+ targets of the same sequences, transformer \d+$"):
        command(WORDS)


def test_a_library_that_fails_is_named(stub, tmp_path: Path) -> None:
    stub(factor="float('nan')")
    with pytest.raises(InputError, match=r"rectools failed: FloatingPointError: a loss is not finite"):
        command(WORDS)
    write_sequences(tmp_path, as_users(long_tailed(600, np.array([5, 5])), 2, 5, 0), SIZES)
    (tmp_path / "sizes.json").unlink()
    with pytest.raises(InputError, match=r"rectools failed: FileNotFoundError.*sizes\.json"):
        Peer("rectools", tmp_path, TRAINER)


def test_the_fastest_batch_size_and_loss_of_each_counts() -> None:
    rates = {
        ("transformer", "sampled", 16): 40.0,
        ("transformer", "sampled", 64): 60.0,
        ("replay", "softmax", 16): 8.0,
        ("replay", "sampled", 16): 30.0,
        ("replay", "sampled", 64): 80.0,
    }
    rows = [{"way": way, "loss": loss, "batch": n, "targets_per_second": r} for (way, loss, n), r in rates.items()]
    own = {"loss": "sampled", "batch": 64, "targets_per_second": 60.0}
    other = {"loss": "sampled", "batch": 64, "targets_per_second": 80.0}
    assert summed_up(rows, 16) == {
        "transformer": own | {"ratio_to_default": 40 / 60, "ratio_to_best": 1.0},
        "replay": other | {"ratio_to_default": 0.5, "ratio_to_best": 0.75},
    }


def test_lines_name_versions_and_what_is_left_out() -> None:
    row = {"loss": "softmax", "batch": 16, "targets_per_second": 5_000.4, "ratio_to_default": 8.0, "ratio_to_best": 12}
    record = {
        "items": 9_724, "dim": 64, "window": 50, "targets": 10_983, "sequences": 256, "default_batch": 16,
        "best": {"rectools": row}, "libraries": {"rectools": {"versions": {"rectools": "0.19.0"}}}, "rows": [],
        "left_out": {"replay": "no room"},
    }  # fmt: skip
    first, second, third = lines(record)
    assert first == (
        "9,724 items, 64 dimensions, windows of 50: 10,983 targets of 256 sequences, one thread; our batches have 16 "
        "by default"
    )
    assert second == (
        "rectools 0.19.0             5,000 targets/s, batch 16 (softmax): 8.00 x the seconds of transformer at its "
        "default batch, 12.00 x at its best"
    )
    assert third == "replay                  left out: no room"


def test_the_first_round_warms_up_and_all_take_turns() -> None:
    taken: list[tuple[str, float]] = []

    def way(name: str, batch: int = 2) -> Measured:
        def turn(least: float) -> tuple[float, int]:
            taken.append((name, least))
            return float(len(taken)), 7

        return Measured(name, "sampled", batch, turn)

    ways = [way("one"), way("other"), way("other", 4)]
    in_turn(ways, 2, 9)
    # Whoever has waited for another process begins with a pass that does not count.
    again = [("one", 0.0), ("one", 1.0), ("other", 0.0), ("other", 1.0), ("other", 1.0)]
    assert taken == [("one", 0.0), ("other", 0.0), ("other", 0.0), *again, *again]
    assert [one.seconds for one in ways] == [[5.0, 10.0], [7.0, 12.0], [8.0, 13.0]]
    assert ways[0].row(9) == {
        "way": "one", "loss": "sampled", "batch": 2, "seconds": [5.0, 10.0], "targets_per_second": 7 / 5
    }  # fmt: skip


def test_short_passes_are_repeated_for_their_mean() -> None:
    seconds = iter([0.4, 0.2, 0.6, 9.0])
    assert worker.mean_of(lambda: next(seconds), 1.0) == pytest.approx(0.4)
    assert worker.mean_of(lambda: next(seconds), 1.0) == 9.0


def test_the_floor_is_that_of_the_fastest_rates() -> None:
    data = as_users(long_tailed(600, np.array([5, 5])), 2, window=4, stride=0)
    one = ours(data, [1], dim=8, layers=1, max_length=4)[0]
    one.seconds, one.targets = [6.0, 4.0], 8
    one.rates = [StepRates(1e9, 2e9, 5e9), StepRates(3e9, 1e9, 4e9)]
    floor = step_floor(one.work(600), StepRates(3e9, 2e9, 5e9))["floor"]
    row = one.row(600)
    assert row["step_ms"] == 2000.0 and row["floor_ms"] == pytest.approx(1000 * floor)
    assert row["times_floor"] == pytest.approx(2 / floor)


def test_each_training_sequence_is_a_user_and_all_of_it_is_trained_on() -> None:
    # Of 8 items, windows of 4 with a stride of 2: the latest five, and more of them further back.
    table = long_tailed(600, np.array([8, 1, 8, 8]))
    data = as_users(table, 6, window=4, stride=2)
    lengths = data.histories.lengths
    assert len(data.histories) == 6 and lengths.min() >= 2 and lengths.max() == 5
    text = [" ".join(map(str, history)) for history in np.split(table.histories.items, table.histories.offsets[1:-1])]
    for row in np.split(data.histories.items, data.histories.offsets[1:-1]):
        assert any(" ".join(map(str, row)) in history for history in text), "no piece of a history"
    for way in ours(data, [2, 6], dim=8, layers=1, max_length=4):
        assert way.steps is not None
        assert way.turn(0.0)[1] == (lengths - 1).sum(), "targets of whole sequences"
        assert len(way.steps.batches) == 6 // way.batch
    narrow = {
        way.way: way.steps.config.feedforward for way in ours(data, [6], dim=8, layers=1, max_length=4) if way.steps
    }
    assert narrow["transformer, narrow"] == 8 and narrow["transformer"] == 256
    with pytest.raises(InputError, match=r"the table has \d+ training sequences of at least two items; found"):
        as_users(table, 50, window=4, stride=2)


def test_sequences_are_neither_cut_again_nor_of_one_item() -> None:
    data = as_users(long_tailed(600, np.array([60, 60])), 2, window=50, stride=0)
    assert ours(data, [2], dim=8, layers=1, max_length=50)[0].turn(0.0)[1] == 2 * 50
    with pytest.raises(InputError, match="the table has 1 training sequences of at least two items"):
        as_users(long_tailed(600, np.array([1, 3])), 2, window=4, stride=0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--batch-sizes=16,x"], "--batch-sizes takes whole numbers from 1, separated by commas; found '16,x'"),
        (["--batch-sizes=0"], "--batch-sizes takes whole numbers from 1, separated by commas; found '0'"),
        (["--batch-sizes=2,7"], "--batch-sizes: a step of 7 is larger than all --sequences=6"),
        (["--items=512"], "--peers draws 512 negatives from the catalogue, which has 512 items"),
        (["--sequences=4000"], r"the table has \d+ training sequences of at least two items; found --sequences=4000"),
        (["--threads=2"], "--peers measures every block on one thread: leave out --threads and --block"),
        (["--block=hstu"], "--peers measures every block on one thread: leave out --threads and --block"),
        (["--no-peers", "--record=r.json"], "--record is what --peers writes: give --peers, too"),
    ],
)
def test_sizes_that_make_no_sense_are_refused_in_one_line(words: list[str], said: str) -> None:
    names = [word.partition("=")[0] for word in [*words, "--peers" if "--no-peers" in words else ""]]
    with pytest.raises(InputError, match=f"^{said}$"):
        command([*(word for word in WORDS if word.partition("=")[0] not in names), *words])


def test_batch_sizes_are_sorted_and_once() -> None:
    assert batch_sizes("64, 16,64", 64, "--sequences=64") == [16, 64]


def test_what_lacks_memory_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"window": 50, "items": 10_000, "negatives": 512, "dim": 64}
    # Three arrays of all scores; vectors of own negatives and their gradient; nothing of note where they are shared.
    assert needed("replay", "softmax", 256, sizes) == 3 * 4 * 256 * 50 * 10_000
    assert needed("rectools", "sampled_softmax", 256, sizes) == 2 * 4 * 256 * 50 * 512 * 64
    assert needed("replay", "sampled", 256, sizes) == 0
    monkeypatch.setattr(ways, "free_memory", lambda: 2 * 2**30)

    class Stood:
        name, about = "replay", {"losses": ["softmax", "sampled"]}

    found, without = theirs(Stood(), [16, 256], sizes)  # type: ignore[arg-type]
    assert [(way.loss, way.batch) for way in found] == [("softmax", 16), ("sampled", 16), ("sampled", 256)]
    assert without == {"replay, softmax, 256": "needs 1.4 GiB at least, of 2.0 GiB free"}


def test_sequences_are_padded_on_the_left_and_the_catalogue_is_whole() -> None:
    rows = worker.windows(np.array([5, 6, 7, 8]), np.array([0, 3, 4]), 3, 9)
    assert rows.tolist() == [[5, 6, 7], [9, 9, 8]]
    others = worker.whole_catalogue(7, 3)
    assert others.shape == (3, 3) and set(others.ravel()) == set(range(1, 8))


def test_a_pass_takes_a_step_on_every_batch_from_fresh_gradients() -> None:
    weight = torch.nn.Parameter(torch.tensor(1.0))
    prepared = worker.Prepared(
        lambda batch: weight * batch["by"], torch.optim.SGD([weight], 0.1), lambda size: [], lambda batch: 1,
        None, lambda window: weight, lambda: weight,
    )  # fmt: skip
    ticks = iter([2.0, 5.0])
    assert worker.one_pass(prepared, [{"by": 1.0}, {"by": 2.0}], lambda: next(ticks)) == 3.0
    assert weight.item() == pytest.approx(1.0 - 0.1 - 0.2)
    with pytest.raises(FloatingPointError, match="not finite"):
        worker.one_pass(prepared, [{"by": float("inf")}])


@pytest.mark.parametrize("name", beside.LIBRARIES)
def test_libraries_train_on_the_same_targets_and_know_the_whole_catalogue(name: str, tmp_path: Path) -> None:
    if not is_installed(PEERS[name][0]):
        pytest.skip(f"its environment is not made: python -m bench.peers --only={PEERS[name][0]}")
    data = as_users(long_tailed(600, np.full(9, 12)), 6, window=5, stride=25)
    write_sequences(tmp_path, data, SIZES)
    peer = Peer(name, tmp_path, TRAINER)
    try:
        assert peer.about["versions"][name] and "feed-forward" in peer.about["note"]
        for way in theirs(peer, [2, 4], SIZES)[0]:
            seconds, targets = way.turn(0.0)
            assert seconds > 0 and targets == (data.histories.lengths - 1).sum()
    finally:
        peer.close()
