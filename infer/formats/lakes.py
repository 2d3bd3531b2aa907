"""Tables of a data lake: Delta and Iceberg, in a folder, without a catalogue.

In: a folder. Out: the rows of the table's latest version; or InputError, in one line.

    open_lake(Path("ratings"), "delta").rows.collect()

Which files count stands in the table's log: others lie beside them, of earlier versions. Iceberg writes absolute
places of its files, so such a table is read where it was written.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import polars as pl

from infer.errors import InputError, first_line
from infer.formats.opening import Opened
from infer.system.project import PROJECT

DELTA, ICEBERG = "delta", "iceberg"
LOG, METADATA, SUFFIX = "_delta_log", "metadata", ".metadata.json"
NUMBER = re.compile(r"v?(\d+)")  # of Iceberg's `v3.metadata.json` and `00003-UUID.metadata.json`


def kind_of(path: Path) -> str | None:
    """Whether a folder is a Delta or Iceberg table, or a file the metadata of an Iceberg table; else None."""
    if not path.is_dir():
        return ICEBERG if path.name.endswith(SUFFIX) else None
    kinds = [DELTA] if (path / LOG).is_dir() else []
    if any((path / METADATA).glob(f"*{SUFFIX}")):
        kinds.append(ICEBERG)
    if len(kinds) > 1:
        raise InputError(f"{path} holds {LOG} and {METADATA}: it is a Delta and an Iceberg table; copy one elsewhere")
    return kinds[0] if kinds else None


def files_of(path: Path, kind: str) -> list[Path]:
    """The files that decide which rows the table has: of its log, and those with rows; raises as `open_lake`."""
    with _lake(path):
        if kind == DELTA:
            log = sorted(file for file in (path / LOG).iterdir() if file.is_file())
            return [*log, *sorted(_local(place) for place in _delta(path).file_uris())]
        metadata = latest_metadata(path)
        tasks = list(_iceberg(metadata).scan().plan_files())
        live = {_local(task.file.file_path) for task in tasks}
        live |= {_local(deletion.file_path) for task in tasks for deletion in task.delete_files}
        return [metadata, *sorted(live)]


def open_lake(path: Path, kind: str) -> Opened:
    """The rows of the latest version, lazily, in the table's types.

    Raises InputError if the table is damaged, of a kind that is not read, or its library is not installed.
    """
    with _lake(path):
        if kind == DELTA:
            table = _delta(path)
            rows, said = pl.scan_delta(table), f"read as a Delta table, version {table.version()}"
        else:
            metadata = latest_metadata(path)
            rows, said = pl.scan_iceberg(_iceberg(metadata)), f"read as an Iceberg table, as {metadata.name} says"
        return Opened(rows, rows.collect_schema().names(), said=[said])


def latest_metadata(path: Path) -> Path:
    """The metadata file of an Iceberg table with the highest number, or the file itself.

    Raises InputError if two have it, or one has none.
    """
    if not path.is_dir():
        return path
    numbered: dict[int, list[Path]] = {}
    for file in sorted((path / METADATA).glob(f"*{SUFFIX}")):
        number = NUMBER.match(file.name)
        if number is None:
            raise InputError(f"{file} has no number in its name: give the latest {SUFFIX} file itself as the table")
        numbered.setdefault(int(number[1]), []).append(file)
    latest = numbered[max(numbered)]
    if len(latest) > 1:
        raise InputError(
            f"{path} has two latest versions, {latest[0].name} and {latest[1].name}: give one of these files itself"
        )
    return latest[0]


@contextmanager
def _lake(path: Path) -> Iterator[None]:
    """What the libraries say, of whatever class, in a line that names the table."""
    try:
        yield
    except InputError:
        raise
    except ImportError as error:
        raise needs(path, error, "lake") from None
    except Exception as error:
        raise InputError(f"{path} cannot be read: {first_line(error)}") from None


def needs(path: Path, error: ImportError, extra: str) -> InputError:
    """What to raise where a library is not installed."""
    name = error.name or first_line(error)
    return InputError(f'{path} is read with {name}, which is not installed: pip install "{PROJECT}[{extra}]"')


def _delta(path: Path) -> Any:
    from deltalake import DeltaTable

    return DeltaTable(str(path))


def _iceberg(metadata: Path) -> Any:
    import pyarrow  # noqa: F401  # without it, pyiceberg fails later and says less

    os.environ.setdefault("POLARS_ICEBERG_PLANNER", "pyiceberg")  # or Polars warns that another would be faster
    from pyiceberg.table import StaticTable

    return StaticTable.from_metadata(str(metadata.resolve()))


def _local(place: str) -> Path:
    """The path of a place in a log; raises InputError if it is not on this machine."""
    parts = urlsplit(place)
    if parts.scheme not in ("", "file"):
        raise InputError(f"its file {place} is not on this machine: give the table's own address")
    return Path(unquote(parts.path) if parts.scheme else place)
