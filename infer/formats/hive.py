"""Values that stand in the names of folders: `date=2024-01-02/part-0.parquet`, of any depth.

In: a folder. Out: the files of its table, and what their folders' names say of their rows.

- The keys are the same, in the same order, above every file. Values are decoded as in addresses (`%20` is a space);
  they have no types, as those of text files. `__HIVE_DEFAULT_PARTITION__` is no value.

    values_of(PurePath("date=2024-01-02/part-0.parquet"))  # {"date": "2024-01-02"}
"""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from urllib.parse import unquote

import polars as pl

from infer.errors import InputError
from infer.formats.layout import shown
from infer.formats.opening import Opened

NULL = "__HIVE_DEFAULT_PARTITION__"


def is_partition(name: str) -> bool:
    """Whether a folder's name gives a value to a key."""
    return 0 < name.find("=") and not name.startswith(("_", "."))


def values_of(path: PurePath) -> dict[str, str | None]:
    """What the folders above a file say, from the outermost; the path is relative to the table's folder."""
    pairs = (name.partition("=") for name in path.parent.parts)
    return {unquote(key): None if value in (NULL, "") else unquote(value) for key, _, value in pairs}


def check_partitions(paths: Iterable[PurePath], folder: Path) -> list[str]:
    """The keys above every file; raises InputError, which names a file, if they differ, or one comes twice."""
    first: PurePath | None = None
    keys: list[str] = []
    for path in paths:
        strange = next((name for name in path.parent.parts if not is_partition(name)), None)
        if strange is not None:
            raise InputError(
                f"{folder} holds the folder {shown([strange])}, which would not be read; expected files, "
                "or folders named key=value: move it elsewhere, or write the table anew"
            )
        found = [unquote(name.partition("=")[0]) for name in path.parent.parts]
        if first is None:
            first, keys = path, found
        if found != keys or len(set(found)) < len(found):
            raise InputError(
                f"{folder}: {path} lies under {_told(found)}, {first} under {_told(keys)}; expected the same keys, "
                "each once, above every file: write the table anew"
            )
    return keys


def with_values(opened: Opened, path: Path, values: dict[str, str | None]) -> Opened:
    """The rows of one file with what its folders say; raises InputError if the file says it, too."""
    twice = next((key for key in values if key in opened.names), None)
    if twice is not None:
        raise InputError(
            f"{path} has a column {shown([twice])}, which its folder's name also gives: rename one of them"
        )
    added = [pl.lit(value, dtype=pl.String).alias(key) for key, value in values.items()]
    return Opened(
        opened.rows.with_columns(added), [*opened.names, *values], opened.untyped | frozenset(values), opened.said
    )


def _told(keys: Sequence[str]) -> str:
    return f"the keys {shown(list(keys))}" if keys else "no key"
