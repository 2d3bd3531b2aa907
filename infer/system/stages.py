"""Where the time goes: seconds by stage, and the most memory that the process has held.

stages = Stages()
with stages("read"): ...
print(stages)
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from infer.system.memory import peak_memory


class Stages:
    """Seconds spent in each named stage, in the order in which they first occur."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.began = time.perf_counter()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Add the time of a block to a stage; blocks of different stages do not overlap."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    @property
    def elapsed(self) -> float:
        """Seconds since the first stage could begin, those between stages included."""
        return time.perf_counter() - self.began

    def as_dict(self) -> dict[str, float]:
        """Seconds by stage, and `total`: with what lies between the stages."""
        return {**self.seconds, "total": self.elapsed}

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self.seconds.items())
        return f"{parts}, total {self.elapsed:.2f} s; peak memory {peak_memory() / 2**20:.0f} MiB"
