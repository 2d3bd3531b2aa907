"""Shared by all tests: a tiny data set, models trained on it for a moment, and a way to run commands."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from checkerboard import ROOT, checkerboard

Run = Callable[..., subprocess.CompletedProcess]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--data-dir",
        default=os.environ.get("RECOMMENDER_DATA"),
        help="folder that holds ml-latest-small, for the tests on real ratings (or $RECOMMENDER_DATA)",
    )


@pytest.fixture(scope="session")
def run() -> Run:
    """Run `python -m MODULE WORDS...` as a user would; returns the finished process."""

    def call(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
        variables = {k: v for k, v in os.environ.items() if k != "RECOMMENDER_DATA"}
        variables |= {"PYTHONPATH": str(ROOT), **environment}
        command = [sys.executable, "-m", *map(str, words)]
        return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=300)

    return call


@pytest.fixture(scope="session")
def refused() -> Callable[[subprocess.CompletedProcess, str], None]:
    """Assert that a command failed with one line that contains a text, and without a traceback."""

    def check(done: subprocess.CompletedProcess, text: str) -> None:
        assert done.returncode != 0, done.stdout
        errors = [line for line in done.stderr.splitlines() if line.strip()]
        assert len(errors) == 1, done.stderr
        assert errors[0].startswith("error: ") and text in errors[0]
        assert "Traceback" not in done.stdout + done.stderr

    return check


@pytest.fixture(scope="session")
def ratings_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkerboard as a CSV file, with titles and genres beside it in items.csv."""
    folder = tmp_path_factory.mktemp("ratings")
    table = checkerboard()
    table.write_csv(folder / "ratings.csv")
    items = table.select(pl.col("item").unique().sort())
    items.with_columns(
        pl.format("Film {} (1999)", "item").alias("title"),
        pl.when(pl.col("item") % 2 == 1).then(pl.lit("Comedy|Drama")).otherwise(pl.lit("War")).alias("genres"),
    ).write_csv(folder / "items.csv")
    return folder / "ratings.csv"


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory, run: Run, ratings_csv: Path) -> Path:
    """A folder with the prepared checkerboard and all three models, trained briefly and exported."""
    folder = tmp_path_factory.mktemp("artifacts")
    items = ratings_csv.with_name("items.csv")
    for words in (
        ("train.data", f"--dataset={ratings_csv}", f"--items={items}"),
        ("train", "mf", "--preset=paper", "--epochs=20", "--batch-size=16", "--learning-rate=0.02"),
        ("train", "bert", "--preset=paper", "--epochs=3", "--window=8"),
        ("train", "hybrid", "--preset=paper", "--epochs=3", "--window=8"),
        ("export",),
    ):
        done = run(*words, f"--artifacts={folder}")
        assert done.returncode == 0, done.stderr
    return folder
