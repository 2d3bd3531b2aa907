"""What a file needs to search few cells of items: the cells, and the weights in their order.

In: a file that scores all items, and the table it was trained on. Out: `Probes`, and a checkpoint's content whose items
stand in the order of the cells; or InputError.

    probes = probes_of(Path("hybrid.onnx"), Path("artifacts/interactions.parquet"), 32)
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from export.cells.cells import cell_count, cells_of, item_at
from export.cells.probing import CELLS, Probes
from infer.errors import InputError
from infer.model.session import open_model
from infer.model.vectors import item_vectors, user_side
from infer.scoring.job import open_job
from infer.scoring.task import prepare
from train.models.base import ScoringModel

USERS = 4_096  # whose vectors say which items are of like scores
BATCH_SIZE = 256


def refuse(number: int, model: ScoringModel, items: int, precision: str, fixed: int | None, table: Path) -> None:
    """Raise InputError if such cells cannot be, or cannot spare anything."""
    if not model.vectors:
        raise InputError("--probes is for models whose scores are products of vectors, and those of this one are none")
    if precision != "fp32":
        raise InputError(f"--probes is for files in fp32, not in {precision}")
    if fixed is not None:
        raise InputError("--probes is for files that take rules and any number of items: leave --fixed-k away")
    count = cell_count(items)
    if number * CELLS > count:
        raise InputError(
            f"--probes={number} of {count} cells, which {items:,} items have, would spare nothing: "
            + (f"give at most {count // CELLS}" if count >= CELLS else "leave it away")
        )
    if not table.is_file():
        raise InputError(f"{table}, by whose users --probes finds cells, is not there")


def probes_of(exact: Path, table: Path, number: int, seed: int = 0) -> Probes:
    """The cells of a file's items by the vectors of users of this table, drawn from a seed."""
    model = open_model(exact)
    task = prepare(open_job(model, table, split=None))
    rows = np.flatnonzero(task.personalisable)
    rows = np.sort(np.random.default_rng(seed).permutation(rows)[:USERS])
    if not len(rows):
        raise InputError(f"{table} has no user whose vector says which items are of like scores")
    side = user_side(model)
    users = [
        side.vectors(task.histories.take(some), task.user_index[some])
        for some in np.array_split(rows, -(-len(rows) // BATCH_SIZE))
    ]
    vectors = item_vectors(model)
    offered = np.setdiff1d(np.arange(1, len(vectors) + 1), model.metadata.retired)
    return Probes(cells_of(vectors, np.concatenate(users), offered, seed), number)


def in_order(state: dict[str, Any], model: ScoringModel, probes: Probes) -> dict[str, Any]:
    """A checkpoint's content with its items, retired ones too, in the order of cells."""
    item = item_at(probes.cells, len(state["item_ids"]))
    place = np.argsort(item)
    weights, order = dict(state["model"]), torch.from_numpy(item)
    for name in model.item_rows:
        weights[name] = torch.cat([weights[name][order], weights[name][len(item) :]])
    return state | {"model": weights, "retired": place[state.get("retired", [])].tolist()}
