"""Runs beside each other: ratios and intervals by hand, regressions told from noise, refusals."""

import math
from pathlib import Path

import pytest

from bench.compare import Change, changes, check_machines, left_out
from infer.errors import InputError
from tests.helpers.records import record, row, save


def test_commands_say_what_they_miss(tmp_path: Path, run, refused) -> None:
    good = save(tmp_path / "good.json", row())
    refused(run("bench.report", tmp_path / "none.json"), "none.json does not exist")
    refused(run("bench.compare", good), "expected two runs, the new one and the saved one; found 1")
    other = save(tmp_path / "other.json", row(device_name="Difference Engine"))
    refused(run("bench.compare", good, other), "different machines or settings")
    refused(run("bench.compare", good, save(tmp_path / "else.json", row("two"))), "no benchmark in common")
    refused(run("bench.floor", "--device=cuda"), "--device cuda")


def test_ratios_and_intervals_by_hand() -> None:
    # IQR 1.349 is sigma 1; of 4 rounds with median 100, the error is 1.2533 x 1 / 2 / 100 on each side.
    new, saved = record(median=100.0, iqr=1.349), record(median=100.0, iqr=1.349, run="saved")
    (same,) = changes([new], [saved])
    error = math.sqrt(math.pi / 2) / 200 * math.sqrt(2)
    assert same.ratio == 1.0 and math.log(same.high) == pytest.approx(1.95996 * error, rel=1e-4)
    assert same.low == pytest.approx(1 / same.high) and same.verdict(0.0) == "-"
    slow, calm = record("slow", median=3.0, iqr=0.01), record("slow", median=2.0, iqr=0.01)
    wild = record("slow", median=3.0, iqr=3.0)
    assert changes([slow], [calm])[0].verdict(0.25) == "slower"
    assert changes([calm], [slow])[0].verdict(0.25) == "faster"
    assert changes([slow], [calm])[0].verdict(0.6) == "-"
    assert changes([wild], [calm])[0].verdict(0.25) == "-", "noise of the rounds is no regression"
    disturbed = record("slow", median=3.0, iqr=0.01)
    disturbed.stats["min"] = calm.stats["min"]
    assert changes([disturbed], [calm])[0].verdict(0.25) == "-", "its fastest round is as fast as before"
    assert changes([calm], [disturbed])[0].verdict(0.25) == "-"
    once = record("slow", median=3.0, rounds=1)
    assert changes([once], [calm])[0] == Change("slow", 3.0, 2.0, 1.0, 1.5, None, None, 1.5)
    assert changes([once], [calm])[0].verdict(0.25) == "?"


def test_a_slow_machine_is_no_slow_code() -> None:
    # The product took 4 ms instead of 2 (geometric mean of before and after): the machine was half as fast.
    new = record(median=4.0, iqr=0.0, calibration_seconds=[0.002, 0.008])
    saved = record(median=2.0, iqr=0.0, calibration_seconds=[0.002, 0.002])
    (change,) = changes([new], [saved])
    assert (change.machine, change.ratio, change.verdict(0.0)) == (2.0, 1.0, "-")
    assert change.high == pytest.approx(math.exp(1.95996 * math.log(2)), rel=1e-4), "an unsteady product says little"
    steady = record(median=4.0, iqr=0.0, calibration_seconds=[0.002, 0.002])
    (change,) = changes([steady], [saved])
    assert (change.machine, change.ratio, change.verdict(0.25)) == (1.0, 2.0, "slower")
    assert changes([steady], [record()])[0].machine == 1.0


def test_runs_of_different_machines_are_not_compared() -> None:
    check_machines([record()], [record()])
    with pytest.raises(InputError, match="one with cores 4 instead of 2"):
        check_machines([record(cores=4)], [record()])
    with pytest.raises(InputError, match=r"one with threads.torch 2 instead of 1"):
        check_machines([record(threads={"torch": 2})], [record()])
    # What one run alone has says nothing of the pairs.
    check_machines([record()], [record(), record("other", threads={"torch": 2})])


@pytest.mark.parametrize("size", ["users", "items", "batch", "window", "size", "model", "part", "k"])
def test_other_work_is_not_compared(size: str) -> None:
    pairs = [record("same"), record(**{size: 4})], [record("same"), record(**{size: 2})]
    assert [change.name for change in changes(*pairs)] == ["same"]
    assert left_out(*pairs) == [
        f"1 benchmarks are of other work in the saved run, such as one with {size} 4 instead of 2"
    ]
    with pytest.raises(InputError, match=f"no benchmark of the same work in common: one with {size} 4 instead of 2"):
        changes(pairs[0][1:], pairs[1][1:])
    assert changes([record(**{size: 4})], [record()] if size not in ("model", "part") else [record(**{size: 4})])


def test_a_slowdown_shows_also_where_the_saved_run_was_disturbed() -> None:
    # Others halved the speed of the saved run, its fastest rounds too; the code is 1.7 times as slow by now.
    calm, busy = {"calibration_seconds": [0.002, 0.002]}, {"calibration_seconds": [0.004, 0.004]}
    (change,) = changes([record(median=1.7, iqr=0.0, **calm)], [record(median=2.0, iqr=0.0, **busy)])
    assert (change.machine, change.fastest) == (0.5, 0.85) and change.ratio == pytest.approx(1.7)
    assert change.verdict(0.25) == "slower"
    (change,) = changes([record(median=1.0, iqr=0.0, **calm)], [record(median=2.0, iqr=0.0, **busy)])
    assert change.verdict(0.25) == "-"
    (change,) = changes([record(median=2.0, iqr=0.0, **busy)], [record(median=1.7, iqr=0.0, **calm)])
    assert change.verdict(0.25) == "faster"


def test_a_regression_fails_the_command(tmp_path: Path, run) -> None:
    saved = save(tmp_path / "saved.json", row("a", 1.0, 0.01), row("b", 1.0, 0.01), row("gone"))
    new = save(tmp_path / "new.json", row("a", 2.0, 0.02), row("b", 1.0, 0.01))
    done = run("bench.compare", new, saved)
    assert done.returncode == 1 and not done.stderr
    lines = done.stdout.splitlines()
    assert lines[1].split()[:2] == ["slower", "2.00"] and lines[2].split()[:2] == ["-", "1.00"]
    assert lines[-2] == "1 benchmarks are in the saved run alone"
    assert lines[-1] == "2 benchmarks in both: 1 slower, 0 faster, 0 with one round; beyond 25%"
    assert run("bench.compare", new, new).returncode == 0
