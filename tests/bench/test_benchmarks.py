"""The benchmarks themselves: the quick ones run, and leave a record that the report shows."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from bench.peers.peer import ENVIRONMENTS
from bench.records.runs import load_all
from bench.report.page import write_report
from tests.helpers.checkerboard import HANGS, ROOT

QUICK = "mf and (test_session or test_latency or test_command) or test_top_k and 10k or test_losses and sampled"


def benchmarks(folder: Path, *words: str, **variables: str) -> str:
    """Run some benchmarks; returns what they print."""
    # pytest-benchmark measures nothing in a process of pytest-xdist, by which this one may have been started.
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    more = ["--benchmark-only", "-q", "-p", "no:cacheprovider", f"--basetemp={folder / 'made'}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, *more],
        cwd=ROOT, env=alone | variables, capture_output=True, text=True, timeout=HANGS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_quick_benchmarks_run_and_are_shown(tmp_path: Path) -> None:
    saved = tmp_path / "run.json"
    benchmarks(tmp_path, "bench", f"--benchmark-json={saved}", "-k", QUICK)
    records = load_all([saved])
    assert {record.part for record in records} == {"session", "latency", "command", "other"}
    assert {record.name.partition("[")[0] for record in records if record.part == "other"} == {
        "test_top_k",
        "test_losses",
    }
    page = write_report(records, tmp_path / "report.html").read_text()
    assert "Latency of one user" in page and "mf, cpu" in page


def test_the_table_says_how_long_another_library_took_beside_ours(tmp_path: Path) -> None:
    python = tmp_path / "mf" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (tmp_path / "mf" / "installed.json").write_text(json.dumps(ENVIRONMENTS["mf"]))
    said = benchmarks(tmp_path, "bench/test_peers.py", "--peers", "-k", "implicit", RECOMMENDER_PEERS=str(tmp_path))
    assert re.search(r"ours, 256 users; implicit [\d.]+ took [\d.]+ \[[\d.]+, [\d.]+\] times as long", said), said
