"""Which users are wanted: ids on the command line or in a file, checked against those of a table.

In: `1,2,3` or a file with one id a line. Out: the ids as texts; or InputError, which names the first that is not there.
"""

from pathlib import Path

import polars as pl

from infer.errors import InputError


def wanted_users(wanted: str) -> list[str]:
    """Ids as texts: separated by commas, or a file with one id a line."""
    path = Path(wanted)
    texts = path.read_text().split("\n") if path.is_file() else wanted.split(",")
    return list(dict.fromkeys(text.strip() for text in texts if text.strip()))


def check_users(known: pl.Series, texts: list[str], message: str) -> None:
    """Raises InputError with the first of `texts` that is not `known` put into `message`."""
    have = set(known)
    strange = next((text for text in texts if text not in have), None if texts else "")
    if strange is not None:
        raise InputError(message.format(strange))
