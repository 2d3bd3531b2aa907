"""This project's name and version.

In: the installed project's metadata, or the checkout that this file lies in. Out: texts.

    python -m infer --version
"""

from pathlib import Path

PROJECT = "hybrid-recommender-onnx"


def project_version() -> str:
    """As it was installed, or else as the checkout says."""
    # Imported only when asked: every command would wait 0.03 s for them.
    import tomllib
    from importlib import metadata

    try:
        return metadata.version(PROJECT)
    except metadata.PackageNotFoundError:
        stated = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
        return str(stated["project"]["version"])


def version_line() -> str:
    """`NAME VERSION`, as --version prints it."""
    return f"{PROJECT} {project_version()}"
