"""Scores that are lifted or lowered by item.

In: a table of items with a column `weight` or `add`, or {item: weight}. Out: `Boosts` in the indexes of a model.

    boosts_of({"p42": 1.5}, vocabulary(ids, "item"), "hybrid.onnx", said)
"""

from typing import Any

import numpy as np
import polars as pl

from infer.candidates.reading import known_items, rows_of
from infer.errors import InputError
from infer.histories.vocabulary import PAD
from infer.model.choice import Boosts
from infer.tables.columns import ITEM
from infer.tables.options import TableOptions

OPTION = "--boost"
WEIGHTS = {"weight": ("weight", "multiply", "factor"), "add": ("add", "added")}
# Beyond these a score in 32 bits may become infinite, or all the same.
LARGEST_WEIGHT, LARGEST_ADDED = 1e6, 1e9


def boosts_of(
    given: Any, vocabulary: pl.DataFrame, model: str, said: list[str], events: TableOptions = TableOptions()
) -> Boosts:
    """The boosts of the items that the model knows; none if nothing is given.

    events: how the table of interactions is read, whose name of the column of items counts here, too.

    Raises InputError if it cannot be read, names an item twice or none of the model's, or for a number out of range.
    """
    if given is None:
        return Boosts()
    table = rows_of(given, OPTION, [ITEM], WEIGHTS, events)
    if not set(WEIGHTS) & set(table.columns):
        raise InputError(f"{OPTION} takes a column weight, by which scores are multiplied, or add; found neither")
    factor = table["weight"] if "weight" in table.columns else pl.Series("weight", [1.0] * table.height)
    added = table["add"] if "add" in table.columns else pl.Series("add", [0.0] * table.height)
    if not (factor > 0).all():
        raise InputError(f"{OPTION}: a weight is above 0; found {factor.filter(factor <= 0)[0]:g} (--exclude-items)")
    wide = (factor > LARGEST_WEIGHT) | (factor < 1 / LARGEST_WEIGHT)
    if wide.any():
        found = factor.filter(wide)[0]
        raise InputError(f"{OPTION}: a weight is from {1 / LARGEST_WEIGHT:g} to {LARGEST_WEIGHT:g}; found {found:g}")
    wide = added.abs() > LARGEST_ADDED
    if wide.any():
        found = added.filter(wide)[0]
        raise InputError(f"{OPTION}: what is added is from {-LARGEST_ADDED:g} to {LARGEST_ADDED:g}; found {found:g}")
    index = known_items(table[ITEM], OPTION, given, vocabulary, model, said)
    # Also the same item under two names: `8` and `8.0`.
    twice = table[ITEM].is_duplicated() | (pl.Series(index).is_duplicated() & pl.Series(index != PAD))
    if twice.any():
        raise InputError(f"{OPTION} names the item '{table[ITEM].filter(twice)[0]}' twice")
    order = np.argsort(index, kind="stable")
    order = order[index[order] != PAD]
    values = np.stack([factor.to_numpy(), added.to_numpy()], 1).astype(np.float32)
    return Boosts(index[order].astype(np.int64), values[order])
