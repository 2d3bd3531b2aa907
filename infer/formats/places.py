"""Where a table lies: in a file, a folder, the cloud or a database; and its rows under its own names.

In: a path or an address. Out: the same with a local copy, where it needs one; and its rows, by file.

    path = located(place("s3://bucket/ratings/")); open_files(path)

A table that is no file or folder of Parquet is first brought into a Parquet file of a temporary folder, by a process
of its own (what lies elsewhere may be damaged, see `infer.formats.probe`); it is removed with the `Address` that
`located` returns. Messages name the address.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath

import polars as pl

from infer.cli import run
from infer.errors import InputError
from infer.formats import clouds, databases, folders, lakes
from infer.formats.hive import values_of, with_values
from infer.formats.layout import Layout
from infer.formats.opening import Opened, is_parquet, open_table
from infer.formats.reading import collect, reading
from infer.system.addresses import Address, scheme_of
from infer.system.inputs import check_input
from infer.system.scratch import scratch

KNOWN = ".json"  # beside a copy: what a Parquet file does not say
FOUND = 3  # sentences about files of a folder, at most
KEPT: list[Path] = []  # copies of rows that nobody else holds


def located(path: Path, layout: Layout = Layout()) -> Path:
    """The path, or an address that has a copy, which lasts as long as the returned object.

    layout: how the table is written.
    Raises InputError if it cannot be read, or a query is missing or not asked for.
    """
    if isinstance(path, Address) and path.copy is not None:
        return path
    if not isinstance(path, Address):
        check_input(path)
    elif scheme_of(path.text) not in (*clouds.SCHEMES, *databases.SCHEMES):
        known = ", ".join(dict.fromkeys((*clouds.SCHEMES, *databases.SCHEMES)))
        raise InputError(f"{path} begins with {scheme_of(path.text)}://, which is not read; expected one of {known}")
    databases.check_query(path, layout.query)
    if isinstance(path, Address):
        return _fetched(path, layout)
    if databases.is_database(path):
        return _fetched(Address(f"sqlite:///{path}", shown=str(path)), layout)
    return _text_copy(path, layout) if path.is_dir() and _is_text(path) else path


def located_items(path: Path) -> Path:
    """As `located`, of a table of items, for which there is no query; raises InputError if it is a database."""
    if databases.is_database(path):
        raise InputError(f"--items is a file, a folder or an address in the cloud; found {path}, a database")
    return located(path)


def open_files(path: Path, layout: Layout = Layout(), folder: Path | None = None) -> list[tuple[Path, Opened]]:
    """The rows of a table, lazily, by file; of a lake's table, a database or the cloud as of one file.

    layout, folder: as of `infer.formats.opening.open_table`, whose errors these are, too.
    """
    path, given = located(path, layout), path
    if isinstance(path, Address):
        if path is not given:
            KEPT.append(path)
        return [(path, _open_copy(path))]
    lake = layout.format if layout.format in (lakes.DELTA, lakes.ICEBERG) else lakes.kind_of(path)
    if lake is not None:
        return [(path, lakes.open_lake(path, lake))]
    if not path.is_dir():
        return [(path, open_table(path, layout, folder))]
    files = []
    for file in folders.members(path):
        files.append((file, with_values(open_table(file, layout), file, values_of(file.relative_to(path)))))
    return files


def one_scan(files: list[tuple[Path, Opened]]) -> Opened | None:
    """The rows of Parquet files that are written alike, from one scan of all; None if they are not.

    A slice of it asks the files that it lies in, one of a concatenation asks all.
    """
    schemas = []
    for path, opened in files:
        if opened.untyped or not is_parquet(path):
            return None
        with reading(path):
            schemas.append(list(opened.rows.collect_schema().items()))
    if any(schema != schemas[0] for schema in schemas):
        return None
    return Opened(pl.scan_parquet([path for path, _ in files], glob=False, hive_partitioning=False), files[0][1].names)


def open_place(path: Path, layout: Layout = Layout()) -> Opened:
    """The rows of a whole table; a column that some files lack has no value there."""
    files = [opened for _, opened in open_files(path, layout)]
    if len(files) == 1:
        return files[0]
    with reading(path):
        rows = pl.concat([opened.rows for opened in files], how="diagonal_relaxed")
        names = rows.collect_schema().names()
    said = list(dict.fromkeys(line for opened in files for line in opened.said))
    return Opened(rows, names, frozenset[str]().union(*(opened.untyped for opened in files)), said)


def read_place(path: Path, layout: Layout = Layout()) -> pl.DataFrame:
    """The rows of `open_place`, in memory."""
    path = located(path, layout)
    return collect(open_place(path, layout).rows, path)


def is_plain_file(path: Path) -> bool:
    """Whether it is a file that is read where it lies."""
    return not isinstance(path, Address) and path.is_file() and not databases.is_database(path)


def _is_text(folder: Path) -> bool:
    return lakes.kind_of(folder) is None and not is_parquet(folders.members(folder)[0])


def _fetched(address: Address, layout: Layout) -> Address:
    held = _held(address)
    copy = Path(os.fspath(held))
    words = {"text": address.text, "shown": str(address), "layout": asdict(layout), "target": str(copy)}
    package = str(Path(__file__).resolve().parents[2])
    variables = os.environ | {"PYTHONPATH": os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-m", "infer.formats.places"],
        input=json.dumps(words), env=variables, capture_output=True, text=True, errors="replace",
    )  # fmt: skip
    if done.returncode:
        lines = [line.removeprefix("error: ") for line in done.stderr.splitlines() if line.startswith("error: ")]
        ended = f"{address} cannot be read: its reader was ended with status {done.returncode}"
        raise InputError(lines[-1] if lines else ended)
    return held


def held_frame(frame: pl.DataFrame, shown: str) -> Address:
    """A data frame for what reads tables by their paths: an address with a copy, which lasts as long as the object.

    shown: what messages call it.
    Raises InputError if it has columns that no file can hold.
    """
    held = _held(Address("frame://", shown=shown))
    copy = Path(os.fspath(held))
    with reading(held):
        frame.write_parquet(copy)
    copy.with_suffix(KNOWN).write_text("{}", encoding="utf-8")
    return held


def _text_copy(folder: Path, layout: Layout) -> Address:
    """Text files of a folder, each with its header, in one Parquet file: so any slice can be read at once."""
    held = _held(Address(f"file://{folder}", shown=str(folder)))
    copy = Path(os.fspath(held))
    parts, untyped, twice, empty, found = [], set[str](), set[str](), 0, list[str]()
    names, heights = dict[str, list[str]](), list[tuple[str, int]]()
    for number, file in enumerate(folders.members(folder)):
        if file.stat().st_size == 0:
            empty += 1
            continue
        room = copy.parent / f"file-{number}"
        room.mkdir()
        opened = with_values(open_table(file, layout, room), file, values_of(file.relative_to(folder)))
        untyped |= opened.untyped
        names[str(file.relative_to(folder))] = opened.names
        twice |= {name for name in opened.names if opened.names.count(name) > 1}
        parts.append(copy.parent / f"part-{number}.parquet")
        with reading(file):
            opened.rows.sink_parquet(parts[-1])
            height = pl.scan_parquet(parts[-1], glob=False).select(pl.len()).collect().item()
        heights.append((str(file.relative_to(folder)), height))
        found += opened.said
        shutil.rmtree(room)
    if not parts:
        raise InputError(f"{folder} holds empty files alone")
    with reading(folder):
        whole = pl.concat([pl.scan_parquet(part, glob=False) for part in parts], how="diagonal_relaxed")
        whole.sink_parquet(copy)
    for part in parts:
        part.unlink()
    said = found[:FOUND]
    if len(found) > FOUND:
        said.append(f"{len(found) - FOUND} more sentences like these of other files of the folder")
    if empty:
        said.append(f"{empty} empty files of the folder hold no rows")
    every = dict.fromkeys(name for own in names.values() for name in own)
    without = {name: next((file for file, own in names.items() if name not in own), None) for name in every}
    lacking = {name: file for name, file in without.items() if file is not None}
    known = {
        "untyped": sorted(untyped), "twice": sorted(twice), "lacking": lacking, "said": said, "parts": heights
    }  # fmt: skip
    copy.with_suffix(KNOWN).write_text(json.dumps(known), encoding="utf-8")
    return held


def _new_copy(address: Address) -> Path:
    """A place for it, under its own last name."""
    name = PurePosixPath(str(address).partition("?")[0]).name.partition(".")[0]
    plain = re.sub(r"[^A-Za-z0-9_=-]+", "_", name) or "table"
    return Path(tempfile.mkdtemp(dir=scratch())) / f"{plain}.parquet"


def _held(address: Address) -> Address:
    """The address with a place for its copy, whose folder goes with it, whatever becomes of the copying."""
    copy = _new_copy(address)
    held = Address(address.text, copy, str(address))
    weakref.finalize(held, shutil.rmtree, copy.parent, ignore_errors=True)
    return held


def _open_copy(address: Address) -> Opened:
    """The rows of a copy, with the values of folders' names and the types of the database."""
    copy = Path(os.fspath(address))
    known = json.loads(copy.with_suffix(KNOWN).read_bytes())
    with reading(address):
        rows = pl.scan_parquet(copy, glob=False)
        paths = known.get("paths")
        if paths is not None:
            values = {key: [paths[path][key] for path in paths] for key in next(iter(paths.values()))}
            added = [
                pl.col(clouds.PATH).replace_strict(list(paths), given, return_dtype=pl.String).alias(key)
                for key, given in values.items()
            ]
            rows = rows.with_columns(added).drop(clouds.PATH)
        numeric = known.get("numeric", {})
        rows = rows.with_columns(pl.col(name).cast(databases.NUMERIC_TYPES[kind]) for name, kind in numeric.items())
        names = [*rows.collect_schema().names(), *known.get("twice", [])]  # once more, as each has its own column
        untyped, lacking = frozenset(known.get("untyped", [])), known.get("lacking", {})
        parts = [(name, height) for name, height in known.get("parts", [])]
        return Opened(rows, names, untyped, known.get("said", []), lacking, parts)


def main(argv: Sequence[str]) -> None:
    """Copy one table: what stands on standard input says which, so that no list of processes shows a password."""
    words = json.loads(sys.stdin.read())
    address, layout = Address(words["text"], shown=words["shown"]), Layout(**words["layout"])
    target = Path(words["target"])
    if databases.is_database(address):
        known = databases.copy_query(address, layout.query or "", target)
    else:
        known = clouds.copy_cloud(address, layout, target)
    target.with_suffix(KNOWN).write_text(json.dumps(known), encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(run(main))
