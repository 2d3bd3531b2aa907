"""Train one model of a kind on artifacts/interactions.parquet.

In: the table that `python -m train.data` wrote; for hybrid with --initial=mf also artifacts/mf.pt. Out, in artifacts/:
NAME.pt (checkpoint) and NAME.history.parquet (a row an epoch).

    python -m train bert --preset=sasrec --epochs=3

An interrupted run is resumed by the same command and ends with the same weights; with --finish it is kept as it is.
Several processes train one model where `torchrun` starts them: torchrun --nproc-per-node=2 -m train bert.
Other --epochs or another --patience go on with an interrupted or finished run. --from goes on from an earlier model;
--refit trains anew on all rows, with what validation found for an earlier one.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from inspect import getdoc
from pathlib import Path
from typing import Literal

from infer.cli import option, parse, say, take
from infer.errors import InputError
from infer.system.memory import keep_freed_memory
from infer.system.progress import no_progress
from train.loop.world import joined
from train.presets import CONFIGS, DEFAULT, PRESETS, configuration
from train.saved import earlier, refit
from train.saved.places import Places
from train.trainer import Manner, train
from train.tune.chosen import read_tuned

log = logging.getLogger(__name__)


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
    from_: Path | None = option(
        None, "earlier checkpoint to go on from, with its options: looked for as given, then in --artifacts"
    )
    refit: Path | None = option(
        None,
        "earlier checkpoint, of a table with validation: trains anew with its options, to its best epoch and with the "
        "weights of chain and members that it found, on a table that holds nothing out for it; looked for like --from",
    )
    keep_items: Path | None = option(
        None,
        "earlier checkpoint, of any kind, whose items keep their indexes: those that are gone stay as rows that nobody "
        "gets, new ones are appended",
    )
    finish: bool = option(False, "train no further: make a finished model of the interrupted run")
    keep_state: bool = option(
        True, "keep NAME.state.pt, from which a finished run goes on with more --epochs or --patience"
    )
    snapshot_minutes: float = option(
        10.0, "minutes between two snapshots within an epoch, for a run to be resumed from; 0: none", minimum=0
    )
    tensorboard: Path | None = option(None, "folder to which TensorBoard's events are written, too, below NAME/")
    mlflow: str | None = option(
        None, "tracking address or folder of MLflow, which gets options and figures, too", files=True
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
    config, start = parse(CONFIGS[kind], rest, usage, base, [RunConfig]), None
    if chosen.from_ is not None:
        if chosen.from_tuned is not None or chosen.preset != DEFAULT:
            raise InputError("--from takes all options from the earlier checkpoint: leave out --preset")
        start = earlier.read(earlier.found_at(chosen.from_, config.artifacts), kind)
        config = earlier.agreed(parse(CONFIGS[kind], rest, usage, earlier.base(start, kind), [RunConfig]), start)
    found = None
    if chosen.refit is not None:
        for name_, given in (("from", chosen.from_), ("from-tuned", chosen.from_tuned), ("preset", chosen.preset)):
            if given not in (None, DEFAULT):
                raise InputError(f"--refit takes all options from the earlier checkpoint: leave out --{name_}")
        found = refit.read(earlier.found_at(chosen.refit, config.artifacts), kind)
        config = refit.agreed(parse(CONFIGS[kind], rest, usage, refit.base(found, kind), [RunConfig]), found)
    numbering = None
    if chosen.keep_items is not None:
        numbering = earlier.read_numbering(earlier.found_at(chosen.keep_items, config.artifacts))
    manner = Manner(
        threads=chosen.threads,
        start=start,
        found=found,
        finish=chosen.finish,
        keep_state=chosen.keep_state,
        numbering=numbering,
        snapshot_minutes=chosen.snapshot_minutes,
        tensorboard=chosen.tensorboard,
        mlflow=chosen.mlflow,
    )
    if chosen.preset != DEFAULT and kind not in PRESETS[chosen.preset]:
        log.info(f"--preset={chosen.preset} has no {kind} of its own: as by default")
    with joined(config.device) as world, nullcontext() if world.first else _silent():
        trained = train(kind, config, name, manner, world)
    if not world.first:
        return
    kept = f", epoch {trained.best_record.epoch} of {trained.epochs}" if trained.best is not None else ""
    say(f"-> {Places(config.artifacts, name).finished}{kept}")


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing is said of what the first process says already."""
    logger = logging.getLogger("train")
    earlier = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with no_progress():
            yield
    finally:
        logger.setLevel(earlier)
