"""How separated text is written, as its first lines show: what separates its fields, and whether its first line
names them.

In: the first lines. Out: a `Written`; or InputError, which names the option that says it.

    sniffed(look, Layout())
"""

import csv
import io
import re
from dataclasses import dataclass, field
from pathlib import Path

from infer.errors import InputError
from infer.formats.content import Look
from infer.formats.layout import Layout

LINES = 100  # looked at
SEPARATORS = {".csv": ",", ".tsv": "\t", ".dat": "::", ".txt": "\t", ".inter": "\t", ".item": "\t", ".data": "\t"}
CANDIDATES = (",", "\t", ";", "|", "::")
NAMED = {"tab": "\t", "\\t": "\t", "space": " "}
SHOWN = {"\t": "tabs", " ": "spaces"}
QUOTED = (",", ";")  # without a header only these are sure to quote as CSV does
RATINGS = "user,item,rating,timestamp"
KNOWN = {"ratings.dat": ("::", RATINGS), "u.data": ("\t", RATINGS), "movies.dat": ("::", "item,title,genres")}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
MOMENT = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}|\d\d:\d\d")
USUAL = {2: "user,item", 3: "user,item,timestamp", 4: RATINGS}


class NamelessError(InputError):
    """The first line of a text is no header, and nothing else names its columns.  line: the first one."""

    def __init__(self, message: str, line: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Written:
    """How separated text is written.

    names: of its columns, in order; one may stand twice.  header: whether its first line is these names.
    skipped: empty lines at the beginning.  quotes: whether a value may stand in quotes.
    """

    separator: str
    names: list[str]
    header: bool
    quotes: bool
    skipped: int
    said: list[str] = field(default_factory=list)


def sniffed(look: Look, layout: Layout) -> Written:
    """How the text is written, as far as the layout does not say it.

    Raises InputError if there is but one column, more than one reading, or neither a header nor names for one.
    """
    lines, said = look.start.splitlines(), list[str]()
    skipped = next((n for n, line in enumerate(lines) if line), None)
    if skipped is None:
        raise InputError(f"{look.path} cannot be read: it has no header line")
    if not look.whole and "\n" not in look.start:
        raise InputError(f"{look.path} cannot be read: its first line alone is {len(look.start):,} characters long")
    if "\n" not in look.start and "\r" in look.start.rstrip("\r\n"):
        raise InputError(f"{look.path} cannot be read: its lines end with carriage returns alone; write it anew")
    names = None if layout.header is None else stated_names(layout.header, look.path)
    separator = None if layout.separator is None else stated_separator(layout.separator)
    if names is None and separator is None:
        known = KNOWN.get(look.name)
        cells = _first(look, known[0], quotes=False) if known else []
        if known and len(cells) == known[1].count(",") + 1 and is_data(cells):
            said.append(f"{look.path} is read as {look.name} of MovieLens, without a header: {known[1]} (--header)")
            return Written(known[0], known[1].split(","), False, False, skipped, said)
    if separator is None:
        separator = _found(look, None if names is None else len(names), layout.quote != "none")
        if separator != SEPARATORS.get(Path(look.name).suffix):
            said.append(f"{look.path} is read as text separated by {_shown(separator)} (--separator)")
    able = len(separator.encode()) == 1
    quotes = able and (names is None or separator in QUOTED) if layout.quote is None else layout.quote == "double"
    if quotes and not able:
        raise InputError(f"--quote=double is of text with separators of one character; {look.path} has '{separator}'")
    first = _first(look, separator, quotes)
    if len(first) < 2:
        raise _one_column(look)
    if names is None:
        if is_data(first):
            usual = USUAL.get(len(first), ",".join([RATINGS, *(f"column{n}" for n in range(5, len(first) + 1))]))
            raise NamelessError(
                f"{look.path} begins with data, not with names of columns: '{_line(look)}'; name its "
                f"{len(first)} columns in their order: --header={usual}",
                _line(look),
            )
        return Written(separator, first, True, quotes, skipped, said)
    if len(first) != len(names):
        raise InputError(f"{look.path} has {len(first)} columns; --header names {len(names)}: {layout.header}")
    if not quotes and layout.quote is None and '"' in look.start:
        said.append(f"{look.path}: quotes are part of its values")
    return Written(separator, names, False, quotes, skipped, said)


def is_data(cells: list[str]) -> bool:
    """Whether a line is data and not names: one of its values is a number or a moment."""
    return any(NUMBER.fullmatch(cell) or MOMENT.search(cell) for cell in cells)


def stated_names(header: str, path: Path) -> list[str]:
    """The names that --header states; raises InputError if one stands twice."""
    names = [name.strip() for name in header.split(",")]
    doubled = next((name for name in names if name and names.count(name) > 1), None)
    if doubled is not None:
        raise InputError(f"--header names a column of {path} twice: '{doubled}'")
    return names


def stated_separator(separator: str) -> str:
    """The characters that --separator states; raises InputError if they cannot separate fields."""
    separator = NAMED.get(separator, separator)
    if not separator or set(separator) & set('"\r\n'):
        raise InputError("--separator takes `tab`, or one or more characters, none of them a quote or a line end")
    return separator


def _records(look: Look, separator: str, quotes: bool) -> list[list[str]]:
    """The fields of the first lines, without the spaces around them."""
    if quotes and len(separator) == 1:
        try:
            reader = csv.reader(io.StringIO(look.start, newline=""), delimiter=separator)
            found = [row for row, _ in zip(reader, range(LINES), strict=False)]
        except csv.Error:  # a field beyond any reason: Polars says more of it
            found = [line.split(separator) for line in look.start.split("\n", LINES)[:LINES]]
    else:
        found = [line.removesuffix("\r").split(separator) for line in look.start.split("\n", LINES)[:LINES]]
    rows = [[cell.strip(" ") for cell in row] for row in found if row and row != [""]]
    return rows if look.whole or len(rows) == LINES else rows[:-1] or rows


def _first(look: Look, separator: str, quotes: bool) -> list[str]:
    return next(iter(_records(look, separator, quotes)), [])


def _found(look: Look, columns: int | None, quotes: bool) -> str:
    """What separates the fields: the same number of them, more than one, in each of the first lines.

    columns: how many there are to be, where that is known.  quotes: whether a value may stand in quotes.
    """
    usual = SEPARATORS.get(Path(look.name).suffix)
    counts = {s: [len(row) for row in _records(look, s, quotes)] for s in CANDIDATES}
    able = [s for s in CANDIDATES if counts[s] and counts[s][0] > 1 and columns in (None, counts[s][0])]
    even = [s for s in able if len(set(counts[s])) == 1]
    for found in (even, able):
        if usual in found:
            return usual
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(
                f"{look.path} may be separated by {' or '.join(map(_shown, found))}, as its first line shows: "
                f"'{_line(look)}'; say which with --separator"
            )
    if any(counts[s] and counts[s][0] > 1 for s in CANDIDATES):
        return usual or CANDIDATES[0]  # of which the number of names given will be said not to fit
    raise _one_column(look)


def _one_column(look: Look) -> InputError:
    return InputError(
        f"{look.path} has one column alone: '{_line(look)}'; name what separates its fields with --separator (`tab`, "
        "`;`, ...), or what kind of file it is with --format"
    )


def _line(look: Look) -> str:
    return next((line for line in look.start.splitlines() if line), "")[:120].replace("\t", "\\t")


def _shown(separator: str) -> str:
    return SHOWN.get(separator, f"'{separator}'")
