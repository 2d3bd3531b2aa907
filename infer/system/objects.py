"""Objects of a folder in the cloud: read, written whole, and replaced only if they are still what was read.

In: an address, as s3://bucket/lists; credentials from the environment, as Polars takes them. Out: bytes and files; or
InputError, in one line without keys.

    Objects(Address("s3://shop/lists")).read("current.json")

A reader sees an earlier object or a whole new one: that is what these stores promise of a put. The library obstore
(the crate object_store, which Polars and deltalake use as well) reaches S3, Google Cloud Storage and Azure.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from infer.errors import InputError
from infer.system.addresses import Address
from infer.system.progress import progress
from infer.system.stores import check_library, opened, split, told

AT_ONCE = 8  # transfers
SOON = 2  # seconds, within which no progress is shown
CHUNK = 8 * 2**20  # bytes in memory of what is fetched

Version = Mapping[str, str]  # which of its contents an object has


class Objects:
    """The objects of a folder. Keys are relative to it."""

    def __init__(self, folder: Address) -> None:
        """Raises InputError if the library that reaches it is not installed."""
        self.folder = folder
        check_library(folder)
        _, self._prefix = split(folder)

    def read(self, key: str) -> tuple[bytes, Version] | None:
        """Its content and version; None if it is not there."""
        import obstore

        try:
            with told(self.folder):
                found = obstore.get(self._store, self._prefix + key)
                return bytes(found.bytes()), _version(found.meta)
        except FileNotFoundError:
            return None

    def create(self, key: str, content: bytes) -> bool:
        """Write an object; False, and nothing is written, if it is there."""
        import obstore

        try:
            with told(self.folder):
                obstore.put(self._store, self._prefix + key, content, mode="create")
            return True
        except FileExistsError:
            return False

    def replace(self, key: str, content: bytes, version: Version) -> bool:
        """Write an object that has still this version; False, and nothing is written, if it has not."""
        import obstore

        try:
            with told(self.folder):
                obstore.put(self._store, self._prefix + key, content, mode=dict(version))  # type: ignore[arg-type]
            return True
        except (FileExistsError, FileNotFoundError):
            return False
        except InputError:  # it may have been written, and the answer lost
            with suppress(InputError):
                found = self.read(key)
                if found is not None and found[0] == content:
                    return True
            raise

    def upload(self, key: str, file: Path) -> None:
        """Write a file's bytes, in one request: nothing of a stopped one is left there."""
        import obstore

        with told(self.folder):
            obstore.put(self._store, self._prefix + key, Path(os.fspath(file)), use_multipart=False)

    def download(self, key: str, target: Path, bar: Any = None) -> bool:
        """Write an object to a file, whole or not at all; False if it is not there."""
        import obstore

        part = target.with_name(f".{target.name}.part")
        try:
            with told(self.folder):
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

        with told(self.folder):
            found = [meta["path"] for page in obstore.list(self._store, self._prefix + below) for meta in page]
        return sorted(path.removeprefix(self._prefix) for path in found)

    def folders(self) -> list[str]:
        """Names of what lies directly below and holds objects."""
        import obstore

        with told(self.folder):
            found = obstore.list_with_delimiter(self._store, self._prefix)
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"])

    def remove(self, keys: list[str]) -> None:
        """Remove objects."""
        import obstore

        with told(self.folder):
            if keys:
                obstore.delete(self._store, [self._prefix + key for key in keys])

    @cached_property
    def _store(self) -> Any:
        return opened(self.folder)


def fetched(address: Address, folder: Path) -> Address:
    """An address with a copy of its object in `folder`, under its own name; raises InputError if it is not there."""
    above, name = _parted(address)
    copy = folder / name
    if not Objects(Address(above)).download(name, copy):
        raise InputError(f"{address} does not exist")
    return Address(address.text, copy, str(address))


def fetch_beside(address: Address, name: str) -> None:
    """Copy another object of the same folder beside the copy of an address; raises InputError if it is not there."""
    above, _ = _parted(address)
    assert address.copy is not None
    if not Objects(Address(above)).download(name, address.copy.with_name(name)):
        raise InputError(f"{Address(f'{above}/{name}')}, which {address} needs, does not exist")


def _parted(address: Address) -> tuple[str, str]:
    """The address of an object's folder, and its name there."""
    above, _, name = address.text.rpartition("/")
    if not name or above.endswith("/"):
        raise InputError(f"{address} names no object in a bucket")
    return above, name


def _version(meta: Any) -> Version:
    return {key: meta[key] for key in ("e_tag", "version") if meta.get(key) is not None}
