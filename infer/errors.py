"""The one error that a command turns into a single line and a non-zero exit status."""


class InputError(Exception):
    """Something the user gave cannot be used.

    The message is one line: what was found, what was expected, what to do.
    """


def first_line(error: BaseException) -> str:
    """What a library's error says, cut to its first line; its class name if it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
