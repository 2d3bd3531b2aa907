"""A column as texts, if its type has any.

In: values of any type. Out: texts, or lists of texts; or InputError in one line.

    as_written(pl.Series([1, 2]), "products.csv column brand")
"""

import polars as pl

from infer.errors import InputError

# What Polars raises for a type or a value that cannot be converted.
UNFIT = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


def as_written(values: pl.Series, place: str, expected: str = "texts") -> pl.Series:
    """(n,) String, or List(String) of lists; raises InputError, which begins with `place`, if there are none."""
    try:
        return values.cast(pl.List(pl.String) if isinstance(values.dtype, pl.List) else pl.String)
    except UNFIT:
        raise InputError(f"{place} holds {values.dtype}; expected {expected}") from None
