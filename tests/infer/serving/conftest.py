"""A service of two models and one publication, as a test client sees it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

starlette = pytest.importorskip("starlette", reason="the extra `serve` is not installed")

from starlette.testclient import TestClient  # noqa: E402

from infer.serving.application import application  # noqa: E402
from infer.serving.limits import Limits  # noqa: E402
from infer.serving.loaded import Served  # noqa: E402
from infer.serving.measured import Figures  # noqa: E402


@pytest.fixture(scope="session")
def publishing(once, run, artifacts: Path) -> Path:
    """A folder with hybrid.onnx, mf.onnx and the lists of hybrid, three items each."""

    def make(folder: Path) -> None:
        for name in ("hybrid.onnx", "mf.onnx"):
            shutil.copy(artifacts / name, folder / name)
        done = run(
            "infer.batch", f"--model={artifacts / 'hybrid.onnx'}", f"--output={folder / 'hybrid.topk.parquet'}",
            "--k=3", "--production",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    return once("publishing", make)


@pytest.fixture(scope="session")
def served(publishing: Path) -> Served:
    models = {name: publishing / f"{name}.onnx" for name in ("hybrid", "mf")}
    return Served(models, {"hybrid": publishing / "hybrid.topk.parquet"}, Figures())


@pytest.fixture
def client(served: Served) -> Callable[..., TestClient]:
    """client(limits, token=...): what asks an application under these limits."""

    def make(limits: Limits = Limits(), token: str | None = None) -> TestClient:
        return TestClient(application(served, limits, Figures(), lambda: token).asgi)

    return make
