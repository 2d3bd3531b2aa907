"""The text of a file, wherever it is packed and however it is encoded, as UTF-8 that Polars can read.

In: a file. Out: a `Content`: the file itself if it is plain UTF-8, else a copy of it, unpacked and recoded.

    content_of(first_look(Path("ratings.csv.gz"), Layout()), folder)
"""

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from infer.errors import InputError, first_line
from infer.formats.archive import member_name
from infer.formats.encodings import FALLBACK, MARKED, UTF8, Undecodable, checked_name, encoding_of, recoded
from infer.formats.layout import Layout
from infer.formats.packed import beginning, check_unpacked, chunks, packing_in
from infer.system.files import replacing

UNPACKED = "unpacked"
PACKED = {"gzip": (".gz",), "bz2": (".bz2",), "xz": (".xz",), "zstd": (".zst", ".zstd"), "zip": (".zip",)}
SUFFIXES = tuple(suffix for suffixes in PACKED.values() for suffix in suffixes)
LATIN = {"movies.dat": "latin-1"}  # where no encoding is stated and it is not UTF-8


@dataclass(frozen=True)
class Look:
    """What the first lines of a text file show.

    name: of what is in it, in lower case, without the suffix of a packing.  packing: None if it is not packed.
    start: its first lines, whole unless there is but one.  whole: whether these are all.  said: a sentence each.
    """

    path: Path
    name: str
    packing: str | None
    encoding: str
    start: str
    whole: bool
    said: list[str] = field(default_factory=list)
    fallback: str | None = None


@dataclass(frozen=True)
class Content:
    """Text in UTF-8. source: a file, or bytes.  spaces: whether there is a space anywhere in it."""

    source: Path | bytes
    spaces: bool


def plain_name(path: Path) -> str:
    """A file's name in lower case, without the suffix that says that it is packed."""
    name = path.name.lower()
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)


def first_look(path: Path, layout: Layout) -> Look:
    """Read the first lines; raises InputError if they are damaged, packed twice, or not in the stated encoding."""
    packing, said = packing_in(path, layout.compression), []
    start, whole = beginning(path, packing)
    check_unpacked(start, path)
    if not start:
        raise InputError(f"{path} is empty once it is unpacked")
    name = plain_name(path)
    if packing == "zip":
        name = member_name(path).lower()
        said.append(f"{path}: read {name}, the one table in it")
    elif packing is not None and not path.name.lower().endswith(PACKED[packing]):
        said.append(f"{path} is packed with {packing}, whatever its name says (--compression)")
    stated = None if layout.encoding is None else checked_name(layout.encoding)
    encoding = stated or encoding_of(start)
    fallback = LATIN.get(name, FALLBACK) if stated is None and encoding == UTF8 else None
    if stated is None and encoding not in (UTF8, MARKED):
        said.append(f"{path} is read as {encoding.upper()}, as its first bytes are (--encoding)")
    decoder = codecs.getincrementaldecoder(encoding)
    try:
        text = decoder().decode(start, whole)
    except UnicodeError:
        # Whether it may be something else is found out when all of it is read.
        try:
            text = codecs.getincrementaldecoder(fallback or encoding)("replace").decode(start, whole)
        except UnicodeError as error:  # no mark where the encoding needs one
            raise InputError(f"{path} cannot be read as {encoding}: {first_line(error)} (--encoding)") from None
    if not whole and "\n" in text:
        text = text[: text.rindex("\n") + 1]
    return Look(path, name, packing, encoding, text.removeprefix("\ufeff"), whole, said, fallback)


def content_of(look: Look, folder: Path | None, marked: bool = True) -> Content:
    """All of it in UTF-8, in `folder` (None: in memory) unless it can be read where it lies.

    marked: whether a mark at the beginning may stay.  A fallback that was needed is added to `look.said`.
    Raises InputError if it is damaged, or holds what is no text in its encoding, with its place.
    """
    try:
        return _converted(look, look.encoding, folder, marked)
    except Undecodable as error:
        if look.fallback is None or not error.after_ascii:
            raise _no_text(look, look.encoding, error) from None
        word = error.word.decode(look.fallback, "replace")
    look.said.append(
        f"{look.path} is not UTF-8: read as {look.fallback}, as in '{word}' (--encoding, if it is another)"
    )
    try:
        return _converted(look, look.fallback, folder, marked)
    except Undecodable as error:
        raise _no_text(look, look.fallback, error) from None


def _no_text(look: Look, encoding: str, error: Undecodable) -> InputError:
    name = UTF8 if encoding == MARKED else encoding
    word, line = repr(error.word)[1:], _line_of(look, encoding)  # the word without its b
    return InputError(
        f"{look.path} cannot be read: line {line} (byte {error.place}) holds {word}, which is no {name}; "
        "say how it is written with --encoding (such as latin-1)"
    )


def _line_of(look: Look, encoding: str) -> int:
    """The number of the line with what cannot be decoded: counted only now, since counting takes time."""
    line = 1
    try:
        for piece in recoded(chunks(look.path, look.packing), encoding):
            line += piece.count(b"\n")
    except Undecodable as error:
        line += error.lines
    return line


def _converted(look: Look, encoding: str, folder: Path | None, marked: bool) -> Content:
    pieces = recoded(chunks(look.path, look.packing), encoding)
    try:
        if look.packing is None and (encoding == UTF8 or (encoding == MARKED and marked)):
            return Content(look.path, _write(pieces, None))
        if folder is None:
            memory = io.BytesIO()
            spaces = _write(pieces, memory)
            return Content(memory.getvalue(), spaces)
        with replacing(folder / UNPACKED) as temporary, temporary.open("wb") as file:
            spaces = _write(pieces, file)
        return Content(folder / UNPACKED, spaces)
    except UnicodeError as error:  # from codecs that are no characters of a language
        raise InputError(f"{look.path} cannot be read as {encoding}: {first_line(error)}") from None


def _write(pieces: Iterator[bytes], target: BinaryIO | None) -> bool:
    """Whether there is a space in any piece; writes them all if there is a target."""
    spaces = False
    for piece in pieces:
        spaces = spaces or b" " in piece
        if target is not None:
            target.write(piece)
    return spaces
