"""Versions of the libraries that a result was made with."""

import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import onnxruntime as ort
import polars as pl


def versions(*names: str) -> dict[str, str]:
    """Of Python and of these distributions, absent ones left out; by default of what computes the lists."""
    found = {"python": platform.python_version()}
    if not names:
        return found | {"onnxruntime": ort.__version__, "polars": pl.__version__, "numpy": np.__version__}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
