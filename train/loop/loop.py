"""One training loop for every model: a record an epoch, resumable after any of them and from snapshots within one.

In: a `Run` (model, optimizer, what was reached so far), its data and configuration. Out:
`EpochRecord`s; the command prints them, tests assert them, benchmarks time them. Every random number
of an epoch comes from (seed, epoch), so a run that is resumed continues exactly as if it had never stopped.

    for record in fit(Run(model, model.optimizer()), data, config): ...
"""

import time
from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from infer.errors import InputError
from infer.system.progress import progress
from train.config import TrainConfig
from train.data.dataset import Data
from train.loop.run import EpochRecord, Midway, Run
from train.loop.snapshots import Snapshots
from train.loop.validation import validate, validation_rows
from train.loop.weighing import weigh
from train.loop.world import ALONE, World, random_state, set_random_state
from train.models.base import Batch, ScoringModel
from train.models.rows import RowAdamW
from train.models.starting import rate_share

# Epochs whose validation NDCG is averaged before it is judged.
SMOOTHED = 3
# What ends a training: all epochs are done, none was better for so many, somebody wanted it as it is, or an earlier
# one had its best epoch then.
CAP, PATIENCE, STOPPED, FOUND = "epochs", "patience", "finish", "refit"


class DivergedError(InputError):
    """A loss is no longer a finite number."""


def check_finite(what: str, loss: float | None) -> None:
    """Raises DivergedError if a loss, if there is one, is no finite number."""
    if loss is not None and not np.isfinite(loss):
        raise DivergedError(f"the {what} is {loss}: try a smaller --learning-rate")


def fit(
    run: Run, data: Data, config: TrainConfig, world: World = ALONE, snapshots: Snapshots | None = None
) -> Iterator[EpochRecord]:
    """Train from the next epoch on, to config.epochs or until the patience ends, yielding after each.

    A continued model is first measured as it is: that is epoch 0. Of several processes (`world`) each yields the same
    records; the first alone measures.  snapshots: keep the state within an epoch.

    Where nothing is held out for validation nothing is measured, and no patience ends it.

    Afterwards the model holds the weights that are to be kept. seconds covers the training of the
    epoch, not its validation. Raises InputError if the loss stops being a finite number.
    """
    device = torch.device(config.device)
    rows, threads = validation_rows(data, config), torch.get_num_threads()
    if run.continued and not run.records and len(rows):
        measured = world.agreed(validate(run.model, data, rows, device) if world.first else (None, None, None))
        run.add(EpochRecord(0, None, *measured, 0.0, threads), keep_best=bool(config.patience))
        yield run.records[0]
    while not finished(run, config):
        epoch = run.epochs + 1
        began, before = time.perf_counter(), run.midway.seconds if run.midway else 0.0
        train_loss = train_epoch(run, data, config, epoch, device, world, snapshots)
        seconds = before + time.perf_counter() - began
        check_finite(f"loss of epoch {epoch}", train_loss)
        with run.averaged():
            measured = validate(run.model, data, rows, device) if world.first else (None, None, None)
            record = world.agreed(EpochRecord(epoch, train_loss, *measured, seconds, threads))
            check_finite(f"validation loss of epoch {epoch}", record.validation_loss)
            run.add(record, keep_best=bool(config.patience))
        yield record
    if world.first:
        complete(run, data, config)


def complete(run: Run, data: Data, config: TrainConfig) -> None:
    """Give the model the weights that are to be kept, and find what is found after training."""
    run.finish()
    weigh(run, data, validation_rows(data, config), torch.device(config.device))


def finished(run: Run, config: TrainConfig) -> bool:
    """Whether nothing is left to train: solved, all epochs done, or none better within the patience; or those done that
    an earlier training found.

    Better is an epoch with a higher validation NDCG than all before, and also one at which the mean of SMOOTHED epochs
    is: otherwise a single high value by chance would end a training that still improves. The weights that are kept are
    those of the best single epoch.
    """
    done = run.epochs
    if run.model.closed_form:
        return done > 0
    if run.until is not None:
        return done >= run.until
    values = [record.validation_ndcg_at_10 or 0.0 for record in run.records]
    if not config.patience or not done:
        return done >= config.epochs
    smooth = [float(np.mean(values[max(0, end - SMOOTHED) : end])) for end in range(1, len(values) + 1)]
    better = max(run.best_record.epoch, run.records[0].epoch + int(np.argmax(smooth)))
    return done >= config.epochs or done - better >= config.patience


def ended_by(done: int, epochs: int, stopped: bool = False, until: int | None = None) -> str:
    """What ended a training of so many epochs: CAP, PATIENCE, STOPPED if it was, or FOUND if it was to end then."""
    return STOPPED if stopped else FOUND if until is not None else CAP if done >= epochs else PATIENCE


def ending(by: str, done: int, epochs: int, patience: int | None) -> str:
    """What `ended_by` says, in words."""
    if by == STOPPED:
        return f"it was stopped after {done} epoch{'s' * (done != 1)} (--finish)"
    if by == FOUND:
        return f"epoch {done} was the best of an earlier training (--refit)"
    if by == CAP:
        return f"all {epochs} epochs (--epochs) are done" if epochs > 1 else "the one epoch (--epochs) is done"
    return f"no epoch was better for {patience} (--patience)"


def train_epoch(
    run: Run,
    data: Data,
    config: TrainConfig,
    epoch: int,
    device: torch.device,
    world: World = ALONE,
    snapshots: Snapshots | None = None,
) -> float | None:
    """One pass over the training batches, or what is left of it, or the solution; returns the mean loss, if there is
    one, over the batches of all processes."""
    model, optimizer = run.model, run.optimizer
    if model.closed_form or optimizer is None:
        model.solve(data)
        return None
    began, done = time.perf_counter(), run.midway or Midway(0, 0.0, 0, 0.0, [])
    generator = torch.Generator().manual_seed(stream_seed(config.seed, epoch, "batches"))
    if len(done.random) == world.size:
        set_random_state(done.random[world.rank], device)
    else:
        begun = (world.rank, done.steps) if done.steps or not world.alone else ()
        torch.manual_seed(stream_seed(config.seed, epoch, "dropout", *begun))
    model.train()
    model.start_epoch(epoch)
    total, count = torch.full((), done.loss / world.size, device=device), done.count
    planned = config.schedule != "constant" or config.warm_up > 0
    steps = model.expected_steps(data)
    batches = islice(model.training_batches(data, generator), done.steps, None)
    told = progress(
        batches, desc=f"epoch {epoch}/{run.until or config.epochs}", initial=done.steps, total=steps or None,
        unit=" steps", leave=False,
    )  # fmt: skip
    for n, batch in enumerate(told, done.steps):
        if planned:
            # From the epoch and not from a count, so that a resumed run needs no state for it.
            step = (epoch - 1) * steps + min(n, steps - 1)
            share = rate_share(config.schedule, config.warm_up, step, config.epochs * steps)
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * share
        part, share = world.own(batch)
        loss = train_step(model, optimizer, part.to(device), config, world, share)
        if config.average:
            run.follow(config.average)
        run.trimming.trim()
        total, count = total + loss * len(batch), count + len(batch)
        if snapshots is not None and snapshots.due(n + 1, world):
            loss_so_far, random = float(world.sum(total.clone())), world.gathered(random_state(device))
            check_finite(f"loss of epoch {epoch}", loss_so_far)  # what was kept before is better than these weights
            run.midway = Midway(n + 1, loss_so_far, count, done.seconds + time.perf_counter() - began, random)
            snapshots.write(world)
    run.midway = None
    return float(world.sum(total)) / max(count, 1)


def train_step(
    model: ScoringModel,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    config: TrainConfig,
    world: World = ALONE,
    share: float = 1.0,
) -> Tensor:
    """One step on a batch that lies on the model's device; returns its mean loss, a scalar without gradients.

    share: what a part of a batch counts in the whole, of whose mean loss this process's summand is returned.
    """
    optimizer.zero_grad(set_to_none=True)
    loss = model.loss(batch)
    if not world.alone:
        loss = loss * share
    loss.backward()
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    if isinstance(optimizer, RowAdamW):
        gradients += optimizer.gradients()
    world.sum_up(gradients)
    if config.clip:
        clip_gradients(gradients, config.clip)
    optimizer.step()
    return loss.detach()


def clip_gradients(gradients: list[Tensor], most: float) -> None:
    """As `nn.utils.clip_grad_norm_`, but on a CPU only a norm beyond `most` costs a pass over the gradients."""
    norm = nn.utils.get_total_norm(gradients)
    factor = most / (norm + 1e-6)
    if norm.is_cuda or factor < 1:
        for gradient in gradients:
            gradient.mul_(factor.clamp(max=1.0))


def stream_seed(*parts: int | str) -> int:
    """One 63-bit seed from several parts, so that neighbouring seeds and epochs share no stream."""
    numbers = [p if isinstance(p, int) else int.from_bytes(p.encode()[:8], "big") for p in parts]
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
