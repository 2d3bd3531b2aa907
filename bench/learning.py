"""How soon a model recommends well: validation NDCG@10 by seconds of training, ours beside other libraries'.

In: a prepared table. Out: of each way to train what it reaches, and after how many seconds; a JSON record.

    python -m bench.peers --only=rectools
    python -m bench learning --artifacts=artifacts --seconds=300 --record=learning.json

Ours is `python -m train bert` with its defaults, until its patience ends it. The libraries' models have as many layers,
heads and dimensions and windows as long, and all else as the library has it: loss, learning rate, optimizer. They train
on the windows that ours cuts, too, each a sequence by itself; ours cuts them anew in each epoch. Seconds are processor
time of one thread: making batches and steps, without what measures. All ways take an epoch in turn, so that whatever
else the machine does falls on all of them, until each has had its seconds.

Everything is measured alike: each user's newest window, all items, seen ones dropped, the validation item
(`train.loop.validation`).
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from bench.peers.peer import Peer
from bench.records.records import about, save
from bench.training.beside import batch_sizes, started
from bench.training.ways import as_users, fitting, write_sequences
from bench.workloads.workload import on_threads
from infer.cli import option, parse, run
from infer.errors import InputError
from infer.histories.windows import windows
from infer.metrics.ranking import rank_metrics
from infer.system.memory import keep_freed_memory
from infer.system.ownership import claim
from infer.system.progress import no_progress, progress
from infer.tables.columns import RANK
from train.config import BertConfig
from train.data.dataset import Data, load
from train.loop.loop import finished, train_epoch
from train.loop.run import EpochRecord, Run
from train.loop.validation import K, target_ranks, validate, validation_rows
from train.models.bert import MiniBERT4Rec
from train.presets import configuration
from train.sizing import sized_for

OURS = "bert"
# Shares of what ours reaches, whose seconds are printed.
SHARES = (0.5, 0.8, 0.9, 1.0)


@dataclass(frozen=True, kw_only=True)
class LearningConfig:
    """Options of `python -m bench learning`."""

    artifacts: Path = option(Path("artifacts"), "folder with a prepared table that holds validation items")
    seconds: float = option(300.0, "processor time of training that each way has at most", minimum=1)
    batch_sizes: str = option("16,128", "of the libraries: sequences in a step, separated by commas")
    seed: int = option(0, "of weights and batches", minimum=0)
    record: Path | None = option(None, "JSON file to write")


@dataclass
class Learner:
    """One way to train.  epoch: trains for one; returns its seconds and the NDCG@10 after it, or None when it is done.
    curve: both after each epoch, the seconds of all so far."""

    way: str
    loss: str
    batch: int
    epoch: Callable[[], tuple[float, float] | None]
    curve: list[tuple[float, float]] = field(default_factory=list)
    ended: bool = False

    @property
    def seconds(self) -> float:
        """Of training so far."""
        return self.curve[-1][0] if self.curve else 0.0

    @property
    def best(self) -> float:
        """The highest NDCG@10 so far."""
        return max((ndcg for _, ndcg in self.curve), default=0.0)

    def reached(self, ndcg: float) -> float | None:
        """Seconds until the first epoch with this NDCG@10; None if there is none."""
        return next((seconds for seconds, found in self.curve if found >= ndcg), None)

    def go_on(self, most: float) -> None:
        """Train for one more epoch, unless it is done or has had `most` seconds."""
        found = None if self.seconds >= most else self.epoch()
        self.ended = found is None
        if found is not None:
            self.curve.append((self.seconds + found[0], found[1]))


def ours(data: Data, config: BertConfig) -> Learner:
    """`bert` as `python -m train bert` trains it."""
    torch.manual_seed(config.seed)
    model = MiniBERT4Rec(len(data.item_ids), config, data.counts, len(data.rating_levels))
    training, device = Run(model, model.optimizer()), torch.device("cpu")
    rows = validation_rows(data, config)

    def epoch() -> tuple[float, float] | None:
        if finished(training, config):
            return None
        began = time.process_time()
        loss = train_epoch(training, data, config, training.epochs + 1, device)
        seconds = time.process_time() - began
        with training.averaged():
            measured = validate(model, data, rows, device)
        training.add(EpochRecord(training.epochs + 1, loss, *measured, seconds), keep_best=True)
        assert measured[2] is not None, "checked by `measure`"
        return seconds, measured[2]

    return Learner(OURS, config.loss, config.batch_size, epoch)


def theirs(peer: Peer, loss: str, size: int, data: Data, rows: torch.Tensor, folder: Path, seed: int) -> Learner:
    """A library's model with one of its losses and batch sizes."""
    file = folder / f"{peer.name}.npz"
    question = json.dumps({"loss": loss, "batch": size, "vectors": str(file), "seed": seed})

    def epoch() -> tuple[float, float]:
        answer = peer.ask(question)
        with np.load(file) as made:
            return answer["seconds"], ndcg(made["users"], made["items"], data, rows)

    return Learner(peer.name, loss, size, epoch)


def ndcg(users: np.ndarray, items: np.ndarray, data: Data, rows: torch.Tensor) -> float:
    """NDCG@10 of the validation items of these rows, scored by products: users (rows, dim), items (items + 1, dim)."""
    vectors = torch.from_numpy(items).T
    ranks = [
        target_ranks(states @ vectors, data, batch)
        for states, batch in zip(torch.from_numpy(users).split(256), rows.split(256), strict=True)
    ]
    found: float = pl.DataFrame({RANK: torch.cat(ranks).numpy()}).select(rank_metrics(K)[f"ndcg@{K}"].mean()).item()
    return found


def measure(config: LearningConfig, data: Data, folder: Path) -> dict[str, Any]:
    """What the record holds; raises InputError where nothing is held out, or no library can be had."""
    own = configuration(OURS, seed=config.seed, artifacts=config.artifacts)
    assert isinstance(own, BertConfig)
    own = sized_for(own, data)
    rows = validation_rows(data, own)
    if not len(rows):
        raise InputError(f"{config.artifacts} holds nothing out for validation: prepare the data with a split")
    cut = as_users(data, None, own.max_length, own.stride, config.seed)
    cuts = len(cut.user_ids)
    sizes = batch_sizes(config.batch_sizes, cuts, f"{cuts} sequences of {config.artifacts}")
    shared: dict[str, Any] = {
        "items": len(data.item_ids), "window": own.max_length, "dim": own.dim, "layers": own.layers,
        "heads": own.heads, "dropout": own.dropout, "negatives": own.negatives,
    }  # fmt: skip
    if len(data.item_ids) <= own.negatives:
        raise InputError(
            f"{own.negatives} negatives are drawn from the catalogue, which has {len(data.item_ids)} items"
        )
    write_sequences(folder, cut, shared, windows(data.known.take(rows.numpy()), own.max_length))
    peers, without = started(folder)
    learners = [ours(data, own)]
    try:
        for peer in peers:
            pairs, left_out = fitting(peer, sizes, shared)
            learners += [theirs(peer, loss, size, data, rows, folder, config.seed) for loss, size in pairs]
            without |= left_out
        in_turn(learners, config.seconds)
    finally:
        for peer in peers:
            peer.close()
    return about("learning beside others", OURS, "cpu", ran_on="cpu") | shared | {
        "data": data.name,
        "dataset_checksum": data.checksum,
        "users": len(rows),
        "sequences": len(cut.user_ids),
        "blocks": f"{own.layers} {own.block}",
        "seed": config.seed,
        "most_seconds": config.seconds,
        "seconds_of": "processor time of one thread: making batches, and steps",
        "rows": [
            {"way": one.way, "loss": one.loss, "batch": one.batch, "ndcg@10": one.best, "curve": one.curve}
            for one in learners
        ],
        "libraries": {peer.name: {key: peer.about[key] for key in ("versions", "note")} for peer in peers},
        "left_out": without,
    }  # fmt: skip


def in_turn(learners: Sequence[Learner], most: float) -> None:
    """Train all of them, whose turn it is who had the least seconds, until each is done or has had `most` seconds."""
    with progress(total=round(most * len(learners)), desc="training", unit=" s", leave=False) as told:
        while left := [learner for learner in learners if not learner.ended]:
            learner = min(left, key=lambda learner: learner.seconds)
            before = min(most, learner.seconds)
            with no_progress():
                learner.go_on(most)
            told.update(round(most if learner.ended else min(most, learner.seconds)) - round(before))


def lines(record: dict[str, Any]) -> Iterator[str]:
    """What is printed."""
    own = record["rows"][0]["ndcg@10"]
    yield (
        f"{record['data']}: {record['users']:,} users, {record['items']:,} items, {record['sequences']:,} windows of "
        f"{record['window']}, {record['dim']} dimensions; seconds of one thread until a share of {OURS}'s NDCG@10"
    )
    shares = "".join(f"{share:>8.0%}" for share in SHARES)
    yield f"{'':34}{'NDCG@10':>8}{'epochs':>8}{'seconds':>9}{shares}"
    for row in record["rows"]:
        learner = Learner(row["way"], row["loss"], row["batch"], lambda: None, [(s, n) for s, n in row["curve"]])
        until = (learner.reached(share * own) for share in SHARES)
        times = "".join(f"{'never' if seconds is None else f'{seconds:.0f}':>8}" for seconds in until)
        name = f"{learner.way}, {learner.loss}, batch {learner.batch}"
        yield f"{name:34}{learner.best:>8.2%}{len(learner.curve):>8}{learner.seconds:>9.0f}{times}"
    for name, reason in record["left_out"].items():
        yield f"{name:34}left out: {reason}"


def main(argv: Sequence[str]) -> None:
    """Parse, measure, print."""
    keep_freed_memory()
    config = parse(LearningConfig, argv, __doc__)
    if config.record is not None:
        claim([config.record])
    data = load(config.artifacts)
    with on_threads(1), tempfile.TemporaryDirectory() as folder:
        record = measure(config, data, Path(folder))
    print("\n".join(lines(record)))
    save(record, config.record)


if __name__ == "__main__":
    raise SystemExit(run(main))
