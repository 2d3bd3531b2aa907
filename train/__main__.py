"""Train one model on artifacts/interactions.parquet.

In: the table that `python -m train.data` wrote; for hybrid also artifacts/mf.pt. Out, in
artifacts/: KIND.pt (checkpoint) and KIND.history.parquet (a row an epoch).

    python -m train mf|bert|hybrid|knn|markov|ease|content|best [--field=value ...]
    python -m train bert --preset=hybrid|best|paper|bert4rec|sasrec|gsasrec
    python -m train hybrid --help

--name=NAME writes NAME.pt and NAME.history.parquet instead. An interrupted run is resumed by the same
command and ends with the same weights.
"""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import torch

from infer.cli import choose, parse, run, take
from infer.errors import InputError
from infer.files import replacing
from train import checkpoint
from train.batches import Data, load
from train.blend import Blend
from train.config import TrainConfig
from train.loop import EpochRecord, Run, fit
from train.models import build
from train.presets import CONFIGS, DEFAULT, PRESETS, configuration

HISTORY = {"train_loss": pl.Float64, "validation_loss": pl.Float64}


def train(kind: str, config: TrainConfig, name: str | None = None) -> Run:
    """Train from the start or from where an equal run was interrupted; write checkpoint and history."""
    name = name or kind
    if config.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: PyTorch finds no CUDA device here; use --device cpu")
    data = load(config.artifacts)
    if getattr(config, "initial", "random") != "random" or getattr(config, "chain", 0):
        print(f"{name}: solving for the vectors that it starts from ...", flush=True)
    began = time.perf_counter()
    model, parents = build(kind, data, config)
    preparing = time.perf_counter() - began
    model.to(config.device)
    origin = checkpoint.origin(kind, config, data, parents)
    run = Run(model, None if model.closed_form else model.optimizer(), preparing)
    _resume(name, config, origin, run)
    print(
        f"{name} on {data.name}: {sum(p.numel() for p in model.parameters()):,} weights, seed {config.seed}", flush=True
    )
    for record in fit(run, data, config):
        print(_line(record), flush=True)
        checkpoint.save(checkpoint.partial(config.artifacts, name), _state(origin, data, run) | run.state())
    with replacing(config.artifacts / f"{name}.history.parquet") as part:
        table = pl.DataFrame([asdict(record) for record in run.records], schema_overrides=HISTORY)
        table.with_columns(preparation_seconds=pl.lit(run.preparation_seconds)).write_parquet(part)
    checkpoint.save(checkpoint.finished(config.artifacts, name), _state(origin, data, run))
    checkpoint.partial(config.artifacts, name).unlink(missing_ok=True)
    return run


def main(words: list[str]) -> None:
    """Parse, train, print."""
    kind, words = choose(words, list(CONFIGS), __doc__)
    preset, words = take(words, "preset", DEFAULT)
    name, words = take(words, "name", kind)
    if preset not in PRESETS:
        raise InputError(f"--preset is one of {', '.join(PRESETS)}; found '{preset}'")
    if Path(name).name != name or name.startswith("."):
        raise InputError(f"--name {name} is not a plain file name")
    config = parse(CONFIGS[kind], words, __doc__, configuration(kind, preset))
    trained = train(kind, config, name)
    kept = f", epoch {trained.best_record.epoch} of {len(trained.records)}" if trained.best is not None else ""
    print(f"-> {checkpoint.finished(config.artifacts, name)}{kept}")


def _state(origin: dict[str, Any], data: Data, run: Run) -> dict[str, Any]:
    """What a finished model needs: the weights that are kept, and where they came from."""
    members = {"members": run.model.origins} if isinstance(run.model, Blend) else {}
    return members | {
        "origin": origin,
        "item_ids": data.item_ids,
        "user_ids": data.user_ids,
        "rating_levels": data.rating_levels,
        "model": {name: weight.cpu() for name, weight in run.model.state_dict().items()},
        "preparation_seconds": run.preparation_seconds,
        "best": asdict(run.best_record),
        "history": [asdict(record) for record in run.records],
    }


def _resume(name: str, config: TrainConfig, origin: dict[str, Any], run: Run) -> None:
    """Load an interrupted run with the same origin; say so, or why it is not continued."""
    path = checkpoint.partial(config.artifacts, name)
    if not path.is_file():
        return
    state = checkpoint.read(path, "delete it to start afresh")
    if state["origin"] != origin:
        print(f"{path} is of a run with other options or data: starting afresh")
        return
    run.load(state)
    print(f"resuming after epoch {len(run.records)} ({path})")


def _line(record: EpochRecord) -> str:
    return (
        f"epoch {record.epoch:>3}  train loss {_number(record.train_loss)}  validation loss "
        f"{_number(record.validation_loss)}  hit@10 {record.validation_hit_at_10 * 100:6.2f} %  "
        f"ndcg@10 {record.validation_ndcg_at_10 * 100:6.2f} %  {record.seconds:6.2f} s"
    )


def _number(loss: float | None) -> str:
    return f"{'-':>8}" if loss is None else f"{loss:8.4f}"


if __name__ == "__main__":
    raise SystemExit(run(main))
