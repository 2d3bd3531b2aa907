"""Models that the tests of the folder and of its page show, and the folder."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from export.web.bundle import WebOptions, bundle
from tests.helpers.page import installed, stand_in

Run = Callable[..., subprocess.CompletedProcess]
Once = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def models(once: Once, run: Run, artifacts: Path) -> Path:
    """A folder with mf of the implicit objective, which a history can ask, and the hybrid of `artifacts`."""

    def make(folder: Path) -> None:
        for name in ("interactions.parquet", "items.parquet", "hybrid.onnx", "hybrid.pt"):
            shutil.copy(artifacts / name, folder)
        for words in (("train", "mf", "--dim=8", "--regularization=0.1"), ("export", "mf")):
            done = run(*words, f"--artifacts={folder}")
            assert done.returncode == 0, done.stderr

    return once("web-models", make)


@pytest.fixture(scope="session")
def web(once: Once, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with both models, lists of five and two reasons; with packages that run where they are installed."""
    packages = installed() or stand_in(tmp_path_factory.mktemp("packages"))

    def make(folder: Path) -> None:
        bundle([models / "mf.onnx", models / "hybrid.onnx"], folder, WebOptions(runtime=packages, k=5, reasons=2))

    return once("web-page", make)
