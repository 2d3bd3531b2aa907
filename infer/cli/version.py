"""The version that --version prints.

python -m infer --version
"""

import tomllib
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

PROJECT = "hybrid-recommender-onnx"


def version() -> str:
    """Of the installed project, or of the checkout that these files lie in."""
    try:
        return installed_version(PROJECT)
    except PackageNotFoundError:
        return tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["version"]


def version_line() -> str:
    """Name and version."""
    return f"{PROJECT} {version()}"
