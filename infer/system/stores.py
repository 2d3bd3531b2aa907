"""How a store of objects is reached, and what its refusals mean.

In: the address of a folder in the cloud; credentials from the environment, as Polars takes them. Out: a store of the
library obstore; or InputError, in one line without keys.

    with told(folder): obstore.get(opened(folder), "lists/current.json")
"""

import datetime
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from infer.errors import InputError
from infer.system.addresses import Address, scheme_of, secrets
from infer.system.project import PROJECT

SCHEMES = ("s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss")
RETRIES: dict[str, Any] = {"max_retries": 5, "retry_timeout": datetime.timedelta(seconds=15)}
# `read_timeout` is until the next piece comes. `timeout` is for all of a file: 30 s by default, too little for a model.
TIMES = {
    "connect_timeout": datetime.timedelta(seconds=5),
    "read_timeout": datetime.timedelta(seconds=60),
    "timeout": datetime.timedelta(days=1),
}
KEYS = {"s3": "AWS_ACCESS_KEY_ID", "gs": "GOOGLE_APPLICATION_CREDENTIALS"} | dict.fromkeys(
    ("az", "ad", "ab"), "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
)
STATUS = re.compile(r"status code: (\d{3})")
# What S3 says with status 400, where others have 401 and 403.
EXPIRED, INVALID = ("expiredtoken", "tokenrefreshrequired"), "invalidtoken"
RENEW = "the credentials have expired: renew those in the environment, as AWS_SESSION_TOKEN, and run again"
UNREACHABLE = ("error sending request", "connect", "dns error", "timed out", "timeout", "body error")


def is_object_store(path: Path) -> bool:
    """Whether this is an address in a store of objects."""
    return isinstance(path, Address) and scheme_of(path.text) in SCHEMES


def check_address(option: str, address: Address) -> None:
    """Raises InputError if an address is none of a store of objects, or carries keys."""
    if not is_object_store(address):
        known = ", ".join(f"{scheme}://" for scheme in ("s3", "gs", "az", "abfss"))
        raise InputError(f"{option} {address}: expected a path, or an address that begins with {known}")
    if "?" in address.text or secrets(address.text):
        raise InputError(f"{option} {address}: an address here carries no keys: give them in the environment")


def split(folder: Address) -> tuple[str, str]:
    """The root of a store, as s3://bucket, and what the keys of a folder in it begin with.

    Raises InputError if a part of the address is empty, `.` or `..`, which stores and libraries read differently.
    """
    root, _, below = folder.text.partition("://")[2].removesuffix("/").partition("/")
    if not root or any(part in ("", ".", "..") for part in (below.split("/") if below else [])):
        raise InputError(f"{folder} has a part that is empty, '.' or '..': name each folder once, as s3://bucket/a/b")
    return f"{scheme_of(folder.text)}://{root}", f"{below}/" if below else ""


def check_library(folder: Address) -> None:
    """Raises InputError if the library is not installed."""
    if find_spec("obstore") is None:
        raise InputError(f"{folder} needs the library obstore: pip install '{PROJECT}[cloud]'")


def opened(folder: Address) -> Any:
    """The store of a folder; raises InputError if there are no credentials."""
    from obstore.store import from_url

    root, _ = split(folder)
    given: dict[str, Any] = {"retry_config": RETRIES, "client_options": dict(TIMES)}
    if root.startswith("s3"):
        given |= _profile(folder)
        if (os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "").startswith("http://"):
            given["client_options"]["allow_http"] = True
    return from_url(root, **given)


@contextmanager
def told(folder: Address) -> Iterator[None]:
    """Errors of the library in words without keys; FileNotFoundError and FileExistsError for what is or is not
    there."""
    from obstore import exceptions

    try:
        yield
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise _refused(folder, error) from None
        raise FileNotFoundError from None
    except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
        raise FileExistsError from None
    except exceptions.BaseError as error:
        raise _refused(folder, error) from None


def _refused(folder: Address, error: Exception) -> InputError:
    said = str(error)
    status = STATUS.search(said)
    if "NoSuchBucket" in said:
        return InputError(f"{folder}: there is no bucket of this name: make it, or check the address")
    if "169.254." in said or "metadata.google" in said or (status is None and "credential" in said.lower()):
        return _without_keys(folder)
    if any(sign in said.lower() for sign in EXPIRED):
        return InputError(f"{folder}: {RENEW}")
    if (status is not None and status[1] in ("401", "403")) or INVALID in said.lower():
        return InputError(
            f"{folder}: access is denied: check the credentials in the environment, as {_keys(folder)}, and whether "
            "they may read and write there"
        )
    if status is None and "redirect" not in said and any(sign in said.lower() for sign in UNREACHABLE):
        return InputError(f"{folder} cannot be reached: check the host, as AWS_ENDPOINT_URL, and the network")
    if status is not None and (status[1] == "429" or status[1].startswith("5")):
        return InputError(f"{folder} is busy or out of order (status {status[1]}): run again")
    what = f"status {status[1]}" if status is not None else type(error).__name__
    return InputError(f"{folder} refuses ({what}): check the address, and the region, as AWS_REGION")


def _keys(folder: Address) -> str:
    return KEYS[scheme_of(folder.text)[:2]]


def _without_keys(folder: Address) -> InputError:
    profile = os.environ.get("AWS_PROFILE")
    if profile and scheme_of(folder.text).startswith("s3"):
        return InputError(
            f"{folder}: the profile {profile} (AWS_PROFILE) has no credentials that are valid: log in again, or give "
            f"them in the environment, as {_keys(folder)}"
        )
    return InputError(f"{folder}: no credentials are found: give them in the environment, as {_keys(folder)}")


def _profile(folder: Address) -> dict[str, Any]:
    """Credentials of a profile or of what else boto3 finds, as Polars takes them; nothing if the environment has
    keys, or says that none are needed."""
    if {"AWS_ACCESS_KEY_ID", "AWS_SKIP_SIGNATURE"} & set(os.environ) or find_spec("boto3") is None:
        return {}
    from botocore.exceptions import BotoCoreError
    from obstore.auth.boto3 import Boto3CredentialProvider

    try:
        return {"credential_provider": Boto3CredentialProvider()}
    except (ValueError, BotoCoreError):
        raise _without_keys(folder) from None
