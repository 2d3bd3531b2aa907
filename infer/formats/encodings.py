"""Which characters the bytes of a text file stand for.

In: the bytes of a file. Out: its encoding, and the same text in UTF-8, a chunk at a time; or InputError, which names
the place of what is no text in that encoding.

    encoding_of(start); recoded(chunks(path, None), "utf-16")

A mark at the beginning says UTF-8, UTF-16 or UTF-32; zeros in every second byte say UTF-16; anything else is UTF-8, or,
if all is ASCII up to the first byte that is not, the encoding of Windows.
"""

import codecs
import re
from collections.abc import Iterator

from infer.errors import InputError

UTF8, MARKED = "utf-8", "utf-8-sig"
MARKS = {
    codecs.BOM_UTF8: MARKED,
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
FALLBACK = "windows-1252"
LOOKED_AT = 4096
WORD = re.compile(rb"[^\s,;|:\"']*\Z"), re.compile(rb"[^\s,;|:\"']*")


class Undecodable(Exception):
    """A byte that is no text.

    place: where, from 1.  lines: how many end before it, but after what was yielded.  word: the bytes around it.
    after_ascii: whether there is nothing but ASCII before it.
    """

    def __init__(self, place: int, lines: int, word: bytes, after_ascii: bool) -> None:
        super().__init__(place)
        self.place, self.lines, self.word, self.after_ascii = place, lines, word, after_ascii


def checked_name(name: str) -> str:
    """An encoding's name as Python has it; raises InputError if there is none of this name."""
    try:
        "a".encode(name)
        codecs.getincrementaldecoder(name)
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        raise InputError(f"--encoding: no encoding is called '{name}'; try utf-8, utf-16, latin-1 or cp1252") from None
    return MARKED if found == UTF8 else found


def encoding_of(start: bytes) -> str:
    """What the first bytes of a file say of its encoding; UTF8 if they say nothing."""
    for mark, encoding in MARKS.items():
        if start.startswith(mark):
            return encoding
    looked_at = start[: LOOKED_AT & ~1]
    even, odd = looked_at[::2].count(0), looked_at[1::2].count(0)
    if not even and odd > len(looked_at) // 8:
        return "utf-16-le"
    if not odd and even > len(looked_at) // 8:
        return "utf-16-be"
    return UTF8


def recoded(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """The same text in UTF-8, without a mark; raises Undecodable."""
    decoder = codecs.getincrementaldecoder(encoding)()
    place, ascii_alone, pending = 0, True, False
    for last, piece in _with_last(pieces):
        if encoding in (UTF8, MARKED) and place and not pending and piece.isascii():
            place += len(piece)
            yield piece
            continue
        try:
            text = decoder.decode(piece, last)
        except UnicodeDecodeError as error:
            data = error.object
            before, after = data[: error.start], data[error.start :]
            word = WORD[0].search(before)[0][-40:] + WORD[1].match(after[:40])[0] or after[:1]  # type: ignore[index]
            lines = before.decode(encoding, "ignore").count("\n")
            start = place + len(piece) - len(data) + error.start
            raise Undecodable(start + 1, lines, word, ascii_alone and before.isascii()) from None
        ascii_alone = ascii_alone and piece.isascii()
        pending = bool(decoder.getstate()[0])
        place += len(piece)
        yield text.encode()


def _with_last(pieces: Iterator[bytes]) -> Iterator[tuple[bool, bytes]]:
    """Each piece, and at the end an empty one that is the last."""
    for piece in pieces:
        yield False, piece
    yield True, b""
