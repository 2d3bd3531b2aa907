"""Memory: what docs/benchmarks.md states is enough; too little loses nothing, however the process ends."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from bench.synthetic import SyntheticConfig, write
from bench.workloads.untrained import write_untrained
from tests.helpers.checkerboard import ROOT
from train.config import BertConfig

MIB = 2**20
STATED = 0.42 * 1024  # MiB, in docs/benchmarks.md for a table of a million ratings
PATIENCE = 20  # seconds
ROOM = 256  # MiB that libraries reserve and never touch: stacks of threads, arenas


def score(model: Path, table: Path, output: Path, mebibytes: int | None = None) -> subprocess.CompletedProcess:
    """Run the command, with a limit on what it may allocate (RLIMIT_DATA: heap and private mappings)."""

    def limit() -> None:
        if mebibytes is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (mebibytes * MIB, mebibytes * MIB))

    words = ["-m", "infer.batch", f"--model={model}", f"--interactions={table}", f"--output={output}", "--threads=2"]
    variables = {"PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, *words]
    try:
        return subprocess.run(
            command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, preexec_fn=limit,
            timeout=None if mebibytes is None else PATIENCE,
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:  # Polars waits for threads that got no memory; it was killed
        return subprocess.CompletedProcess(command, -9, "", (late.stderr or b"").decode())


def test_a_million_ratings_fit_into_what_readme_states(tmp_path: Path) -> None:
    table, output = tmp_path / "t.parquet", tmp_path / "l.parquet"
    write(SyntheticConfig(users=6_040, items=3_706, interactions=1_000_000, output=table))
    _, model = write_untrained("bert", BertConfig(), table, tmp_path)
    done = score(model, table, output, int(STATED + ROOM))
    assert done.returncode == 0, done.stderr[-500:]
    assert json.loads((tmp_path / "l.json").read_text())["peak_memory_bytes"] < 1.1 * STATED * MIB


@pytest.mark.parametrize(
    "mebibytes", [60, 120, pytest.param(160, marks=pytest.mark.long), pytest.param(200, marks=pytest.mark.long)]
)
def test_too_little_memory_loses_nothing(artifacts: Path, mebibytes: int, tmp_path: Path) -> None:
    """A compiled library that gets no memory may end the process with words of its own."""
    model, table, output = artifacts / "hybrid.onnx", artifacts / "interactions.parquet", tmp_path / "l.parquet"
    assert score(artifacts / "mf.onnx", table, output).returncode == 0
    earlier = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = score(model, table, output, mebibytes)
    if done.returncode:
        loading = "import" in done.stderr or "in main" not in done.stderr
        assert "Traceback" not in done.stderr or loading, "only while libraries are loaded"
        assert all(path.read_bytes() == content for path, content in earlier.items())
    assert score(model, table, output).returncode == 0
    assert not list(tmp_path.glob("*.partial")) and not list(tmp_path.rglob("*.part"))


def test_the_smallest_of_these_limits_is_too_little(artifacts: Path, tmp_path: Path) -> None:
    done = score(artifacts / "hybrid.onnx", artifacts / "interactions.parquet", tmp_path / "l.parquet", 60)
    assert done.returncode != 0 and not (tmp_path / "l.parquet").exists()


SORTING = """
import sys
from pathlib import Path
from infer.system.memory import peak_memory
from infer.sources import source, sorting
from infer.tables.options import TableOptions
sorting.ROWS = sorting.SORTED_ROWS = int(sys.argv[3])
before = peak_memory()
found = source.open_source(Path(sys.argv[1]), TableOptions(), Path(sys.argv[2]))
print(found.users, peak_memory() - before)
"""


def test_sorting_takes_the_memory_of_one_step_not_of_the_table(tmp_path: Path) -> None:
    """A million unordered rows take in small steps far less than in one, and no more than a quarter of them."""
    config = SyntheticConfig(users=10_000, items=3_706, interactions=1_000_000, output=tmp_path / "t.parquet")
    whole = write(config).sample(fraction=1.0, shuffle=True, seed=1)
    users = whole["user"].n_unique()

    def peak(rows: int, step: int) -> float:
        name = f"{rows}-{step}"
        whole.head(rows).write_parquet(tmp_path / f"{name}.parquet")
        (tmp_path / name).mkdir()
        command = [sys.executable, "-c", SORTING, str(tmp_path / f"{name}.parquet"), str(tmp_path / name), str(step)]
        variables = {"PYTHONPATH": str(ROOT), "POLARS_MAX_THREADS": "2"}
        done = subprocess.run(command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=True)
        found, taken = map(int, done.stdout.split())
        assert rows < whole.height or found == users
        return taken / MIB

    quarter, all_rows, at_once = peak(250_000, 25_000), peak(whole.height, 25_000), peak(whole.height, 1_000_000)
    assert all_rows < at_once / 2 and all_rows < quarter + 32
