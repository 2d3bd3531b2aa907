"""How many threads PyTorch and BLAS have, and how many a solver may have meanwhile.

In: a number for steps, and one for solvers. Out: both, for as long as a block lasts.

    with limited(1, most=2), solving() as threads: ...   # two
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from threadpoolctl import threadpool_info, threadpool_limits

_most: ContextVar[int | None] = ContextVar("threads of solvers", default=None)


@contextmanager
def limited(threads: int, most: int | None = None) -> Iterator[None]:
    """This many threads in PyTorch, and in BLAS at most as many.  most: what `solving` gives; None: the same number."""
    before = torch.get_num_threads()
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    try:
        with threadpool_limits({pool["prefix"]: min(threads, pool["num_threads"]) for pool in pools}):
            torch.set_num_threads(threads)
            token = _most.set(most or threads)
            try:
                yield
            finally:
                _most.reset(token)
    finally:
        torch.set_num_threads(before)


@contextmanager
def solving() -> Iterator[int]:
    """As many threads in PyTorch as solvers may have, and their number; BLAS keeps its own."""
    before = torch.get_num_threads()
    torch.set_num_threads(_most.get() or before)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
