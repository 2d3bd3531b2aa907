"""What --help prints: the command's docstring and its options, wrapped at the terminal's width.

In: a docstring and options. Out: text.

    python -m infer batch --help
"""

import shutil
import textwrap
import typing
from collections.abc import Mapping
from typing import Any, Literal

from infer.cli.fields import Option, Options

NARROWEST, WIDEST = 40, 120  # characters in a line
INDENT = 6  # of the lines after an option's first


def described(usage: str, known: Options, base: Any = None) -> str:
    """A docstring, then a paragraph for each option, those first that are required; groups stand at the end.

    base: an instance whose values are the defaults, where it has the field.
    """
    lines = [filled(usage)]
    for group in dict.fromkeys(["", *(o.group for o in known.values())]):
        own = sorted((o for o in known.values() if o.group == group), key=lambda o: not o.is_required)
        lines += ["", f"{group or 'options'}:", *(_line(o, getattr(base, o.field, o.default)) for o in own)]
    return "\n".join(lines)


def catalogue(usage: str, lines: Mapping[str, str]) -> str:
    """A docstring, then the names of commands with a line each."""
    width = max(map(len, lines))
    commands = [_wrapped(f"  {name:{width}}  {line}", width + 4) for name, line in lines.items()]
    return "\n".join([filled(usage), "", "commands (--help after one lists its options):", *commands])


def filled(text: str) -> str:
    """A docstring whose paragraphs fit the terminal; indented ones stay as they are."""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(p if p[:1].isspace() or "\n " in p else _wrapped(p.replace("\n", " ")) for p in paragraphs)


def _line(known: Option, value: Any) -> str:
    if known.is_flag:
        # A flag that is on is only ever written to switch it off.
        shown, note = (f"--[no-]{known.name}", " (default on)") if value else (f"--{known.name}", "")
    else:
        shown = f"--{known.name}=<{_kind(known.kind)}>"
        note = " (required)" if known.is_required else "" if value is None else f" (default {value})"
    return _wrapped(f"  {shown}  {known.help}{note}", INDENT)


def _kind(kind: Any) -> str:
    return "|".join(typing.get_args(kind)) if typing.get_origin(kind) is Literal else kind.__name__.lower()


def _wrapped(text: str, indent: int = 0) -> str:
    width = min(WIDEST, max(NARROWEST, shutil.get_terminal_size().columns))
    return textwrap.fill(text, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
