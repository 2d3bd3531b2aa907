"""What a training costs, by stage: the record, and that its figures belong together."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from bench import costs
from bench.synthetic import SIZES
from infer.errors import InputError
from tests.helpers.told import bars_told
from train.data.dataset import load
from train.sizing import window_count

STAGES = ["prepare", "read", "ials", "chain", "steps"]


def test_the_record_has_every_stage_and_what_follows_from_the_steps(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(SIZES, "small", (60, 300, 3_000))
    monkeypatch.setattr(costs, "WARM_UP", 1)
    words = ["--size=small", "--steps=9", "--threads=1", f"--folder={tmp_path}", f"--record={tmp_path / 'r.json'}"]
    costs.main(words)
    record, said = json.loads((tmp_path / "r.json").read_text()), capsys.readouterr().out
    stages = record["stages"]
    assert list(stages) == STAGES and all(stage["seconds"] > 0 for stage in stages.values())
    # PyTorch alone takes more; the first process has no PyTorch.
    assert stages["read"]["peak_bytes"] > stages["prepare"]["peak_bytes"] > 50 * 2**20
    data, config = load(tmp_path / "small-artifacts"), record["config"]
    assert (record["users"], record["items"]) == (60, len(data.item_ids))
    windows = window_count(data.histories.lengths, config["stride"])
    assert record["steps_of_a_pass"] == -(-windows // config["batch_size"]) < 9, "steps go on in a second pass"
    assert record["step_seconds"] == pytest.approx(stages["steps"]["seconds"] / 9)
    assert record["pass_seconds"] == pytest.approx(record["step_seconds"] * record["steps_of_a_pass"])
    assert record["targets_per_second"] < 9 * len(data.histories.items) / stages["steps"]["seconds"]
    assert all(f"\n{name} " in said for name in STAGES) and "targets/s" in said


def test_whoever_waits_is_told_how_many_steps_are_left(artifacts: Path, monkeypatch) -> None:
    monkeypatch.setattr(costs, "WARM_UP", 1)
    told = bars_told(monkeypatch)
    costs.learn(artifacts, 1, 3)
    assert [(bar.desc, bar.n, bar.total) for bar in told][-2:] == [("warming up", 1, 1), ("steps", 3, 3)]


def test_what_is_not_ours_is_not_replaced_and_nothing_is_made_for_it(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("{}")
    with pytest.raises(InputError, match=r"r\.json"):
        costs.main(["--size=small", f"--folder={tmp_path}", f"--record={tmp_path / 'r.json'}"])
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def _killed(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_stage_that_is_killed_is_told_in_a_line(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(SIZES, "small", (20, 40, 500))
    monkeypatch.setattr(costs, "prepare", _killed)
    with pytest.raises(InputError, match="for want of memory"):
        costs.main(["--size=small", f"--folder={tmp_path}"])


def interrupted(*_) -> dict:
    """A stage during which the command is interrupted, and which would go on for long."""
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(100)
    return {}


def test_a_command_that_is_ended_waits_for_no_stage(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(SIZES, "small", (60, 300, 3_000))
    monkeypatch.setattr(costs, "prepare", interrupted)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        costs.main(["--size=small", f"--folder={tmp_path}"])
    assert time.monotonic() - began < 60
