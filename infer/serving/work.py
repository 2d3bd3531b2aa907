"""A bounded number of calls at once, and of those that wait: more are refused at once instead of waiting in vain.

In: a function without arguments. Out: what it returns; or a `Problem` with status 503.

To hand a call to another thread and its answer back takes as long as a small model itself. So a call of a kind that
was quick the last time is made at once while nobody else asks: then there is nothing to be done beside it.

    await Work(workers=2, queue=64).run(call, seconds=5)
"""

import asyncio
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from infer.serving.problems import busy

Found = TypeVar("Found")
QUICK = 0.005  # seconds for which the loop may do nothing else


class Work:
    """Threads that call. accepted: calls that run or wait."""

    def __init__(self, workers: int, queue: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="answer")
        self._most = workers + queue
        self._lock = threading.Lock()
        self._asking = 0
        self._took: dict[Hashable, float] = {}
        self.accepted = 0

    @contextmanager
    def asking(self) -> Iterator[None]:
        """While somebody is about to call, or waits for the answer."""
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1

    async def run(self, call: Callable[[], Found], seconds: float, kind: Hashable = None) -> Found:
        """Raises Problem 503 if too many wait, or if it takes longer; what has begun then ends unheard, and counts as
        running until it has.

        kind: of calls that take about as long as each other; None: of nothing that is known.
        """
        if kind is not None:
            call = self._timed(call, kind)
            if self._took.get(kind, QUICK) < QUICK:
                await asyncio.sleep(0)  # requests that are there by now begin to ask
                if self._asking <= 1 and not self.accepted:
                    return call()
        with self._lock:
            if self.accepted >= self._most:
                raise busy("too many requests wait; ask again later")
            self.accepted += 1
        future = self._pool.submit(call)
        future.add_done_callback(self._ended)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), seconds)
        except TimeoutError:
            raise busy("the answer took too long") from None

    def _timed(self, call: Callable[[], Found], kind: Hashable) -> Callable[[], Found]:
        def timed() -> Found:
            began = time.perf_counter()
            try:
                return call()
            finally:
                self._took[kind] = time.perf_counter() - began

        return timed

    def _ended(self, future: Future[Found]) -> None:
        with self._lock:
            self.accepted -= 1
