"""The workers of a run on a Ray cluster: started where there is room, asked for one thing at a time, replaced if lost.

In: what a worker takes, and what is sent to each. Out: events, in the order in which they happen.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from infer.cluster.options import GIB, Cluster
from infer.cluster.worker import Worker
from infer.errors import InputError

# Which Ray does not state the types of.
all_nodes: Callable[[], list[dict[str, Any]]] = ray.nodes
THREADS = ("OMP_NUM_THREADS", "POLARS_MAX_THREADS")


class Lost:
    """In place of an answer: the worker is gone, with its machine or alone, or has too little memory."""


def room(cluster: Cluster, needed: int, model: str) -> int:
    """How many workers fit into the cluster at once; raises InputError if none does.

    needed: bytes of memory of each.
    """
    nodes = [node["Resources"] for node in all_nodes() if node["Alive"]]
    wanted = {"CPU": cluster.cores} | ({"GPU": 1} if cluster.device == "cuda" else {})
    wanted |= {"memory": needed} if needed else {}
    fits = sum(min(int(node.get(name, 0) // much) for name, much in wanted.items()) for node in nodes)
    if fits:
        return fits
    most = {name: max((node.get(name, 0) for node in nodes), default=0) for name in wanted}
    if most.get("memory", 0) < needed:
        raise InputError(
            f"{model} takes {needed / GIB:.1f} GiB in a worker, and no node of the cluster has more than "
            f"{most['memory'] / GIB:.1f} GiB for it: give it more, or say with --worker-memory what a worker takes; "
            "nothing was published"
        )
    if most["CPU"] < cluster.cores:
        raise InputError(
            f"--worker-cores {cluster.cores}: no node of the cluster has more than {int(most['CPU'])}; nothing was "
            "published"
        )
    what = "a GPU, which --device cuda needs" if not most.get("GPU", 1) else "cores and memory for a worker"
    raise InputError(f"no node of the cluster has {what}; nothing was published")


class Pool:
    """Workers by number. Each has at most one call that is not answered."""

    def __init__(self, cluster: Cluster, needed: int, kind: type[Worker]) -> None:
        self.options = {
            "num_cpus": cluster.cores,
            "num_gpus": 1 if cluster.device == "cuda" else 0,
            "memory": needed,
            "max_restarts": 0,
            "runtime_env": {"env_vars": dict.fromkeys(THREADS, str(cluster.cores))},
        }
        self.kind = ray.remote(kind)
        self.actors: dict[int, Any] = {}
        self.calls: dict[Any, int] = {}  # what is asked for: of which worker
        self.started = 0

    def start(self) -> int:
        """Ask for one more worker, which comes once there is room; its first answer is `about`."""
        self.started += 1
        self.actors[self.started] = self.kind.options(**self.options).remote()
        self.ask(self.started, "about")
        return self.started

    def ask(self, worker: int, method: str, *given: Any) -> None:
        """Call a method of a worker that has answered."""
        self.calls[getattr(self.actors[worker], method).remote(*given)] = worker

    def events(self, seconds: float) -> Iterator[tuple[int, Any]]:
        """Answers that are there within so many seconds, each with its worker: values, or `Lost`.

        Raises whatever a worker raised.
        """
        if not self.calls:
            time.sleep(seconds)
            return
        ready, _ = ray.wait(list(self.calls), num_returns=1, timeout=seconds)
        if ready:  # and what else is
            ready, _ = ray.wait(list(self.calls), num_returns=len(self.calls), timeout=0)
        for call in ready:
            worker = self.calls.pop(call)
            try:
                yield worker, ray.get(call)
            except RayTaskError as error:
                if not isinstance(error.cause, MemoryError):
                    raise error.cause from None
                self.stop(worker)
                yield worker, Lost()
            except RayError as error:
                if getattr(error, "actor_init_failed", False):
                    raise InputError(
                        "a worker cannot load this project: install it on every node of the cluster, with the extra "
                        "`ray`; nothing was published"
                    ) from None
                self.stop(worker)
                yield worker, Lost()

    def stop(self, worker: int) -> None:
        """End a worker, whatever it does."""
        actor = self.actors.pop(worker, None)
        if actor is not None:
            ray.kill(actor)
