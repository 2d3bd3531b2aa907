"""Train one model on artifacts/interactions.parquet.

In: the table that `python -m train.data` wrote; for hybrid also artifacts/mf.pt. Out, in
artifacts/: KIND.pt (checkpoint) and KIND.history.parquet (a row an epoch).

    python -m train mf|bert|hybrid [--field=value ...]
    python -m train hybrid --help

An interrupted run is resumed by the same command and ends with the same weights.
"""

from dataclasses import asdict
from typing import Any

import polars as pl
import torch
from torch import nn

from infer.cli import choose, parse, run
from infer.errors import InputError
from infer.files import replacing
from train import checkpoint
from train.batches import Data, load
from train.config import TrainConfig
from train.loop import EpochRecord, fit
from train.models import CONFIGS, build


def train(kind: str, config: TrainConfig) -> list[EpochRecord]:
    """Train from the start or from where an equal run was interrupted; write checkpoint and history."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: PyTorch finds no CUDA device here; use --device cpu")
    data = load(config.artifacts)
    model, parents = build(kind, data, config)
    model.to(config.device)
    optimizer = model.optimizer()
    origin = checkpoint.origin(kind, config, data, parents)
    records = _resume(kind, config, origin, model, optimizer)
    print(f"{kind} on {data.name}: {sum(p.numel() for p in model.parameters()):,} weights, seed {config.seed}")
    for record in fit(model, optimizer, data, config, first_epoch=len(records) + 1):
        records.append(record)
        print(_line(record), flush=True)
        state = _state(origin, data, model, records)
        checkpoint.save(checkpoint.partial(config.artifacts, kind), {**state, "optimizer": optimizer.state_dict()})
    with replacing(config.artifacts / f"{kind}.history.parquet") as part:
        pl.DataFrame([asdict(record) for record in records]).write_parquet(part)
    checkpoint.save(checkpoint.finished(config.artifacts, kind), _state(origin, data, model, records))
    checkpoint.partial(config.artifacts, kind).unlink(missing_ok=True)
    return records


def main(words: list[str]) -> None:
    """Parse, train, print."""
    kind, options = choose(words, list(CONFIGS), __doc__)
    config = parse(CONFIGS[kind], options, __doc__)
    train(kind, config)
    print(f"-> {checkpoint.finished(config.artifacts, kind)}")


def _state(origin: dict[str, Any], data: Data, model: nn.Module, records: list[EpochRecord]) -> dict[str, Any]:
    return {
        "origin": origin,
        "item_ids": data.item_ids,
        "user_ids": data.user_ids,
        "model": {name: weight.cpu() for name, weight in model.state_dict().items()},
        "history": [asdict(record) for record in records],
    }


def _resume(
    kind: str, config: TrainConfig, origin: dict[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer
) -> list[EpochRecord]:
    """Load an interrupted run with the same origin; say so, or why it is not continued."""
    path = checkpoint.partial(config.artifacts, kind)
    if not path.is_file():
        return []
    state = checkpoint.read(path, "delete it to start afresh")
    if state["origin"] != origin:
        print(f"{path} is of a run with other options or data: starting afresh")
        return []
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    print(f"resuming after epoch {len(state['history'])} ({path})")
    return [EpochRecord(**row) for row in state["history"]]


def _line(record: EpochRecord) -> str:
    return (
        f"epoch {record.epoch:>3}  train loss {record.train_loss:8.4f}  validation loss "
        f"{record.validation_loss:8.4f}  hit@10 {record.validation_hit_at_10 * 100:6.2f} %  "
        f"ndcg@10 {record.validation_ndcg_at_10 * 100:6.2f} %  {record.seconds:6.2f} s"
    )


if __name__ == "__main__":
    raise SystemExit(run(main))
