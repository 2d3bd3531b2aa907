"""Whether another machine computes the same, and sees the same files: versions, code, table, model.

In: what this machine has. Out: plain values to send, and one line on what is different.

    python -c "from infer.cluster.same import here; print(here())"
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from infer.errors import InputError
from infer.scoring.job import files_in
from infer.system.fingerprints import fingerprint
from infer.system.versions import versions

# What computes lists, and what carries them between machines.
LIBRARIES = ("onnxruntime", "polars", "numpy", "ray")
CODE = "infer"


@cache
def here() -> dict[str, str]:
    """Versions of this machine by name; of this project the digest of its code, as a checkout has no version."""
    return versions(*LIBRARIES) | {CODE: _code(Path(__file__).parents[1])}


def check_same(mine: dict[str, str], theirs: dict[str, str], node: str) -> None:
    """Raises InputError if a node has other versions."""
    for name in mine | theirs:
        found, expected = theirs.get(name, "none"), mine.get(name, "none")
        if found != expected:
            what = f"another version of this project ({found})" if name == CODE else f"{name} {found}"
            here = expected if name == CODE else f"{name} {expected}"
            raise InputError(
                f"node {node} has {what}, this machine {here}: install the same everywhere; nothing was published"
            )


def mark(table: Path) -> list[int]:
    """What is the same on every machine that sees a table, while it is as it was: its fingerprint without the number
    of the device; raises InputError if the table is not there."""
    try:
        values = fingerprint(table, files_in(table))
    except OSError as error:
        raise InputError(f"{table}: {error.strerror}") from None
    return [value for place, value in enumerate(values) if place % 4]


def unseen(node: str, path: Any) -> InputError:
    """What to raise if a node does not see what this machine does."""
    return InputError(
        f"node {node} does not see {path} as this machine does, or it was replaced meanwhile: model, table and output "
        "lie in folders that all nodes share; nothing was published"
    )


def _code(folder: Path) -> str:
    """The first digits of the SHA-256 of all modules of a package and their names."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        found.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:12]
