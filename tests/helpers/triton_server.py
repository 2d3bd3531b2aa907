"""A real Triton server on this machine: that of the wheel nvidia-pytriton, whose Python backend runs ONNX Runtime.

In: a model repository. Out: its address, while it is served; or a test that is skipped.

    pip install --no-deps --target build/triton nvidia-pytriton==0.7.0 numpy==1.26.4

The folder of that command is looked for in the checkout, or as $TRITON_SERVER. Triton's ONNX Runtime backend is in no
package registry; tests/helpers/triton/model.py takes its name and place, so config.pbtxt is served as it is written.
"""

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.helpers.checkerboard import HANGS, ROOT

BACKEND = ROOT / "tests" / "helpers" / "triton" / "model.py"


@contextmanager
def served(repository: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Serve a repository; yields its address and the server's log.  folder: an empty one, for backends and log."""
    packages = Path(os.environ.get("TRITON_SERVER", ROOT / "build" / "triton"))
    home = packages / "pytriton" / "tritonserver"
    if not home.is_dir():
        pytest.skip(f"no Triton server in {packages}: .ci/run shows how to install one")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copytree(home / "backends" / "python", folder / "backends" / "python")
    shutil.copy(home / "python_backend_stubs" / version / "triton_python_backend_stub", folder / "backends" / "python")
    (folder / "backends" / "onnxruntime").mkdir()
    shutil.copy(BACKEND, folder / "backends" / "onnxruntime")
    libraries = [str(packages / "nvidia_pytriton.libs"), sysconfig.get_config_var("LIBDIR")]
    environment = os.environ | {"LD_LIBRARY_PATH": os.pathsep.join(libraries), "TRITON_PACKAGES": str(packages)}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    stub = folder / "backends" / "python" / "triton_python_backend_stub"
    needed = subprocess.run(["ldd", stub], env=environment, capture_output=True, text=True)
    if needed.returncode or "not found" in needed.stdout:
        pytest.skip(f"the Triton server cannot run here: {(needed.stdout + needed.stderr).strip()[-200:]}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        home / "bin" / "tritonserver", f"--model-repository={repository}", f"--backend-directory={folder / 'backends'}",
        "--http-address=127.0.0.1", f"--http-port={port}", "--allow-grpc=false", "--allow-metrics=false",
        "--disable-auto-complete-config",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait(server, f"http://127.0.0.1:{port}", folder / "log")
            yield f"http://127.0.0.1:{port}", folder / "log"
        finally:
            server.terminate()
            server.wait(HANGS)


def _wait(server: subprocess.Popen, address: str, log: Path) -> None:
    """Until it is ready."""
    end = time.monotonic() + HANGS
    while server.poll() is None and time.monotonic() < end:
        try:
            if httpx.get(f"{address}/v2/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"Triton does not become ready: {log.read_text(errors='replace')[-3000:]}")
