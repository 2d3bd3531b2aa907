"""Read a stranger's Parquet files to the end in a process of its own, before this one does.

Damaged Parquet can make the native reader abort the process (it trusts sizes that stand in the file), which no
`except` catches. Here it is only the child that ends. Text files have shown no such damage
(`tests/tools/fuzz_tables.py`).

In: files. Out: exit status 0, or one line.

    python -m infer.formats.probe ratings.parquet
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from infer.cli import run
from infer.errors import InputError
from infer.formats import folders, opening
from infer.formats.reading import collect
from infer.system.inputs import check_input

ROWS = 4_000_000  # read at once


def probe(path: Path) -> None:
    """Raise InputError if a Parquet file, or one of a folder's table, cannot be read to its end; other files pass."""
    check_input(path)
    if not path.is_dir() and not opening.is_parquet(path):
        return
    files = [file for file in folders.files_of(path) if opening.is_parquet(file)] if path.is_dir() else [path]
    package = str(Path(__file__).resolve().parents[2])
    variables = os.environ | {"PYTHONPATH": os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "infer.formats.probe", *map(os.fspath, files)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, errors="replace")
    if done.returncode < 0:
        raise InputError(f"{path} cannot be read: it is damaged (its reader was ended by signal {-done.returncode})")
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"{path} cannot be read"]
        raise InputError(lines[-1].removeprefix("error: "))


def main(argv: Sequence[str]) -> None:
    """Read every value of every file."""
    for path in map(Path, argv):
        rows = pl.scan_parquet(path, glob=False)
        total = collect(rows.select(pl.len()), path).item()
        for start in range(0, total, ROWS):
            collect(rows.slice(start, ROWS), path)


if __name__ == "__main__":
    raise SystemExit(run(main))
