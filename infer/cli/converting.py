"""The text of an option to the value of its field; pydantic's core converts and checks, this words the errors.

In: an option and its text. Out: the value, or InputError. Only the core of pydantic: all of it takes 0.15 s to import,
the core 0.02. Texts and paths are taken as they are; what may name a file need not be valid Unicode.

    python -m infer batch --k=5
"""

import typing
from pathlib import Path
from typing import Any, Literal

from pydantic_core import CoreSchema, SchemaValidator, ValidationError, core_schema

from infer.cli.fields import Option
from infer.errors import InputError, check_unicode
from infer.system.addresses import Address, is_address, public

LIMIT = 2**63  # of a 64-bit integer


def convert(known: Option, text: str) -> Any:
    """The value of a text; raises InputError if the option's type or smallest value does not allow it.

    Whole numbers are ASCII digits, with `_` between them if that helps; nothing is stripped or rounded.
    """
    name, kind = f"--{known.name}", known.kind
    if kind in (str, Path):
        if not text:
            raise InputError(f"{name} is empty")
        if kind is Path and is_address(text):
            if not known.address:
                raise InputError(f"{name} takes a path; found the address {public(text)}")
            return Address(text)
        if kind is str and not known.files:
            check_unicode(text, name)
        return kind(text)
    try:
        return SchemaValidator(_schema(kind, known.minimum)).validate_python(text)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]["type"]
    if typing.get_origin(kind) is Literal:
        raise InputError(f"{name} is one of {', '.join(typing.get_args(kind))}; found '{text}'")
    if kind is bool:
        raise InputError(f"{name} is true or false; found '{text}'")
    if problem == "greater_than_equal":
        raise InputError(f"{name} is at least {known.minimum}; found {text}")
    if problem in ("finite_number", "less_than", "greater_than"):
        raise InputError(f"{name} takes a finite number; found '{text}'")
    raise InputError(f"{name} takes a {'whole ' if kind is int else ''}number; found '{text}'")


def _schema(kind: Any, minimum: float | None) -> CoreSchema:
    if typing.get_origin(kind) is Literal:
        return core_schema.literal_schema(list(typing.get_args(kind)))
    if kind is bool:
        return core_schema.bool_schema()
    bounds: dict[str, Any] = {"lt": LIMIT} | ({"gt": -LIMIT} if minimum is None else {"ge": minimum})
    # The core alone would strip blanks, and take 2.0 for a whole number.
    numbers = {
        int: (r"^[+-]?[0-9_]+$", core_schema.int_schema(**bounds)),
        float: (r"^\S+$", core_schema.float_schema(**bounds, allow_inf_nan=False)),
    }
    pattern, number = numbers[kind]
    return core_schema.chain_schema([core_schema.str_schema(pattern=pattern), number])
