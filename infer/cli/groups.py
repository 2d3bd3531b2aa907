"""Groups of commands: `python -m infer batch --k=5` finds the module of `batch`, through fire, and calls its `main`.

In: the commands of a group and argv. Out: what the command does, or the list of commands.

    python -m infer
    python -m infer -- --completion
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any

import fire

from infer.cli.completion import asked, group_script
from infer.cli.fields import Options, nearest, options, own
from infer.cli.usage import catalogue
from infer.errors import InputError
from infer.system.project import version_line


@dataclass(frozen=True)
class Command:
    """Where a command is; nothing of it is imported before it is called.

    line: what it does.  main, configs: `module:name` of its main and of its options' classes.  before: words that its
    main takes before the user's.  values: of fields that are no options (`infer.cli.fields.own`).
    """

    line: str
    main: str
    configs: Sequence[str]
    before: Sequence[str] = ()
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> Options:
        """By field name."""
        return own(options(*(resolve_name(config) for config in self.configs)), self.values)

    def bound(self, argv: Sequence[str]) -> Callable[[], None]:
        """A function without parameters that calls its main."""
        return lambda: resolve_name(self.main)([*self.before, *argv])


def dispatch(commands: Mapping[str, Command], argv: Sequence[str], name: str, usage: str) -> None:
    """Call the command that the leading word names with the words after it.

    name: of the group, as in `python -m NAME`. Prints `usage` and the commands without words and on --help.
    Raises InputError, naming the commands, on any other leading word.
    """
    shell = asked(argv)
    if shell:
        print(group_script(name, shell, {word: command.options for word, command in commands.items()}))
        return
    if not argv or argv[0] in ("--help", "-h"):
        print(catalogue(usage, {word: command.line for word, command in commands.items()}))
        return
    if argv[0] == "--version":
        print(version_line())
        return
    word, rest = argv[0], list(argv[1:])
    if word not in commands:
        raise InputError(f"expected one of {', '.join(commands)}; found '{word}'{nearest(word, list(commands))}")
    # Fire gets the leading word alone: the others are the command's own, which checks them before it does anything.
    fire.Fire({known: command.bound(rest) for known, command in commands.items()}, command=[word], name=name)
