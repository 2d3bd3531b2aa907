"""Aligned columns of text, also of characters that take two places, cut to a terminal's width.

In: rows of texts. Out: lines. What goes into a file or a pipe is not cut.

    python -c "from infer.system.columns import lines; print(*lines([('Item', 'No'), ('東京', '1')], '<>'), sep='\\n')"
"""

import shutil
import sys
import unicodedata
from collections.abc import Sequence

GAP = "  "
NARROWEST = 8  # to which a column may be cut
CUT = "…"
# Bidirectional embeddings, overrides and isolates, after which text is shown in another order than it has.
REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Controls, halves of surrogate pairs, ends of lines and paragraphs.
STEERING = ("Cc", "Cs", "Zl", "Zp")


def width(text: str) -> int:
    """Places that a text takes on a terminal: wide and full-width characters two, marks that combine none.

    Source: Unicode Standard Annex 11, East Asian Width.
    """
    return sum(_places(character) for character in text)


def terminal() -> int | None:
    """Places in a line of the terminal that standard output is; None if it is none."""
    if not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def lines(rows: Sequence[Sequence[str]], aligned: str, most: int | None = None) -> list[str]:
    """One line a row.

    rows: of equally many texts.  aligned: `<` or `>` for each column, to the left or right; those to the left may be
    cut.  most: places in a line, at most, if the cut columns keep NARROWEST; None: nothing is cut.
    """
    widths = [max(width(row[column]) for row in rows) for column in range(len(aligned))]
    if most is not None:
        _narrow(widths, aligned, most - len(GAP) * (len(widths) - 1))
    made = []
    for row in rows:
        cells = [_cell(text, places, side) for text, places, side in zip(row, widths, aligned, strict=True)]
        made.append(GAP.join(cells).rstrip())
    return made


def cut(text: str, places: int) -> str:
    """The text, or its beginning and an ellipsis, in so many places at most."""
    if width(text) <= places:
        return text
    kept, left = "", places - width(CUT)
    for character in text:
        left -= _places(character)
        if left < 0:
            break
        kept += character
    return kept.rstrip() + CUT


def printable(text: str) -> str:
    """The text without what could steer a terminal: such characters become `?`. Spaces of all kinds stay."""
    return "".join("?" if c in REORDERING or unicodedata.category(c) in STEERING else c for c in text)


def _places(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _cell(text: str, places: int, side: str) -> str:
    text = cut(text, places)
    blank = " " * (places - width(text))
    return text + blank if side == "<" else blank + text


def _narrow(widths: list[int], aligned: str, most: int) -> None:
    """Take places from the widest column that may be cut, one at a time, until all fit or none can give more."""
    while sum(widths) > most:
        widest = max((w, -n) for n, (w, side) in enumerate(zip(widths, aligned, strict=True)) if side == "<")
        if widest[0] <= NARROWEST:
            return
        widths[-widest[1]] -= 1
