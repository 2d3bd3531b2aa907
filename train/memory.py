"""Whether a training fits in this machine's memory, told before its first step, and what would make it fit.

In: a configuration with all sizes, and data. Out: nothing, or InputError with the estimate and the option to change.

    python -m train bert --loss=softmax --batch-size=512

The estimate is a lower bound: the copies of the weights that are held (gradient, both moments, moving average, best
epoch), and the scores of one step with their gradient. What it does not count is small beside these or there already.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from infer.errors import InputError
from infer.system.memory import free_memory
from train.config import BertConfig, MFConfig, TrainConfig

FLOAT, GIB = 4, 2**30  # bytes
SCORES = 2  # copies of a step's scores: themselves, and their gradient or shares
# Scores of full softmax that are held at once: on a CPU what its caches hold, with at least so many targets, since each
# part of them adds to the gradient of all items.
HELD, HELD_ON_GPU, FEWEST = 2**20, 2**28, 64


@dataclass(frozen=True)
class Part:
    """Something that takes memory.  bytes: at least.  less: which options make it smaller, in words."""

    what: str
    bytes: int
    less: str


def parts(
    config: TrainConfig, users: int, items: int, lengths: np.ndarray, measured: bool = True, processes: int = 1
) -> list[Part]:
    """What a training holds at once, largest first; nothing of kinds that are solved for, which tell it themselves.

    config: with all sizes.  users, items: in the table.  lengths: (users,) training items of each.  measured: whether
    anything is held out by which an epoch is the best.  processes: among which a batch is divided; it is of one.
    """
    if isinstance(config, MFConfig):
        copies = 4 if config.objective == "ratings" else 1
        return [Part("the vectors of users and items", FLOAT * copies * config.dim * (users + items), "--dim")]
    if not isinstance(config, BertConfig):
        return []
    own = config.dim * (1 + (config.head == "separate"))
    row = own + config.item_bias if not config.codes else 0
    # The average and the best epoch's; beside them the weight, both moments, and in full steps a gradient.
    kept = bool(config.average) + (bool(config.patience) and measured)
    copies = 3 + (config.sparse_updates != "on") + kept
    chain = min(config.chain, items - 1) * 2 * (1 + kept)
    smaller = ["--dim"] if config.codes else ["--dim", "--codes=16"]
    smaller += ["--chain"] if config.chain else []
    tables = Part(f"the weights of {items:,} items", FLOAT * items * (copies * row + chain), " or ".join(smaller))
    known = lengths[lengths > 0]
    filled = float(np.minimum(known, config.max_length).mean()) if len(known) else 1.0
    asked = filled if config.masking == "causal" else 1.0
    targets = config.batch_size / processes * asked
    if config.loss == "softmax":
        held = FLOAT * min(targets, scored_at_once(items + 1)) * (items + 1)
        step = Part(f"scores of {items:,} items", int(held), "--loss=sampled")
    else:
        held = FLOAT * SCORES * targets * (1 + config.negatives)
        step = Part(f"the scores of {config.batch_size} sequences", int(held), "--batch-size or --negatives")
    return sorted((tables, step), key=lambda part: part.bytes, reverse=True)


def scored_at_once(items: int, on_cpu: bool = True) -> int:
    """How many targets' scores of all items full softmax holds at once."""
    return max(FEWEST, (HELD if on_cpu else HELD_ON_GPU) // items)


def check_memory(found: list[Part], free: int | None = None) -> None:
    """Raise InputError, with the estimate and what to change, if more is needed than is free.

    free: bytes; None: as the system says, and nothing is refused where it does not.
    """
    free = free_memory() if free is None else free
    needed = sum(part.bytes for part in found)
    if free is None or needed <= free:
        return
    most = found[0]
    raise InputError(
        f"training needs {needed / GIB:.1f} GiB at least, {most.bytes / GIB:.1f} of them for {most.what}, and "
        f"{free / GIB:.1f} GiB are free: try {most.less}"
    )


@contextmanager
def told_if_exhausted(found: list[Part]) -> Iterator[None]:
    """Raise InputError, which says what to change, in place of what PyTorch or Python raise when memory ends."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not _exhausted(error):
            raise
        less = f": try {found[0].less}" if found else ""
        raise InputError(f"out of memory{less}") from None


def _exhausted(error: RuntimeError) -> bool:
    """Whether PyTorch found no memory, on a GPU or on the CPU (where it has no class of its own for that)."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
