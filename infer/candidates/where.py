"""Items chosen by SQL over the table of items.

In: `category = 'toys' and price < 20`, a table of items and a vocabulary. Out: which items it is true of.

    python -m infer.batch --model hybrid.onnx --items products.csv --items-where "price < 20"
"""

from pathlib import Path

import numpy as np
import polars as pl

from infer.errors import InputError
from infer.formats.places import located
from infer.formats.reading import collect
from infer.histories.vocabulary import PAD, index_of
from infer.tables.columns import ITEM
from infer.tables.events import chosen
from infer.tables.ids import id_column
from infer.tables.items import open_items, values_alone

OPTION = "--items-where"


def items_where(
    where: str, table: Path | None, vocabulary: pl.DataFrame, model: str, said: list[str], item: str | None = None
) -> np.ndarray:
    """(items + 1,) bool: the items of the vocabulary of which `where` is true; items that the table lacks are not.

    A column of lists that hold one value at most is used as that value, but as lists where the condition asks for these
    (`array_contains`), so that it holds on nights of any stock.  item: as of `open_items`.
    Raises InputError if there is no table, or the condition cannot be used on it, or it knows no item of the model.
    """
    if table is None:
        raise InputError(f"{OPTION} is asked of a table of items: name one with --items")
    path = located(table)
    opened, name = open_items(path, item)
    table_rows = collect(opened.rows, path)
    ids = id_column(table_rows.select(pl.col(name).alias(ITEM)), ITEM, str(path))
    known = index_of(ids, vocabulary)
    if not ids.count():
        raise InputError(f"{path} has no items, of which {OPTION} could be asked: name another table with --items")
    if not (known != PAD).any():
        raise InputError(
            f"{path} knows no item of {model}: it has '{ids.drop_nulls()[0]}', the model '{vocabulary[ITEM][0]}'"
        )
    numbered = table_rows.with_columns(pl.Series("", known))

    def true_of(rows: pl.DataFrame) -> pl.Series:
        return collect(chosen(rows.lazy(), where, opened.names, opened.untyped, str(path), OPTION).select(""), path)[""]

    try:
        found = true_of(values_alone(numbered))
    except InputError as reason:
        try:
            found = true_of(numbered)
        except InputError:
            raise reason from None
    mask = np.zeros(vocabulary.height + 1, dtype=bool)
    mask[found.to_numpy()] = True
    mask[PAD] = False
    missing = vocabulary.height - len(set(known.tolist()) - {PAD})
    if missing:
        said.append(f"{path} lacks {missing:,} of {vocabulary.height:,} items, which {OPTION} leaves out")
    return mask
