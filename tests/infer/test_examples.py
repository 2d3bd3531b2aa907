"""What the docstrings of `infer` show can be typed: every `python -c` runs, every `python -m` names a module."""

import ast
import importlib
import importlib.util
import re
import shlex
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.helpers.checkerboard import ROOT
from tests.helpers.markov import write_model


def shown(pattern: str) -> list[tuple[str, str]]:
    """(file, what the pattern's group finds) of all module docstrings."""
    found = []
    for path in sorted((ROOT / "infer").rglob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        found += [(str(path.relative_to(ROOT)), match) for match in re.findall(pattern, text, re.MULTILINE)]
    return found


CODES = shown(r"^ *python -c (.*)$")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the examples name."""
    table = pl.DataFrame({"user": [7, 7], "item": [1, 50], "timestamp": [1, 2]})
    table.write_parquet(tmp_path / "interactions.parquet")
    table.write_csv(tmp_path / "ratings.csv")
    write_model(tmp_path / "hybrid.onnx", [1, 50, 260, 300], np.ones((5, 5)), tmp_path / "interactions.parquet")
    return tmp_path


@pytest.mark.parametrize(("file", "code"), CODES, ids=[file for file, _ in CODES])
def test_an_example_runs_and_prints(file: str, code: str, folder: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(folder)
    [program] = shlex.split(code)
    exec(program, {})
    assert capsys.readouterr().out.strip()


def test_modules_that_examples_name_are_there() -> None:
    named = shown(r"python -m ([a-z_.]+[a-z_])")
    assert len(CODES) >= 8 and len(named) >= 8
    for file, module in named:
        assert importlib.util.find_spec(module), f"{file} shows {module}"
    for file, name in shown(r"`(infer\.[a-z_.]+[a-z_])"):
        owner, _, last = name.rpartition(".")
        assert hasattr(importlib.import_module(owner), last) or importlib.util.find_spec(name), f"{file} names {name}"
