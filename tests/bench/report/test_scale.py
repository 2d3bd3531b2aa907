"""The scale benchmark on the page: which way does the same work, and what a record says of it."""

import json
from pathlib import Path

import pytest

from bench.records.runs import Record, load
from bench.report import scale
from bench.report.__main__ import RESULTS
from tests.helpers.records import ABOUT

TAKEN = {
    "onnxruntime": [1.0, 1.0, 2.0],
    "torch, last position": [3.0, 3.0, 3.0],
    "torch, all positions": [90.0, 100.0, 210.0],
    "torch, last query": [0.8, 0.8, 0.8],
}


@pytest.fixture
def records() -> list[Record]:
    info = ABOUT | {
        "part": "scale", "size": "1m", "users": 40, "items": 30, "interactions": 900, "batch_seconds": TAKEN,
        "seconds": {"read": 0.5, "windows": 1.0, "model": 2.0, "write": 0.1, "total": 4.0},
        "users_per_second": 10.0, "times_floor": 2.5, "peak_memory_bytes": 2**30,
    }  # fmt: skip
    larger = info | {"size": "32m", "interactions": 9000}
    return [Record(name, "scale", {}, values) for name, values in (("a", info), ("b", larger))]


def test_the_same_work_comes_first_and_the_notebook_loop_is_called_so(records) -> None:
    rows = scale.ways(records)["rows"]
    assert rows[0] == ["32m, bert, cpu", "same work", "torch, last query", "800 ms", "0.80 [0.60, 0.80]"]
    assert [row[1] for row in rows[:3]] == [scale.SAME, scale.ONE_SCORED, scale.LOOP]
    assert rows[2][3:] == ["100 s", "100.00 [95.00, 102.50]"] and rows[3][0] == "1m, bert, cpu"
    same, loop = scale.sentences(records)
    assert same.endswith(
        "in units of ours: 0.8 (32m, bert, cpu: torch, last query), 0.8 (1m, bert, cpu: torch, last query)."
    )
    assert (
        loop
        == "A plain loop that scores every position and keeps one takes: 100 (32m, bert, cpu), 100 (1m, bert, cpu)."
    )


def test_the_whole_command_and_the_dots(records) -> None:
    assert scale.commands(records)["rows"][1] == [
        "1m, bert, cpu", "40", "30", "4 s", "10", "2.5", "1.00 GiB", "500 ms", "1 s", "2 s", "100 ms",
    ]  # fmt: skip
    names = [trace["name"] for trace in json.loads(scale.ratios(records))["data"]]
    assert names == [scale.SAME, scale.ONE_SCORED, scale.LOOP]
    assert scale.ratios([]) is None and scale.sentences([]) == []


def test_saved_records_of_this_repository_are_read(tmp_path: Path) -> None:
    [record] = load(RESULTS / "scale-1m-cpu-2-cores.json")
    assert record.part == "scale" and record.stats["median"] == pytest.approx(1.720, abs=0.001)
    assert [row[0] for row in scale.commands([record])["rows"]] == ["1m, bert, cpu"]


def test_runs_of_the_same_table_are_told_apart(records) -> None:
    again = Record("c", "scale", {}, records[0].info)
    labels = [row[0] for row in scale.commands([*records, again])["rows"]]
    assert labels == ["32m, bert, cpu", "1m, bert, cpu (a)", "1m, bert, cpu (c)"]
    assert "1m, bert, cpu (c): torch, last query" in scale.sentences([*records, again])[0]
