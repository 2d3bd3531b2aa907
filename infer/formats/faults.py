"""What Polars says of an address that cannot be read, as one line without keys.

In: an address and an error. Out: a line that names the address and what to check.

    told(Address("s3://bucket/t.csv"), error)
"""

import re

from infer.errors import NO_ROOM, first_line, unread
from infer.system.addresses import Address, secrets
from infer.system.stores import EXPIRED, INVALID, RENEW

# What Polars' errors hold, and what it means.
ABSENT = ("expanded paths were empty", "404 not found", "not found:", "nosuchkey", "nosuchbucket")
DENIED = ("accessdenied", "invalidaccesskey", "signaturedoesnotmatch", "unauthorized", "forbidden", "credential")
MIXED = ("different file extensions",)
UNLIKE = ("schema names differ", "schema lengths differ")
STRAY = ("csv malformed", "not properly escaped", 'could not parse `"')
WIDE = ("more fields than defined",)
UNREACHABLE = ("error sending request", "connect", "dns error", "timed out", "timeout")
STATUS = re.compile(r"(?<![\w.])40[13]\b")  # by itself, and no part of "0.401s"
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")


def means(error: Exception, signs: tuple[str, ...]) -> bool:
    """Whether an error says one of these things."""
    said = str(error).lower()
    return any(sign in said for sign in signs)


def denied(error: Exception) -> bool:
    """Whether an error says that access is denied."""
    return means(error, (*DENIED, INVALID)) or STATUS.search(str(error)) is not None


def told(address: Address, error: Exception) -> str:
    """What went wrong."""
    if isinstance(error, FileNotFoundError) or means(error, ABSENT):
        return f"{address} does not exist, or holds no such files; a folder's address ends in /"
    if means(error, STRAY):  # before those whose signs may stand in its rows
        return (
            f"{address} cannot be read: it has a quote that encloses no value; --quote=none if quotes are part of them"
        )
    if means(error, WIDE):
        return f"{address} cannot be read: a row has more fields than the first line"
    if means(error, EXPIRED):
        return f"{address}: {RENEW}"
    if denied(error):
        return f"{address}: access is denied: check the credentials in the environment, as AWS_ACCESS_KEY_ID"
    if means(error, UNREACHABLE):
        return f"{address} cannot be reached: check the host, as AWS_ENDPOINT_URL, and the network"
    if means(error, MIXED):
        return f"{address} holds files of several kinds: say which are the table, as {address}*.parquet"
    if means(error, UNLIKE):
        return f"{address} holds files with unlike columns: expected the same ones, in the same order, in each"
    said = URL.sub("the address", first_line(error))
    if any(piece in said for piece in secrets(address.text)):
        said = type(error).__name__
    if NO_ROOM.search(str(error)):
        return unread(address, error, f"{said:.300}")
    return f"{address} cannot be read: {said:.300}; say what it is with --format, or download it first"
