"""An earlier model that a training starts from: what is taken from it, and what is said of it.

In: NAME.pt and the options that were given. Out: the options of tonight's training, and a `Start`.

    python -m train hybrid --from=hybrid.pt

Everything that says what the model is comes from the earlier checkpoint; how long and how fast it is trained does not.
"""

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from infer.errors import InputError
from infer.histories.vocabulary import PAD
from train.config import TrainConfig
from train.data.dataset import Data
from train.kinds import KINDS
from train.models.carried import places
from train.presets import configuration
from train.saved import checkpoint

# What decides the shapes of the weights, and what they mean.
FIXED = (
    "objective", "dim", "codes", "block", "layers", "heads", "feedforward", "activation", "norm", "scale_embeddings",
    "input_norm", "transform", "positions", "head", "item_bias", "max_length", "masking", "append_mask", "ratings",
    "chain", "chain_decay", "chain_trained",
)  # fmt: skip
# "As the table has it" means as the earlier model has it.
FOLLOWS = {"dim": 0, "block": "auto", "layers": 0, "heads": 0}
# What a run has of its own, where it is not given.
OWN = ("artifacts", "device", "validation_users", "epochs", "patience", "schedule", "warm_up")
ONCE = {"frozen_epochs": 0, "perturbation": 0.0}  # of a start from solved vectors, which is over

LEAST_KEPT = 0.05  # of the items that the earlier model may list; from fewer there is next to nothing to go on

# Chosen on validation: at most so many epochs, which so many without a better one end; where nothing is held out by
# which they could, a few.
CAP, PATIENCE, UNMEASURED = 20, 3, 3


@dataclass(frozen=True)
class Start:
    """An earlier checkpoint: where it lies, its SHA-256, what it holds."""

    path: Path
    checksum: str
    content: dict[str, Any]

    @property
    def config(self) -> dict[str, Any]:
        """Its options by field name."""
        return self.content["provenance"]["config"]

    @property
    def name_and_checksum(self) -> dict[str, str]:
        """What tells it from others."""
        return {"name": self.path.name, "checksum": self.checksum}

    def provenance(self, data: Data) -> dict[str, Any]:
        """What a checkpoint says of it: its name and checksum, and how many items were kept, new and dropped."""
        offered = np.ones(len(data.item_ids) + 1, dtype=bool)
        offered[[PAD, *data.retired]] = False
        kept = int(((places(data.item_ids, self.content["item_ids"]) != PAD) & offered).sum())
        numbers = {"kept": kept, "new": int(offered.sum()) - kept, "dropped": len(self.content["item_ids"]) - kept}
        return self.name_and_checksum | numbers


def found_at(path: Path, artifacts: Path) -> Path:
    """A checkpoint as it is given, or else in the artifacts folder."""
    return path if path.exists() or path.is_absolute() else artifacts / path


def read(path: Path, kind: str) -> Start:
    """The earlier checkpoint of the same kind; raises InputError, with the reason, if none can go on from it."""
    if not KINDS[kind].continues:
        raise InputError(f"{kind} is solved anew from each table, so there is nothing to go on from: leave out --from")
    return read_kind(path, kind, "from")


def read_kind(path: Path, kind: str, option: str) -> Start:
    """The checkpoint that an option names; raises InputError if there is none, or it is one of another kind."""
    content, checksum = checkpoint.read_with_checksum(
        path, f"name an earlier checkpoint with --{option}, or train from scratch without"
    )
    found = content["provenance"]["kind"]
    if found != kind:
        raise InputError(f"{path} is a {found}: run `python -m train {found} --{option}={quote(str(path))}`")
    return Start(path, checksum, content)


def read_numbering(path: Path) -> Start:
    """A checkpoint of any kind whose items keep their indexes; raises InputError if there is none."""
    content, checksum = checkpoint.read_with_checksum(
        path, "name an earlier checkpoint with --keep-items, or leave it out"
    )
    return Start(path, checksum, content)


def base(start: Start, kind: str) -> TrainConfig:
    """The options of the earlier model, but for what a run has of its own."""
    usual, taken = configuration(kind), dict(start.config)
    if start.content["tried"]:  # the chain's weight was found, not given
        taken["chain_weight"] = None
    names = {f.name for f in fields(usual)}
    own = {name: getattr(usual, name) for name in OWN if name in names and (kind != "mf" or name != "epochs")}
    once = {name: value for name, value in ONCE.items() if name in names}
    return replace(usual, **(taken | own | once))


def agreed(config: TrainConfig, start: Start) -> TrainConfig:
    """The options with the earlier model's sizes; raises InputError if one that was given contradicts them."""
    now, then = asdict(config), {"codes": 0} | start.config  # earlier checkpoints do not say it
    for name in FIXED:
        gets_codes = name == "codes" and not then[name]  # the trained vectors do
        if name not in now or now[name] == then[name] or gets_codes:
            continue
        if name not in FOLLOWS or now[name] != FOLLOWS[name]:
            option = "--" + name.replace("_", "-")
            raise InputError(
                f"{option}={now[name]} contradicts --from={start.path}, which has {option}={then[name]}: leave it out, "
                "or train from scratch without --from"
            )
        config = replace(config, **{name: then[name]})
    return config


def paced(config: TrainConfig, measured: bool) -> TrainConfig:
    """The options with the number of epochs and the patience of a continued run, where none are given.

    measured: whether anything is held out for validation.
    """
    changes: dict[str, Any] = {}
    if config.epochs == 0:
        changes["epochs"] = CAP if measured else UNMEASURED
    if config.patience is None:
        changes["patience"] = PATIENCE
    return replace(config, **changes)


def known(start: Start, data: Data) -> dict[str, Any]:
    """`Start.provenance`; raises InputError if the table has no item of the earlier model, or so few that it is of
    another shop."""
    said = start.provenance(data)
    listed = len(start.content["item_ids"]) - len(start.content.get("retired", ()))
    if said["kept"] >= LEAST_KEPT * listed:
        return said
    if said["kept"]:
        raise InputError(
            f"{start.path} knows {listed:,} items, of which {data.name} has {said['kept']:,}, "
            f"fewer than {LEAST_KEPT:.0%}: train from scratch without --from"
        )
    examples = [", ".join(repr(i)[:40] for i in ids[:3]) for ids in (start.content["item_ids"], data.item_ids)]
    raise InputError(
        f"{start.path} knows no item of {data.name}: its ids are {examples[0]}, those of the table {examples[1]}; "
        "train from scratch without --from"
    )
