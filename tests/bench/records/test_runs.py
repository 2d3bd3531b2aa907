"""Saved runs: read back, measured by the best rates of the run, refused in one line."""

import json
from pathlib import Path

import pytest

from bench.records.records import FORMAT
from bench.records.runs import load, load_all
from infer.errors import InputError
from tests.helpers.records import ABOUT, row, save


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
        (json.dumps(ABOUT | {"part": "scale", "seconds": {}}), "lacks the statistics"),
        (json.dumps(ABOUT | {"part": "scale", "seconds": {"total": 2.0}}), "scale does not say its size: run it again"),
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
