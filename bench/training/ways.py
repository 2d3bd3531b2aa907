"""Ways to train on the same sequences, ours and other libraries', which take turns: what each is, and its passes.

In: a table of training sequences, sizes, a library's process. Out: a `Measured` for each loss and batch size.

    ways = ours(as_users(data, 256, window=50, stride=25), [16, 32], dim=64, layers=0, max_length=50)
    in_turn(ways, rounds=4, items=9_724)
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from bench.peers.peer import Peer
from bench.peers.room import FLOAT, lacking
from bench.peers.training import FULL, mean_of
from bench.training.floor import StepRates, StepWork, step_floor, step_rates, step_work, trained_weights
from bench.training.steps import Steps, fastest, steps_of
from infer.errors import InputError
from infer.histories.histories import Histories
from infer.histories.vocabulary import PAD
from infer.system.files import write_text
from infer.system.memory import free_memory
from infer.system.progress import progress
from train.data.dataset import Data
from train.models.masking import sequences

OURS = "transformer"  # that others stand beside: they have such blocks
NARROW = "transformer, narrow"
BLOCKS = {OURS: {"block": "transformer"}, NARROW: {"block": "transformer"}, "hstu": {"block": "hstu"}}
RATE_SECONDS = 0.05
TURN_SECONDS = 1.0


@dataclass
class Measured:
    """Passes over all sequences by one way, with one loss and batch size.  turn: takes as many as last at least so many
    seconds, returns the seconds of one and its targets.  steps: of ours, for the floor.  rates: of each round."""

    way: str
    loss: str
    batch: int
    turn: Callable[[float], tuple[float, int]]
    steps: Steps | None = None
    seconds: list[float] = field(default_factory=list)
    targets: int = 0
    rates: list[StepRates] = field(default_factory=list)

    @property
    def process(self) -> str:
        """Where it runs: ours share one."""
        return OURS if self.steps else self.way

    def work(self, items: int) -> StepWork:
        """Of a step of ours.  items: in the catalogue."""
        assert self.steps is not None
        return step_work(self.steps.config, self.steps.batches, items, trained_weights(self.steps.run.model))

    def row(self, items: int) -> dict[str, Any]:
        """What the record holds; of ours beside the floor.  items: in the catalogue."""
        found = {"way": self.way, "loss": self.loss, "batch": self.batch, "seconds": self.seconds}
        found["targets_per_second"] = self.targets / min(self.seconds)
        if self.steps is None:
            return found
        step = min(self.seconds) / len(self.steps.batches)
        rates = StepRates(**{key: max(getattr(one, key) for one in self.rates) for key in vars(self.rates[0])})
        floor = step_floor(self.work(items), rates)["floor"]
        return found | {"step_ms": 1000 * step, "floor_ms": 1000 * floor, "times_floor": step / floor}


def as_users(data: Data, number: int | None, window: int, stride: int, seed: int = 0) -> Data:
    """The table of so many training sequences, drawn at random, each the whole history of a user of its own.

    A sequence has up to window + 1 items and at least two.  number: None for all of them.  Raises InputError if there
    are fewer sequences.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = sequences(data, window + 1, stride, generator)[0].numpy()
    rows = rows[(rows != PAD).sum(1) > 1]
    number = len(rows) if number is None else number
    if len(rows) < number:
        raise InputError(
            f"the table has {len(rows)} training sequences of at least two items; found --sequences={number}"
        )
    rows = rows[torch.randperm(len(rows), generator=generator)[:number].numpy()]
    offsets = np.concatenate([[0], np.cumsum((rows != PAD).sum(1))])
    users = list(range(number))
    histories = Histories(pl.Series(users), rows[rows != PAD].astype(np.int32), offsets, repeats=True)
    return Data(data.name, "", data.item_ids, users, None, None, [], histories, np.zeros(number, int), data.folder)


def write_sequences(folder: Path, data: Data, sizes: dict[str, Any], windows: np.ndarray | None = None) -> None:
    """What a library trains on, as arrays, and the sizes of its model.

    windows: (users, window) after which its states are wanted, if they are.
    """
    given = np.zeros((0, sizes["window"]), np.int64) if windows is None else windows
    np.savez(folder / "work.npz", items=data.histories.items, offsets=data.histories.offsets, windows=given)
    write_text(folder / "sizes.json", json.dumps(sizes))


def ours(data: Data, sizes: Sequence[int], **options: Any) -> list[Measured]:
    """Our models in training, by block and batch size, each after its first pass."""
    found = []
    for way, changes in BLOCKS.items():
        wide = {"feedforward": options["dim"]} if way == NARROW else {}
        for size in sizes:
            steps = steps_of(data, len(data.user_ids), batch_size=size, stride=0, **options, **changes, **wide)
            found.append(Measured(way, steps.config.loss, size, partial(_passes, steps), steps))
    return found


def _passes(steps: Steps, least: float) -> tuple[float, int]:
    return mean_of(partial(fastest, steps, 1, time.process_time), least), steps.targets


def theirs(peer: Peer, batches: Sequence[int], sizes: dict[str, Any]) -> tuple[list[Measured], dict[str, str]]:
    """A library's losses and batch sizes, and which are left out for want of memory."""
    pairs, without = fitting(peer, batches, sizes)
    return [Measured(peer.name, loss, size, partial(_asked, peer, loss, size)) for loss, size in pairs], without


def fitting(peer: Peer, batches: Sequence[int], sizes: dict[str, Any]) -> tuple[list[tuple[str, int]], dict[str, str]]:
    """A library's losses and batch sizes for which there is memory, and why the others are left out, by name."""
    found, without = [], {}
    free = free_memory()
    for loss in peer.about["losses"]:
        for size in batches:
            reason = lacking(needed(peer.name, loss, size, sizes), free)
            if reason is None:
                found.append((loss, size))
            else:
                without[f"{peer.name}, {loss}, {size}"] = reason
    return found, without


def _asked(peer: Peer, loss: str, size: int, least: float) -> tuple[float, int]:
    answer = peer.ask(json.dumps({"loss": loss, "batch": size, "least": least}))
    return answer["seconds"], answer["targets"]


def needed(name: str, loss: str, batch: int, sizes: dict[str, Any]) -> int:
    """Bytes that a step takes at least: all scores, their logarithms and gradient; or, where each target has negatives
    of its own, their vectors and the gradient of these."""
    places = batch * sizes["window"]
    if loss == FULL:
        return 3 * FLOAT * places * sizes["items"]
    return 2 * FLOAT * places * sizes["negatives"] * sizes["dim"] if name == "rectools" else 0


def in_turn(ways: list[Measured], rounds: int, items: int) -> None:
    """Let every way take its turn in each round, after one that warms up.

    A process that has waited for others takes one more pass before its turn, since that is slower. After a turn of ours
    the rates of its floor are measured.  items: in the catalogue.
    Raises InputError if two ways count other targets.
    """
    before = None
    for number in progress(range(rounds + 1), desc="rounds", unit=" rounds", leave=False):
        for way in ways:
            if number and way.process != before:
                way.turn(0.0)
            before = way.process
            seconds, way.targets = way.turn(TURN_SECONDS if number else 0.0)
            if way.targets != ways[0].targets:
                raise InputError(
                    f"{way.way} counts {way.targets} targets of the same sequences, {ways[0].way} {ways[0].targets}"
                )
            if number:
                way.seconds.append(seconds)
                if way.steps is not None:
                    way.rates.append(step_rates(way.work(items), seconds=RATE_SECONDS))
