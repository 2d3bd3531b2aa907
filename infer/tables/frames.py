"""A data frame of any library as a table of interactions.

In: a data frame of Polars, or of pandas, Arrow or whatever else gives its columns through the Arrow PyCapsule or the
data frame interchange protocol; and the names of its columns. Out: tidy interactions, as of a file with the same rows
(`infer.tables.interactions`).

    python -c "import polars as pl; from infer.tables.frames import tidy_frame as t; \
print(t(pl.DataFrame({'user': [7], 'item': [3], 'timestamp': [1]})).interactions)"
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from infer.errors import InputError, first_line
from infer.formats.opening import Opened
from infer.tables.ids import Known
from infer.tables.interactions import OPTIONAL, choose_columns
from infer.tables.options import TableOptions
from infer.tables.tidy import Tidy, tidy

# In messages it stands where the path of a file would.
FRAME = Path("the data frame")


def tidy_frame(
    given: Any,
    options: TableOptions = TableOptions(),
    optional: Sequence[str] = OPTIONAL,
    known: Known = Known(),
) -> Tidy:
    """The frame's interactions in the shared columns and order, and what was found in its rows.

    optional: as of `choose_columns`.  known: as of `tidy`.
    Raises InputError as for files, and if `given` is no data frame.
    """
    table = to_polars(given)
    scanned = choose_columns(Opened(table.lazy(), table.columns), FRAME, options, optional)
    rows = scanned.rows.collect()
    if rows.is_empty():
        raise scanned.nothing(FRAME, options)
    tidied = tidy(rows, str(FRAME), options, known=known)
    tidied.notes.said[:0] = scanned.left_out(options.where, FRAME)
    return tidied


def to_polars(given: Any) -> pl.DataFrame:
    """The same columns in a frame of Polars; raises InputError if `given` is no data frame or cannot be read."""
    kind = f"{type(given).__module__}.{type(given).__qualname__}"
    try:
        if isinstance(given, pl.DataFrame | pl.LazyFrame):
            return given.lazy().collect()
        if hasattr(given, "__arrow_c_stream__"):
            return pl.DataFrame(given)
        if hasattr(given, "__dataframe__"):
            return pl.from_dataframe(given)
    except ImportError:
        raise InputError(f"a {kind} with such columns takes pyarrow to read: pip install pyarrow") from None
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise InputError(f"{FRAME} cannot be read: {first_line(error)}") from None
    raise InputError(f"expected a data frame, or the path of a table; found a {kind}")
