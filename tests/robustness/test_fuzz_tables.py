"""Damaged tables of every format: rows or one line, and never the end of the process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.checkerboard import ROOT
from tests.tools.fuzz_tables import FORMATS, answers

FEW, MANY = 100, 20_000


@pytest.mark.parametrize("ending", FORMATS)
def test_damaged_tables_are_refused_or_read(ending: str, capfd) -> None:
    found = answers(ending, FEW, 0)
    assert not capfd.readouterr().err, "what a compiled reader says of its panics is not for users"
    assert found["refused/refused"] and found["read/read"]


@pytest.mark.long
@pytest.mark.parametrize("ending", FORMATS)
def test_many_damaged_tables_are_refused_or_read(ending: str) -> None:
    words = [sys.executable, "-X", "faulthandler", "-m", "tests.tools.fuzz_tables", ending, str(MANY), "0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "1"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not done.stderr
    assert "refused/refused" in done.stdout and "read/read" in done.stdout


def test_a_table_that_ends_its_reader_ends_no_command(artifacts: Path, run, refused, tmp_path: Path) -> None:
    """tests/helpers/aborting.parquet was found by atheris: with Polars 2.1 its reader aborts the process."""
    path = ROOT / "tests" / "helpers" / "aborting.parquet"
    given = [f"--model={artifacts / 'hybrid.onnx'}", f"--interactions={path}"]
    for words in (
        ("infer.batch", *given, f"--output={tmp_path / 'l.parquet'}"),
        ("infer.evaluate", *given),
        ("infer.recommend", *given, "--user=1"),
        ("train.data", f"--dataset={path}", f"--artifacts={tmp_path}"),
        ("train.data", f"--dataset={artifacts / 'interactions.parquet'}", f"--items={path}", f"--artifacts={tmp_path}"),
    ):
        refused(run(*words), "aborting.parquet cannot be read")
