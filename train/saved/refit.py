"""What validation found for an earlier model, from which a model is trained anew on all rows.

In: NAME.pt of a table that holds items out for validation, and the options that were given. Out: the options of the
training, how many epochs it has, and what else was found.

    python -m train hybrid --refit=choice/hybrid.pt

Everything is as in the earlier training, but for the weights, which begin anew, and where it ends: after the epoch that
was the best. The weights of the chain and of the members of `best` stay as they were found.
"""

from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from infer.errors import InputError
from train.config import TrainConfig
from train.presets import configuration
from train.saved.earlier import Start, read_kind

OWN = ("artifacts", "device", "validation_users")
FOUND = ("epochs", "patience", "members")
READ, OF_BLEND = ("provenance", "rules", "best", "members"), ("weights", "newcomers")
MEASURED = (
    "{} holds items out for validation, which a model of --refit learns from, too: prepare the table with "
    "--split=none, or with --no-validation where test items are to be measured"
)


def read(path: Path, kind: str) -> Start:
    """The earlier checkpoint of the same kind; raises InputError, with the reason, if it says not what is asked of it.

    One that went on from an earlier model does not: its epochs are not those that a training from the start takes.
    """
    found = read_kind(path, kind, "refit")
    if "start" in found.content["provenance"]:
        raise InputError(
            f"{found.path} went on from an earlier model, so its epochs do not say how many a training from the start "
            "takes: name one that was trained without --from"
        )
    # Its weights may be as large as those of the model that is trained.
    content = {name: value for name, value in found.content.items() if name in READ}
    weights = {name: value for name, value in found.content["model"].items() if name in OF_BLEND}
    return replace(found, content=content | {"model": weights})


def base(found: Start, kind: str) -> TrainConfig:
    """All options of the earlier model, but for where it was trained."""
    usual = configuration(kind)
    names = {f.name for f in fields(usual)}
    return replace(usual, **(found.config | {name: getattr(usual, name) for name in OWN if name in names}))


def agreed(config: TrainConfig, found: Start) -> TrainConfig:
    """The options; raises InputError if one that was given contradicts what was found."""
    now = asdict(config)
    for name in FOUND:
        if name in now and now[name] != found.config[name]:
            raise InputError(
                f"--{name}={now[name]} contradicts --refit={found.path}, which takes what validation found: "
                "leave it out"
            )
    return config


def epochs(found: Start) -> int:
    """The number of the epoch that was the best, or the last where nothing was measured."""
    return int(found.content["best"]["epoch"])


def provenance(found: Start) -> dict[str, Any]:
    """What a checkpoint says of it: its name, its checksum, and how many epochs were found."""
    return {**found.name_and_checksum, "epochs": epochs(found)}
