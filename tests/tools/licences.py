"""What the project is installed with: every distribution, its version and its licence.

    python -m tests.tools.licences

prints a table of all that `pip install -e ".[dev]"` brings in, and marks what scoring alone needs. It ends with
status 1 if a licence is unknown or not allowed.
"""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement

PROJECT = "hybrid-recommender-onnx"
# Words of SPDX expressions and of older metadata: what may be used, changed and passed on with the project.
ALLOWED = (
    "MIT", "MIT-0", "MIT-CMU", "MIT License", "BSD License", "BSD-2-Clause", "BSD-3-Clause", "3-Clause BSD License",
    "0BSD", "Apache-2.0", "Apache 2.0", "Apache Software License", "Apache-2.0 WITH LLVM-exception", "PSF-2.0",
    "Python Software Foundation License", "MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)", "Zlib", "CC0-1.0",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication", "BSL-1.0", "ISC", "Unlicense", "HPND",
)  # fmt: skip
# CUDA libraries that a PyTorch of the package index brings on Linux: not open source, free to use with a GPU.
CUDA = re.compile(r"nvidia-|cuda-|triton")


def name_of(distributed: Distribution) -> str:
    """The normalised name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distributed.metadata["Name"]).lower()


def installed(*extras: str) -> dict[str, Distribution]:
    """Every installed distribution that the project needs with these extras, the project itself left out."""
    found: dict[str, Distribution] = {}
    asked: set[tuple[str, tuple]] = set()
    wanted = [(PROJECT, tuple(extras))]
    while wanted:
        name, with_extras = wanted.pop()
        if (name, with_extras) in asked:
            continue
        asked.add((name, with_extras))
        try:
            distributed = distribution(name)
        except PackageNotFoundError:
            if name == PROJECT:
                raise
            continue  # tests/test_supply.py sees that its pin is not installed
        found[name_of(distributed)] = distributed
        for text in distributed.requires or []:
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *with_extras)):
                wanted.append((needed.name, tuple(sorted(needed.extras))))
    found.pop(PROJECT)
    return dict(sorted(found.items()))


def licences(distributed: Distribution) -> list[str]:
    """The licences that all apply (of an `OR`, either) as the distribution states them; empty if it says nothing."""
    metadata = distributed.metadata
    stated = metadata.get("License-Expression")
    if stated:
        return [part.strip(" ()") for part in re.split(r"\bAND\b", stated)]
    classes = [c.split(" :: ")[-1] for c in metadata.get_all("Classifier") or [] if c.startswith("License ::")]
    text = (metadata.get("License") or "").strip().partition("\n")[0]
    return classes or [part.strip(" ()") for part in re.split(r"\bAND\b", text) if part.strip()]


def allowed(stated: list[str]) -> bool:
    """Whether every licence is, or of an `OR` one."""
    return bool(stated) and all(any(one.strip() in ALLOWED for one in part.split(" OR ")) for part in stated)


def main() -> int:
    """Print the table."""
    serving, bad = installed(), 0
    for name, distributed in installed("dev").items():
        stated = licences(distributed)
        good = allowed(stated) or bool(CUDA.match(name))
        bad += not good
        room = "scoring" if name in serving else "all"
        texts = f"{distributed.version:16}{room:9}{' AND '.join(stated) or 'unknown'}"
        print(f"{'' if good else 'NOT ALLOWED ':12}{name:28}{texts}")
    return int(bad > 0)


if __name__ == "__main__":
    raise SystemExit(main())
