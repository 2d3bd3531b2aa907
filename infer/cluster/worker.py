"""A process of a Ray cluster that holds the open model and scores one part after the other.

In: what the run's own process sends once (`Sent`), then parts. Out: a part's files in the folder of pending parts, and
their name; nothing that others read is changed here (`infer.publishing.pending`).

    python -m infer.batch --model hybrid.onnx --engine=ray
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import ray
from tqdm import tqdm

from infer.cluster.same import here, mark, unseen
from infer.model.session import open_model
from infer.publishing.incremental import Earlier
from infer.publishing.pending import write_pending
from infer.scoring.job import Job, files_in
from infer.scoring.parts import How, score_part
from infer.sources.cutting import Part
from infer.sources.source import Source, open_source
from infer.system.fingerprints import fingerprint
from infer.system.memory import peak_memory
from infer.system.stages import Stages


@dataclass(frozen=True)
class Sent:
    """What a worker needs beside the parts.

    cwd: where relative paths begin.  folder: of pending parts.  digest: of the plan.  job: without its model, which is
    the file `model` with this `checksum`.  mark: of the table.  prepared: the folder in which is kept what was found
    out about the table.  source: rows in memory instead.
    """

    cwd: Path
    folder: Path
    digest: str
    job: Job
    model: Path
    checksum: str
    mark: list[int]
    device: str
    threads: int
    how: How
    earlier: Earlier | None
    prepared: Path
    part_users: int
    source: Source | None


@dataclass(frozen=True)
class About:
    """A worker that has started: the address and id of its node, and its versions."""

    node: str
    node_id: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Opened:
    """A worker that has opened the model. peak: bytes that it has held."""

    peak: int


@dataclass(frozen=True)
class Scored:
    """number: of the part.  name: of its files in the folder.  stages: seconds by stage.  seconds, cpu_seconds: in
    all, and of processors.  peak: bytes that the worker has held."""

    number: int
    name: str
    stages: dict[str, float]
    seconds: float
    cpu_seconds: float
    peak: int


# Which Ray does not state the types of.
node_address: Callable[[], str] = ray.util.get_node_ip_address


class Worker:
    """One worker; `open` comes before `score`."""

    def __init__(self) -> None:
        self.sent: Sent
        self.source: Source

    def about(self) -> About:
        """Where this worker is, and with what."""
        return About(node_address(), ray.get_runtime_context().get_node_id(), here())

    def open(self, sent: Sent) -> Opened:
        """Open the model and the table.

        Raises InputError if this node does not see them as the run's own process does, or cannot open them.
        """
        with suppress(OSError):  # all paths may be absolute
            os.chdir(sent.cwd)
        node, table = node_address(), sent.job.table
        for path in (sent.folder, sent.model, table):
            if not path.exists():
                raise unseen(node, path)
        if mark(table) != sent.mark:
            raise unseen(node, table)
        model = open_model(sent.model, sent.device, sent.threads)
        if model.checksum != sent.checksum:
            raise unseen(node, sent.model)
        # The file system may have another number here.
        job = replace(sent.job, model=model, fingerprint=fingerprint(table, files_in(table)))
        if sent.source is None:
            self.source = open_source(
                table, job.options, sent.prepared, sent.part_users, optional=job.optional, known=job.known
            )
        else:
            self.source = sent.source
        self.sent = replace(sent, job=job)
        return Opened(peak_memory())

    def score(self, part: Part) -> Scored:
        """Score a part and write it; raises InputError as `infer.scoring.parts.score_part` does."""
        sent, stages, cpu = self.sent, Stages(), time.process_time()
        with tqdm(disable=True) as bar:
            found = score_part(sent.job, self.source, part, sent.how, stages, bar, sent.earlier)
        sent.job.check_unchanged()
        with stages("write"):
            name = write_pending(sent.folder, part.number, sent.digest, *found)
        seconds = stages.as_dict()
        total = seconds.pop("total")
        return Scored(part.number, name, seconds, total, time.process_time() - cpu, peak_memory())
