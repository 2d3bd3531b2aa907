"""The study: killed and resumed it gives the same tables; its sentences say what the numbers say."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from checkerboard import ROOT

from bench.answers import answers_convergence, compared
from bench.cells import EXPERIMENTS
from bench.tables import PAIRS
from train.presets import CONFIGS

ONLY = "--only=mf-paper,markov,scratch"
TIMES = ("seconds", "elapsed", "goal_seconds")


def command(artifacts: Path, output: Path, *words: str) -> list[str]:
    options = ("--short", "--epochs=1", "--workers=1", "--negatives=3", ONLY)
    return [sys.executable, "-m", "bench.study", f"--artifacts={artifacts}", f"--output={output}", *options, *words]


def run_study(artifacts: Path, output: Path, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(command(artifacts, output, *words), cwd=ROOT, capture_output=True, text=True, timeout=500)


@pytest.fixture(scope="module")
def made(artifacts: Path, tmp_path_factory) -> tuple[Path, Path]:
    """A study killed after its first cell and resumed, and one that was left alone."""
    folder = tmp_path_factory.mktemp("study")
    killed = folder / "killed"
    running = subprocess.Popen(
        command(artifacts, killed), cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    for line in running.stdout:
        if line.startswith("[2/"):
            break
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert not (killed / "study.html").exists()
    done = run_study(artifacts, killed)
    assert done.returncode == 0, done.stderr
    assert re.search(r"5 cells, [2-4] of them finished already", done.stdout), done.stdout
    whole = folder / "whole"
    assert run_study(artifacts, whole).returncode == 0
    return killed, whole


def test_a_killed_study_goes_on_and_gives_the_same_tables(made) -> None:
    killed, whole = made
    names = sorted(path.name for path in (whole / "tables").iterdir())
    assert len(names) == 9 and names == sorted(path.name for path in (killed / "tables").iterdir())
    for name in names:
        one, other = (pl.read_parquet(folder / "tables" / name) for folder in made)
        shared = [column for column in one.columns if column not in TIMES]
        assert one.select(shared).equals(other.select(shared)), name


def test_the_page_needs_no_network_and_shows_every_part(made) -> None:
    text = (made[1] / "study.html").read_text()
    own = re.sub(r"<script>/\*\*.*?</script>", "", text, count=1, flags=re.S)
    assert not re.search(r"(src|href)\s*=\s*[\"']", own) and "@import" not in own
    for title in ("RQ1", "RQ2", "RQ3", "Protocols", "Five films", "How this was made"):
        assert title in own
    plots = re.findall(r'id="(plot-\d+-\d+)"', own)
    assert len(plots) == len(set(plots)) == 9
    assert "prefers-color-scheme: dark" in own and "width=device-width" in own
    assert "transformer from scratch" in own and "held out" in own


def test_a_finished_study_makes_nothing_again(made, artifacts: Path) -> None:
    done = run_study(artifacts, made[0])
    assert "5 cells, 5 of them finished already" in done.stdout and "[" not in done.stdout.splitlines()[1]


def test_what_cannot_be_studied_is_refused(made, artifacts: Path, tmp_path: Path, refused) -> None:
    other = tmp_path / "other"
    shutil.copytree(artifacts, other)
    pl.read_parquet(other / "interactions.parquet").head(400).write_parquet(other / "interactions.parquet")
    refused(run_study(other, made[0]), "is of a study of other data: choose another --output")
    refused(run_study(tmp_path / "nowhere", made[0]), "run `python -m train.data` first")
    words = [f"--artifacts={artifacts}", f"--output={tmp_path / 's'}"]
    strange = subprocess.run(
        [sys.executable, "-m", "bench.study", *words, "--only=bert5"], cwd=ROOT, capture_output=True, text=True
    )
    refused(strange, "no experiment is called 'bert5'")


def row(value: float, low: float, high: float) -> dict:
    return {"metric": "hit@10", "value": value, "low": low, "high": high, "p": 0.01, "users": 610, "seeds": 5}


def test_an_interval_with_zero_is_not_distinguishable() -> None:
    assert compared(row(0.02, 0.01, 0.03), "A", "B") == (
        "A is better than B: +2.00 points of Hit@10 [+1.00, +3.00], p = 0.0100 (610 users, 5 seeds)."
    )
    assert compared(row(0.02, -0.01, 0.05), "A", "B").startswith("A is not distinguishable from B: +2.00")
    assert compared(row(-0.02, -0.03, -0.01), "A", "B").startswith("A is worse than B: -2.00")


def test_convergence_in_words() -> None:
    columns = ["experiment", "title", "seed", "goal", "epochs", "goal_epochs", "seconds", "goal_seconds"]
    table = pl.DataFrame(
        [("hybrid", "hybrid", 0, 7.4, 1, 5, 4.0, 16.0), ("hybrid", "hybrid", 1, 7.4, 2, 5, 8.0, 16.0)],
        columns,
        orient="row",
    )
    (sentence,) = answers_convergence({"convergence": table})
    assert "in 1.5 instead of 5.0 epochs (0.30 of them) and 0.38 of the seconds" in sentence
    never = table.with_columns(epochs=pl.when(pl.col("seed") == 0).then(pl.col("epochs")))
    assert "does not reach" in answers_convergence({"convergence": never})[0]
    assert "for 1 of 2 seeds" in answers_convergence({"convergence": never})[0]


def test_the_list_of_experiments_is_consistent() -> None:
    names = [experiment.name for experiment in EXPERIMENTS]
    assert len(names) == len(set(names)) and {name for pair in PAIRS for name in pair} <= set(names)
    for experiment in EXPERIMENTS:
        assert experiment.kind in CONFIGS
        for member in filter(None, experiment.changes.get("members", "").split(",")):
            assert member in names and next(e for e in EXPERIMENTS if e.name == member).stage < experiment.stage
