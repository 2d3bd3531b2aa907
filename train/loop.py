"""One training loop for every model: a record an epoch, resumable after any of them.

In: a model, its data and configuration. Out: `EpochRecord`s; the command prints them, tests assert
them, benchmarks time them. Every random number of an epoch comes from (seed, epoch), so a run
that is resumed between two epochs continues exactly as if it had never stopped.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn
from tqdm import tqdm

from infer.errors import InputError
from infer.metrics import rank_metrics
from infer.schema import PAD, RANK
from infer.sequences import seen
from train.batches import Data
from train.config import TrainConfig

K = 10


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch cost and brought: losses in the model's own unit, metrics in [0, 1], seconds."""

    epoch: int
    train_loss: float
    validation_loss: float
    validation_hit_at_10: float
    validation_ndcg_at_10: float
    seconds: float


def fit(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: Data,
    config: TrainConfig,
    first_epoch: int = 1,
) -> Iterator[EpochRecord]:
    """Train for the epochs first_epoch to config.epochs, yielding after each.

    seconds covers the training of the epoch, not its validation. Raises InputError if the loss
    stops being a finite number.
    """
    device = torch.device(config.device)
    rows = validation_rows(data, config)
    for epoch in range(first_epoch, config.epochs + 1):
        began = time.perf_counter()
        torch.manual_seed(_seed(config.seed, epoch, "dropout"))
        generator = torch.Generator().manual_seed(_seed(config.seed, epoch, "batches"))
        model.train()
        model.start_epoch(epoch)
        total, count = torch.zeros((), device=device), 0
        batches = model.training_batches(data, generator)
        for batch in tqdm(batches, desc=f"epoch {epoch}/{config.epochs}", unit=" steps", leave=False, disable=None):
            optimizer.zero_grad(set_to_none=True)
            loss = model.loss(*(part.to(device) for part in batch))
            loss.backward()
            optimizer.step()
            total, count = total + loss.detach() * len(batch[0]), count + len(batch[0])
        train_loss = float(total) / count
        seconds = time.perf_counter() - began
        if not np.isfinite(train_loss):
            raise InputError(f"the loss of epoch {epoch} is {train_loss}: try a smaller --learning-rate")
        validation_loss, hit, ndcg = validate(model, data, rows, device)
        yield EpochRecord(epoch, train_loss, validation_loss, hit, ndcg, seconds)


@torch.no_grad()
def validate(model: nn.Module, data: Data, rows: Tensor, device: torch.device) -> tuple[float, float, float]:
    """Validation loss, Hit@10 and NDCG@10 of these users: full ranking, training items dropped."""
    model.eval()
    total, count = 0.0, 0
    for batch in model.validation_batches(data, rows):
        total += float(model.loss(*(part.to(device) for part in batch))) * len(batch[0])
        count += len(batch[0])
    ranks = [target_ranks(model, data, part, device) for part in rows.split(256)]
    metrics = rank_metrics(K)
    means = pl.DataFrame({RANK: torch.cat(ranks).numpy()}).select(e.mean().alias(n) for n, e in metrics.items())
    return total / count, means[f"hit@{K}"][0], means[f"ndcg@{K}"][0]


def target_ranks(model: nn.Module, data: Data, rows: Tensor, device: torch.device) -> Tensor:
    """(users,) rank of each user's validation item among all unseen items, equal scores by index."""
    scores = model(model.inputs(data, rows).to(device))  # (users, items + 1)
    drop = torch.from_numpy(seen(data.histories.take(rows.numpy()))).to(device)
    scores = scores.scatter(1, drop, -torch.inf)
    scores[:, PAD] = -torch.inf
    target = torch.from_numpy(data.targets)[rows].to(device)[:, None]
    own = scores.gather(1, target)
    lower_index = torch.arange(scores.shape[1], device=device) < target
    ahead = (scores > own) | ((scores == own) & lower_index)
    return (ahead.sum(1) + 1).cpu()


def validation_rows(data: Data, config: TrainConfig) -> Tensor:
    """Rows of the users with a validation item, or a seeded sample of `validation_users` of them."""
    rows = np.flatnonzero(data.targets != PAD)
    if len(rows) > config.validation_users:
        rows = np.sort(np.random.default_rng(config.seed).choice(rows, config.validation_users, replace=False))
    return torch.from_numpy(rows)


def _seed(*parts: int | str) -> int:
    """One 63-bit seed from several parts, so that neighbouring seeds and epochs share no stream."""
    numbers = [p if isinstance(p, int) else int.from_bytes(p.encode()[:8], "big") for p in parts]
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
