"""The wheel: what serving and training need, and no more; it scores without the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import polars as pl
import pytest

from tests.helpers.checkerboard import HANGS, ROOT

PACKAGES = ("infer", "train", "export")
BUILD = "import setuptools.build_meta as backend; backend.build_wheel('dist')"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the checkout."""
    pytest.importorskip("setuptools", minversion="77", reason="setuptools, which builds the wheel, is not installed")
    folder = tmp_path_factory.mktemp("source")
    for name in (*PACKAGES, "bench", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder / name)
    done = subprocess.run([sys.executable, "-c", BUILD], cwd=folder, capture_output=True, text=True, timeout=HANGS)
    assert done.returncode == 0, done.stderr
    (path,) = (folder / "dist").glob("*.whl")
    return path


def test_it_holds_every_module_of_three_packages_their_types_and_the_page(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if ".dist-info/" not in name}
    code = {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    page = {str(path.relative_to(ROOT)) for path in (ROOT / "export" / "web" / "page").iterdir()}
    assert names == code | page | {f"{package}/py.typed" for package in PACKAGES}


def test_it_scores_without_the_checkout(wheel: Path, artifacts: Path, tmp_path: Path) -> None:
    site, lists = tmp_path / "site", tmp_path / "lists.parquet"
    with zipfile.ZipFile(wheel) as file:
        file.extractall(site)
    # -S: without what .pth files add, for an editable installation would step in for what the wheel lacks.
    paths = [str(site), *dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))]
    done = subprocess.run(
        [sys.executable, "-S", "-m", "infer.batch", f"--model={artifacts / 'mf.onnx'}", f"--output={lists}", "--k=3"],
        cwd=tmp_path, env={"PYTHONPATH": os.pathsep.join(paths), "POLARS_MAX_THREADS": "1"},
        capture_output=True, text=True, timeout=HANGS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(lists).group_by("user").len()["len"].unique().to_list() == [3]
