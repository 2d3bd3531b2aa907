"""An option is a dataclass field: its name, type, default, help and smallest value.

In: a dataclass whose fields are made by `option`. Out: its options by field name.

    python -c "from infer.cli.fields import options; from infer.batch import BatchConfig; print(options(BatchConfig))"
"""

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from keyword import iskeyword
from typing import Any

from infer.errors import InputError

Values = tuple[Any, ...]
ANY_BUT_0: Values = ()


def option(
    default: Any, help: str, minimum: float | None = None, address: bool = False, only: dict[str, Values] | None = None,
    files: bool = False,
) -> Any:  # fmt: skip
    """A dataclass field with its help text and, for numbers, its smallest value.

    default: MISSING (from dataclasses) makes the option required.  address: whether a path may be an address.
    files: whether a text may name files, whose names may be of any bytes.  only: other fields of the class, and the
    values of them with which it does anything; none (ANY_BUT_0): any but 0.
    """
    return field(
        default=default,
        metadata={"help": help, "minimum": minimum, "address": address, "only": only or {}, "files": files},
    )


@dataclass(frozen=True)
class Option:
    """One option of a command.

    field: its name in the dataclass.  kind: its type, without `| None`.  default: MISSING if it is required.
    only: as of `option`.  group: a heading for it and others, which stand behind those without one: `GROUP` of the
    class that declares it.
    """

    field: str
    kind: Any
    default: Any
    help: str
    minimum: float | None
    only: dict[str, Values]
    address: bool = False
    files: bool = False
    group: str = ""

    @property
    def name(self) -> str:
        """As it is typed, without the leading dashes; of `with_` it is `with`."""
        return self.field.rstrip("_").replace("_", "-")

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return self.default is MISSING

    @property
    def is_flag(self) -> bool:
        """Whether it is written without a value."""
        return self.kind is bool


Options = dict[str, Option]


def options(*configs: type) -> Options:
    """The options of dataclasses by field name; a field that `option` has not made is none."""
    by_name = {}
    for config in configs:
        hints = typing.get_type_hints(config)
        for f in fields(config):
            if f.metadata:
                group = vars(_declares(config, f.name)).get("GROUP", "")
                by_name[f.name] = Option(f.name, _kind(hints[f.name]), f.default, group=group, **f.metadata)
    return dict(sorted(by_name.items(), key=lambda pair: pair[1].group != ""))


def idle(known: Option, values: Any, every: Options) -> str | None:
    """Why an option does nothing beside the values of the others; None if it does.

    values: an instance of the class of options.
    """
    typed = f"--no-{known.name}" if getattr(values, known.field) is False else f"--{known.name}"
    for name, wanted in known.only.items():
        found = getattr(values, name)
        if found in wanted or (wanted == ANY_BUT_0 and found):
            continue
        other = f"--{every[name].name}" if name in every else ""
        beside = f"{other}={found}" if other else found
        if isinstance(found, bool):
            return f"{typed} does nothing with {other if found else other.replace('--', '--no-', 1)}"
        if wanted == ANY_BUT_0:
            return f"{typed} does nothing with {beside}: it needs more than 0"
        use = " or ".join(map(str, wanted))
        return f"{typed} does nothing with {beside}: it is for {f'{other}={use}' if other else use}"
    return None


def own(known: Options, values: Mapping[str, Any]) -> Options:
    """Those that can do something: all but what is for other values of the fields that are no options.

    values: of these fields; one that is missing has any value.
    """
    return {
        name: o
        for name, o in known.items()
        if all(values[other] in o.only[other] for other in o.only if other in values and other not in known)
    }


def field_of(typed: str) -> str:
    """The field of an option as it is typed; a word of Python gets the `_` that its field ends with."""
    name = typed.replace("-", "_")
    return f"{name}_" if iskeyword(name) else name


def listed(known: Options) -> str:
    """`--one, --other`."""
    return ", ".join(f"--{o.name}" for o in known.values())


def unknown(typed: str, known: Options) -> InputError:
    """What to raise for an option that does not exist, with the nearest that does."""
    names = [o.name for o in known.values()] + [f"no-{o.name}" for o in known.values() if o.is_flag]
    near = nearest(typed, names, "--")
    return InputError(f"unknown option --{typed}{near or ';'} options: {listed(known)}")


def nearest(typed: str, names: list[str], dashes: str = "") -> str:
    """`; did you mean NAME?`, or nothing if no name is near."""
    matches = get_close_matches(typed, names, n=1)
    return f"; did you mean {dashes}{matches[0]}?" if matches else ""


def _declares(config: type, name: str) -> type:
    """The class of a dataclass and its bases that declares a field, or last changes it."""
    return next(kind for kind in config.__mro__ if name in vars(kind).get("__annotations__", {}))


def _kind(hint: Any) -> Any:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):  # X | None
        return next(member for member in typing.get_args(hint) if member is not type(None))
    return hint
