"""Train one model of a kind on artifacts/interactions.parquet.

In: the table that `python -m train.data` wrote; for hybrid with --initial=mf also artifacts/mf.pt. Out, in artifacts/:
NAME.pt (checkpoint) and NAME.history.parquet (a row an epoch).

    python -m train bert --preset=sasrec --epochs=3

An interrupted run is resumed by the same command and ends with the same weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import getdoc
from pathlib import Path
from typing import Literal

from infer.cli import option, parse, take
from infer.errors import InputError
from infer.system.memory import keep_freed_memory
from train import checkpoint
from train.presets import CONFIGS, DEFAULT, configuration
from train.trainer import train
from train.tune.chosen import read_tuned


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Options of every `python -m train KIND` that are not the model's."""

    preset: Literal["paper", "bert4rec", "sasrec", "gsasrec", "default"] = option(
        DEFAULT, "where the defaults of the other options come from"
    )
    from_tuned: Path | None = option(
        None, "NAME.tuned.json of `train tune`: its preset and options, before those given"
    )
    name: str | None = option(None, "write NAME.pt and NAME.history.parquet (default: the kind)")
    threads: int = option(
        0, "threads of PyTorch and BLAS; 0: as many as take the least time in a few steps at the start", minimum=0
    )


def main(argv: Sequence[str]) -> None:
    """Parse, train, print; the first word is the kind of model."""
    keep_freed_memory()
    kind = argv[0]
    chosen, rest = take(RunConfig, argv[1:])
    name = kind if chosen.name is None else chosen.name
    if Path(name).name != name or name.startswith("."):
        raise InputError(f"--name {name} is not a plain file name")
    usage = f"{kind}: {getdoc(CONFIGS[kind])}\n\n{__doc__}"
    preset, tuned = (chosen.preset, []) if chosen.from_tuned is None else read_tuned(chosen.from_tuned, kind)
    if chosen.preset not in (DEFAULT, preset):
        raise InputError(
            f"--preset={chosen.preset}, but {chosen.from_tuned} was tuned with --preset={preset}: leave it out"
        )
    base = parse(CONFIGS[kind], tuned, usage, configuration(kind, preset), [RunConfig])
    config = parse(CONFIGS[kind], rest, usage, base, [RunConfig])
    trained = train(kind, config, name, chosen.threads)
    kept = f", epoch {trained.best_record.epoch} of {len(trained.records)}" if trained.best is not None else ""
    print(f"-> {checkpoint.finished(config.artifacts, name)}{kept}")
