"""The errors that a command turns into a single line and a non-zero exit status."""

import re

# A limit on files, a full disk or a quota, as Python and Rust number what the system says.
NO_ROOM = re.compile(r"\b(os error|errno) (27|28|122)\b", re.IGNORECASE)


class InputError(Exception):
    """Something the user gave cannot be used.

    The message is one line, whatever stands in the names it quotes: what was found, what was expected, what to do.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class HeldError(InputError):
    """Complete lists that were not published, since a figure is beyond its limit."""


class ReplacedError(InputError):
    """Readers find other lists by now than those that a run is allowed to replace, or keeps lists of."""


class UnknownItemsError(InputError):
    """A model knows none of the items that it was given.  option: of the rule that names them; empty: of none."""

    def __init__(self, message: str, option: str = "") -> None:
        super().__init__(message)
        self.option = option


class TooFewError(InputError):
    """Fewer items can be drawn for a user than sampled negatives are asked for.  why: how many, and for whom."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(f"--negatives {number}: {why}; use fewer, or --negatives=0 for the full ranking alone")
        self.why = why


class NothingSaidError(InputError):
    """A table of items that can be read has no column that likens items to each other."""


def system_says(error: OSError) -> str:
    """What the system says of a file, with its name if it gives one."""
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"


def first_line(error: BaseException) -> str:
    """What a library's error says, cut to its first line; its class name if it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def unread(what: object, error: BaseException, said: str = "") -> str:
    """What to say of a table that could not be read, or not be copied where its rows are put in order.

    said: what the error says, where its first line does not tell it.
    """
    said = said or first_line(error)
    if NO_ROOM.search(str(error)):
        return f"{what} cannot be copied: {said}; free space where the output and temporary files lie"
    return f"{what} cannot be read: {said}"


def check_unicode(text: str, what: str) -> None:
    """Raises InputError, which names `what`, for a text that UTF-8 has no bytes for: bytes of a command line that were
    none, or half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"{what}: {text!r:.80} is not valid Unicode") from None
