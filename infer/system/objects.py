"""Objects of a folder in the cloud: read, written whole, and replaced only if they are still what was read.

In: an address, as s3://bucket/lists; credentials from the environment, as Polars takes them. Out: bytes and files; or
InputError, in one line without keys.

    Objects(Address("s3://shop/lists")).read("current.json")

A reader sees an earlier object or a whole new one: that is what these stores promise of a put. The library obstore
(the crate object_store, which Polars and deltalake use as well) reaches S3, Google Cloud Storage and Azure.
"""

import datetime
import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from infer.errors import InputError
from infer.system.addresses import Address, scheme_of, secrets
from infer.system.progress import progress
from infer.system.project import PROJECT

SCHEMES = ("s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss")
AT_ONCE = 8  # transfers
SOON = 2  # seconds, within which no progress is shown
CHUNK = 8 * 2**20  # bytes in memory of what is fetched
RETRIES: dict[str, Any] = {"max_retries": 2, "retry_timeout": datetime.timedelta(seconds=15)}
TIMES = {"connect_timeout": "5s"}
KEYS = {"s3": "AWS_ACCESS_KEY_ID", "gs": "GOOGLE_APPLICATION_CREDENTIALS"} | dict.fromkeys(
    ("az", "ad", "ab"), "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
)
STATUS = re.compile(r"status code: (\d{3})")
UNREACHABLE = ("error sending request", "connect", "dns error", "timed out", "timeout")

Version = Mapping[str, str]  # which of its contents an object has


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


class Objects:
    """The objects of a folder. Keys are relative to it."""

    def __init__(self, folder: Address) -> None:
        """Raises InputError if the library that reaches it is not installed."""
        self.folder = folder
        root, _, below = folder.text.partition("://")[2].strip("/").partition("/")
        self._root = f"{scheme_of(folder.text)}://{root}"
        self._prefix = f"{below}/" if below else ""
        if find_spec("obstore") is None:
            raise InputError(f"{folder} needs the library obstore: pip install '{PROJECT}[cloud]'")

    def read(self, key: str) -> tuple[bytes, Version] | None:
        """Its content and version; None if it is not there."""
        import obstore

        try:
            with self._told():
                found = obstore.get(self._store, self._prefix + key)
                return bytes(found.bytes()), _version(found.meta)
        except FileNotFoundError:
            return None

    def create(self, key: str, content: bytes) -> bool:
        """Write an object; False, and nothing is written, if it is there."""
        import obstore

        try:
            with self._told():
                obstore.put(self._store, self._prefix + key, content, mode="create")
            return True
        except FileExistsError:
            return False

    def replace(self, key: str, content: bytes, version: Version) -> bool:
        """Write an object that has still this version; False, and nothing is written, if it has not."""
        import obstore

        try:
            with self._told():
                obstore.put(self._store, self._prefix + key, content, mode=dict(version))  # type: ignore[arg-type]
            return True
        except (FileExistsError, FileNotFoundError):
            return False

    def upload(self, key: str, file: Path) -> None:
        """Write a file's bytes, in one request: nothing of a stopped one is left there."""
        import obstore

        with self._told():
            obstore.put(self._store, self._prefix + key, Path(os.fspath(file)), use_multipart=False)

    def download(self, key: str, target: Path, bar: Any = None) -> bool:
        """Write an object to a file, whole or not at all; False if it is not there."""
        import obstore

        part = target.with_name(f".{target.name}.part")
        try:
            with self._told():
                found = obstore.get(self._store, self._prefix + key)
                size, written = found.meta["size"], 0
                own = progress(total=size, unit="B", unit_scale=True, desc=f"{self.folder}/{key}", delay=SOON)
                target.parent.mkdir(parents=True, exist_ok=True)
                with own, part.open("wb") as file:
                    for chunk in found.stream(min_chunk_size=CHUNK):
                        written += file.write(chunk)
                        own.update(len(chunk))
            if written != size:
                raise InputError(f"{self.folder}/{key} came with {written} of {size} bytes: run again")
            part.replace(target)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise InputError(f"cannot write {target}, a copy of {self.folder}/{key}: {error.strerror}") from None
        finally:
            part.unlink(missing_ok=True)
        return True

    def fetch(self, files: Mapping[str, Path]) -> None:
        """Download several objects, a few at once; raises InputError if one is not there."""

        def one(pair: tuple[str, Path]) -> None:
            if not self.download(*pair):
                raise InputError(f"{self.folder}/{pair[0]} is not there any more: run again")

        with ThreadPoolExecutor(AT_ONCE) as pool:
            bar = progress(total=len(files), unit=" files", desc=f"reading {self.folder}", delay=SOON)
            with bar:
                for _ in pool.map(one, files.items()):
                    bar.update()

    def keys(self, below: str = "") -> list[str]:
        """All that begin with a text."""
        import obstore

        with self._told():
            found = [meta["path"] for page in obstore.list(self._store, self._prefix + below) for meta in page]
        return sorted(path.removeprefix(self._prefix) for path in found)

    def folders(self) -> list[str]:
        """Names of what lies directly below and holds objects."""
        import obstore

        with self._told():
            found = obstore.list_with_delimiter(self._store, self._prefix)
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"])

    def remove(self, keys: list[str]) -> None:
        """Remove objects."""
        import obstore

        with self._told():
            if keys:
                obstore.delete(self._store, [self._prefix + key for key in keys])

    @cached_property
    def _store(self) -> Any:
        from obstore.store import from_url

        given: dict[str, Any] = {"retry_config": RETRIES, "client_options": dict(TIMES)}
        if self._root.startswith("s3"):
            try:
                given |= _profile()
            except LookupError:
                raise self._without_keys() from None
            if _endpoint().startswith("http://"):
                given["client_options"]["allow_http"] = True
        return from_url(self._root, **given)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the library in words without keys; FileNotFoundError and FileExistsError for what is or is not
        there."""
        from obstore import exceptions

        try:
            yield
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._absent() from None
            raise FileNotFoundError from None
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            raise FileExistsError from None
        except exceptions.BaseError as error:
            raise self._refused(error) from None

    @property
    def _keys(self) -> str:
        return KEYS.get(self._root[:2], KEYS["s3"])

    def _absent(self) -> InputError:
        return InputError(f"{self.folder}: there is no bucket of this name: make it, or check the address")

    def _without_keys(self) -> InputError:
        return InputError(f"{self.folder}: no credentials are found: give them in the environment, as {self._keys}")

    def _refused(self, error: Exception) -> InputError:
        said = str(error)
        status = STATUS.search(said)
        if "NoSuchBucket" in said:
            return self._absent()
        if "169.254." in said or "metadata.google" in said or "credential" in said.lower():
            return self._without_keys()
        if status is not None and status[1] in ("401", "403"):
            return InputError(
                f"{self.folder}: access is denied: check the credentials in the environment, as {self._keys}, and "
                "whether they may read and write there"
            )
        if status is None and "redirect" not in said and any(sign in said.lower() for sign in UNREACHABLE):
            return InputError(f"{self.folder} cannot be reached: check the host, as AWS_ENDPOINT_URL, and the network")
        told = f"status {status[1]}" if status is not None else type(error).__name__
        return InputError(f"{self.folder} refuses ({told}): check the address, and the region, as AWS_REGION")


def fetched(address: Address, folder: Path) -> Address:
    """An address with a copy of its object in `folder`, under its own name; raises InputError if it is not there."""
    above, _, name = address.text.rpartition("/")
    if not name or above.endswith("/"):
        raise InputError(f"{address} names no object in a bucket")
    copy = folder / name
    if not Objects(Address(above)).download(name, copy):
        raise InputError(f"{address} does not exist")
    return Address(address.text, copy, str(address))


def _version(meta: Any) -> Version:
    return {key: meta[key] for key in ("e_tag", "version") if meta.get(key) is not None}


def _endpoint() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""


def _profile() -> dict[str, Any]:
    """Credentials of a profile or of what else boto3 finds, as Polars takes them; nothing if the environment has
    keys, or says that none are needed."""
    if {"AWS_ACCESS_KEY_ID", "AWS_SKIP_SIGNATURE"} & set(os.environ) or find_spec("boto3") is None:
        return {}
    from botocore.exceptions import BotoCoreError
    from obstore.auth.boto3 import Boto3CredentialProvider

    try:
        return {"credential_provider": Boto3CredentialProvider()}
    except (ValueError, BotoCoreError):
        raise LookupError from None
