"""Snapshots within an epoch: every so many minutes the state of the run is written.

In: what writes it. Out: nothing but the file; the loop asks after every step whether one is due.

    fit(run, data, config, snapshots=Snapshots(10, save))
"""

import time
from collections.abc import Callable

from train.loop.world import World

# Several processes have to agree, which a step in so many waits for.
ASKED_EVERY = 20


class Snapshots:
    """When a snapshot is due, and how it is written.

    minutes: between two, at least.  save: writes the state of the run, whose `midway` says how far its epoch is.
    """

    def __init__(self, minutes: float, save: Callable[[], None]) -> None:
        self.seconds, self.save = minutes * 60, save
        self.last = time.monotonic()

    def due(self, step: int, world: World) -> bool:
        """Whether the state after this step of the epoch is to be kept; of several processes the first decides."""
        if not world.alone and step % ASKED_EVERY:
            return False
        return world.agreed(time.monotonic() - self.last >= self.seconds)

    def write(self, world: World) -> None:
        """Keep the state."""
        if world.first:
            self.save()
        self.last = time.monotonic()
