"""A column that says which rows are held out.

In: rows with a column `split`, of a table of ours or of the user's own. Out: its values in our words; and of each user
one held-out row a part.

    python -m infer.batch --model hybrid.onnx --interactions events.parquet --split-column fold
"""

import numpy as np
import polars as pl

from infer.errors import InputError
from infer.tables.columns import HISTORY, SPLIT, TEST, TEST_HISTORY, TRAIN, USER, VALIDATION
from infer.tables.notes import Notes

VALUES = (TRAIN, HISTORY, VALIDATION, TEST_HISTORY, TEST)
ALSO = {"valid": VALIDATION, "val": VALIDATION, "dev": VALIDATION}


def spellings(name: str) -> list[str]:
    """How tables write one of `VALUES`."""
    return [name, *(text for text, meant in ALSO.items() if meant == name)]


def split_column(table: pl.DataFrame, source: str) -> pl.Series:
    """The column as texts of `VALUES`; null for anything else.

    Raises InputError, which names `source`, if it holds no texts.
    """
    values = table[SPLIT]
    if not (values.dtype in (pl.String, pl.Categorical, pl.Null) or values.dtype == pl.Enum):
        raise InputError(f"{source} column {SPLIT} holds {values.dtype}; expected texts")
    names = dict.fromkeys(VALUES) | ALSO
    return values.cast(pl.String).replace_strict(
        list(names), [names[name] or name for name in names], default=None, return_dtype=pl.String
    )


def first_held_out(table: pl.DataFrame, notes: Notes) -> pl.DataFrame:
    """Each user's first validation and test row is measured; further ones are history for the test item, or left out.

    table: ordered by user and time.  notes: where the further ones are counted.
    """
    # Among the held-out rows alone, which are few.
    places = table[SPLIT].is_in([VALIDATION, TEST]).arg_true()
    repeated = ~table[places].select(pl.struct(USER, SPLIT).is_first_distinct())[:, 0]
    if not repeated.any():
        return table
    notes.further += int(repeated.sum())
    further = np.zeros(table.height, dtype=bool)
    further[places.filter(repeated).to_numpy()] = True
    marked = table.with_columns(pl.Series("further", further))
    later = pl.when("further").then(pl.lit(TEST_HISTORY)).otherwise(SPLIT).alias(SPLIT)
    return marked.filter(~pl.col("further") | (pl.col(SPLIT) != TEST)).with_columns(later).drop("further")
