"""How a model trained: its epochs, and what its checkpoint says of what was kept and what ended it.

In: NAME.history.parquet and, if it is there, NAME.pt. Out: a `Training`.

    read(Path("artifacts"), "bert").ended  # "no epoch was better for 6 (--patience)"
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from infer.errors import InputError
from train.loop.loop import ended_by, ending
from train.saved import checkpoint
from train.saved.places import Places

DEFAULT = ("mf", "bert", "hybrid")  # what `just train-all` trains
NDCG, HIT = "validation_ndcg_at_10", "validation_hit_at_10"
COLUMNS = ("epoch", "train_loss", "validation_loss", HIT, NDCG, "seconds", "preparation_seconds")
RETRAIN = "train it again"


@dataclass(frozen=True)
class Training:
    """One finished training.

    epochs: a row an epoch, COLUMNS and elapsed, the seconds from its start to the end of the epoch, with what it
    prepared and without validation.  day: when the history was written.  provenance: of its checkpoint; None without
    one of the same epochs.  kept: the epoch whose weights were kept, as far as that is known.  by: what ended it, as
    `train.loop.loop.ended_by` has it; None where an older checkpoint does not say.
    """

    name: str
    epochs: pl.DataFrame
    day: date
    provenance: dict[str, Any] | None = None
    kept: int | None = None
    by: str | None = None

    @property
    def solved(self) -> bool:
        """Whether it has no loss, being solved in closed form."""
        return self.trained > 0 and self.epochs["train_loss"].null_count() == self.epochs.height

    @property
    def trained(self) -> int:
        """How many epochs there were; epoch 0, of a model that starts from an earlier one, is none."""
        return self.epochs["epoch"][-1]

    @property
    def others(self) -> list[str]:
        """Names of the models that it is made of or begins with, whose training is in none of its seconds."""
        said = self.provenance or {}
        files = [*said.get("parents", {}), *([said["start"]["name"]] if said.get("start") else [])]
        return [Path(file).stem for file in files]

    @property
    def best(self) -> dict[str, Any] | None:
        """The first epoch of the highest validation NDCG@10; None where nothing is held out."""
        return _first(self.epochs, pl.col(NDCG) == pl.col(NDCG).max())

    @property
    def least_loss(self) -> dict[str, Any] | None:
        """The first epoch of the least validation loss, if it has one."""
        return _first(self.epochs, pl.col("validation_loss") == pl.col("validation_loss").min())

    @property
    def ended(self) -> str:
        """What ended it, in words."""
        if self.solved:
            return "solved in one step"
        if self.provenance is None:
            return f"not known: no {self.name}.pt of these epochs"
        config, done = self.provenance["config"], self.trained
        by = self.by or ended_by(done, config["epochs"])
        return ending(by, done, config["epochs"], config["patience"])


def read(artifacts: Path, name: str) -> Training:
    """The training of a model; raises InputError if its history is missing or is none."""
    path = artifacts / f"{name}.history.parquet"
    if not path.is_file():
        raise InputError(f"{path} does not exist: train the model with `python -m train`, or name another")
    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError):
        raise InputError(f"{path} is not readable as Parquet: {RETRAIN}") from None
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing or not table.height:
        raise InputError(f"{path} is no history of a training ({missing[0] if missing else 'no rows'}): {RETRAIN}")
    elapsed = pl.col("seconds").cum_sum() + pl.col("preparation_seconds")
    epochs = table.select(COLUMNS).with_columns(elapsed=elapsed)
    day = date.fromtimestamp(path.stat().st_mtime)
    finished = Places(artifacts, name).finished
    if finished.is_file():
        content = checkpoint.read(finished, RETRAIN)
        if len(content["history"]) == epochs.height:
            kept, by = content["best"]["epoch"], content.get("ended")
            return Training(name, epochs, day, content["provenance"], kept, by)
    return Training(name, epochs, day)


def _first(epochs: pl.DataFrame, met: pl.Expr) -> dict[str, Any] | None:
    return next(iter(epochs.filter(met).head(1).to_dicts()), None)
