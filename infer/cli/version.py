"""The version that --version prints.

In: the installed project's metadata, or the checkout that these files lie in. Out: a line.

    python -m infer --version
"""

from pathlib import Path

PROJECT = "hybrid-recommender-onnx"


def version_line() -> str:
    """`NAME VERSION`."""
    # Imported only when asked: every command would wait 0.03 s for them.
    import tomllib
    from importlib import metadata

    try:
        version = metadata.version(PROJECT)
    except metadata.PackageNotFoundError:
        version = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["version"]
    return f"{PROJECT} {version}"
