"""Where the command's time goes: starting a session, windows, the model, writing; and the whole command.

pytest --benchmark-only bench/test_stages.py
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bench.workloads.cases import BATCH, Case, K
from bench.workloads.workload import KINDS
from infer.model.session import open_model
from infer.scoring.job import open_job
from infer.scoring.lists import batches
from infer.scoring.plan import Settings
from infer.scoring.run import score_table
from infer.system.stages import Stages
from infer.tables.columns import ITEM, SCORE, USER


@pytest.mark.parametrize("kind", KINDS)
def test_session(benchmark, case, kind: str, device: str) -> None:
    benchmark.group = "session start"
    timed = case(kind, device)
    opened = benchmark.pedantic(lambda: open_model(timed.model.path, device), rounds=5, warmup_rounds=1)
    assert opened.metadata == timed.model.metadata
    benchmark.extra_info |= timed.about("session", megabytes=timed.model.path.stat().st_size / 1e6)


@pytest.mark.parametrize("stage", ["windows", "model"])
@pytest.mark.parametrize("kind", KINDS)
def test_stage(benchmark, case, kind: str, device: str, stage: str) -> None:
    """All users of the workload, in the batches that the command makes."""
    benchmark.group = f"stage: {stage}"
    timed = case(kind, device)
    parts = list(batches(timed.model, timed.task.histories.lengths, BATCH))

    def windows() -> list[dict[str, np.ndarray]]:
        return [timed.model.feeds(*timed.part(rows), K) for rows in parts]

    feeds = windows()
    call = windows if stage == "windows" else lambda: [timed.model.run(given) for given in feeds]
    results = benchmark.pedantic(call, rounds=7, warmup_rounds=1)
    if stage == "windows":
        for given, again in zip(feeds, results, strict=True):
            assert all(np.array_equal(given[name], again[name]) for name in given)
    else:
        for rows, (items, scores) in zip(parts, results, strict=True):
            timed.check(rows, items, scores)
    speed = len(timed.task.histories) / benchmark.stats.stats.median
    benchmark.extra_info |= timed.about(stage, batch=BATCH, users_per_second=speed)


@pytest.mark.parametrize("kind", KINDS)
def test_command(benchmark, case, kind: str, device: str, tmp_path: Path) -> None:
    """`infer.batch` in this process: read, windows, model, write, publish, as its manifest says."""
    benchmark.group = "end to end: python -m infer.batch"
    timed = case(kind, device)
    output = tmp_path / "lists.parquet"
    argv = [f"--model={timed.model.path}", f"--output={output}", f"--k={K}", f"--batch-size={BATCH}"]
    argv += [f"--device={device}", "--restart"]
    manifests = []

    def command() -> None:
        stages = Stages()
        with stages("open"):
            job = open_job(open_model(timed.model.path, device))
        score_table(job, output, Settings(k=K, batch_size=BATCH, restart=True), stages)
        manifests.append(json.loads(output.with_suffix(".json").read_bytes()))

    benchmark.pedantic(command, rounds=5, warmup_rounds=1)
    _check_written(timed, output)
    stages = {n: float(np.median([m["seconds"][n] for m in manifests[1:]])) for n in manifests[0]["seconds"]}
    alone = _alone(argv, output)
    benchmark.extra_info |= timed.about(
        "command",
        batch=BATCH,
        stage_seconds=stages,
        users_per_second=len(timed.task.histories) / benchmark.stats.stats.median,
        peak_memory_bytes=alone["peak_memory_bytes"],
    )


def _alone(argv: list[str], output: Path) -> dict:
    """The manifest of the command in a process of its own, whose peak memory is its own."""
    done = subprocess.run([sys.executable, "-m", "infer.batch", *argv], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(output.with_suffix(".json").read_bytes())


def _check_written(timed: Case, output: Path) -> None:
    """The written lists must be the best ones, of every user."""
    lists = pl.read_parquet(output).sort(USER, "rank")
    assert lists[USER].unique().sort().to_list() == timed.task.histories.users.to_list()
    ids = timed.task.job.items
    index = lists.join(ids, on=ITEM, how="left", maintain_order="left")["index"].to_numpy().reshape(-1, K)
    scores = lists[SCORE].to_numpy().reshape(-1, K)
    for rows in np.array_split(np.arange(len(index)), 4):
        timed.check(rows, index[rows].astype(np.int64), scores[rows])
