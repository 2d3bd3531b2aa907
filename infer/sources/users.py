"""The rows of chosen users: ids on the command line, in a file or in a list, checked against those of a table.

In: rows with users, and `1,2,3`, a file with one id a line, or ids. Out: the rows of these users; or InputError, which
names the first that has none.

    python -m infer.batch --model hybrid.onnx --users 1,2,3

A text is a file only if it has a folder or a suffix in it, and is there: `3` is an id, `./3` a file. An id with a comma
in it is quoted as in CSV: `'"Doe, John",7'`; so may be a line of a file, which may be packed.
"""

import csv
import os
import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from infer.errors import InputError, check_unicode, first_line
from infer.formats.packed import chunks, packing_in
from infer.formats.reading import collect
from infer.system.inputs import check_input
from infer.tables.columns import USER

QUOTED = re.compile(r'"(?:[^"]|"")*"')
EXPECTED = "expected ids separated by commas, or a file with one id a line"


def rows_of(rows: pl.LazyFrame, wanted: str | Sequence[str], table: Path, option: str = "--users") -> pl.DataFrame:
    """The rows, in their order, whose column `user` is wanted.

    wanted: ids as texts, which are meant as they stand; or one text, see `chosen_ids`: an id in it that the table
    lacks is looked up without the spaces around it, too.  table: what the rows are of.
    Raises InputError, which names `option`, for an id that has no row.
    """
    texts = chosen_ids(wanted, option) if isinstance(wanted, str) else list(wanted)
    if not texts:
        raise InputError(f"{option} is a list without ids; expected at least one")
    for text in texts:
        check_unicode(text, option)
    stripped = {text: text.strip() if isinstance(wanted, str) else text for text in texts}
    found = collect(rows.filter(pl.col(USER).cast(pl.String).is_in([*texts, *stripped.values()])), table)
    have = set(found[USER].unique().cast(pl.String))
    chosen = {text if text in have else stripped[text] for text in texts}
    strange = next((text for text in texts if text not in have and stripped[text] not in have), None)
    if strange is not None:
        raise InputError(f"{option}: {table} has no user '{strange[:80]}'")
    return found.filter(pl.col(USER).cast(pl.String).is_in(list(chosen)))


def chosen_ids(wanted: str, option: str = "--users") -> list[str]:
    """Ids as texts, each once, in the order given: separated by commas, or the lines of a file.

    Raises InputError, which names `option`, if there are none, or if the file is a folder or no UTF-8.
    """
    named_file = any(mark in wanted for mark in (os.sep, os.altsep or os.sep)) or Path(wanted).suffix
    if named_file and _exists(Path(wanted)):
        return ids_in(Path(wanted), option)
    return _each_once(_pieces(wanted, option), wanted, option)


def ids_in(path: Path, option: str) -> list[str]:
    """The lines of a file, packed or not, each once; a line in quotes is read as in CSV.  Errors as of `chosen_ids`."""
    return _each_once([_unquoted(line) for line in _lines(path, option)], str(path), option)


def _each_once(texts: list[str], wanted: str, option: str) -> list[str]:
    ids = list(dict.fromkeys(text for text in texts if text.strip()))
    if not ids:
        raise InputError(f"{option}: '{wanted[:80]}' holds no ids; {EXPECTED}")
    return ids


def _unquoted(line: str) -> str:
    text = line.strip()
    return text[1:-1].replace('""', '"') if QUOTED.fullmatch(text) else line


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long to be a name, or with what no name holds
        return False


def _lines(path: Path, option: str) -> list[str]:
    check_input(path)
    if path.is_dir():
        raise InputError(f"{option}: {path} is a folder; {EXPECTED}")
    try:
        text = b"".join(chunks(path, packing_in(path))).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{option}: {path} is not UTF-8 (byte {error.start}); write it anew as UTF-8") from None
    return [line.removesuffix("\r") for line in text.split("\n")]


def _pieces(wanted: str, option: str) -> list[str]:
    try:
        return [piece for row in csv.reader(wanted.splitlines(keepends=True)) for piece in row]
    except csv.Error as error:
        raise InputError(f"{option}: '{wanted[:80]}' cannot be read: {first_line(error)}; {EXPECTED}") from None
