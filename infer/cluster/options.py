"""The options of scoring on a Ray cluster.

In: a command's options class, which inherits these. Out: a `Cluster`, or None for one process.

    python -m infer.batch --model hybrid.onnx --engine=ray
"""

import os
from dataclasses import dataclass
from typing import ClassVar, Literal

from infer.cli import option
from infer.errors import InputError

GIB = 2**30
# What a worker takes beside its model, and as how many copies of its file the model: the bytes, what they say, the
# session and its working memory (docs/operations.md has the measurements).
BASE, COPIES = 0.5 * GIB, 4
LOCAL = "local"  # as Ray has it
VARIABLE = "RAY_ADDRESS"  # by which Ray tells jobs and shells of a cluster where it is


@dataclass(frozen=True)
class Cluster:
    """Where parts are scored, and by how many.

    address: of a Ray cluster that runs, None for one of this machine and this run alone.  workers: None for as many as
    fit.  cores, memory: of each worker, memory in bytes, None for what the model's size suggests.  device: where each
    runs the model, on a GPU of its own with "cuda".  said: what names the address, for messages.
    """

    address: str | None = None
    workers: int | None = None
    cores: int = 1
    memory: int | None = None
    device: str = "cpu"
    said: str = "--address"

    def memory_for(self, model_bytes: int, beside: int = 0) -> int:
        """Bytes that a worker with this model takes.  beside: of weights in a second file, which is mapped."""
        return int(BASE + COPIES * model_bytes + beside) if self.memory is None else self.memory


@dataclass(frozen=True, kw_only=True)
class ClusterConfig:
    """Who scores the parts."""

    GROUP: ClassVar[str] = "several machines, with Ray"

    engine: Literal["process", "ray"] = option("process", "who scores: this process, or workers of a Ray cluster")
    address: str | None = option(
        None,
        "the cluster, as HOST:PORT, auto, or local for one on this machine and for this run (default: what RAY_ADDRESS "
        "says, else local)",
    )
    workers: int | None = option(None, "workers at most (default: as many as fit)", minimum=1)
    worker_cores: int = option(1, "cores of each worker, and threads of its model", minimum=1)
    worker_memory: float | None = option(
        None,
        "GiB of each worker, by which they are placed; 0: by cores alone (default: 0.5 and four times the model file)",
        minimum=0,
    )

    def cluster(self, device: str, threads: int) -> Cluster | None:
        """The same as the library takes it, None for one process; device, threads: as of `ScoringConfig`.

        Raises InputError if an option is of the other engine.
        """
        if self.engine == "process":
            of_ray = {
                "--address": self.address,
                "--workers": self.workers,
                "--worker-cores": None if self.worker_cores == 1 else self.worker_cores,
                "--worker-memory": self.worker_memory,
            }
            lone = next((name for name, value in of_ray.items() if value is not None), None)
            if lone is not None:
                raise InputError(f"{lone} is of a Ray cluster: give --engine=ray, too")
            return None
        if threads:
            raise InputError("--threads is of one process: with --engine=ray give --worker-cores")
        memory = None if self.worker_memory is None else int(self.worker_memory * GIB)
        address, said = self.address, "--address"
        if address is None and os.environ.get(VARIABLE):
            address, said = os.environ[VARIABLE], VARIABLE
        return Cluster(None if address == LOCAL else address, self.workers, self.worker_cores, memory, device, said)
