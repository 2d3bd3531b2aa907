"""A model of 40 items and the interactions of 30 users, scored night after night.

In: a folder. Out: m.onnx and interactions.parquet in it, and what readers find after a run.
"""

from pathlib import Path

import numpy as np
import polars as pl

from bench.synthetic import SyntheticConfig, generate
from infer import batch
from infer.tables.columns import TIDY_KEY
from tests.helpers.markov import write_model

ITEMS = list(range(1, 41))
USERS = 30


def write_night(folder: Path) -> Path:
    """Write the model and the table it was trained on; returns the folder."""
    table = generate(SyntheticConfig(users=USERS, items=40, interactions=300)).drop("rating")
    table.write_parquet(folder / "interactions.parquet", metadata={TIDY_KEY: "1"})
    scores = np.random.default_rng(0).normal(size=(41, 41))
    write_model(folder / "m.onnx", ITEMS, scores, folder / "interactions.parquet")
    return folder


def score(folder: Path, *words: str) -> None:
    """Run the batch scorer with four users in a part."""
    batch.main([f"--model={folder / 'm.onnx'}", "--part-users=4", *words])


def parts(folder: Path, name: str = "m") -> dict[str, bytes]:
    """The published files of lists."""
    return {path.name: path.read_bytes() for path in sorted((folder / f"{name}.topk.parquet").iterdir())}


def lists(folder: Path, name: str = "m") -> pl.DataFrame:
    """What readers find."""
    return pl.read_parquet(folder / f"{name}.topk.parquet")


def store(folder: Path) -> Path:
    """The folder of all publications."""
    return folder / "m.topk.publications"


def work(folder: Path) -> Path:
    """The folder of an unfinished run."""
    return store(folder) / "work"


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but for locks, links as where they lead."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(folder))] = str(path.readlink()).encode()
        elif path.is_file() and path.suffix != ".lock":
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found
