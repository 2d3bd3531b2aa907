"""Tiny models as the exports write them, with and without a fixed number of items."""

import shutil
from pathlib import Path

import pytest

from export.carried import Carried
from export.exporter import export
from infer.model.contract import sidecar_of

NAMES = ("mf", "hybrid", "mf.k4", "hybrid.k3")


@pytest.fixture(scope="session")
def models(artifacts: Path, once) -> Path:
    """A folder with the files of `NAMES`, and what their training left."""

    def make(folder: Path) -> None:
        for name in ("mf", "hybrid"):
            for path in (artifacts / f"{name}.onnx", sidecar_of(artifacts / f"{name}.onnx"), artifacts / f"{name}.pt"):
                shutil.copy(path, folder)
        for name in ("interactions.parquet", "items.parquet"):
            shutil.copy(artifacts / name, folder)
        for name, k in (("mf", 4), ("hybrid", 3)):
            export(name, folder, carried=Carried(fixed_k=k))

    return once("packed", make)


@pytest.fixture(params=NAMES)
def model(request: pytest.FixtureRequest, models: Path) -> Path:
    """Each of them."""
    return models / f"{request.param}.onnx"
