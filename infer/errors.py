"""The one error that a command turns into a single line and a non-zero exit status."""


class InputError(Exception):
    """Something the user gave cannot be used.

    The message is one line: what was found, what was expected, what to do.
    """
