"""The benchmarks themselves: the quick ones run, and leave a record that the report shows."""

import os
import subprocess
import sys
from pathlib import Path

from bench.records.runs import load_all
from bench.report.page import write_report
from tests.helpers.checkerboard import HANGS, ROOT

QUICK = "mf and (test_session or test_latency or test_command) or test_top_k and 10k or test_losses and sampled"


def test_quick_benchmarks_run_and_are_shown(tmp_path: Path) -> None:
    saved = tmp_path / "run.json"
    words = ["bench", "--benchmark-only", f"--benchmark-json={saved}", "-k", QUICK, "-q", "-p", "no:cacheprovider"]
    # pytest-benchmark measures nothing in a process of pytest-xdist, by which this one may have been started.
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, f"--basetemp={tmp_path / 'made'}"],
        cwd=ROOT, env=alone, capture_output=True, text=True, timeout=HANGS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    records = load_all([saved])
    assert {record.part for record in records} == {"session", "latency", "command", "other"}
    assert {record.name.partition("[")[0] for record in records if record.part == "other"} == {
        "test_top_k",
        "test_losses",
    }
    page = write_report(records, tmp_path / "report.html").read_text()
    assert "Latency of one user" in page and "mf, cpu" in page
