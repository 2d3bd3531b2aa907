"""How fast training is beside its floor (a roofline): targets a second of real steps, and of their arithmetic alone.

In: sizes of a synthetic table, or a folder that `python -m train data` wrote; options of the encoder. Out: one line
each for the rates, the floor and what was measured.

    python -m bench training
    python -m bench training --artifacts=artifacts --block=hstu
    python -m bench training --peers --record=training-peers.json

Steps are those of `train.loop.loop` with a moving average, without making batches. With one thread they are measured by
the time of the processor, so that what else runs counts little; the fastest round counts, as of the rates. Freed memory
is kept, as by the command that trains. With --peers other libraries train in turn with ours (`bench.training.beside`).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from bench.training.floor import step_floor, step_rates, step_work, trained_weights
from bench.workloads.tail import long_tailed
from bench.workloads.workload import on_threads
from infer.cli import option, parse
from infer.errors import InputError
from infer.system.memory import keep_freed_memory
from train.config import BertConfig
from train.data.dataset import Data, load
from train.loop.loop import train_step
from train.loop.run import Run
from train.models.bert import MiniBERT4Rec
from train.models.masking import SequenceBatch
from train.presets import configuration
from train.sizing import sized_for


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Options of `python -m bench training`."""

    artifacts: Path | None = option(None, "folder with a prepared table, instead of a synthetic one")
    items: int = option(9_724, "synthetic: size of the catalogue", minimum=2)
    users: int = option(200, "synthetic: users", minimum=1)
    length: int = option(160, "synthetic: items in each history", minimum=2)
    block: Literal["auto", "hstu", "transformer"] = option("auto", "encoder layers")
    layers: int = option(0, "encoder layers; 0: as the table has by default", minimum=0)
    dim: int = option(64, "length of item vectors", minimum=1)
    window: int = option(50, "recent items that the model reads", minimum=1)
    threads: int = option(1, "threads of PyTorch", minimum=1)
    steps: int = option(20, "different steps", minimum=1)
    rounds: int = option(8, "rounds of these steps, of which the fastest counts", minimum=1)
    peers: bool = option(False, "measure transformer, hstu and other libraries in turn, at several batch sizes")
    batch_sizes: str = option("16,32,64,128,256", "--peers: sequences in a step, separated by commas")
    sequences: int = option(256, "--peers: different training sequences, all of which a round takes", minimum=1)
    record: Path | None = option(None, "--peers: JSON file to write")


@dataclass(frozen=True)
class Steps:
    """A model in training, and the batches of its steps.  config: with all sizes."""

    run: Run
    config: BertConfig
    batches: list[SequenceBatch]

    @property
    def targets(self) -> int:
        """Predictions in all batches."""
        return sum(map(len, self.batches))

    def __call__(self) -> None:
        """Take every step once."""
        assert self.run.optimizer is not None
        for batch in self.batches:
            train_step(self.run.model, self.run.optimizer, batch, self.config)
            if self.config.average:
                self.run.follow(self.config.average)


def steps_of(data: Data, number: int, **options: Any) -> Steps:
    """The first steps of `bert` on these data, after one of each was taken.  options: of the kind, by field."""
    config = configuration("bert", **options)
    assert isinstance(config, BertConfig)
    config = sized_for(config, data)
    torch.manual_seed(config.seed)
    model = MiniBERT4Rec(len(data.item_ids), config, data.counts, len(data.rating_levels)).train()
    batches = list(islice(model.training_batches(data, torch.Generator().manual_seed(config.seed)), number))
    steps = Steps(Run(model, model.optimizer()), config, batches)
    steps()
    return steps


def fastest(call: Callable[[], None], rounds: int, clock: Callable[[], float]) -> float:
    """Least seconds of a call by this clock."""
    taken = []
    for _ in range(rounds):
        began = clock()
        call()
        taken.append(clock() - began)
    return min(taken)


def main(argv: Sequence[str]) -> None:
    """Parse, measure, print."""
    keep_freed_memory()
    config = parse(TrainingConfig, argv, __doc__)
    if config.peers and (config.threads != 1 or config.block != "auto"):
        raise InputError("--peers measures every block on one thread: leave out --threads and --block")
    if config.record is not None and not config.peers:
        raise InputError("--record is what --peers writes: give --peers, too")
    data = (
        load(config.artifacts) if config.artifacts else long_tailed(config.items, np.full(config.users, config.length))
    )
    if config.peers:
        from bench.training.beside import compare

        with on_threads(1):
            print("\n".join(compare(config, data)))
        return
    with on_threads(config.threads):
        steps = steps_of(
            data, config.steps, block=config.block, layers=config.layers, dim=config.dim, max_length=config.window
        )
        work = step_work(steps.config, steps.batches, len(data.item_ids), trained_weights(steps.run.model))
        rates = step_rates(work, config.threads)
        clock = time.process_time if config.threads == 1 else time.perf_counter
        seconds = fastest(steps, config.rounds, clock) / len(steps.batches)
    floor, targets = step_floor(work, rates), steps.targets / len(steps.batches)
    shapes = [" x ".join(map(str, shape)) for shape in (work.encoder_shape, work.head_shape)]
    print(
        f"{steps.config.layers} {steps.config.block}, {steps.config.dim} dimensions, {targets:.0f} targets a step, "
        f"{config.threads} thread{'s' * (config.threads > 1)}"
    )
    print(
        f"encoder {rates.encoder / 1e9:.1f} GMAC/s ({shapes[0]}), head {rates.head / 1e9:.1f} GMAC/s ({shapes[1]}), "
        f"memory {rates.bandwidth / 1e9:.1f} GB/s"
    )
    print(
        f"floor    {targets / floor['floor']:,.0f} targets/s: {1000 * floor['floor']:.2f} ms a step, "
        f"{1000 * floor['products']:.2f} of products and {1000 * floor['memory']:.2f} of the optimizer's memory"
    )
    print(
        f"measured {targets / seconds:,.0f} targets/s: {1000 * seconds:.2f} ms a step, "
        f"{seconds / floor['floor']:.1f} x floor"
    )
