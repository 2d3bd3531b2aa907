"""Saved benchmark runs, checked: the JSON of `pytest --benchmark-only --benchmark-json=FILE`, or of `bench.scale`.

In: files. Out: a `Record` for each benchmark, with its statistics and what it says of itself (`bench.records.records`).

    load(Path("bench/results/run-cpu-2-cores.json"))
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import floor
from bench.records.records import FORMAT
from infer.errors import InputError

STATISTICS = ("min", "median", "iqr", "rounds")
SCALE = (
    "size", "users", "items", "interactions", "seconds", "users_per_second", "times_floor", "peak_memory_bytes",
    "batch_seconds",
)  # fmt: skip
NEEDED = ("model", "device", "ran_on", "device_name", "cores", "threads", "versions", "commit")


@dataclass(frozen=True)
class Record:
    """One benchmark of one run.

    run: name of the file without its suffix.  stats: seconds (min, median, iqr), rounds and data, every round's
    seconds.  info: what the benchmark says of itself; empty for one that is of no model.  day: when the run began
    (year-month-day), if the file says so.
    """

    run: str
    name: str
    stats: dict[str, Any]
    info: dict[str, Any]
    day: str | None = None

    @property
    def part(self) -> str:
        """Which question it answers; `other` for one that is of no model."""
        return self.info.get("part", "other")

    @property
    def series(self) -> tuple[str, str, str]:
        """Whose time it is: model, device, run."""
        return self.info["model"], self.info["device"], self.run


def load(path: Path) -> list[Record]:
    """The records of one run, in its order.

    Raises InputError if the file is not such a run, is empty or of another version, lacks what a reader must
    know, or holds a time that was taken on another device than asked for.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist: write it with `pytest --benchmark-only --benchmark-json={path}`")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise InputError(f"{path} is not JSON; expected a file of --benchmark-json") from None
    if isinstance(content, dict) and content.get("part") == "scale":
        return [_record(path, {"name": "scale", "stats": _whole(content), "extra_info": content})]
    if not isinstance(content, dict) or not isinstance(content.get("benchmarks"), list):
        raise InputError(f"{path} is not a benchmark run; expected a file of --benchmark-json")
    if not content["benchmarks"]:
        raise InputError(f"{path} is an empty run: no benchmark was executed")
    day = str(content.get("datetime", ""))[:10] or None
    records = [replace(_record(path, row), day=day) for row in content["benchmarks"]]
    if all(record.part == "other" for record in records):
        raise InputError(f"{path} holds no record of format {FORMAT}: run the benchmarks of this version")
    _put_on_best_rates([record for record in records if "floor_work" in record.info])
    return records


def load_all(paths: Sequence[Path]) -> list[Record]:
    """The records of several runs; raises InputError as `load` does, and if two files have one name."""
    names = [path.stem for path in paths]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two runs are called {twice}; rename one, for names tell them apart")
    return [record for path in paths for record in load(path)]


def _whole(content: dict[str, Any]) -> dict[str, Any]:
    """Statistics of the one round of `bench.scale`."""
    total = content["seconds"].get("total") if isinstance(content.get("seconds"), dict) else None
    return {"min": total, "median": total, "iqr": 0.0, "rounds": 1, "data": [total]}


def _put_on_best_rates(records: list[Record]) -> None:
    """Measure every distance from the floor with the best rates of the whole run, the least disturbed ones.

    Rates are measured beside each benchmark; where others used the machine just then they are too low, and what is
    called a floor would not be one. The peak is the best product of any shape.
    """
    best: dict[tuple, float] = {}
    for record in records:
        for key, rate in _rates(record.info).items():
            best[key] = max(rate, best.get(key, 0.0))
        device = record.info["device"]
        best[device, "peak"] = max(best[device, "peak"], record.info["rates"]["head"])
    for record in records:
        rates = {key[1]: best[key] for key in _rates(record.info)}
        least = floor.at(record.info["floor_work"], **rates).seconds
        record.info.update(floor_seconds=least, times_floor=record.stats["min"] / least, rates=rates)


def _rates(info: dict[str, Any]) -> dict[tuple, float]:
    """The rates of a record, by what they are comparable over."""
    rates, device = info["rates"], info["device"]
    return {
        (device, "peak"): rates["peak"],
        (device, "head", info["batch"], info["head_width"], info["items"]): rates["head"],
        (device, "bandwidth"): rates["bandwidth"],
    }


def _record(path: Path, row: Any) -> Record:
    """One checked benchmark."""
    try:
        name, stats, info = row["name"], row["stats"], row["extra_info"]
        complete = all(isinstance(stats[key], int | float) for key in STATISTICS) and isinstance(stats["data"], list)
    except (KeyError, TypeError):
        complete = False
    if not complete:
        raise InputError(f"{path} lacks the statistics or rounds of a benchmark; expected a file of --benchmark-json")
    if "part" not in info:
        return Record(path.stem, name, stats, info)
    if info.get("format") != FORMAT:
        raise InputError(f"{path} has records of format {info.get('format')}; this version reads {FORMAT}")
    missing = [key for key in NEEDED + (SCALE if info["part"] == "scale" else ()) if key not in info]
    if missing:
        raise InputError(f"{path}: {name} does not say its {missing[0]}: run it again")
    if info["ran_on"] != info["device"]:
        raise InputError(f"{path}: {name} was asked to run on {info['device']} and ran on {info['ran_on']}")
    return Record(path.stem, name, stats, info)
