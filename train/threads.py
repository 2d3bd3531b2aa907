"""How many threads a training uses: measured by a few steps at its start, or given.

In: a kind, its options and data. Out: a number of threads, for PyTorch, implicit and BLAS alike, and why.

    python -m train bert --threads=2

Threads wait for each other many times in a step. Where other processes have the cores, several can take many times as
long as one; the trial sees that, as it is timed beside them. Solvers, whose threads have rows of their own and hardly
wait, have as many as there are (`train.pools.solving`).
"""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice, zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from train.config import MFConfig, TrainConfig

if TYPE_CHECKING:
    from train.data.dataset import Data

# Seconds and rounds of a trial; it ends with the round in which either is reached.
SECONDS, ROUNDS = 1.5, 20
# Different batches that the rounds take in turn.
BATCHES = 5
# More threads are taken if a step lasts less than this share of what it lasts with fewer: they use up more cores.
WORTH = 0.85


@dataclass(frozen=True)
class Choice:
    """A number of threads.  why: what was measured, in words; empty where nothing was.  most: threads of
    solvers, if these are others."""

    threads: int
    why: str = ""
    most: int | None = None


def before_loading(argv: Sequence[str]) -> None:
    """Set what libraries read when they are loaded: waiting threads sleep, and --threads bounds Polars, too.

    A thread of OpenMP that waits busily takes the core from those it waits for. What the caller has set stays, and
    what is loaded already is left alone.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    given = _given(argv)
    if given and "polars" not in sys.modules:
        os.environ.setdefault("POLARS_MAX_THREADS", given)


def choice(asked: int, kind: str, data: "Data", config: TrainConfig) -> Choice:
    """The number of threads for this training: as asked, or for 0 what a trial finds; raises InputError for too many.

    Nothing is tried where PyTorch has one thread, on a GPU, nor of a model without steps: these keep what PyTorch has.
    The trial has a model, an optimizer and random numbers of its own, so that no result depends on it.
    """
    import torch

    from infer.model.session import check_threads

    check_threads(asked)
    most = asked or torch.get_num_threads()
    if asked or most == 1 or config.device != "cpu" or not config.has_steps:
        return Choice(most)
    seconds = _trial(kind, data, config, candidates(most))
    chosen = choose(seconds)
    means = ", ".join(f"{1000 * mean(taken):.1f} ms with {threads}" for threads, taken in seconds.items())
    told = f"{chosen} thread{'s' * (chosen > 1)}: a step took {means} (--threads gives another number)"
    return Choice(chosen, told, most)


def candidates(most: int) -> list[int]:
    """1, 2, 4, ... and `most`."""
    return [*(2**power for power in range(most.bit_length()) if 2**power < most), most]


def choose(seconds: Mapping[int, Sequence[float]]) -> int:
    """The fewest threads whose steps no larger number beats by WORTH.

    seconds: of the steps with each number of threads, ascending, in the order in which they were timed.
    """
    chosen, *others = seconds
    for threads in others:
        if mean(seconds[threads]) < WORTH * mean(seconds[chosen]):
            chosen = threads
    return chosen


def mean(seconds: Sequence[float]) -> float:
    """Mean seconds of a step, without the first, in which memory is allocated and threads are started."""
    return float(np.mean(seconds[1:] or seconds))


def timed(call: Callable[[Any], None], batches: Sequence[Any], numbers: Sequence[int]) -> dict[int, list[float]]:
    """Seconds of `call` on the batches with each number of threads, which take turns, first and last in turn, too."""
    import torch

    seconds: dict[int, list[float]] = {threads: [] for threads in numbers}
    until = time.perf_counter() + SECONDS
    for number, batch in enumerate(islice(cycle(batches), ROUNDS)):
        for threads in numbers if number % 2 == 0 else reversed(numbers):
            torch.set_num_threads(threads)
            began = time.perf_counter()
            call(batch)
            seconds[threads].append(time.perf_counter() - began)
        if time.perf_counter() > until:
            break
    return seconds


def _trial(kind: str, data: "Data", config: TrainConfig, numbers: Sequence[int]) -> dict[int, list[float]]:
    """Seconds of training steps of a model of the same sizes, by the number of threads."""
    import torch

    from train.loop.loop import train_step
    from train.models.registry import unsolved
    from train.pools import limited

    with torch.random.fork_rng(devices=[]), limited(torch.get_num_threads()):
        model = unsolved(kind, data, config).train()
        optimizer = model.optimizer()
        drawn = model.training_batches(_some(data, config), torch.Generator().manual_seed(config.seed))
        batches = list(islice(drawn, BATCHES))
        if not batches:
            return {1: [0.0]}
        return timed(lambda batch: _ignored(train_step(model, optimizer, batch, config)), batches, numbers)


def _some(data: "Data", config: TrainConfig) -> "Data":
    """As many users, or ratings, as make the trial's batches: to cut those of a whole epoch can take long."""
    size = BATCHES * getattr(config, "batch_size", 0)
    if isinstance(config, MFConfig):
        if data.ratings is None:
            return data
        users, items, ratings = data.ratings
        return replace(data, ratings=(users[:size], items[:size], ratings[:size]))
    rows = np.flatnonzero(data.histories.lengths > 1)
    if len(rows) > size:
        rows = np.sort(np.random.default_rng(config.seed).choice(rows, size, replace=False))
    return replace(data, histories=data.histories.take(rows))


def _ignored(_: object) -> None:
    """For a call whose result nobody needs."""


def _given(argv: Sequence[str]) -> str:
    """The number behind --threads on a command line, if there is one; a wrong one is complained of later."""
    for word, after in zip_longest(argv, argv[1:], fillvalue=""):
        name, sign, value = word.partition("=")
        number = value if sign else after
        if name == "--threads" and number.isdecimal() and int(number):
            return str(int(number))
    return ""
