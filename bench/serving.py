"""What the HTTP service costs beside a plain loop of the same ONNX session, and what it holds at many connections.

In: a model file that reads histories. Out: p50, p99 and requests a second of both, in turns; a JSON record.

    python -m bench.serving --model=hybrid.onnx --record=serving.json

The load comes from `wrk`, which has to be installed (Debian has a package). Every round times the plain loop (the
graph alone, on inputs made before), the loop of `Recommender.recommend`, and the service at one connection, so that
what else the machine does falls on all of them alike. Then come 8 and 64 connections, and the graph on 8 histories at
once beside 8 times one, which is the most that batching requests could save.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bench.records.records import about, ran_on, save
from bench.workloads.cases import percentiles
from infer import Recommender
from infer.cli import option, parse, run
from infer.errors import InputError
from infer.histories.histories import Histories
from infer.model.session import Model
from infer.system.ownership import claim
from infer.system.progress import progress
from infer.tables.columns import USER

K, LENGTH, TOGETHER = 10, 20, 8
CONNECTIONS = (1, 8, 64)
SCRIPT = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[{body}]]
done = function(summary, latency, requests)
  local e = summary.errors
  print(string.format("FOUND %d %d %d %d %d", latency:percentile(50), latency:percentile(99), summary.requests,
    summary.duration, e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True, kw_only=True)
class ServingConfig:
    """Options of `python -m bench.serving`."""

    model: Path = option(MISSING, "model file; looked for as given, then in artifacts/")
    rounds: int = option(3, "times that loops and service take turns", minimum=1)
    seconds: int = option(2, "of load at a time", minimum=1)
    record: Path | None = option(None, "JSON file to write")


@contextmanager
def service(path: Path) -> Iterator[str]:
    """The address of a service of one model, in a process of its own."""
    command = [sys.executable, "-m", "infer.serve", f"--model={path}", "--port=0", "--queue=256", "--timeout=60"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        if found is None:
            raise InputError(f"the service of {path} did not start")
        yield found[0]
    finally:
        process.terminate()
        process.wait()


def loaded(url: str, script: Path, connections: int, seconds: int) -> dict[str, float]:
    """p50, p99 (seconds), requests a second and failed requests under load."""
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout=60s", "-s", str(script)]
    done = subprocess.run([*words, f"{url}/v1/recommend"], capture_output=True, text=True)
    found = re.search(r"FOUND (\d+) (\d+) (\d+) (\d+) (\d+)", done.stdout)
    if found is None:
        raise InputError(f"wrk gave no figures: {(done.stderr or done.stdout)[:200]}")
    p50, p99, requests, duration, failed = map(int, found.groups())
    return {"p50": p50 / 1e6, "p99": p99 / 1e6, "requests_per_second": requests / duration * 1e6, "failed": failed}


def loop(call: Callable[[], Any], seconds: float) -> list[float]:
    """Seconds of each call, for so long."""
    call()
    taken, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return taken


def graph(model: Model, rows: int) -> Callable[[], Any]:
    """One run of the session on so many histories, whose inputs are made before."""
    rng = np.random.default_rng(0)
    items = 1 + np.concatenate([rng.choice(len(model.metadata.item_ids), LENGTH, replace=False) for _ in range(rows)])
    users = pl.Series(USER, np.arange(rows))
    histories = Histories(users, items.astype(np.int32), np.arange(rows + 1) * LENGTH, levels=None)
    feeds = model.feeds(histories, np.zeros(rows, dtype=np.int64), K)
    names = [output.name for output in model.session.get_outputs()]
    return lambda: model.session.run(names, feeds)


def measure(path: Path, rounds: int, seconds: int) -> dict[str, Any]:
    """What the record holds of one model."""
    model = Recommender(path, threads=1)
    history = np.array(model.metadata.item_ids)[:: max(1, len(model.metadata.item_ids) // LENGTH)][:LENGTH].tolist()
    calls = {"session": graph(model.model, 1), "recommend": lambda: model.recommend(history, K)}
    taken: dict[str, list[float]] = {name: [] for name in calls}
    alone: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder, service(path) as url:
        script = Path(folder) / "ask.lua"
        script.write_text(SCRIPT.replace("{body}", json.dumps({"history": history, "k": K})), encoding="utf-8")
        loaded(url, script, 1, 1)
        for _ in progress(range(rounds), desc="loops and service", unit=" rounds", leave=False):
            for name, call in calls.items():
                taken[name] += loop(call, seconds / 2)
            alone.append(loaded(url, script, 1, seconds))
        middle = {name: float(np.median([each[name] for each in alone])) for name in alone[0]}
        more = progress(CONNECTIONS[1:], desc="connections", unit=" loads", leave=False)
        under = {1: middle} | {c: loaded(url, script, c, seconds) for c in more}
    batch = [float(np.median(loop(graph(model.model, rows), seconds / 2))) for rows in (1, TOGETHER)]
    plain = {name: percentiles(each) | {"calls_per_second": len(each) / sum(each)} for name, each in taken.items()}
    return {
        "plain": plain,
        "service": {str(connections): each for connections, each in under.items()},
        "over_session_seconds": middle["p50"] - plain["session"]["p50"],
        "over_recommend_seconds": middle["p50"] - plain["recommend"]["p50"],
        "batch": {"one": batch[0], f"{TOGETHER} together": batch[1], "times_as_fast": TOGETHER * batch[0] / batch[1]},
        "ran_on": ran_on(model.model),
        "items": len(model.metadata.item_ids),
    }


def main(argv: Sequence[str]) -> None:
    """Parse, measure, print."""
    config = parse(ServingConfig, argv, __doc__)
    if shutil.which("wrk") is None:
        raise InputError("wrk is not installed, which makes the load: apt-get install wrk")
    if config.record is not None:
        claim([config.record], [config.model])
    load = os.getloadavg()[0]
    found = measure(config.model, config.rounds, config.seconds)
    sizes = {"k": K, "history": LENGTH, "rounds": config.rounds, "seconds_at_a_time": config.seconds}
    more = sizes | {"load_before": load, "load_after": os.getloadavg()[0]} | found
    record = about("serving", config.model.stem, "cpu", session_threads=1, **more)
    for name, each in found["plain"].items():
        print(f"{name}: p50 {each['p50'] * 1e3:.2f} ms, p99 {each['p99'] * 1e3:.2f} ms")
    for connections, each in found["service"].items():
        rate = f"{each['requests_per_second']:.0f} requests/s, {each['failed']:.0f} failed"
        took = f"p50 {each['p50'] * 1e3:.2f} ms, p99 {each['p99'] * 1e3:.2f} ms"
        print(f"service, {connections} connections: {took}, {rate}")
    over = (found["over_session_seconds"], found["over_recommend_seconds"])
    print(f"at one connection {over[0] * 1e3:.2f} ms over the session, {over[1] * 1e3:.2f} ms over recommend")
    print(f"{TOGETHER} histories in one run are {found['batch']['times_as_fast']:.2f} times as fast as one by one")
    save({"records": [record]}, config.record)


if __name__ == "__main__":
    raise SystemExit(run(main))
