"""argv to one text for each option: `--name=value`, `--name value`, `name=value`, `--flag`, `--no-flag`.

In: argv and the options that exist. Out: text by field name; nothing is converted here. Fire pairs names with values;
before it does, every option and its value become one word, so that it never has to guess where a value is.

    python -m infer batch --model m.onnx k=3 --no-metrics
"""

from collections.abc import Sequence

import fire
import fire.decorators

from infer.cli.fields import Options, field_of, listed, unknown
from infer.errors import InputError


def split(argv: Sequence[str], known: Options, every: Options | None = None) -> dict[str, str]:
    """The text of every option that was given, by field name.

    every: the options that an error lists, where they are more than those known here.
    Raises InputError on an unknown or repeated option, one without its value, and a word that belongs to none.
    """
    words = _joined(argv, known, every or known)
    names = [_field(word) for word in words if word.startswith("--")]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise InputError(f"option --{known[repeated[0]].name} is given twice")
    texts: dict[str, str] = {}

    @fire.decorators.SetParseFn(str)  # type: ignore[untyped-decorator]  # fire has no types
    def collect(*loose: str, **named: str) -> None:
        if loose:
            raise InputError(f"unexpected '{loose[0]}'; options are written --name=value")
        texts.update((field_of(name), text) for name, text in named.items())

    if words:
        fire.Fire(collect, command=words, name="")
    return texts


def _joined(argv: Sequence[str], known: Options, every: Options) -> list[str]:
    """Every option and its value as one word."""
    joined: list[str] = []
    rest = iter(argv)
    for word in rest:
        normal = _normalised(word, known)
        if normal.startswith("--"):
            if _field(normal) not in known:
                raise unknown(normal[2:].partition("=")[0].replace("_", "-"), every)
            if "=" not in normal:
                value = next(rest, None)
                if value is None or value.startswith("--"):
                    raise InputError(f"option {word} needs a value: {word}=VALUE")
                normal = f"{normal}={value}"
        joined.append(normal)
    return joined


def _normalised(word: str, known: Options) -> str:
    """Give a word its dashes, and a flag its value."""
    if word.startswith(("=", "--=")):
        raise InputError(f"unexpected '{word}'; options: {listed(known)}")
    if not word.startswith("-"):
        return f"--{word}" if "=" in word else word
    if not word.startswith("--") or not word.strip("-"):
        raise InputError(f"unexpected '{word}'; options: {listed(known)}")
    if "=" in word:
        return word
    name = _field(word)
    positive = name.removeprefix("no_")
    for flag, value in ((name, "true"), (positive, "false")):
        if flag in known and known[flag].is_flag:
            return f"--{flag}={value}"
    return word


def _field(word: str) -> str:
    return field_of(word.lstrip("-").partition("=")[0])
