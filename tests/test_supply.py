"""What the project is built from: pinned, licensed, and silent."""

import os
import re
import subprocess
import sys
from importlib.metadata import requires
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.helpers.checkerboard import ROOT
from tests.tools.licences import ALLOWED, CUDA, PROJECT, allowed, installed, licences

PINS = {
    re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower(): line.partition("==")[2].strip()
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
}


def test_everything_that_is_installed_has_one_exact_pin() -> None:
    for name in installed("dev"):
        assert name in PINS or CUDA.match(name), f"{name} is installed but has no pin in constraints.txt"
    assert all(Version(pin) for pin in PINS.values())


def test_the_ranges_of_the_project_hold_its_pins_and_older_pytorch() -> None:
    for text in requires(PROJECT):
        needed = Requirement(text)
        name = re.sub(r"[-_.]+", "-", needed.name).lower()
        if name != PROJECT:
            assert PINS[name] in needed.specifier, text
        if name == "torch":
            assert "2.11.0" in needed.specifier
        assert not any(part.operator in ("==", "<", "<=", "~=") for part in needed.specifier), (
            f"{text} is no open range"
        )


@pytest.mark.parametrize("extra", ["", "dev"])
def test_every_licence_is_known_and_allowed(extra: str) -> None:
    for name, one in installed(extra).items():
        stated = licences(one)
        assert allowed(stated) or CUDA.match(name), f"{name} has the licence {stated}"
    assert not allowed([]) and not allowed(["GPL-3.0"]) and not allowed(["MIT", "GPL-3.0"])
    assert allowed(["MIT OR GPL-3.0"]) and "GPL" not in " ".join(ALLOWED)


# Runs a command with every way to another machine cut off inside Python, and says which was tried.
CUT_OFF = """
import runpy, sys
def refuse(event, given):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.Request"):
        sys.stderr.write(f"NETWORK {event} {given[1:]}\\n")
        raise OSError("cut off")
sys.addaudithook(refuse)
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("words", [
    ("infer.batch", "--model={f}/hybrid.onnx", "--output={t}/l.parquet"),
    ("infer.evaluate", "--model={f}/mf.onnx", "--negatives=3"),
    ("infer.recommend", "--model={f}/bert.onnx", "--user=101"),
    ("export", "mf", "--artifacts={f}"),
    ("export.package", "--model={f}/mf.onnx", "--to=mlflow", "--output={t}/m"),
    (
        "export.package", "--model={f}/mf.onnx", "--to=huggingface", "--output={t}/h", "--personal-data",
        "--data-license=own",
    ),
    ("train", "hybrid", "--preset=paper", "--epochs=1", "--max-length=8", "--artifacts={f}", "--name=quiet"),
    ("train.data", "--dataset={f}/interactions.parquet", "--artifacts={t}"),
], ids=lambda words: words[0])  # fmt: skip
def test_no_command_opens_a_connection(words: tuple, artifacts: Path, tmp_path: Path) -> None:
    """For compiled code, too, where the system lets a process leave the network."""
    library = next((word.removeprefix("--to=") for word in words if word.startswith("--to=")), "infer")
    if find_spec({"huggingface": "huggingface_hub"}.get(library, library)) is None:
        pytest.skip(f"the library of {library} is not installed")
    copy = tmp_path / "a"
    copy.mkdir()
    for path in artifacts.iterdir():
        if path.is_file():
            (copy / path.name).write_bytes(path.read_bytes())
    command = [sys.executable, "-c", CUT_OFF, *(word.format(f=copy, t=tmp_path) for word in words)]
    alone = ["unshare", "--net", "--map-root-user"]
    try:
        able = subprocess.run([*alone, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        able = False
    done = subprocess.run(
        [*(alone if able else []), *command], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert "NETWORK" not in done.stderr and done.returncode == 0, done.stderr[-1000:]
