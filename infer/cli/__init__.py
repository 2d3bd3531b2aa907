"""Command lines from frozen dataclasses: every module of a command is an options class and a `main`.

In: a class whose fields are made by `option`, and argv. Out: an instance of that class, or one line on standard error
and exit status 2. A command reads `main(argv)`: parse, call, print; a group of commands reads: dispatch.

    raise SystemExit(run(main))

python-fire finds the command, pairs options with values and writes the completion script; pydantic's core converts
and checks values. What stands around fire is what it lacks: it calls a command before it notices a mistyped flag,
turns `--model=123` into a number, accepts 2.5 for an integer and takes `--flag false` for true.

    fields    an option: its name, type, default and help
    splitting argv -> text by name
    converting text -> value
    usage     --help
    parsing   all of these, for one command
    groups    the command of `python -m infer COMMAND`
    completion, running, streams    the rest of what every command has
"""

from infer.cli.fields import option
from infer.cli.groups import Command, dispatch
from infer.cli.parsing import leading, parse, take
from infer.cli.running import leave, run, say, tell
from infer.system.columns import printable

__all__ = ["Command", "dispatch", "leading", "leave", "option", "parse", "printable", "run", "say", "take", "tell"]
