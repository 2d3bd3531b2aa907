"""Command lines from frozen dataclasses: fire splits the words, this module checks them.

In: a configuration class and the command's words. Out: an instance of that class, or one line
on standard error and exit status 2. A command reads `main()`: parse, call, print.

    raise SystemExit(run(main))

Fire alone would call the command before noticing a mistyped flag, turn `--model=123` into a
number and accept 2.5 for an integer. Here it only splits words; every value reaches its field
as text and is converted by the field's type.
"""

import logging
import os
import sys
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import fire
import fire.decorators

from infer.errors import InputError

Config = TypeVar("Config")
WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def option(default: Any, help: str, minimum: float | None = None) -> Any:
    """A dataclass field with its help text and, for numbers, its smallest value.

    default: MISSING (from dataclasses) makes the option required.
    """
    return field(default=default, metadata={"help": help, "minimum": minimum})


def parse(config: type[Config], words: Sequence[str], usage: str, base: Config | None = None) -> Config:
    """Turn command words (`--name=value`, `--name value`, `name=value`, `--no-name`) into `config`.

    base: what the words change, instead of the class's defaults.
    Raises InputError on an unknown option, a value of the wrong type, or a repeated option.
    Prints `usage` and the options and exits with status 0 on --help.
    """
    known = {f.name: f for f in fields(config)}  # type: ignore[arg-type]
    if any(word in ("--help", "-h") for word in words):
        print(usage.strip(), "\n\noptions:")
        print("\n".join(_describe(f, kind, base) for f, kind in _typed(config)))
        raise SystemExit(0)
    texts = _split(_joined(words, known))
    unknown = [name for name in texts if name not in known]
    if unknown:
        raise InputError(f"unknown option --{_dashed(unknown[0])}; options: {_listed(known)}")
    missing = [n for n, f in known.items() if base is None and f.default is MISSING and n not in texts]
    if missing:
        raise InputError(f"option --{_dashed(missing[0])} is missing: --{_dashed(missing[0])}=VALUE")
    kinds = {f.name: kind for f, kind in _typed(config)}
    values = {n: _convert(known[n], kinds[n], text) for n, text in texts.items()}
    return config(**values) if base is None else replace(base, **values)


def choose(words: Sequence[str], choices: Sequence[str], usage: str) -> tuple[str, list[str]]:
    """Take the leading word, which must be one of `choices`; return it and the other words.

    Raises InputError naming the choices; prints `usage` on --help or -h as the leading word.
    """
    if words and words[0] in ("--help", "-h"):
        print(usage.strip())
        raise SystemExit(0)
    if not words or words[0] not in choices:
        found = f"'{words[0]}'" if words else "nothing"
        raise InputError(f"expected one of {', '.join(choices)}; found {found}")
    return words[0], list(words[1:])


def take(words: Sequence[str], name: str, default: str) -> tuple[str, list[str]]:
    """Take the option `name` out of the words, before the others are parsed; return its value, the rest.

    Raises InputError if it has no value or is given twice.
    """
    found, rest, words = [], [], list(words)
    while words:
        word = words.pop(0)
        key, equals, value = word.removeprefix("--").partition("=")
        if key != name or (not equals and not word.startswith("--")):
            rest.append(word)
        elif equals or (words and not words[0].startswith("--")):
            found.append(value if equals else words.pop(0))
        else:
            raise InputError(f"option --{name} needs a value: --{name}=VALUE")
    if len(found) > 1:
        raise InputError(f"option --{name} is given twice")
    return (found[0] if found else default), rest


def run(main: Callable[[Sequence[str]], None]) -> int:
    """Call `main(words)`; return an exit status, with one line on standard error if it failed."""
    tell()
    try:
        main(sys.argv[1:])
        sys.stdout.flush()
        return 0
    except InputError as error:
        message, status = str(error), 2
    except BrokenPipeError:
        # The reader (`| head`) has gone: keep the interpreter from failing again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        message, status = f"{place}{error.strerror or error}", 1
    except MemoryError:
        message, status = "out of memory: try a smaller --batch-size", 1
    except KeyboardInterrupt:
        message, status = "interrupted", 130
    print("error:", printable(" ".join(message.split())), file=sys.stderr)
    return status


class _Told(logging.Handler):
    """Log messages as lines: on standard output, warnings on standard error, wherever these go just then."""

    def emit(self, record: logging.LogRecord) -> None:
        warning = record.levelno >= logging.WARNING
        print(record.getMessage(), file=sys.stderr if warning else sys.stdout, flush=True)


def tell() -> None:
    """Print what the project's libraries log, which is silent elsewhere."""
    for package in ("infer", "train", "export", "bench"):
        logger = logging.getLogger(package)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(_Told())


def printable(text: str) -> str:
    """The text without what could steer a terminal: such characters become `?`."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _typed(config: type) -> list[tuple[Field, Any]]:
    hints = typing.get_type_hints(config)
    return [(f, hints[f.name]) for f in fields(config)]


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _listed(known: dict[str, Field]) -> str:
    return ", ".join(f"--{_dashed(name)}" for name in known)


def _joined(words: Sequence[str], known: dict[str, Field]) -> list[str]:
    """Every option and its value as one word, so that a value is never taken for an option."""
    joined: list[str] = []
    rest = iter(words)
    for word in rest:
        normal = _normalised(word, known)
        if normal.startswith("--") and "=" not in normal:
            if normal[2:].replace("-", "_") not in known:
                raise InputError(f"unknown option {normal}; options: {_listed(known)}")
            value = next(rest, None)
            if value is None or value.startswith("--"):
                raise InputError(f"option {word} needs a value: {word}=VALUE")
            normal = f"{normal}={value}"
        joined.append(normal)
    return joined


def _normalised(word: str, known: dict[str, Field]) -> str:
    """Give every boolean flag a value, so that fire never has to guess one."""
    if word.startswith("=") or word.startswith("--="):
        raise InputError(f"unexpected '{word}'; options: {_listed(known)}")
    if not word.startswith("-"):
        return f"--{word}" if "=" in word else word
    name = word.lstrip("-").replace("-", "_")
    if word == "-" * len(word) or not word.startswith("--"):
        raise InputError(f"unexpected '{word}'; options: {_listed(known)}")
    if name in known and known[name].type in (bool, "bool"):
        return f"--{name}=true"
    if name.startswith("no_") and name[3:] in known and known[name[3:]].type in (bool, "bool"):
        return f"--{name[3:]}=false"
    return word


def _split(words: list[str]) -> dict[str, str]:
    """Let fire pair names with values; keep every value as text."""
    names = [w.lstrip("-").split("=")[0].replace("-", "_") for w in words if w.startswith("--")]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise InputError(f"option --{_dashed(repeated[0])} is given twice")
    collected: dict[str, str] = {}

    @fire.decorators.SetParseFn(str)
    def collect(*loose: str, **named: str) -> None:
        if loose:
            raise InputError(f"unexpected '{loose[0]}'; options are written --name=value")
        collected.update(named)

    if words:
        fire.Fire(collect, command=words, name="")
    return collected


def _convert(known: Field, kind: Any, text: str) -> Any:
    name = f"--{_dashed(known.name)}"
    if typing.get_origin(kind) in (types.UnionType, typing.Union):  # X | None
        kind = next(member for member in typing.get_args(kind) if member is not type(None))
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        if text not in choices:
            raise InputError(f"{name} is one of {', '.join(choices)}; found '{text}'")
        return text
    if kind is bool:
        if text.lower() not in WORDS:
            raise InputError(f"{name} is true or false; found '{text}'")
        return WORDS[text.lower()]
    try:
        value = kind(text)
    except ValueError:
        wanted = {int: "a whole number", float: "a number"}.get(kind, kind.__name__)
        raise InputError(f"{name} takes {wanted}; found '{text}'") from None
    if kind in (str, Path) and not text:
        raise InputError(f"{name} is empty")
    minimum = known.metadata.get("minimum")
    if kind in (int, float) and not abs(value) < 2**63:
        raise InputError(f"{name} takes a finite number; found '{text}'")
    if minimum is not None and value < minimum:
        raise InputError(f"{name} is at least {minimum}; found {text}")
    return value


def _describe(known: Field, kind: Any, base: Any) -> str:
    if typing.get_origin(kind) is Literal:
        shown = "|".join(typing.get_args(kind))
    elif typing.get_origin(kind) in (types.UnionType, typing.Union):
        shown = next(m for m in typing.get_args(kind) if m is not type(None)).__name__
    else:
        shown = kind.__name__
    needed = known.default is MISSING
    value = known.default if base is None else getattr(base, known.name)
    default = "" if needed or value is None else f" (default {value})"
    return f"  --{_dashed(known.name)}=<{shown.lower()}>  {known.metadata.get('help', '')}{default}"
