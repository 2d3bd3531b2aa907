"""Benchmark runs: bad files are refused in one line, regressions are told from noise, goals by hand."""

import json
import math
from pathlib import Path

import pytest

from bench.compare import Change, changes, check_machines
from bench.records.records import FORMAT
from bench.records.runs import load, load_all
from bench.report.convergence import reached_loss, reached_ndcg, scratch_loss
from bench.workloads.cases import check_lists, percentiles
from infer.errors import InputError
from infer.model.signature import DROPPED
from tests.helpers.records import record, row, save


def test_a_saved_run_comes_back(tmp_path: Path) -> None:
    plain = row("plain") | {"extra_info": {"items": 3}}
    (one, other) = load(save(tmp_path / "a.json", row(), plain))
    assert (one.run, one.part, one.series) == ("a", "inference", ("bert", "cpu", "a"))
    assert one.stats["median"] == 2.0 and other.part == "other"
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match="two runs are called a; rename one"):
        load_all([tmp_path / "a.json", save(tmp_path / "b" / "a.json", row())])


def test_distances_are_from_the_best_rates_of_the_run(tmp_path: Path) -> None:
    work = {"encoder": 60, "head": 40, "score_bytes": 8}
    shared = {"floor_work": work, "batch": 4, "head_width": 2, "items": 9, "times_floor": 0.5, "floor_seconds": 9.0}
    slow, fast = {"peak": 10.0, "head": 20.0, "bandwidth": 1.0}, {"peak": 20.0, "head": 10.0, "bandwidth": 1.0}
    other = shared | {"batch": 5, "rates": slow | {"head": 80.0}}  # the head's rate is of another shape
    wide = shared | {"head_width": 3, "rates": slow | {"head": 40.0}}
    rows = [row("a", 16.0, rates=slow, **shared), row("b", 16.0, rates=fast, **shared), row("c", 16.0, **other)]
    rows.append(row("d", 16.0, **wide))
    found = load(save(tmp_path / "a.json", *rows))
    # 60 at 80 a second and 40 at 20 (or 80, 40) a second, against the fastest round of 8 s.
    assert [record.info["floor_seconds"] for record in found] == [2.75, 2.75, 1.25, 1.75]
    assert [record.info["times_floor"] for record in found] == [8 / 2.75, 8 / 2.75, 6.4, 8 / 1.75]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a benchmark run"),
        ('{"version": "5.3.1"}', "is not a benchmark run"),
        ('{"benchmarks": []}', "is an empty run: no benchmark was executed"),
        (json.dumps({"benchmarks": [row(format=0)]}), f"has records of format 0; this version reads {FORMAT}"),
        (json.dumps({"benchmarks": [row() | {"stats": {"min": 1}}]}), "lacks the statistics"),
        (json.dumps({"benchmarks": [3]}), "lacks the statistics"),
        (json.dumps({"benchmarks": [row() | {"extra_info": {}}]}), f"holds no record of format {FORMAT}"),
        (json.dumps({"benchmarks": [row(device="cuda")]}), "one was asked to run on cuda and ran on cpu"),
    ],
)
def test_files_that_are_no_run_are_refused(tmp_path: Path, run, refused, content: str, text: str) -> None:
    path, good = tmp_path / "bad.json", save(tmp_path / "good.json", row())
    path.write_text(content)
    with pytest.raises(InputError, match=text):
        load(path)
    if text.startswith("is an empty"):  # the commands themselves, once
        refused(run("bench.report", path, f"--output={tmp_path / 'r.html'}"), text)
        refused(run("bench.compare", good, path), text)
        assert not (tmp_path / "r.html").exists()


def test_commands_say_what_they_miss(tmp_path: Path, run, refused) -> None:
    good = save(tmp_path / "good.json", row())
    refused(run("bench.report", tmp_path / "none.json"), "none.json does not exist")
    refused(run("bench.compare", good), "expected two runs, the new one and the saved one; found 1")
    other = save(tmp_path / "other.json", row(device_name="Difference Engine"))
    refused(run("bench.compare", good, other), "different machines or settings")
    refused(run("bench.compare", good, save(tmp_path / "else.json", row("two"))), "no benchmark in common")
    refused(run("bench.floor", "--device=cuda"), "--device cuda")


def test_a_missing_gpu_ends_the_benchmarks_in_one_line(typed) -> None:
    from bench.records.records import cuda_is_there

    if cuda_is_there():
        pytest.skip("a GPU is here")
    done = typed("pytest", "--benchmark-only", "--device=cuda", "bench/test_topk.py")
    assert done.returncode != 0 and "Traceback" not in done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert lines == ["ERROR: --device cuda: no such device here for both onnxruntime and PyTorch"]


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
    with pytest.raises(InputError, match="only one has cpu, Abacus, 2"):
        check_machines([record(cores=4)], [record()])


def test_a_regression_fails_the_command(tmp_path: Path, run) -> None:
    saved = save(tmp_path / "saved.json", row("a", 1.0, 0.01), row("b", 1.0, 0.01), row("gone"))
    new = save(tmp_path / "new.json", row("a", 2.0, 0.02), row("b", 1.0, 0.01))
    done = run("bench.compare", new, saved)
    assert done.returncode == 1 and not done.stderr
    lines = done.stdout.splitlines()
    assert lines[1].split()[:2] == ["slower", "2.00"] and lines[2].split()[:2] == ["-", "1.00"]
    assert lines[-1] == "2 benchmarks in both: 1 slower, 0 faster, 0 with one round; beyond 25%"
    assert run("bench.compare", new, new).returncode == 0


def test_goals_by_hand() -> None:
    curve = {
        "epoch": [1, 2, 3],
        "elapsed": [2.0, 4.0, 6.0],
        "validation_loss": [7.0, 6.0, 6.5],
        "ndcg": [0.1, 0.3, 0.4],
    }
    assert reached_ndcg(curve, 0.3) == (2, 4.0) and reached_ndcg(curve, 0.41) is None
    assert reached_loss(curve, 6.5) == (2, 4.0) and reached_loss(curve, 5.9) is None
    assert reached_loss(curve | {"validation_loss": [None]}, 6.0) is None and reached_loss(curve, None) is None
    scratch, hybrid = record(part="convergence", curve=curve), record(part="convergence", model="hybrid")
    assert scratch_loss([hybrid, scratch], hybrid) == 6.0
    assert scratch_loss([hybrid, scratch], record(run="another")) is None


def test_wrong_lists_are_found() -> None:
    import numpy as np

    def check(items: list[int], scores: list[float]) -> None:
        # Item 4 is the best and was seen; 0 is padding.
        expected = np.array([[9.0, 1.0, 3.0, 2.0, 8.0]])
        check_lists(expected, np.array([[4, 0]]), np.array([items]), np.array([scores]), 1e-3)

    check([2, 3], [3.0, 2.0])
    for items, scores, text in (
        ([4, 2], [8.0, 3.0], "seen"), ([2, 1], [3.0, 1.0], "better"), ([2, 2], [3.0, 3.0], "twice"),
        ([2, 3], [3.0, 2.1], "differs"), ([2, 0], [3.0, DROPPED], "seen"),
    ):  # fmt: skip
        with pytest.raises(AssertionError, match=text):
            check(items, scores)
    assert percentiles([float(n) for n in range(101)]) == {"p50": 50.0, "p95": 95.0, "p99": 99.0}
