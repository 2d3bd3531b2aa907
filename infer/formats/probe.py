"""Read a stranger's Parquet, Arrow or JSON files to the end in a process of its own, before this one does.

Damaged files can make native readers abort the process (they trust sizes that stand in the file), which no `except`
catches. Here it is only the child that ends. Separated text has shown no such damage (`tests/tools/fuzz_tables.py`).

In: paths as a list of JSON, on standard input, which takes any number of them. Out: exit status 0, or one line.

    echo '["ratings.parquet"]' | python -m infer.formats.probe
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from infer.cli import run
from infer.errors import InputError
from infer.formats import folders, opening
from infer.formats.reading import collect, collect_names
from infer.system.inputs import check_input
from infer.system.scratch import scratch

VALUES = 2**24  # of columns that are read together: a table may have a thousand, of which few are used
ABORTED, KILLED = 6, 9  # signals: a reader that trusts a size, or the system, may find too little memory


def probe(path: Path) -> None:
    """Raise InputError if a Parquet or Arrow file, or one in a folder, cannot be read to its end.

    JSON lines raise it only if their reader is ended: anything else depends on how they are said to be written, and
    shows when they are read. Other files pass.
    """
    check_input(path)
    kind = "parquet" if path.is_dir() else opening.kind_of(path)
    if kind == "csv":
        return
    files = [file for file in folders.files_of(path) if opening.is_parquet(file)] if path.is_dir() else [path]
    package = str(Path(__file__).resolve().parents[2])
    variables = os.environ | {"PYTHONPATH": os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-m", "infer.formats.probe"],
        input=json.dumps([os.fspath(file) for file in files]), env=variables, capture_output=True, text=True,
        errors="replace",
    )  # fmt: skip
    if done.returncode < 0:
        why = "it is damaged"
        why += ", or there was too little memory" if -done.returncode in (ABORTED, KILLED) else ""
        raise InputError(f"{path} cannot be read: {why} (its reader was ended by signal {-done.returncode})")
    if done.returncode and kind != "jsonl":
        lines = done.stderr.strip().splitlines() or [f"{path} cannot be read"]
        raise InputError(lines[-1].removeprefix("error: "))


def main(argv: Sequence[str]) -> None:
    """Read every value of every file."""
    for path in map(Path, json.loads(sys.stdin.read())):
        with tempfile.TemporaryDirectory(dir=scratch()) as folder:
            rows = opening.open_table(path, folder=Path(folder)).rows
            names = collect_names(rows, path)
            together = len(names)
            if opening.kind_of(path) != "jsonl":  # whose lines have all columns
                together = max(1, VALUES // max(1, collect(rows.select(pl.len()), path).item()))
            for start in range(0, len(names), together):
                collect(rows.select(pl.col(names[start : start + together]).null_count()), path)


if __name__ == "__main__":
    raise SystemExit(run(main))
