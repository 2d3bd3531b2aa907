"""Benchmarks run with `pytest --benchmark-only`; plain `pytest` skips them.

    pytest --benchmark-only --device=cuda --benchmark-json=run.json

They train and generate what they need, outside the timing, in a temporary folder; --workload=FOLDER keeps it. Each
record carries the machine and the sizes it was measured with.
"""

import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from bench.rates import Rates, measure_rates, product
from bench.records.records import devices
from bench.workloads.cases import Case, open_case
from bench.workloads.workload import MAIN, OTHERS, Workload, on_threads
from infer.errors import InputError


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="all", help="benchmarks: cpu, cuda, or all that are there (default)")
    parser.addoption("--workload", default=None, help="benchmarks: keep generated data and trained models here")
    parser.addoption("--peers", action="store_true", help="benchmarks: time other libraries, installed apart, too")


def pytest_configure(config: pytest.Config) -> None:
    try:
        devices(config.getoption("--device"))
    except InputError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", devices(metafunc.config.getoption("--device")))


@pytest.fixture(scope="session")
def workloads(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Workload], Path]:
    """The folder of each workload."""
    kept = request.config.getoption("--workload")
    root = Path(kept) if kept else tmp_path_factory.mktemp("workloads")
    names = {workload: name.replace(" ", "-") for name, workload in {"main": MAIN, **OTHERS}.items()}
    return lambda workload: root / names[workload]


@pytest.fixture(scope="session")
def case(workloads: Callable[[Workload], Path]) -> Callable[..., Case]:
    """An open model, its users and its PyTorch twin: case(kind, device, workload)."""
    opened: dict[tuple, Case] = {}

    def get(kind: str, device: str, workload: Workload = MAIN) -> Case:
        if (kind, device, workload) not in opened:
            opened[kind, device, workload] = open_case(kind, device, workload, workloads(workload))
        return opened[kind, device, workload]

    return get


@pytest.fixture(scope="session")
def rates() -> Callable[[int, int, int, str], Rates]:
    """The machine's rates just now, at the shape of a head: rates(batch, width, items, device);
    `bench.records.runs` takes the best of a run."""
    return lambda batch, width, items, device: measure_rates(batch, width, items, device, seconds=0.15)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """PyTorch on one thread, as in all training here."""
    with on_threads():
        yield


@pytest.fixture
def machine() -> dict[str, str | int]:
    """What a reader must know beside a time that belongs to no model."""
    return {"device": "cpu", "processor": platform.machine(), "onnxruntime": ort.__version__}


@pytest.fixture(scope="session")
def calibrations() -> dict[str, Callable[[], None]]:
    """Device -> a matrix product of a few milliseconds."""
    return {device: product(512, 512, 512, device) for device in devices("all")}


@pytest.fixture(autouse=True)
def calibration(request: pytest.FixtureRequest) -> Iterator[None]:
    """The calibration run: seconds of the same small product just before and after each benchmark.

    On a machine that others use it differs from run to run by more than any round shows; `bench.compare` divides by it.
    """
    if "benchmark" not in request.fixturenames:
        yield
        return
    benchmark = request.getfixturevalue("benchmark")  # skips here where benchmarks are not wanted
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    multiply = request.getfixturevalue("calibrations")[parameters.get("device", "cpu")]
    before = _typical(multiply)
    yield
    benchmark.extra_info["calibration_seconds"] = [before, _typical(multiply)]


def _typical(call: Callable[[], None], rounds: int = 30) -> float:
    """Median seconds of a call."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))
