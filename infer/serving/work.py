"""A bounded number of calls at once, and of those that wait: more are refused at once instead of waiting in vain.

In: a function without arguments. Out: what it returns; or a `Problem` with status 503.

    await Work(workers=2, queue=64).run(call, seconds=5)
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from infer.serving.problems import busy

Found = TypeVar("Found")


class Work:
    """Threads that call. accepted: calls that run or wait."""

    def __init__(self, workers: int, queue: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="answer")
        self._most = workers + queue
        self._lock = threading.Lock()
        self.accepted = 0

    async def run(self, call: Callable[[], Found], seconds: float) -> Found:
        """Raises Problem 503 if too many wait, or if it takes longer; what has begun then ends unheard, and counts as
        running until it has."""
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

    def _ended(self, future: Future[Found]) -> None:
        with self._lock:
            self.accepted -= 1
