"""What a trial of the study is: an experiment on one split of the data with one seed.

In: an experiment, and OUTPUT/trials/DATA/SPLIT/seedN/, the folder of a prepared data set. Out: its options, what it
starts from, what decides its result, and whether it is finished; `bench.study.making` makes it.
"""

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.study.experiments import EXPERIMENTS, Experiment
from infer.errors import InputError
from infer.system.files import replacing
from infer.system.fingerprints import sha256
from infer.system.versions import versions
from infer.tables.columns import INTERACTIONS_FILE, ITEMS_FILE, TEST, VALIDATION
from train.config import BertConfig, TrainConfig
from train.presets import configuration

# They decide a result.
LIBRARIES = ("torch", "implicit", "onnxruntime", "polars", "numpy")


@dataclass(frozen=True)
class Trial:
    """One experiment on one split with one seed.

    data: name of the data set.  folder: where its files lie.  epochs: most epochs of a transformer, None as configured.
    negatives: sampled negatives of each user.
    """

    experiment: Experiment
    data: str
    split: str
    seed: int
    folder: Path
    epochs: int | None
    negatives: int

    @property
    def name(self) -> str:
        """As it is told."""
        return f"{self.experiment.title} seed {self.seed} {self.data} {self.split}"

    @property
    def marker(self) -> Path:
        """The file that says that the trial is finished."""
        return self.file("trial.json")

    def file(self, suffix: str) -> Path:
        """One of the trial's files."""
        return self.folder / f"{self.experiment.name}.{suffix}"

    @property
    def measured(self) -> tuple[str, ...]:
        """The held-out items that it is measured on: the test items alone if it learned from the validation items."""
        return (TEST,) if self.experiment.refit else (TEST, VALIDATION)

    def ranks(self, of: str) -> Path:
        """The file of the ranks of TEST or VALIDATION items."""
        return self.file("ranks.parquet" if of == TEST else f"{of}.ranks.parquet")

    def config(self) -> TrainConfig:
        """The resolved training configuration."""
        config = configuration(self.experiment.kind, self.experiment.preset, **self.experiment.changes)
        config = replace(config, artifacts=self.folder, seed=self.seed)
        if self.epochs is not None and isinstance(config, BertConfig):
            config = replace(config, epochs=min(config.epochs or self.epochs, self.epochs))
        return config

    def parents(self) -> dict[str, Path]:
        """Checkpoints that it starts from; deterministic ones are trained with the first seed only."""
        seeds = {e.name: e.seeds for e in EXPERIMENTS}
        return {
            name: self.folder.with_name(f"seed{self.seed if self.seed < seeds[name] else 0}") / f"{name}.pt"
            for name in self.experiment.parents
        }

    def provenance(self) -> dict:
        """What decides the trial's result, as plain JSON values."""
        config = self.config()
        return {
            "experiment": self.experiment.name,
            "config": json.loads(json.dumps(asdict(config), default=str)) | {"artifacts": ""},
            "data": sha256(self.folder / INTERACTIONS_FILE),
            **({"items": sha256(self.folder / ITEMS_FILE)} if config.reads_items else {}),
            "negatives": self.negatives,
            "parents": {
                name: read_marker(path.with_suffix(".trial.json")).get("weights")
                for name, path in self.parents().items()
            },
            "versions": versions(*LIBRARIES),
        }


def read_marker(path: Path) -> dict[str, Any]:
    """What a finished trial says of itself; nothing of one that is not there, or not whole."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def finished(trial: Trial) -> bool:
    """Whether the trial has been made, of the same data, options and versions."""
    return is_of(read_marker(trial.marker), trial)


def is_of(marker: dict[str, Any], trial: Trial) -> bool:
    """Whether a marker is of this trial.

    One of an earlier version may not say of which table of items it is, and is taken for it: `bench.study.caveats`
    says so on the page.
    """
    said, expected = marker.get("provenance"), trial.provenance()
    if isinstance(said, dict) and "items" not in said:
        expected.pop("items", None)
    return said is not None and said == expected


def prepare_folder(folder: Path, source: Path) -> None:
    """Let a trial's folder hold the study's data; raises InputError if it holds other data."""
    for name in (INTERACTIONS_FILE, ITEMS_FILE):
        target = folder / name
        if target.is_file() and sha256(target) != sha256(source / name):
            raise InputError(f"{folder} is of a study of other data: choose another --output, or delete it")
    for name in (INTERACTIONS_FILE, ITEMS_FILE):
        if not (folder / name).is_file():
            with replacing(folder / name) as temporary:
                shutil.copyfile(source / name, temporary)
