"""The rows of chosen users: ids on the command line, in a file or in a list, checked against those of a table.

In: rows with users, and `1,2,3`, a file with one id a line, or ids. Out: the rows of these users; or InputError, which
names the first that has none.

    python -m infer.batch --model hybrid.onnx --users 1,2,3
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from infer.errors import InputError
from infer.tables.columns import USER
from infer.tables.reading import collect


def rows_of(rows: pl.LazyFrame, wanted: str | Sequence[str], table: Path, option: str = "--users") -> pl.DataFrame:
    """The rows, in their order, whose column `user` is wanted.

    wanted: ids as texts; or one text, see `wanted_users`.  table: what the rows are of.
    Raises InputError, which names `option`, for an id that has no row.
    """
    texts = wanted_users(wanted) if isinstance(wanted, str) else list(wanted)
    chosen = collect(rows.filter(pl.col(USER).cast(pl.String).is_in(texts)), table)
    have = set(chosen[USER].unique().cast(pl.String))
    strange = next((text for text in texts if text not in have), None if texts else "")
    if strange is not None:
        raise InputError(f"{option}: {table} has no user '{strange}'")
    return chosen


def wanted_users(wanted: str) -> list[str]:
    """Ids as texts: separated by commas, or a file with one id a line."""
    path = Path(wanted)
    texts = path.read_text().split("\n") if path.is_file() else wanted.split(",")
    return list(dict.fromkeys(text.strip() for text in texts if text.strip()))


def chosen_ids(wanted):
    return wanted_users(wanted)
