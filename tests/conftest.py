"""Shared by all tests: a tiny data set, models trained on it for a moment, and a way to run commands.

Tests run with one thread a process, whatever the machine has: threads that spin beside other processes make them
many times slower. A time limit is there to end what hangs; none is near what a command takes. With `pytest -n 2`
they run in two processes, of which one trains what both need.
"""

import contextlib
import importlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from filelock import FileLock

from infer import cli
from infer.formats import probe
from tests.helpers.checkerboard import HANGS, ROOT, checkerboard
from tests.helpers.documents import shell, write_films, write_tables
from tests.helpers.repeated import operators_read_once, probing

Run = Callable[..., subprocess.CompletedProcess]
Once = Callable[[str, Callable[[Path], None]], Path]

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS"), "1"
)
# ranx computes a few hundred lists; compiling for them takes a minute.
INTERPRETED = {"NUMBA_DISABLE_JIT": "1"}


def pytest_configure(config: pytest.Config) -> None:
    """One thread for this process and all that it starts, unless the benchmarks are to run."""
    cli.tell()
    if config.getoption("benchmark_only", False):
        return
    os.environ.update(ONE_THREAD | INTERPRETED)
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)
    operators_read_once()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--data-dir",
        default=os.environ.get("RECOMMENDER_DATA"),
        help="folder that holds ml-latest-small, for the tests on real ratings (or $RECOMMENDER_DATA)",
    )


@pytest.fixture(scope="session", autouse=True)
def probed_by_a_fork() -> Iterator[None]:
    """A new Python for each table takes longer than most tests; tests/infer/formats/test_probe.py has it."""
    with probing() as run, pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "subprocess", SimpleNamespace(run=run))
        yield


@pytest.fixture(scope="session")
def typed() -> Run:
    """Run `python -m MODULE WORDS...` as a user would, in a process of its own; returns the finished process."""

    def call(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
        variables = {k: v for k, v in os.environ.items() if k != "RECOMMENDER_DATA"}
        variables |= {"PYTHONPATH": str(ROOT), **environment}
        command = [sys.executable, "-m", *map(str, words)]
        return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=HANGS)

    return call


@pytest.fixture(scope="session")
def run() -> Run:
    """What `typed` does, in this process: a command is its `main`, with its words, output and exit status."""

    def call(module: str, *words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
        found = importlib.util.find_spec(module)
        main = importlib.import_module(f"{module}.__main__" if found.submodule_search_locations else module).main
        out, errors = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(cwd)
            patch.delenv("RECOMMENDER_DATA", raising=False)
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", [module, *map(str, words)])
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
                try:
                    status = cli.run(main)
                except SystemExit as ended:
                    status = ended.code
        return subprocess.CompletedProcess([module, *words], status, out.getvalue(), errors.getvalue())

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
def once(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Once:
    """once(name, make): a folder that `make` fills, in one of the processes of a run; each gets a copy of its own."""

    def get(name: str, make: Callable[[Path], None]) -> Path:
        folder = tmp_path_factory.mktemp(name)
        if not hasattr(request.config, "workerinput"):  # without pytest-xdist
            make(folder)
            return folder
        made = tmp_path_factory.getbasetemp().parent / name
        with FileLock(f"{made}.lock"):
            if not made.exists():
                make(folder)
                shutil.copytree(folder, f"{made}.partial", symlinks=True)
                Path(f"{made}.partial").rename(made)
                return folder
        return shutil.copytree(made, folder, symlinks=True, dirs_exist_ok=True)

    return get


@pytest.fixture(scope="session")
def artifacts(once: Once, run: Run, ratings_csv: Path) -> Path:
    """A folder with the prepared checkerboard and all three models, trained briefly and exported."""

    def make(folder: Path) -> None:
        items = ratings_csv.with_name("items.csv")
        for words in (
            ("train.data", f"--dataset={ratings_csv}", f"--items={items}"),
            ("train", "mf", "--preset=paper", "--epochs=20", "--batch-size=16", "--learning-rate=0.02"),
            ("train", "bert", "--preset=paper", "--epochs=3", "--max-length=8"),
            ("train", "hybrid", "--preset=paper", "--epochs=3", "--max-length=8"),
            ("export",),
        ):
            done = run(*words, f"--artifacts={folder}")
            assert done.returncode == 0, done.stderr

    return once("artifacts", make)


@pytest.fixture(scope="session")
def models(artifacts: Path, once: Once) -> Path:
    """A folder with mf.onnx and hybrid.onnx, the same with a fixed number of items (mf.k4.onnx and, with titles,
    hybrid.k3.onnx), and what their training left."""
    from export.carried import Carried
    from export.exporter import export

    def make(folder: Path) -> None:
        names = ("mf.pt", "mf.onnx", "mf.contract.json", "hybrid.pt", "hybrid.onnx", "hybrid.contract.json")
        for name in (*names, "interactions.parquet", "items.parquet"):
            shutil.copy(artifacts / name, folder)
        export("mf", folder, carried=Carried(fixed_k=4))
        export("hybrid", folder, carried=Carried(fixed_k=3, titles=True))

    return once("models", make)


@pytest.fixture(scope="session")
def film_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `RECOMMENDER_DATA` finds MovieLens latest-small, in small."""
    folder = tmp_path_factory.mktemp("data")
    write_films(folder)
    return folder


@pytest.fixture(scope="session")
def films(once: Once, film_data: Path) -> Path:
    """What README's first command leaves as typed, in train-all.txt what it printed, and the tables of the docs."""

    def make(folder: Path) -> None:
        write_tables(folder)
        (folder / "train-all.txt").write_text(shell(["just", "train-all"], folder, film_data))

    return once("films", make)
