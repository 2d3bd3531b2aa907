"""Versions of Python and of the libraries that a result was made with.

In: names of installed distributions. Out: {name: version}, Python's own first.

    python -c "from infer.system.versions import versions; print(versions('polars', 'numpy'))"
"""

import platform
from importlib import metadata


def versions(*names: str) -> dict[str, str]:
    """Of Python and of the distributions `names`, in this order; those that are not installed are left out."""
    by_name = {name: _version(name) for name in names}
    return {"python": platform.python_version()} | {name: version for name, version in by_name.items() if version}


def _version(name: str) -> str | None:
    """A distribution's version, or that of the one that installed a package of this name, as onnxruntime-gpu does."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        others = metadata.packages_distributions().get(name, [])
        return metadata.version(others[0]) if others else None
