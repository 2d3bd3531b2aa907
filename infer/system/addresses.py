"""A table's address that is no path: of a file or folder in the cloud, or of a database; shown without its secrets.

In: what somebody gave for a table. Out: a path, or an `Address`, which goes wherever a path goes.

    print(place("postgresql://me:secret@host/shop"))  # postgresql://host/shop
"""

import contextlib
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from infer.errors import InputError

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
# Names in what follows a `?` whose values are keys.
SECRET = re.compile(r"pass|sig|token|key|secret|credential", re.IGNORECASE)
# What stands before the @ is a container, a data set or part of a key, no user.
STORES = ("s3", "s3a", "gs", "gcs", "az", "azure", "adl", "abfs", "abfss", "hf")


def is_address(text: str) -> bool:
    """Whether this is written as an address: `s3://...`."""
    return SCHEME.match(text) is not None


def scheme_of(text: str) -> str:
    """`s3` of `s3://...`, in lower case."""
    return text.partition("://")[0].lower()


def public(text: str) -> str:
    """An address without user, password and whatever follows a `?`, which may be a key."""
    scheme, (_, rest) = scheme_of(text), _split(text)
    rest, mark, _ = rest.partition("?") if "*" not in rest else (rest, "", "")
    return f"{scheme}://{rest}" + ("?..." if mark else "")


def secrets(text: str) -> set[str]:
    """Pieces of an address that must not be shown, as they are written and as they are meant."""
    user, rest = _split(text)
    query = rest.partition("?")[2]
    pairs = (pair.partition("=") for pair in query.split("&"))
    pieces = {value for name, _, value in pairs if SECRET.search(name)}
    pieces |= {user, user.partition(":")[2]} if ":" in user else set()
    with contextlib.suppress(ValueError):  # no port, as of a password with a colon
        pieces |= {urlsplit(text).password or ""}
    return {form for piece in pieces for form in (piece, unquote(piece)) if form}


def _split(text: str) -> tuple[str, str]:
    """User and password, and what follows them; either may hold what should be written otherwise (`/`, `@`)."""
    rest = text.partition("://")[2]
    if scheme_of(text) not in STORES:
        user, _, rest = rest.rpartition("@")
    elif "@" in rest and ":" in rest.partition("@")[0].partition("/")[0]:
        user, _, rest = rest.partition("@")
    else:
        user = ""
    return user, rest


class Address(type(Path())):  # type: ignore[misc]
    """An address in the place of a path.

    It is shown without secrets, wherever a path would be; what opens it finds its copy, once there is one.

    text: the address as given, with its secrets.  copy: a local Parquet file with its rows; None: not fetched yet.
    """

    text: str
    copy: Path | None
    shown: str | None = None

    def __new__(cls, text: str, copy: Path | None = None, shown: str | None = None) -> "Address":
        """A path of the copy, or of nothing that is there."""
        self: Address = super().__new__(cls, copy or public(text))
        return self

    def __init__(self, text: str, copy: Path | None = None, shown: str | None = None) -> None:
        if sys.version_info >= (3, 12):
            super().__init__(copy or public(text))
        self.text, self.copy, self.shown = text, copy, shown or public(text)

    def __str__(self) -> str:
        return self.shown or str(super().__str__())

    def __fspath__(self) -> str:
        return str(super().__str__())

    def __repr__(self) -> str:
        return f"Address('{self}')"

    def __deepcopy__(self, memo: Any) -> "Address":
        return self

    def __reduce__(self) -> Any:
        return Address, (self.text, self.copy, self.shown)

    def with_segments(self, *segments: Any) -> Path:
        """What is beside or above the copy is a path as any other."""
        return Path(*segments)


def path_name(path: Path) -> str:
    """The last name of a path or address."""
    return str(path).partition("?")[0].rstrip("/").rpartition("/")[2] if isinstance(path, Address) else path.name


def place(text: str) -> Path:
    """A path, or an `Address` if it is written as one; raises InputError if it is empty, which would be this folder."""
    if not text:
        raise InputError("expected a path; found an empty text")
    return Address(text) if is_address(text) else Path(text)
