"""Simulate the queue of `--engine=ray` on many machines: how long a run takes, and what its own process has to do.

In: numbers of machines and users, seconds of a part, what goes wrong. Out: three lines of figures. The queue is the one
that runs (`infer.cluster.queue`); machines, time and losses are drawn, with a seed.

    python -m bench.cluster --nodes=100 --users=1000000000
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from infer.cli import option, parse, run
from infer.cluster.queue import Queue
from infer.errors import InputError
from infer.sources.source import PART_USERS
from infer.system.progress import progress

LOSS, LOOK = -1, -2  # a node is lost; idle workers look again
TICK = 1.0  # seconds between two looks
MOST_SPREAD = 5.0  # beyond, a part in a thousand takes millions of times as long as a usual one
# Of one part: bytes of what is sent and comes back, and of its entry in the manifest.
SENT_BYTES, ANSWER_BYTES, MANIFEST_BYTES = 122, 256, 510


@dataclass(frozen=True, kw_only=True)
class ClusterBenchConfig:
    """Options of `python -m bench.cluster`."""

    nodes: int = option(100, "machines", minimum=1)
    workers: int = option(16, "workers on each", minimum=1)
    users: int = option(1_000_000_000, "users to score", minimum=1)
    part_users: int = option(PART_USERS, "users in a part", minimum=1)
    part_seconds: float = option(3.0, "seconds of a part on a usual machine, above 0", minimum=0)
    spread: float = option(
        0.2, f"standard deviation of the logarithm of these seconds, up to {MOST_SPREAD:g}", minimum=0
    )
    slow: float = option(0.1, "share of machines that take three times as long, up to 1", minimum=0)
    losses: int = option(
        5, "machines that are lost in the first half, for good, with what they do; fewer than --nodes", minimum=0
    )
    driver_seconds: float = option(0.002, "seconds that the run's own process takes for a part", minimum=0)
    seed: int = option(0, "seed", minimum=0)

    def check(self) -> None:
        """Raise InputError, with the reason, if such a run would never end."""
        if self.losses >= self.nodes:
            raise InputError(f"--losses={self.losses} of --nodes={self.nodes}: one at least has to stay")
        if not 0 < self.part_seconds < float("inf"):
            raise InputError(f"--part-seconds is a number above 0; found {self.part_seconds:g}")
        for name, value, most in (("spread", self.spread, MOST_SPREAD), ("slow", self.slow, 1.0)):
            if not 0 <= value <= most:
                raise InputError(f"--{name} is from 0 to {most:g}; found {value:g}")


@dataclass(frozen=True)
class Simulated:
    """seconds: until all parts are done; ideal: if all machines that stay worked all the time, and nothing else took
    any.  driver: seconds that the run's own process was busy.  again: parts scored more than once.  fewest, most: parts
    of one worker that stayed."""

    parts: int
    seconds: float
    ideal: float
    driver: float
    again: int
    fewest: int
    most: int


def simulate(config: ClusterBenchConfig) -> Simulated:
    """Let the queue run; raises InputError if a part is lost too often, or it would never end."""
    config.check()
    draw = np.random.default_rng(config.seed)
    parts = -(-config.users // config.part_users)
    queue = Queue(range(parts))
    speed = np.where(draw.random(config.nodes) < config.slow, 3.0, 1.0)
    rate = float((config.workers / speed).sum()) / (config.part_seconds * float(np.exp(config.spread**2 / 2)))
    ideal = parts / rate
    ends = dict(
        zip(draw.permutation(config.nodes)[: config.losses], draw.random(config.losses) * ideal / 2, strict=False)
    )
    events = [(TICK, 0, LOOK)]  # moment, node, worker
    for node, moment in ends.items():
        heapq.heappush(events, (float(moment), int(node), LOSS))
    taken, idle, gone = np.zeros(config.nodes * config.workers, dtype=np.int64), list[int](), set[int]()
    free_at = busy = 0.0  # when the process that hands out has time again, and how long it had none

    def hand_out(worker: int, moment: float) -> None:
        nonlocal free_at, busy, idle
        number = queue.take(worker, moment)
        if number is None:
            idle.append(worker)
            return
        free_at = max(free_at, moment) + config.driver_seconds
        busy += config.driver_seconds
        taken[worker] += 1
        node = worker // config.workers
        seconds = config.part_seconds * speed[node] * draw.lognormal(0, config.spread)
        heapq.heappush(events, (free_at + seconds, node, worker))

    for worker in range(config.nodes * config.workers):
        hand_out(worker, 0.0)
    moment = 0.0
    with progress(total=parts, desc="simulating", unit=" parts", leave=False) as told:
        while queue.left:
            moment, node, worker = heapq.heappop(events)
            if worker == LOSS:
                gone.add(node)
                for one in range(node * config.workers, (node + 1) * config.workers):
                    queue.lost(one)
            elif worker >= 0 and node not in gone:
                told.update(queue.done(worker, moment) is not None)
                hand_out(worker, moment)
            if worker < 0:  # who is idle may be of use, and asks until there is nothing
                asking, idle = [one for one in idle if one // config.workers not in gone], []
                for place, one in enumerate(asking):
                    hand_out(one, moment)
                    if idle:
                        idle += asking[place + 1 :]
                        break
            if worker == LOOK:
                heapq.heappush(events, (moment + TICK, 0, LOOK))
    stayed = [w for w in range(len(taken)) if w // config.workers not in gone]
    return Simulated(
        parts, moment, ideal, busy, int(taken.sum()) - parts, int(taken[stayed].min()), int(taken[stayed].max())
    )


def main(argv: Sequence[str]) -> None:
    """Parse, simulate, print."""
    config = parse(ClusterBenchConfig, argv, __doc__)
    found = simulate(config)
    sent = found.parts * (SENT_BYTES + ANSWER_BYTES) / 1e6
    print(
        f"{config.nodes} machines of {config.workers} workers, {config.users:,} users in {found.parts:,} parts: "
        f"{found.seconds:.0f} s, {found.seconds / found.ideal:.3f} of what is possible ({found.ideal:.0f} s)"
    )
    print(
        f"the run's own process is busy for {found.driver:.0f} s ({found.driver / found.seconds:.0%}), "
        f"{found.parts / found.seconds:.0f} parts/s; {2 * found.parts:,} messages, {sent:.0f} MB; manifest "
        f"{found.parts * MANIFEST_BYTES / 1e6:.0f} MB"
    )
    print(f"{found.again} parts were scored twice; a worker had {found.fewest} to {found.most}")


if __name__ == "__main__":
    raise SystemExit(run(main))
