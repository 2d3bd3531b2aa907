"""Versions of the libraries that a result was made with."""

import platform

import numpy as np
import onnxruntime as ort
import polars as pl


def versions() -> dict[str, str]:
    """Of what computed the lists."""
    return {
        "python": platform.python_version(),
        "onnxruntime": ort.__version__,
        "polars": pl.__version__,
        "numpy": np.__version__,
    }
