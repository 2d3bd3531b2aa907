"""argv of one command to an instance of its options class.

In: a class whose fields are made by `option`, argv, and the command's docstring. Out: the instance, or InputError.

    python -c "from infer import batch, cli; print(cli.parse(batch.BatchConfig, ['model=m.onnx', 'k=5'], ''))"
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import TypeVar

from infer.cli.completion import asked, command_script
from infer.cli.converting import convert
from infer.cli.fields import field_of, idle, options, own
from infer.cli.splitting import split
from infer.cli.usage import described
from infer.errors import InputError
from infer.system.project import version_line

Config = TypeVar("Config")


def parse(
    config: type[Config], argv: Sequence[str], usage: str, base: Config | None = None, beside: Sequence[type] = ()
) -> Config:
    """Turn argv (`--name=value`, `--name value`, `name=value`, `--no-name`) into `config`.

    base: what the words change, instead of the class's defaults.  beside: classes whose options the command has taken
    out of argv before, for help and for the names that an error lists.
    Raises InputError on an unknown option, one that does nothing beside the others, a value of the wrong type, or a
    repeated or missing option.
    Prints `usage` and the options on --help, the version on --version, a script on `-- --completion`, and exits with
    status 0.
    """
    known = options(config)
    shown = known if base is None else own(known, vars(base))
    every = shown | options(*beside)
    shell = asked(argv)
    if shell:
        raise _printed(command_script(_program(), shell, every))
    if any(word in ("--help", "-h") for word in argv):
        raise _printed(described(usage, every, base))
    if "--version" in argv:
        raise _printed(version_line())
    texts = split(argv, known, every)
    missing = [o for o in known.values() if base is None and o.is_required and o.field not in texts]
    if missing:
        raise InputError(f"option --{missing[0].name} is missing: --{missing[0].name}=VALUE")
    values = {name: convert(known[name], text) for name, text in texts.items()}
    made = config(**values) if base is None else replace(base, **values)  # type: ignore[type-var]
    for reason in (idle(known[name], made, known) for name in texts):
        if reason:
            raise InputError(reason)
    return made


def take(config: type[Config], argv: Sequence[str]) -> tuple[Config, list[str]]:
    """Take the options of `config` out of argv, before the others are parsed; return them and the rest.

    Raises InputError as `parse` does.
    """
    known = options(config)
    taken: list[str] = []
    rest: list[str] = []
    words = list(argv)
    while words:
        word = words.pop(0)
        name, equals, _ = word.removeprefix("--").partition("=")
        flag = known.get(field_of(name.removeprefix("no-")))
        is_flag = flag is not None and flag.is_flag and not equals and word.startswith("--")
        is_own = is_flag or (field_of(name) in known and (equals or word.startswith("--")))
        (taken if is_own else rest).append(word)
        if is_own and not is_flag and not equals and words and not words[0].startswith("--"):
            taken.append(words.pop(0))
    return parse(config, taken, ""), rest


def leading(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words that stand before the options, and the others."""
    first = list(takewhile(lambda word: not word.startswith("-") and "=" not in word, argv))
    return first, list(argv[len(first) :])


def _printed(text: str) -> SystemExit:
    print(text)
    return SystemExit(0)


def _program() -> str:
    """What stands after `python -m`."""
    spec = sys.modules["__main__"].__spec__
    return spec.name.removesuffix(".__main__") if spec else "command"
