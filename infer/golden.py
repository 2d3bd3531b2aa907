"""Check that a model file gives here the lists that it gave when it was exported.

In: a model file, which carries a few inputs and their lists. Out: a line, or the first difference and status 2.

    python -m infer.golden --model hybrid.onnx

For a new machine, device or version of ONNX Runtime, before lists are made with it. If NAME.contract.json lies beside
the file, it must be of this file.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Literal

import onnxruntime as ort

from infer.cli import option, parse, run, say
from infer.errors import InputError
from infer.model.contract import sidecar_of
from infer.model.golden import differences, stored
from infer.model.session import find_model, open_session


@dataclass(frozen=True, kw_only=True)
class GoldenConfig:
    """Options of `python -m infer.golden`."""

    model: Path = option(MISSING, "model file; looked for as given, then in artifacts/")
    device: Literal["cpu", "cuda"] = option("cpu", "device to run on; fails if it is unavailable")
    threads: int = option(0, "threads of ONNX Runtime; 0 means one for each core", minimum=0)


def main(argv: Sequence[str]) -> None:
    """Parse, check, print."""
    config = parse(GoldenConfig, argv, __doc__)
    path = find_model(config.model)
    number = check(path, config.device, config.threads)
    say(f"{path}: {number} cases give the expected lists on {config.device} (onnxruntime {ort.__version__})")


def check(path: Path, device: str = "cpu", threads: int = 0) -> int:
    """How many cases a file carries, all of which give the expected lists.

    Raises InputError if one does not, if the file cannot be opened, or if the JSON beside it is of another.
    """
    content, _, session = open_session(path, device, threads)
    golden = stored(content, str(path))
    beside = sidecar_of(path)
    if beside.is_file():
        try:
            named = json.loads(beside.read_bytes())["sha256"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            raise InputError(f"{beside} is damaged: export {path.name} again") from None
        if named != hashlib.sha256(content).hexdigest():
            raise InputError(f"{beside} is of another file than {path}: copy both, or export again")
    wrong = differences(golden, session)
    if wrong:
        more = f"; and {len(wrong) - 1} more of {len(golden['cases'])} cases" if wrong[1:] else ""
        raise InputError(f"{path} gives other lists here than when it was exported: {wrong[0]}{more}")
    return len(golden["cases"])


if __name__ == "__main__":
    raise SystemExit(run(main))
