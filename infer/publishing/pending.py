"""Parts that other processes have written for a run, until the one that holds its lock takes them.

    hybrid.topk.publications/work/pending/1-of-1-5f0c.../
        00003-9a41....lists, .users     what one worker made of part 3

A worker may live on when its run has ended: one that was cut off from the network, or whose run was killed. What it
writes then lies in a folder that no other run looks into, and never among the lists. A part becomes one of those that
are done by renaming, which the run's own process does alone; that several workers made it does no harm.

In: an output. Out: the folder, which workers also know their common file system by.
"""

import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from infer.errors import InputError, first_line
from infer.publishing.output import Output, write_lists, write_users
from infer.system.files import replacing, sync_folder

FOLDER = "pending"
LISTS, USERS = ".lists", ".users"


@contextmanager
def pending(output: Output, share: tuple[int, int]) -> Iterator[Path]:
    """A new folder for the parts of a share, whose lock is held, for as long as the block lasts; what earlier runs of
    the share have left goes."""
    name = f"{share[0] + 1}-of-{share[1]}-"
    place = output.work / FOLDER
    for left in place.glob(f"{name}*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = place / f"{name}{secrets.token_hex(8)}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror}; earlier files are unchanged") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_pending(
    folder: Path, number: int, digest: str, lists: pl.DataFrame, users: pl.DataFrame, numbers: dict[str, Any]
) -> str:
    """Write a part as `Output.write` does; returns its name in the folder, which no other attempt has.

    Raises InputError if the folder or the disk refuses.
    """
    name = f"{number:05}-{secrets.token_hex(8)}"
    with replacing(folder / f"{name}{USERS}", alone=True) as temporary:
        write_users(temporary, users, digest)
    with replacing(folder / f"{name}{LISTS}", alone=True) as temporary:
        write_lists(temporary, lists, numbers, digest)
    return name


def adopt(output: Output, folder: Path, names: Mapping[int, str]) -> None:
    """Put parts (number: name) among those that are done: the users of all, then the lists, whose presence says that
    both are there.

    Raises InputError if one of the files is not there, or the disk refuses.
    """
    for ending, place in ((USERS, output.users), (LISTS, output.part)):
        for number, name in names.items():
            try:
                (folder / f"{name}{ending}").replace(place(number))
            except OSError as error:
                raise InputError(
                    f"cannot write {place(number)}: {first_line(error)}; earlier files are unchanged, the same command "
                    "goes on"
                ) from None
        for of_all in {place(number).parent for number in names}:
            sync_folder(of_all)
