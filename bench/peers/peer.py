"""Other libraries in environments of their own, each driven by one process: ready, then a round when asked.

In: a library's name and the work (`write_work`). Out: a `Peer`, whose `round()` gives seconds.

    python -m bench.peers --only=mf     # makes the environment
"""

import json
import logging
import os
import subprocess
import venv
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from bench.records.records import ROOT
from infer.errors import InputError
from infer.histories.histories import Histories

# Each environment, and what is installed there.
ENVIRONMENTS = {
    "mf": ("implicit==0.7.3", "faiss-cpu==1.15.1"),
    "rectools": ("rectools[torch]==0.19.0",),
    "replay": ("replay-rec[torch]==0.22.0", "openvino==2026.4.1", "onnx", "onnxscript"),
}

# Which environment a library lives in, and which of our models it stands beside.
PEERS = {
    "implicit": ("mf", "mf"),
    "faiss": ("mf", "mf"),
    "rectools": ("rectools", "bert"),
    "replay": ("replay", "bert"),
}

# Threads that wait busily take the core from the next; without this implicit takes two to three times as long here.
VARIABLES = {"OMP_WAIT_POLICY": "passive"}
WORKER, TRAINER = (Path(__file__).with_name(name) for name in ("work.py", "training.py"))
log = logging.getLogger(__name__)


class Peer:
    """A library's process. about: what it says of itself (version, note on what differs).  at_rest: whether its
    threads stood still after every round.  worker: the program that is run there."""

    def __init__(self, name: str, folder: Path, worker: Path = WORKER) -> None:
        python = environment(PEERS[name][0])
        command = [str(python), str(worker), name, str(folder)]
        self.name, self.lists = name, folder / f"{name}.npy"
        self.errors = (folder / f"{name}.log").open("w+", encoding="utf-8")
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=os.environ | VARIABLES,
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.at_rest = True
        self.questions, self.answers = self.process.stdin, self.process.stdout
        self.about = self._answer()

    def round(self) -> float:
        """Let it do the work once; returns the seconds it took, when its threads stand still again."""
        answer = self.ask("go")
        self.at_rest = self.at_rest and answer["at_rest"]
        return answer["seconds"]

    def ask(self, question: str) -> dict:
        """Its answer to one line; raises InputError if it ended instead."""
        with suppress(BrokenPipeError):  # it has ended: why is said by what it wrote
            self.questions.write(f"{question}\n")
            self.questions.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        with suppress(BrokenPipeError):
            self.questions.close()
        self.process.wait(timeout=60)
        self.answers.close()
        self.errors.close()

    def _answer(self) -> dict:
        """Its next line of JSON; raises InputError, with the last line of its errors, if it ended instead."""
        for line in self.answers:
            if line.startswith("{"):
                return json.loads(line)
        self.errors.seek(0)
        lines = [line.strip() for line in self.errors if line.strip()]
        raise InputError(f"{self.name} failed: {lines[-1] if lines else 'without a word'}")


def is_installed(name: str) -> bool:
    """Whether an environment is there, of the versions of today."""
    finished = _folder(name) / "installed.json"
    return finished.is_file() and json.loads(finished.read_bytes()) == list(ENVIRONMENTS[name])


def _folder(name: str) -> Path:
    return Path(os.environ.get("RECOMMENDER_PEERS", ROOT / ".venv-peers")) / name


def environment(name: str) -> Path:
    """The Python of an environment, made if it is not there; raises InputError if pip cannot install it."""
    folder = _folder(name)
    python, finished = folder / "bin" / "python", folder / "installed.json"
    if is_installed(name):
        return python
    log.info(f"installing {', '.join(ENVIRONMENTS[name])} -> {folder}")
    venv.create(folder, with_pip=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *ENVIRONMENTS[name]]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise InputError(f"pip cannot install {name} in {folder}: {lines[-1] if lines else 'without a word'}")
    finished.write_text(json.dumps(ENVIRONMENTS[name]), encoding="utf-8")
    return python


def write_work(
    folder: Path,
    histories: Histories,
    rows: np.ndarray,
    items: int,
    k: int,
    window: int,
    vectors: tuple[np.ndarray, ...] = (),
    encoder: tuple[int, int, int] | None = None,
) -> None:
    """Everything that a library needs, as arrays.

    histories: of all users.  rows: whom to recommend to.  vectors: (users, dim) of those rows and (items + 1, dim), if
    the library scores by dot products.  encoder: layers, heads and dimensions, if it has a transformer.
    """
    arrays: dict[str, Any] = {
        "items": histories.items,
        "offsets": histories.offsets,
        "rows": rows,
        "sizes": np.array([items, k, window]),
    }
    if vectors:
        arrays |= {"queries": vectors[0], "vectors": vectors[1]}
    if encoder:
        arrays["encoder"] = np.array(encoder)
    np.savez(folder / "work.npz", **arrays)
