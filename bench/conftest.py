"""Benchmarks run with `pytest --benchmark-only`; plain `pytest` skips them.

Each record carries the machine and the sizes it was measured with.
"""

import os
import platform

import onnxruntime as ort
import pytest


@pytest.fixture
def machine() -> dict[str, str | int]:
    """What a reader must know beside a time."""
    return {
        "device": "cpu",
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 0,
        "onnxruntime": ort.__version__,
    }
