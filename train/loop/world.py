"""Processes that train one model together, each on its part of every batch (data parallelism, as PyTorch's DDP).

In: a batch, which all processes have drawn alike. Out: one process's part, and gradients summed over all, so that their
weights stay the same and are those of one process with the whole batch, but for rounding and dropout's random numbers.

    torchrun --nproc-per-node=2 -m train hybrid

`torchrun` names the processes to each other; they talk by gloo on CPUs and by NCCL on GPUs. The first reads and writes
checkpoints, solves for what a model starts from, validates and prints.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from infer.errors import InputError, first_line
from train.models.base import Batch

# The others wait while the first solves, validates or writes.
PATIENCE = timedelta(days=1)

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """One of `size` processes.  rank: from 0."""

    rank: int = 0
    size: int = 1

    @property
    def alone(self) -> bool:
        """Whether there is no other."""
        return self.size == 1

    @property
    def first(self) -> bool:
        """Whether it is the one that reads, writes and prints."""
        return self.rank == 0

    def own(self, batch: Batch) -> tuple[Batch, float]:
        """This process's part of a batch, and what its mean loss counts in the whole one's; the shares add up to 1."""
        if self.alone:
            return batch, 1.0
        part = batch.part(self.rank, self.size)
        if not len(part):
            # Every process has to take part in the sum of the gradients, one without a part with zeros.
            return next(filled for rank in range(self.size) if len(filled := batch.part(rank, self.size))), 0.0
        return part, part.mass / batch.mass

    def sum_up(self, gradients: list[Tensor]) -> None:
        """Replace gradients by their sums over the processes, in one message; alone they stay as they are."""
        if self.alone:
            return
        whole = self.sum(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, summed in zip(gradients, whole.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(summed.view_as(gradient))

    def sum(self, values: Tensor) -> Tensor:
        """The sum of `values` over the processes, which may be changed."""
        if not self.alone:
            torch.distributed.all_reduce(values)
        return values

    def agreed(self, value: T) -> T:
        """What the first process has; tensors in it arrive on the CPU."""
        if self.alone:
            return value
        buffer = io.BytesIO()
        if self.first:
            torch.save(value, buffer)
        told: list[Any] = [buffer.getvalue()]
        torch.distributed.broadcast_object_list(told)
        # Only a process of this run can have sent it.
        return value if self.first else cast(T, torch.load(io.BytesIO(told[0]), "cpu", weights_only=False))

    def gathered(self, value: T) -> list[T]:
        """What every process has, by rank."""
        if self.alone:
            return [value]
        values: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(values, value)
        return values


ALONE = World()


@contextmanager
def joined(device: str) -> Iterator[World]:
    """This process among those that `torchrun` has started, or alone; on a GPU of its own if they train on GPUs.

    Raises InputError if the others cannot be reached.
    """
    size = _number("WORLD_SIZE", 1)
    if size == 1:
        yield ALONE
        return
    if device == "cuda":
        local, gpus = _number("LOCAL_RANK", 0), torch.cuda.device_count()
        if local >= gpus:
            raise InputError(f"process {local} of this machine finds {gpus} GPUs: start one process for each GPU")
        torch.cuda.set_device(local)
    try:
        torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"the {size} processes do not find each other ({first_line(error)[:80]}): use torchrun"
        ) from None
    try:
        yield World(torch.distributed.get_rank(), torch.distributed.get_world_size())
    finally:
        torch.distributed.destroy_process_group()


def random_state(device: torch.device) -> Tensor:
    """The state of the generator that dropout draws from."""
    return torch.cuda.get_rng_state() if device.type == "cuda" else torch.get_rng_state()


def set_random_state(state: Tensor, device: torch.device) -> None:
    """Let dropout go on drawing from such a state."""
    (torch.cuda.set_rng_state if device.type == "cuda" else torch.set_rng_state)(state)


def _number(name: str, otherwise: int) -> int:
    value = os.environ.get(name, "")
    return int(value) if value.isdecimal() else otherwise
