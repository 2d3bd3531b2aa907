"""Files of one folder as one table, though they were not all written alike.

In: the files' rows under the shared names. Out: one lazy table of all rows.

- Columns go by name; those that nobody asked for may come and go. One that is used must be in all files.
- Whole numbers and fractions widen; dates and texts become what both can be. Ids are whole numbers in all files
  or texts in all.

    concatenated([(Path("ratings/a.parquet"), one), (Path("ratings/b.parquet"), other)])
"""

from pathlib import Path

import polars as pl

from infer.errors import InputError
from infer.tables.columns import ITEM, TIMESTAMP, USER


def concatenated(tables: list[tuple[Path, pl.LazyFrame]]) -> pl.LazyFrame:
    """All rows, one file after the other; raises InputError naming the file that does not fit the first."""
    (first, _), *others = tables
    schemas = [table.collect_schema() for _, table in tables]
    for (path, _), schema in zip(others, schemas[1:], strict=True):
        missing = sorted(set(schema) ^ set(schemas[0]))
        if missing:
            raise InputError(f"of {first} and {path} only one has a column {missing[0]}; expected it in all or none")
        for name in (USER, ITEM):
            if schemas[0][name].is_integer() != schema[name].is_integer():
                raise InputError(
                    f"{path} has {schema[name]} as {name} ids; {first} has {schemas[0][name]}: write them alike"
                )
    names = schemas[0].names()
    texts = {name for name in names if any(schema[name] == pl.String for schema in schemas)}
    return pl.concat(
        [rows.select(_common(name, schema[name], name in texts) for name in names)
         for (_, rows), schema in zip(tables, schemas, strict=True)],
        how="vertical_relaxed",
    )  # fmt: skip


def _common(name: str, dtype: pl.DataType, as_text: bool) -> pl.Expr:
    """A column in a type that other files' can be widened to."""
    column = pl.col(name)
    if name == TIMESTAMP and (dtype == pl.Date or isinstance(dtype, pl.Datetime)):
        column = column.cast(pl.Datetime("us"), strict=False).dt.epoch("us") / 1_000_000
    elif name in (USER, ITEM) and dtype.is_integer():
        return column.cast(pl.Int64)
    return column.cast(pl.String) if as_text else column
