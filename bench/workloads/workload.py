"""What the benchmarks score: small synthetic data and models trained on them, made when first asked for.

In: a `Workload` (size of the catalogue, window) and a folder. Out: prepared data, checkpoints and ONNX files, as
`just train-all` makes them, each made once a folder.

    path = model_file(Workload(), Path("/tmp/workload"), "hybrid")

The data are `bench.synthetic`'s, where in about half of the cases one item decides the next: a good model is
known to reach an NDCG@10 near 0.4, and no network is needed.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch

from bench.synthetic import SyntheticConfig, write
from export.exporter import export
from infer.tables.columns import INTERACTIONS_FILE
from train.config import BertConfig, LinearConfig, TrainConfig
from train.data.prepare import DataConfig, prepare
from train.models.registry import restore
from train.presets import CONFIGS, configuration
from train.saved import checkpoint
from train.saved.places import Places
from train.trainer import train

KINDS = ("mf", "bert", "hybrid", "best")
USERS = 1_024


@dataclass(frozen=True)
class Workload:
    """items: the catalogue, of which some occur in no interaction.  window: what transformers read.  epochs: of a
    transformer; costs do not depend on them.  interactions: about, of USERS users."""

    items: int = 2_000
    window: int = 50
    epochs: int = 5
    interactions: int = 60_000

    def config(self, kind: str, folder: Path, **changes: Any) -> TrainConfig:
        """The default configuration of a kind, cut to this workload."""
        if issubclass(CONFIGS[kind], BertConfig):
            changes = {"max_length": self.window, "stride": max(1, self.window // 2), "epochs": self.epochs} | changes
        elif issubclass(CONFIGS[kind], LinearConfig):
            changes = {"max_length": self.window} | changes
        elif kind == "best":
            changes = {"members": ",".join(self.members)} | changes
        return configuration(kind, artifacts=folder, **changes)

    @property
    def members(self) -> tuple[str, ...]:
        """Of best: in the main workload as in `just train-best`, without content, for synthetic items have no titles;
        elsewhere fewer, since inverting a large catalogue takes longer than all of its timings."""
        return ("ease", "hybrid") if self == Workload() else ("markov", "hybrid")


# Other catalogues and windows serve to measure seconds only: one epoch on fewer interactions.
MAIN = Workload()
OTHERS = {name: Workload(**sizes, epochs=1, interactions=30_000) for name, sizes in {
    "large catalogue": {"items": 20_000}, "window 10": {"window": 10}, "window 200": {"window": 200},
}.items()}  # fmt: skip


def prepared(workload: Workload, folder: Path) -> Path:
    """The folder with the workload's interactions, split; made if it is not there."""
    if not (folder / INTERACTIONS_FILE).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        table = folder / f"synthetic-{workload.items}.parquet"
        write(SyntheticConfig(users=USERS, items=workload.items, interactions=workload.interactions, output=table))
        prepare(DataConfig(dataset=str(table), artifacts=folder))
    return folder


def trained(workload: Workload, folder: Path, kind: str) -> Path:
    """The checkpoint of a kind of model, trained if it is not there."""
    path = Places(prepared(workload, folder), kind).finished
    if path.is_file():
        return path
    for member in workload.members if kind == "best" else ():
        trained(workload, folder, member)
    with on_threads():
        train(kind, workload.config(kind, folder), kind)
    return path


def model_file(workload: Workload, folder: Path, kind: str) -> Path:
    """The exported model of a kind, made if it is not there."""
    path = folder / f"{kind}.onnx"
    if not path.is_file():
        trained(workload, folder, kind)
        export(kind, folder)
    return path


def network(path: Path) -> Any:
    """The PyTorch model of an exported file, on the CPU, from the checkpoint beside it."""
    return restore(checkpoint.read(path.with_suffix(".pt"), "train it first"))


def training_seconds(folder: Path, kind: str) -> float:
    """Seconds that a trained model took, with the vectors it starts from, without validation."""
    table = pl.read_parquet(folder / f"{kind}.history.parquet")
    return float(table["seconds"].sum() + table["preparation_seconds"][0])


@contextlib.contextmanager
def on_threads(number: int = 1) -> Iterator[None]:
    """PyTorch on so many threads, by default on one: two would wait for each other wherever a core is shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
