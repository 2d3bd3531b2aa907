"""Numbers in texts: with a point, or with a comma where that can only be a decimal one.

In: values as their file has them. Out: Float64, null where there is no number.

    as_numbers(pl.Series(["4,08", "4.08", "1,234"]))   # [4.08, 4.08, null]

`1,234` may be a thousand or little more than one, and so is no number.
"""

import polars as pl

DECIMAL_COMMA = r"^\s*([+-]?\d+),(\d{1,2}|\d{4,})\s*$"


def as_numbers(values: pl.Series) -> pl.Series:
    """(n,) Float64 of numbers or texts, null for what is none."""
    numbers = values.cast(pl.Float64, strict=False)
    if values.dtype == pl.String and numbers.null_count() > values.null_count():
        return values.to_frame().select(number(values.name))[:, 0]
    return numbers


def number(name: str, strict: bool = False) -> pl.Expr:
    """`as_numbers` of a column of texts; strict: what is none raises an error of Polars'."""
    return pl.col(name).str.replace(DECIMAL_COMMA, "${1}.${2}").cast(pl.Float64, strict=strict)
