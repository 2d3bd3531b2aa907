"""Benchmark records with round numbers, as `bench.records.runs` reads them."""

import json
from pathlib import Path

from bench.records.records import FORMAT
from bench.records.runs import Record

ABOUT = {
    "format": FORMAT, "part": "inference", "model": "bert", "device": "cpu", "ran_on": "cpu", "device_name": "Abacus",
    "cores": 2, "threads": {"torch": 1}, "versions": {"torch": "2"}, "commit": "abc",
}  # fmt: skip


def row(name: str = "one", median: float = 2.0, iqr: float = 0.1, rounds: int = 4, **info) -> dict:
    stats = {"min": median / 2, "median": median, "iqr": iqr, "rounds": rounds, "data": [median] * rounds}
    return {"name": name, "stats": stats, "extra_info": ABOUT | info}


def save(path: Path, *rows: dict) -> Path:
    path.write_text(json.dumps({"version": "5.3.1", "benchmarks": rows}))
    return path


def record(name: str = "one", run: str = "new", **changed) -> Record:
    made = row(name, **changed)
    return Record(run, name, made["stats"], made["extra_info"])
