"""What a search may change of each kind of model, and between which values.

In: a kind and a preset. Out: a range for each option that is searched; all others stay as the preset has them.

    from train.tune.spaces import space; print(space("bert", "sasrec"))

Ranges hold the values of the preset and what publications tried. Neither epochs nor patience of encoders are searched:
they end training, and what is best within few epochs is not what is best in the end. Every configuration in a space is
valid beside its preset; `beside` leaves out what other options that are given contradict.
"""

from dataclasses import dataclass, replace
from typing import Any

from infer.errors import InputError
from train.config import TrainConfig

Value = int | float | str | bool


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    values: tuple[Value, ...]


@dataclass(frozen=True)
class Numbers:
    """A number from low to high, both included; whole: only whole ones.  log: by its logarithm."""

    low: float
    high: float
    log: bool = True
    whole: bool = False


Space = dict[str, Choice | Numbers]

DROPOUT = Numbers(0.0, 0.6, log=False)
RATE = Numbers(2e-4, 1e-2)
# What every encoder has; dim is a multiple of each number of heads.
ENCODER: Space = {
    "learning_rate": RATE,
    "dim": Choice((32, 64, 128)),
    "layers": Choice((1, 2, 3)),
    "heads": Choice((1, 2, 4)),
    "dropout": DROPOUT,
    "input_dropout": DROPOUT,
    "max_length": Choice((50, 100, 200)),
    "batch_size": Numbers(16, 512, whole=True),
    "weight_decay": Numbers(1e-4, 1e-1),
}
OURS: Space = ENCODER | {
    "stride": Choice((0, 10, 25, 50)),
    "negatives": Choice((128, 512, 2048)),
    "negative_power": Numbers(0.0, 1.0, log=False),
}
PUBLISHED: Space = {name: of for name, of in ENCODER.items() if name != "weight_decay"}
SASREC: Space = PUBLISHED | {
    "dim": Choice((50, 64, 128)),
    "heads": Choice((1, 2)),
    "feedforward": Choice((50, 64, 128, 256)),
    "stride": Choice((0, 25, 100)),
}
LINEAR: Space = {"decay": Numbers(0.5, 1.0, log=False), "neighbours": Choice((50, 100, 300, 1000))}

# By kind, or by preset where it is another model.
SPACES: dict[str, Space] = {
    "mf": {
        "dim": Choice((16, 32, 64, 128, 256)),
        "epochs": Numbers(5, 40, whole=True),
        "confidence": Numbers(0.5, 100.0),
        "regularization": Numbers(0.1, 300.0),
    },
    "bert": OURS,
    "hybrid": OURS
    | {
        "chain": Choice((64, 128, 192, 256, 384)),
        "chain_ease": Numbers(0.0, 2.0, log=False),
        "chain_power": Numbers(0.0, 1.0, log=False),
        "chain_decay": Numbers(0.5, 1.0, log=False),
        "content": Numbers(0.1, 10.0),
    },
    "sasrec": SASREC,
    "gsasrec": SASREC | {"negatives": Choice((64, 128, 256, 512)), "calibration": Numbers(0.0, 1.0, log=False)},
    "bert4rec": PUBLISHED
    | {
        "learning_rate": Numbers(5e-5, 5e-3),
        "stride": Choice((0, 25, 100)),
        "mask_ratio": Numbers(0.1, 0.8, log=False),
        "last_share": Numbers(0.0, 0.5, log=False),
    },
    "knn": LINEAR,
    "markov": LINEAR
    | {
        "lags": Numbers(1, 40, whole=True),
        "lag_decay": Numbers(0.5, 1.0, log=False),
        "backward": Numbers(0.0, 1.0, log=False),
        "smoothing": Numbers(1.0, 1000.0),
        "popularity": Numbers(0.0, 1.0, log=False),
    },
    "ease": LINEAR
    | {
        "locality": Numbers(0.8, 1.0, log=False),
        "regularization": Numbers(1.0, 3000.0),
        "content": Numbers(0.1, 10.0),
    },
}


def space(kind: str, preset: str) -> Space:
    """What is searched for a kind in a preset, by field of its options; raises InputError if nothing is declared.

    A preset of a published encoder has its space whether it is trained as `bert` or `hybrid`; mf and the item-item
    models are searched around their defaults in every preset, but `paper`, which stays what it is.
    """
    if preset == "paper":
        raise InputError("--preset=paper is what the paper says, and is not tuned: choose another preset")
    if kind not in SPACES or kind in ("sasrec", "gsasrec", "bert4rec"):
        kinds = [name for name in SPACES if name not in ("sasrec", "gsasrec", "bert4rec")]
        raise InputError(f"there is nothing to tune in {kind}: choose one of {', '.join(kinds)}")
    return SPACES[preset] if kind in ("bert", "hybrid") and preset in SPACES else SPACES[kind]


def beside(space: Space, config: TrainConfig) -> Space:
    """What of a space can be searched while the other options are those of a configuration, which is valid.

    An option is left out if none but one of its values goes with them; its own value in the configuration is one of a
    choice.
    """
    left: Space = {}
    for field, of in space.items():
        own = getattr(config, field)
        if isinstance(of, Choice):
            values = tuple(value for value in of.values if _is_valid(config, field, value))
            values = values if own in values else (*values, own)
            if len(values) > 1:
                left[field] = Choice(values)
        elif all(_is_valid(config, field, int(end) if of.whole else end) for end in (of.low, of.high)):
            left[field] = of
    return left


def _is_valid(config: TrainConfig, field: str, value: Value) -> bool:
    """Whether a configuration may have a value in a field."""
    changed: dict[str, Any] = {field: value}
    try:
        replace(config, **changed).check()
    except InputError:
        return False
    return True
