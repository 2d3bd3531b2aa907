"""An engine of `infer.scoring.run` whose parts are scored by the workers of a Ray cluster.

In: a `Cluster`. Out: an engine, which gives the parts that are missing to workers, one to each at a time, and takes
what they made among the parts that are done. A worker that is lost is replaced, and its part is scored elsewhere.

    score_table(job, folder, settings, engine=on_ray(Cluster()))

Plan, lock, decision and publication stay with the run's own process. If it ends, in whatever way, so do its workers;
the same command goes on.
"""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from tqdm import tqdm

from infer.cluster.joining import Head, joined
from infer.cluster.options import Cluster
from infer.cluster.pool import Lost, Pool, room
from infer.cluster.queue import MOST_LOST, Queue
from infer.cluster.same import check_same, here, mark
from infer.cluster.worker import About, Opened, Scored, Sent, Worker
from infer.errors import InputError
from infer.model.beside import stated_in
from infer.publishing.pending import adopt, pending
from infer.scoring.work import Engine, Work
from infer.sources.cutting import Part

# Seconds between two looks at what is late; and until a run that has no worker says so, and gives up.
TICK, TOLD_SECONDS, MOST_SECONDS = 1.0, 30.0, 600.0
# Seconds without an answer until the head of the cluster is looked for, and until it counts as gone: below the 60 after
# which Ray ends the whole process.
QUIET_SECONDS, GONE_SECONDS = 5.0, 40.0
STAYS = "the parts that are done stay, the same command goes on"

log = logging.getLogger(__name__)


def on_ray(cluster: Cluster, kind: type[Worker] = Worker) -> Engine:
    """The engine; kind: of the workers.

    It raises InputError if there is no such cluster or no room in it for a worker, and if a node has other versions or
    does not see the same files.
    """

    def score(work: Work, parts: Sequence[Part], bar: "tqdm[Any]") -> dict[str, Any]:
        with work.stages("workers"), pending(work.output, work.share) as folder, joined(cluster):
            return _Run(work, parts, bar, cluster, folder, kind).told()

    return score


class _Run:
    """The parts of one run on their way through the cluster."""

    def __init__(
        self, work: Work, parts: Sequence[Part], bar: "tqdm[Any]", cluster: Cluster, folder: Path, kind: type[Worker]
    ) -> None:
        self.work, self.bar, self.folder, self.device = work, bar, folder, cluster.device
        self.parts = {part.number: part for part in parts}
        self.queue = Queue(list(self.parts))
        model = work.job.model.path
        beside = stated_in(model)
        needed = cluster.memory_for(model.stat().st_size, 0 if beside is None else int(beside["bytes"]))
        fits = min(room(cluster, needed, model.name), len(parts))
        self.pool = Pool(cluster, needed, kind)
        self.sent = ray.put(_sent(work, folder, cluster))
        self.names: dict[int, str] = {}  # files of parts that no reader could find yet
        self.free: set[int] = set()
        self.opened, self.lost = 0, 0
        self.nodes: set[str] = set()
        self.seconds: Counter[str] = Counter()
        self.peak = 0
        for _ in range(min(cluster.workers or fits, len(parts))):
            self.pool.start()

    def told(self) -> dict[str, Any]:
        """Score all parts; returns what the manifest says of it."""
        alive = time.monotonic()
        said, head = False, Head()
        able, lost = set[int](), 0  # workers that have opened the model; those lost before, since one was of use
        while self.queue.left:
            for worker, answer in self.pool.events(TICK):
                self._take(worker, answer)
                if isinstance(answer, Lost):
                    lost += worker not in able
                elif not isinstance(answer, About):
                    able.add(worker)
                    alive, said, lost = time.monotonic(), False, 0
                elif not lost:  # else it may be as the others, which started and died
                    alive, said = time.monotonic(), False
            self._adopt()
            self._hand_out()
            if time.monotonic() - alive > QUIET_SECONDS and head.gone_for() > GONE_SECONDS:
                raise InputError(f"the Ray cluster at {head.address} is gone; {STAYS}")
            if head.cut_off(TICK):  # whose workers go on for a while
                raise InputError(f"Ray's process on this machine was ended, for want of memory perhaps; {STAYS}")
            idle = time.monotonic() - alive if not self.queue.running else 0.0
            if idle > TOLD_SECONDS and not said:
                log.info("waiting for room for a worker in the Ray cluster")
                said = True
            if idle > MOST_SECONDS and lost:
                model = self.work.job.model.path.name
                raise InputError(
                    f"{lost} workers were lost within {idle:.0f} s and none has opened {model}, for want of memory "
                    f"perhaps: say with --worker-memory what a worker takes; {STAYS}"
                )
            if idle > MOST_SECONDS:
                raise InputError(
                    f"no worker has started within {MOST_SECONDS:.0f} s: the Ray cluster is full, or its nodes are "
                    f"gone; {STAYS}"
                )
        seconds = {name: round(value, 3) for name, value in sorted(self.seconds.items())}
        engine = {"name": "ray", "workers": self.opened, "nodes": len(self.nodes), "lost": self.lost}
        return {"device": self.device, "engine": engine | {"seconds": seconds, "peak_memory_bytes": self.peak}}

    def _take(self, worker: int, answer: Any) -> None:
        """Note what a worker answered, or ask it for the next thing."""
        match answer:
            case About():
                check_same(here(), answer.versions, answer.node)
                self.nodes.add(answer.node_id)
                self.pool.ask(worker, "open", self.sent)
            case Opened():
                self.opened += 1
                self.free.add(worker)
            case Scored():
                self.free.add(worker)
                self.peak = max(self.peak, answer.peak)
                self.seconds.update(answer.stages | {"processor": answer.cpu_seconds, "total": answer.seconds})
                if self.queue.done(worker, time.monotonic()) is not None:
                    self.names[answer.number] = answer.name
            case Lost():
                self.lost += 1
                if not self.opened and self.lost >= MOST_LOST:
                    name = self.work.job.model.path.name
                    raise InputError(
                        f"{self.lost} workers were lost before they had opened {name}, for want of memory perhaps: "
                        "say with --worker-memory what a worker takes; nothing was published"
                    )
                log.warning("a worker was lost, %s so far: what it had is scored by another", self.lost)
                self.queue.lost(worker)
                self.pool.start()

    def _adopt(self) -> None:
        """Put what workers have made among the parts that are done."""
        if self.names:
            self.work.job.check_unchanged()
            adopt(self.work.output, self.folder, self.names)
            self.bar.update(sum(self.parts[number].users for number in self.names))
            self.names = {}

    def _hand_out(self) -> None:
        for worker in sorted(self.free):
            number = self.queue.take(worker, time.monotonic())
            if number is None:  # nor is there for any other
                break
            self.free.remove(worker)
            self.pool.ask(worker, "score", self.parts[number])


def _sent(work: Work, folder: Path, cluster: Cluster) -> Sent:
    """What each worker gets once."""
    job = work.job
    return Sent(
        cwd=Path.cwd(),
        folder=folder,
        digest=work.output.digest,
        job=replace(job, model=None),  # type: ignore[arg-type]
        model=job.model.path,
        checksum=job.model.checksum,
        mark=mark(job.table),
        device=cluster.device,
        threads=cluster.cores,
        how=work.how,
        earlier=work.earlier,
        prepared=work.output.source,
        part_users=work.part_users,
        source=work.source if work.in_memory else None,
    )
