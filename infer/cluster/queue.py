"""Which worker scores which part: whoever is free asks for the next one, so that a slow machine takes fewer.

In: numbers of parts; then who takes, finishes or is lost, and when. Out: the next part of a worker. Nothing here knows
of Ray or of a clock: `bench.cluster` drives the same queue through simulated hours.

    queue = Queue(range(8)); number = queue.take("a", now=0.0); queue.done("a", now=1.5)

Once no part is left that nobody works on, a free worker takes one that has been with another for unusually long: the
last part on a slow machine, or one on a machine that hangs or was cut off, does not keep all others waiting. Whichever
copy is there first counts; both are the same bytes.
"""

from collections import deque
from collections.abc import Hashable, Sequence
from statistics import median

from infer.errors import InputError

# Workers that a part may take with it before the run ends: a part that none survives is not tried for ever.
MOST_LOST = 3
# So many times as long as usual is unusually long.
SLOW = 2.0
# Parts by which is judged what is usual: the latest.
LATEST = 1000


class Queue:
    """The parts of a run that are not done. Workers are named by anything; each scores one part at a time."""

    def __init__(self, parts: Sequence[int]) -> None:
        """parts: their numbers, in the order in which they are taken."""
        self.waiting = deque(parts)
        self.running: dict[Hashable, tuple[int, float]] = {}  # worker: part, since when
        self.left = set(parts)
        self.losses: dict[int, int] = {}
        self.seconds: deque[float] = deque(maxlen=LATEST)

    def take(self, worker: Hashable, now: float) -> int | None:
        """The next part of a worker that has none; None if there is nothing useful to do just now."""
        number = self.waiting.popleft() if self.waiting else self._late(now)
        if number is not None:
            self.running[worker] = number, now
        return number

    def done(self, worker: Hashable, now: float) -> int | None:
        """The part that a worker has just finished; None if another has finished it before."""
        number, since = self.running.pop(worker)
        self.seconds.append(now - since)
        if number not in self.left:
            return None
        self.left.remove(number)
        return number

    def lost(self, worker: Hashable) -> None:
        """A worker is gone; the part that it had is next, unless another worker has it, too.

        Raises InputError if this part has ended `MOST_LOST` workers.
        """
        number, _ = self.running.pop(worker, (None, 0.0))
        if number is None or number not in self.left:
            return
        self.losses[number] = self.losses.get(number, 0) + 1
        if self.losses[number] == MOST_LOST:
            raise InputError(
                f"{MOST_LOST} workers were lost with part {number}, for want of memory perhaps: give --worker-memory "
                "or a smaller --batch-size; the parts that are done stay, the same command goes on"
            )
        if all(number != other for other, _ in self.running.values()):
            self.waiting.appendleft(number)

    def _late(self, now: float) -> int | None:
        """The part that has been longest with the only worker that has it, if that is unusually long."""
        if not self.seconds:
            return None
        with_one: dict[int, float] = {}
        twice = set()
        for number, since in self.running.values():
            if number in with_one:
                twice.add(number)
            with_one[number] = since
        once = {number: since for number, since in with_one.items() if number in self.left and number not in twice}
        longest = min(once, key=once.__getitem__, default=None)
        return longest if longest is not None and now - once[longest] > SLOW * median(self.seconds) else None
