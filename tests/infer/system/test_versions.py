"""Versions are those of what is installed, Python's own among them."""

import platform
from importlib import metadata

from infer.system.versions import versions


def test_versions_are_given_in_order_and_what_is_not_installed_is_left_out() -> None:
    expected = [("python", platform.python_version()), ("polars", metadata.version("polars"))]
    expected.append(("numpy", metadata.version("numpy")))
    assert list(versions("polars", "no-such-library", "numpy").items()) == expected


def test_a_package_that_another_distribution_brings_has_that_ones_version(monkeypatch) -> None:
    installed = {"onnxruntime-gpu": "1.99"}

    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(metadata, "packages_distributions", lambda: {"onnxruntime": ["onnxruntime-gpu"]})
    assert versions("onnxruntime", "torch") == {"python": platform.python_version(), "onnxruntime": "1.99"}
