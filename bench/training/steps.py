"""Steps of training as they are measured: the first ones of a model on some data, and how long they take.

In: options of `python -m bench training`, and data. Out: `Steps`, which a call takes once.

    steps = steps_of(load(Path("artifacts")), 20)
    seconds = fastest(steps, 8, time.process_time)
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch

from infer.cli import option
from train.config import BertConfig
from train.data.dataset import Data
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
        take(self.run, self.config, self.batches)


def take(run: Run, config: BertConfig, batches: Iterable[SequenceBatch]) -> int:
    """A step of a model on each batch, and of its moving average; returns how many predictions they have."""
    assert run.optimizer is not None
    targets = 0
    for batch in batches:
        train_step(run.model, run.optimizer, batch, config)
        if config.average:
            run.follow(config.average)
        targets += len(batch)
    return targets


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
