"""What follows from the table: the sizes of a model that nobody has given.

In: a configuration in which a size is 0, and how many training items each user has. Out: the same with sizes.

    python -m train bert  # "1 transformer layer, 64 dimensions, ..., for 98,396 interactions of 610 users"

block       transformer, or hstu from SEQUENCES users on: with few it is no better
layers      one of transformer, two of hstu
dim         64, or 128 from MANY interactions on: fewer do not carry wider vectors; also of MF where it is 0
heads       of 32 dimensions each, at least two
dropout     0.2, or 0.5 where users have fewer than SHORT training items in the mean
epochs      at most 100, which patience ends; 20 where nothing is held out by which it could
epoch_steps STEPS where a pass over all sequences takes more, else the whole pass
patience    10 epochs, or 5 from MANY interactions on, where an epoch has thousands of steps
batch_size  so many sequences that a step has about TARGETS items: where histories are short it takes more of them
sparse_updates  from CATALOGUE items on, where they can be had
"""

from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np

from infer.errors import InputError
from infer.histories.vocabulary import PAD
from train.config import BertConfig, MFConfig, TrainConfig
from train.data.dataset import Data

MANY = 300_000
SEQUENCES = 3_000
SMALL, LARGE = 64, 128
HEAD = 32
TARGETS = 800
FEWEST, MOST = 16, 512

CATALOGUE = 50_000
STEPS = 20_000
SHORT = 20
CAP, UNMEASURED = 100, 20
PATIENCE, LESS_PATIENCE = 10, 5
DROPOUT, MORE_DROPOUT = 0.2, 0.5

Config = TypeVar("Config", bound=TrainConfig)


def sized(config: Config, lengths: np.ndarray | None = None, measured: bool = True, items: int = 0) -> Config:
    """The configuration with a size for every 0.

    lengths: (users,) training items of each; without them as for a small table of long histories.  measured: whether
    anything is held out for validation.  items: in the catalogue.
    """
    many = lengths is not None and int(lengths.sum()) >= MANY
    usual = LARGE if many else SMALL
    if isinstance(config, MFConfig):
        return replace(config, dim=config.dim or usual)
    if not isinstance(config, BertConfig):
        return config
    dim, heads, batch = config.dim or usual, config.heads, config.batch_size
    heads = heads or next(n for n in range(max(2, dim // HEAD), 0, -1) if dim % n == 0)
    batch = batch or (FEWEST if lengths is None else sequences(lengths, config.max_length, config.stride))
    passed = 0.0 if lengths is None else window_count(lengths, config.stride) / batch
    dropout = config.dropout
    if dropout is None:
        dropout = MORE_DROPOUT if lengths is not None and mean_length(lengths) < SHORT else DROPOUT
    patience = config.patience
    if patience is None:
        patience = LESS_PATIENCE if many else PATIENCE
    sparse = config.sparse_updates
    if sparse == "auto":
        sparse = "on" if items >= CATALOGUE and config.updates_rows else "off"
    hstu = lengths is not None and known(lengths) >= SEQUENCES
    block = ("hstu" if hstu else "transformer") if config.block == "auto" else config.block
    found: dict[str, Any] = {
        "block": block,
        "layers": config.layers or (2 if block == "hstu" else 1),
        "dim": dim,
        "heads": heads,
        "batch_size": batch,
        "dropout": dropout,
        "input_dropout": dropout if config.input_dropout is None else config.input_dropout,
        "epochs": config.epochs or (CAP if measured else UNMEASURED),
        "patience": patience,
        "epoch_steps": config.epoch_steps or (STEPS if passed > STEPS else 0),
        "sparse_updates": sparse,
    }
    return replace(config, **found)


def sized_for(config: Config, data: Data) -> Config:
    """The configuration with a size for every 0 that fits the data.

    Raises InputError if an option was given that does nothing with the block chosen.
    """
    found = sized(config, data.histories.lengths, bool((data.targets != PAD).any()), len(data.item_ids))
    if not isinstance(found, BertConfig) or getattr(config, "block", "") != "auto":
        return found
    for option in fields(found):
        use = option.metadata.get("only", {}).get("block")
        if use and found.block not in use and getattr(found, option.name) != option.default:
            name = option.name.replace("_", "-")
            raise InputError(
                f"--{name} does nothing with {found.block} blocks, which --block=auto chooses for this table: it is "
                f"for --block={use[0]}"
            )
    return found


def known(lengths: np.ndarray) -> int:
    """How many users have a training item."""
    return int((lengths > 0).sum())


def mean_length(lengths: np.ndarray) -> float:
    """Mean of the users' numbers of items (users,), of those who have any."""
    return float(lengths[lengths > 0].mean()) if lengths.any() else 0.0


def sequences(lengths: np.ndarray, window: int, stride: int) -> int:
    """How many training sequences hold about TARGETS items.

    lengths: (users,) items in each history.  A user's latest window holds min(length, window) items; the further ones,
    `stride` apart, hold full windows but for the last few.
    """
    lengths = lengths[lengths > 1]
    if not len(lengths):
        return FEWEST
    further = np.maximum(lengths - 2, 0) // stride if stride else np.zeros_like(lengths)
    held = np.minimum(lengths, window).sum() + (further * np.minimum(lengths / 2, window)).sum()
    return int(np.clip(round(TARGETS * (len(lengths) + further.sum()) / held), FEWEST, MOST))


def window_count(lengths: np.ndarray, stride: int) -> float:
    """How many training sequences histories (users,) of these lengths make, in the mean over where they begin.

    A user's latest, and max(length - 2, 0) / stride more: ceil((length - 1 - s) / stride), where positive, adds up to
    length - 2 over the places s = 1..stride at which the second begins (Hermite's identity).
    """
    further = np.maximum(lengths - 2, 0).sum() / stride if stride else 0
    return float((lengths > 0).sum() + further)


def said(config: TrainConfig, lengths: np.ndarray) -> str:
    """What was chosen and from what, in words; empty if the model has no such sizes.  lengths: as in `sized`."""
    if not isinstance(config, BertConfig):
        return ""
    layers = f"{config.layers} {config.block} layer{'s' * (config.layers > 1)}"
    return (
        f"{layers}, {config.dim} dimensions, {config.heads} heads, dropout {config.dropout:g}, {config.batch_size} "
        f"sequences a step, for {lengths.sum():,} interactions of {known(lengths):,} users"
    )
