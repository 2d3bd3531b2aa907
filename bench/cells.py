"""What the study compares, and how one cell of it (an experiment with one seed) is made.

In: a prepared data folder. Out, in OUTPUT/DATA/seedN/: checkpoint, history, ONNX file, ranks,
evaluation and, written last, NAME.cell.json, which says that the cell is finished and of what.
"""

import contextlib
import io
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import polars as pl

from infer.errors import InputError
from infer.evaluate import EvaluateConfig, evaluate_model
from infer.files import replacing, sha256, write_text
from infer.lists import model_lists
from infer.schema import INTERACTIONS_FILE, ITEM, ITEMS_FILE, VALIDATION
from infer.task import ScoringConfig, prepare, select_users
from train.config import TrainConfig
from train.presets import configuration

LEAVE_ONE_OUT = "leave-one-out"
VARIATIONS = ("random-ties", "time-split")
MEMBERS = "ease,markov,content,hybrid,hybrid-ppmi"


@dataclass(frozen=True)
class Experiment:
    """One model to compare.

    stage: those of stage 1 start from models of stage 0.  seeds: at most so many of the study's;
    deterministic models need one.  short: part of the short study.  varied: also run on other splits.
    """

    name: str
    title: str
    kind: str
    preset: str = "hybrid"
    changes: dict = field(default_factory=dict)
    stage: int = 0
    seeds: int = 100
    short: bool = False
    varied: bool = False


EXPERIMENTS = (
    Experiment("mf-paper", "MF, paper", "mf", "paper", short=True),
    Experiment("bert-paper", "BERT, paper", "bert", "paper", short=True),
    Experiment("hybrid-paper", "hybrid, paper", "hybrid", "paper", {"mf": "mf-paper"}, stage=1, short=True),
    Experiment("knn", "item-kNN", "knn", seeds=1, short=True),
    Experiment("ials", "iALS", "mf", short=True),
    Experiment(
        "ease-plain", "EASE", "ease", changes={"locality": 1.0, "content": 0.0, "regularization": 300.0}, seeds=1,
        short=True,
    ),
    Experiment("markov", "Markov", "markov", seeds=1, short=True, varied=True),
    Experiment(
        "ease-markov", "EASE + Markov", "best", changes={"members": "ease-plain,markov"}, stage=1, seeds=1, short=True
    ),
    Experiment("ease", "local EASE + content", "ease", seeds=1, short=True),
    Experiment("content", "content only", "content", seeds=1, short=True),
    Experiment("scratch", "transformer from scratch", "bert", short=True, varied=True),
    Experiment("hybrid", "hybrid", "hybrid", short=True, varied=True),
    Experiment("hybrid-ppmi", "hybrid from PPMI", "hybrid", changes={"initial": "ppmi"}, short=True),
    Experiment("best", "best.onnx", "best", changes={"members": MEMBERS}, stage=1, short=True),
    Experiment("mf-64", "MF of ratings, 64", "mf", "paper", {"dim": 64}, seeds=2),
    Experiment(
        "hybrid-mf", "hybrid from rating MF", "hybrid", changes={"initial": "mf", "mf": "mf-64"}, stage=1, seeds=2
    ),
    Experiment("softmax", "from scratch, full softmax", "bert", changes={"loss": "softmax"}, seeds=1),
    Experiment("bert4rec", "BERT4Rec", "bert", "bert4rec", seeds=2),
    Experiment("sasrec", "SASRec", "bert", "sasrec", seeds=2),
    Experiment("gsasrec", "gSASRec", "bert", "gsasrec", seeds=2),
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One experiment on one split with one seed; folder is where its files lie."""

    experiment: Experiment
    data: str
    seed: int
    folder: Path
    epochs: int | None
    negatives: int
    user: str

    @property
    def marker(self) -> Path:
        """The file that says that the cell is finished."""
        return self.folder / f"{self.experiment.name}.cell.json"

    def config(self) -> TrainConfig:
        """The resolved training configuration."""
        changes = dict(self.experiment.changes) | {"artifacts": self.folder, "seed": self.seed}
        config = configuration(self.experiment.kind, self.experiment.preset, **changes)
        if self.epochs is not None and hasattr(config, "epochs"):
            config = configuration(
                self.experiment.kind, self.experiment.preset, **changes, epochs=min(config.epochs, self.epochs)
            )
        return config

    def origin(self) -> dict:
        """What decides the cell's result."""
        config = json.loads(json.dumps(asdict(self.config()), default=str)) | {"artifacts": ""}
        data = sha256(self.folder / INTERACTIONS_FILE)
        return {"experiment": self.experiment.name, "config": config, "data": data, "negatives": self.negatives}


def finished(cell: Cell) -> bool:
    """Whether the cell has been made, of the same data and options."""
    if not cell.marker.is_file():
        return False
    try:
        return json.loads(cell.marker.read_text())["origin"] == cell.origin()
    except (ValueError, KeyError):
        return False


def prepare_folder(cell_folder: Path, source: Path) -> None:
    """Let the cell's folder hold the study's data; raises InputError if it holds other data."""
    cell_folder.mkdir(parents=True, exist_ok=True)
    for name in (INTERACTIONS_FILE, ITEMS_FILE):
        target = cell_folder / name
        if target.is_file() and sha256(target) != sha256(source / name):
            raise InputError(f"{cell_folder} is of a study of other data: choose another --output, or delete it")
        if not target.is_file():
            with replacing(target) as part:
                shutil.copyfile(source / name, part)


def make(cell: Cell) -> float:
    """Train, export and evaluate one cell; returns the seconds it took."""
    import torch

    from export.__main__ import export
    from train.__main__ import train

    torch.set_num_threads(int(os.environ.get("STUDY_THREADS", "1")))
    began = time.perf_counter()
    name = cell.experiment.name
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        _borrow_members(cell)
        train(cell.experiment.kind, cell.config(), name)
        model, _ = export(name, cell.folder)
        # The validation items first, whose ranks are kept beside those of the test items.
        evaluate_model(EvaluateConfig(model=model, threads=1, negatives=cell.negatives, split=VALIDATION))
        (cell.folder / f"{name}.ranks.parquet").replace(cell.folder / f"{name}.validation.ranks.parquet")
        evaluate_model(EvaluateConfig(model=model, threads=1, negatives=cell.negatives))
        _write_top(cell, model)
    seconds = time.perf_counter() - began
    write_text(cell.marker, json.dumps({"origin": cell.origin(), "seconds": seconds}, indent=2) + "\n")
    return seconds


def run_safely(cell: Cell, work: Callable[[Cell], float] = make) -> float | str:
    """The seconds, or what went wrong as one line: errors of a worker process arrive as text."""
    try:
        return work(cell)
    except InputError as error:
        return str(error)


def _borrow_members(cell: Cell) -> None:
    """Deterministic models are trained with the first seed only; a blend of another seed uses those."""
    members = cell.experiment.changes.get("members", "")
    for name in filter(None, members.split(",")):
        own, first = cell.folder / f"{name}.pt", cell.folder.parent / "seed0" / f"{name}.pt"
        if not own.is_file() and first.is_file():
            shutil.copyfile(first, own)


def _write_top(cell: Cell, model: Path) -> None:
    """The five best films of the study's user, and the held-out one: (rank, item, title, genres)."""
    task = select_users(prepare(ScoringConfig(model=model, threads=1), measure=True), cell.user, "--user")
    lists = model_lists(task, 5, batch_size=1).select("rank", ITEM)
    held = task.targets.select(pl.lit(0, dtype=pl.Int32).alias("rank"), ITEM)
    titles = pl.read_parquet(cell.folder / ITEMS_FILE)
    table = pl.concat([lists, held])
    if titles.schema[ITEM] == table.schema[ITEM]:
        table = table.join(titles, on=ITEM, how="left", maintain_order="left")
    else:
        table = table.with_columns(title=pl.lit(None, pl.String), genres=pl.lit(None, pl.String))
    with replacing(cell.folder / f"{cell.experiment.name}.top.parquet") as part:
        table.write_parquet(part)
