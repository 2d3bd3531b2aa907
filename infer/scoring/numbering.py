"""Categories of items as numbers, by a model's indexes: what figures count and a limit in lists counts.

In: (item, value) rows, or (item, column, value). Out: a `Categories`.

    numbered(labels_of(Path("products.csv"), "brand"), job.items)
"""

import numpy as np
import polars as pl

from infer.histories.vocabulary import PAD, index_of
from infer.metrics.categories import Categories
from infer.tables.columns import ITEM

CODE, INDEX = "code", "index"


def numbered(rows: pl.DataFrame, items: pl.DataFrame) -> Categories | None:
    """The categories of a model's items; None if the rows name none of them.

    rows: (item, column, value) or (item, value), each once; the same value in another column is another category.
    items: (item, index).
    """
    known = rows.with_columns(pl.Series(INDEX, index_of(rows[ITEM], items))).filter(pl.col(INDEX) != PAD)
    if known.is_empty():
        return None
    of = [name for name in rows.columns if name != ITEM]
    codes = known.select(of).unique().sort(of).with_row_index(CODE)
    coded = known.join(codes, on=of).select(INDEX, CODE).sort(INDEX, CODE)
    sizes = np.bincount(coded[INDEX].to_numpy(), minlength=items.height + 1)
    return Categories(coded[CODE].to_numpy().astype(np.int64), np.concatenate([[0], np.cumsum(sizes)]), codes.height)
