"""Whether the fields of a text are what Polars takes them for: no row with more values than the first line has names,
and each quote in place.

Polars looks at the columns that are read alone. A quote that opens a value and is not closed hides the rows up to the
next quote, and a separator too many moves values into other columns, without a word where nobody reads the column. So
all of a text is looked at first, which takes a small part of the time of reading a table.

In: the text, and how it seems to be written. Out: the same, or with quotes as part of the values; or InputError, which
names the line.

    checked_fields(content, written, look, Layout())
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from infer.errors import InputError
from infer.formats.content import Content, Look
from infer.formats.layout import Layout
from infer.formats.sniffing import QUOTED, Written

CHUNK = 2**20
TAIL = 2**16  # bytes in which the last row is looked for
LONGEST = 2**24  # bytes of a row: a quote that is not closed would take in the rest of the table
MARK = b"\xef\xbb\xbf"
QUOTE, LINE, RETURN = ord('"'), ord("\n"), ord("\r")
STRAY, TWOFOLD, WIDE = "stray", "twofold", "wide"


@dataclass(frozen=True)
class Misfit:
    """A row that does not fit.

    kind: STRAY: it has a quote that encloses no value.  TWOFOLD: what its quotes enclose may as well be whole rows.
    WIDE: it has too many fields.  line: where, from 1.  row: how many rows it is below the header.  fields: of a wide
    row.  text: its beginning.
    """

    kind: str
    line: int
    row: int
    fields: int
    text: str


def checked_fields(content: Content, written: Written, look: Look, layout: Layout) -> Written:
    """The same, or without quotes where they are part of the values.

    That is so if a quote encloses no value, the header has none, and the separator is one of texts that are mostly
    written without quotes, such as tabs. Raises InputError for any other row that does not fit.
    """
    if len(written.separator.encode()) != 1:
        return written
    found = misfit(content.source, written, sure=layout.quote == "double")
    unquoted = written.quotes and layout.quote is None and written.separator not in QUOTED
    if found is not None and found.kind != WIDE and unquoted and '"' not in look.start.lstrip("\r\n").split("\n")[0]:
        said = f"{look.path}: quotes are part of its values, as in line {found.line} (--quote=double if they are not)"
        written = replace(written, quotes=False, said=[*written.said, said])
        found = misfit(content.source, written)
    if found is not None:
        raise InputError(f"{look.path} cannot be read: {_told(found, len(written.names))}")
    cut = _cut_off(content.source, written)
    if cut is not None:
        raise InputError(
            f"{look.path} cannot be read: it ends in the middle of a row, '{cut[:80]}', and may be cut off; put a line "
            "end behind that row if it is whole"
        )
    return written


def misfit(source: Path | bytes, written: Written, sure: bool = False) -> Misfit | None:
    """The first row that does not fit, None if all do; sure: quotes enclose values also where these look like rows."""
    lines, rows = 0, -written.skipped - written.header
    rest = b""
    for piece, last in _pieces(source):
        text = rest + piece
        block = _Block(text, ord(written.separator), written.quotes, last)
        rest = text[len(block.bytes) :]
        found = block.first_misfit(len(written.names), sure)
        if found is not None:
            kind, place, fields = found
            line_ends = block.places[block.lines]
            above = line_ends[line_ends < place]
            start = int(above[-1]) + 1 if len(above) else 0
            shown = text[start : start + 400].decode("utf-8", "replace").splitlines()[0][:80].replace("\t", "\\t")
            row = rows + int((block.places[block.row_ends] < place).sum()) + 1
            return Misfit(kind, lines + len(above) + 1, row, fields, shown)
        lines, rows = lines + int(block.lines.sum()), rows + int(block.row_ends.sum())
    return None


def _cut_off(source: Path | bytes, written: Written) -> str | None:
    """The last row, if it has fewer fields than the others and no line end behind it, as where a copy was stopped."""
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        file.seek(-min(file.seek(0, io.SEEK_END), TAIL), io.SEEK_END)
        tail = file.read()
    if not tail or tail[-1] in (LINE, RETURN):
        return None
    above, _, last = tail.rpartition(b"\n")
    # A quote that stands alone belongs to a value with line ends; a line longer than the tail is not looked at.
    if not above or (written.quotes and last.count(b'"') % 2):
        return None
    text = last.decode("utf-8", "replace")
    if written.quotes:
        fields = len(next(csv.reader([text], delimiter=written.separator), []))
    else:
        fields = text.count(written.separator) + 1
    return text.replace("\t", "\\t") if 0 < fields < len(written.names) else None


class _Block:
    """The whole rows that a text begins with, all of it if it is the last; and its separators, quotes and line ends.

    places: of all these marks.  lines, quotes: which are line ends and quotes.  inside: which are between quotes; a
    quote that closes is not.  row_ends: which end a row.
    """

    def __init__(self, text: bytes, separator: int, quoted: bool, last: bool) -> None:
        self.separator, self.bytes = separator, np.frombuffer(text, np.uint8)
        marked = self.bytes == separator
        marked |= self.bytes == LINE
        self.quoted = quoted and b'"' in text
        if self.quoted:
            marked |= self.bytes == QUOTE
        self.places = np.flatnonzero(marked)
        kinds = self.bytes[self.places]
        self.lines = kinds == LINE
        self.quotes = kinds == QUOTE if self.quoted else np.zeros_like(self.lines)
        # Sums of bytes wrap round, which leaves odd numbers odd.
        self.inside = (np.cumsum(self.quotes, dtype=np.uint8) & 1).view(bool) if self.quoted else self.quotes
        self.row_ends = self.lines & ~self.inside if self.quoted else self.lines
        ends = np.flatnonzero(self.row_ends)
        count = int(ends[-1]) + 1 if len(ends) else 0
        stop = int(self.places[count - 1]) + 1 if count else 0
        if not last and len(text) - stop <= LONGEST:
            self.bytes = self.bytes[:stop]
            for name in ("places", "lines", "quotes", "inside", "row_ends"):
                setattr(self, name, getattr(self, name)[:count])

    def first_misfit(self, columns: int, sure: bool) -> tuple[str, int, int] | None:
        """What the first one is, its place, and how many fields its row has."""
        found = [*self._strays(), *([] if sure else self._twofold(columns)), *self._wide(columns)]
        return min(found, key=lambda each: each[1], default=None)

    def _strays(self) -> Iterator[tuple[str, int, int]]:
        if not self.quoted:
            return
        numbers = np.flatnonzero(self.quotes)
        if len(numbers) % 2:  # one is never closed
            yield STRAY, int(self.places[numbers[-1]]), 0
            numbers = numbers[:-1]
        opening, closing = numbers[::2], numbers[1::2]
        begins, ends = np.zeros(256, bool), np.zeros(256, bool)
        begins[[self.separator, LINE]] = True
        ends[[self.separator, LINE, ord("\r"), QUOTE]] = True
        before = self.bytes[self.places[opening] - 1]  # of the first byte the last one, a line end
        after = self.bytes[np.minimum(self.places[closing] + 1, len(self.bytes) - 1)]
        begun = begins[before]
        again = before == QUOTE  # two quotes for one, in the value that the first of such pairs began
        if again.any():
            begun = begun[np.maximum.accumulate(np.where(again, 0, np.arange(len(again))))]
        # Within a value that does not begin with one, a pair stands for itself.
        wrong = ~np.where(begun, ends[after], closing == opening + 1)
        if wrong.any():
            yield STRAY, int(self.places[opening[wrong.argmax()]]), 0

    def _twofold(self, columns: int) -> Iterator[tuple[str, int, int]]:
        """Rows of several lines, each of which has the width of a row if quotes are none.

        Of two columns any comma in a line of a value would make it one.
        """
        if columns < 3 or not self.quoted or not (self.lines & self.inside).any():
            return
        plain = ~self.quotes
        lines = np.flatnonzero(self.lines[plain])
        full = np.diff(lines, prepend=-1) == columns
        last = np.flatnonzero(~self.inside[plain][lines])  # the line with which each row ends
        first = np.concatenate([[0], last[:-1] + 1])
        several = last > first
        whole = np.minimum.reduceat(full, first) if len(first) else np.zeros(0, bool)
        wrong = np.flatnonzero(several & whole)
        if len(wrong):
            yield TWOFOLD, int(self.places[plain][lines[first[wrong[0]]]]), 0

    def _wide(self, columns: int) -> Iterator[tuple[str, int, int]]:
        outside = ~(self.inside | self.quotes) if self.quoted else slice(None)
        lines = self.lines[outside]
        if len(lines) % columns == 0 and lines[columns - 1 :: columns].all() and lines.sum() * columns == len(lines):
            return  # as all are most often
        ends = np.flatnonzero(lines)
        fields, places = np.diff(ends, prepend=-1), self.places[outside]
        wide = np.flatnonzero(fields > columns)
        # Without those that end in separators alone, behind which is nothing that could have moved.
        beyond, stop = fields[wide] - columns, places[ends[wide]]
        stop = stop - (self.bytes[stop - 1] == RETURN)
        wide = wide[places[ends[wide] - beyond] != stop - beyond]
        if len(wide):
            yield WIDE, int(places[ends[wide[0]]]), int(fields[wide[0]])


def _told(found: Misfit, columns: int) -> str:
    if found.kind == WIDE:
        return f"row {found.row} has {found.fields} fields, the first line {columns}: '{found.text}'"
    if found.kind == TWOFOLD:
        return (
            f"the quotes from line {found.line} on enclose what looks like whole rows: '{found.text}'; "
            "--quote=none if quotes are part of the values, --quote=double if not"
        )
    return (
        f"line {found.line} has a quote that encloses no value: '{found.text}'; --quote=none if quotes are part of the "
        'values; else write them twice, in a value in quotes ("" for ")'
    )


def _pieces(source: Path | bytes) -> Iterator[tuple[bytes, bool]]:
    """The text without a mark at its beginning, and with a line end at its end; and whether it is the last piece."""
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        piece = file.read(CHUNK).removeprefix(MARK)
        while piece:
            after = file.read(CHUNK)
            yield (piece, False) if after or piece.endswith(b"\n") else (piece + b"\n", False)
            piece = after
        yield b"", True
