"""What every benchmark record says beside its seconds: on what, with what, of what size, at which commit.

In: a part of the benchmarks, a device, sizes. Out: values for pytest-benchmark's `extra_info`; `bench.records.runs`
reads them back and refuses those of another FORMAT.

    benchmark.extra_info |= about("session", "mf", "cpu", ran_on="cpu", megabytes=1.2)
"""

import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import onnxruntime as ort
import torch

from infer.errors import InputError
from infer.model.session import PROVIDERS, Model
from infer.system.files import write_text
from infer.system.ownership import MARK
from infer.system.versions import versions

FORMAT = 3
# They decide a timing.
LIBRARIES = ("onnxruntime", "torch", "polars", "numpy", "implicit", "onnx", "pytest-benchmark")
ROOT = Path(__file__).resolve().parents[2]


def about(part: str, model: str, device: str, session_threads: int = 0, **more: Any) -> dict[str, Any]:
    """One record.

    part: which question it answers (inference, latency, command, ...).  device: asked for; `ran_on` starts as
    nothing and is set by who ran it.  session_threads: of ONNX Runtime; 0: as many as there are cores.  more: sizes and
    results.
    """
    return {
        "format": FORMAT,
        "part": part,
        "model": model,
        "device": device,
        "device_name": device_name(device),
        "cores": os.cpu_count() or 1,
        "threads": {"onnxruntime": session_threads, "torch": torch.get_num_threads()},
        "variables": {name: os.environ[name] for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY") if name in os.environ},
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions(*LIBRARIES),
        "commit": commit(),
    } | more


def save(record: dict[str, Any], path: Path | None) -> None:
    """Write what a command measured, as JSON with the mark of this project; nothing without a path."""
    if path is not None:
        write_text(path, json.dumps(MARK | record, indent=2) + "\n", owned=True)


@contextmanager
def workplace(folder: Path | None) -> Iterator[Path]:
    """The folder, made if need be, or a temporary one that goes afterwards."""
    with tempfile.TemporaryDirectory() as temporary:
        place = folder or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        yield place


def devices(wanted: str) -> list[str]:
    """The devices to measure on: those there for "all", else the one named.

    Raises InputError if it is not there: nothing is timed on another device than asked for.
    """
    there = ["cpu", *(["cuda"] if cuda_is_there() else [])]
    if wanted == "all":
        return there
    if wanted not in PROVIDERS:
        raise InputError(f"--device is one of all, {', '.join(PROVIDERS)}; found '{wanted}'")
    if wanted not in there:
        raise InputError(f"--device {wanted}: no such device here for both onnxruntime and PyTorch")
    return [wanted]


def cuda_is_there() -> bool:
    """Whether both engines can use a CUDA device."""
    return PROVIDERS["cuda"] in ort.get_available_providers() and torch.cuda.is_available()


def ran_on(model: Model) -> str:
    """Which device an open session really uses."""
    names = {provider: device for device, provider in PROVIDERS.items()}
    provider = model.session.get_providers()[0]
    return names.get(provider, provider)


@cache
def device_name(device: str) -> str:
    """The maker's name of the processor or GPU."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


@cache
def commit() -> str:
    """The checked-out commit, with `+` if files differ from it; `unknown` outside a repository."""
    git = ["git", "-C", str(ROOT)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
