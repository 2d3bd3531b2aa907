"""A table in the cloud, or at a web address, to a local Parquet file, through Polars' own readers and credentials.

In: an address: a file, a folder (which ends in `/`) or a pattern (`*`). Out: its rows in one Parquet file; or
InputError, in one line without keys.

    AWS_PROFILE=shop python -m infer.batch --model=hybrid.onnx --interactions=s3://bucket/ratings/

Text comes with every value as text. Parquet and text files below folders named `key=value` get these values.
"""

import os
import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from infer.errors import InputError
from infer.formats.faults import ABSENT, UNREACHABLE, denied, means, told
from infer.formats.folders import ARROW, LINES, TEXT
from infer.formats.hive import check_partitions, values_of
from infer.formats.lakes import DELTA, ICEBERG, LOG, METADATA, SUFFIX, needs
from infer.formats.layout import Layout, shown
from infer.formats.opening import PARQUET
from infer.formats.sniffing import SEPARATORS, stated_names, stated_separator
from infer.formats.text import nulls_of, value_of
from infer.system.addresses import STORES, Address

SCHEMES = (*STORES, "http", "https")
PATH = "__path__"
ROWS = 262_144  # of a group: the same rows give the same bytes, however they arrived
RETRIES: dict[str, Any] = {"max_retries": 5, "retry_timeout_ms": 15_000}
CARRIED = ("dataset", "protocol", "tidy", "rules")
FORMATS = (
    dict.fromkeys(PARQUET, "parquet")
    | dict.fromkeys(TEXT, "csv")
    | dict.fromkeys(LINES, "jsonl")
    | dict.fromkeys(ARROW, "arrow")
)
PACKED = (".gz", ".zst")
# Signs in a folder that its files alone are not the table.
SIGNS = {
    f"{METADATA}/*{SUFFIX}": f"an Iceberg table: give the address of its latest {SUFFIX} file",
    ".hoodie/*": "a Hudi table, which is not read: write the table anew as Parquet",
    "_spark_metadata/*": "a streaming table, whose log is not read: write the table anew as Parquet",
}


def copy_cloud(address: Address, layout: Layout, target: Path) -> dict[str, Any]:
    """Write the rows to a Parquet file; returns what is to be known beside it: `untyped`, `paths` and their values.

    Raises InputError if the address is absent, cannot be reached or is denied, or is not read in this way.
    """
    try:
        return _copy(address, layout, target)
    except InputError:
        raise
    except ImportError as error:
        raise needs(address, error, "lake") from None
    except Exception as error:
        raise InputError(told(address, error)) from None


def _copy(address: Address, layout: Layout, target: Path) -> dict[str, Any]:
    text, base = address.text, folder_of(address.text)
    suffix = _suffix(text) or ("" if layout.format else _found_suffix(base))
    kind = layout.format or _format(address, suffix, base)
    if base is not None and layout.format is None and _exists(f"{base}{LOG}/*.json"):
        if base != text:
            raise InputError(f"{address} is part of a Delta table: give its folder, which ends in /")
        kind = DELTA
    if base is not None and kind not in (DELTA, ICEBERG):
        for sign, why in SIGNS.items():
            if _exists(base + sign):
                raise InputError(f"{address} holds {why}")
    if kind == "csv" and layout.separator is None:
        layout = replace(layout, separator=SEPARATORS.get(suffix))
    rows = scan(address, kind, layout, None if base is None or kind in (DELTA, ICEBERG) else PATH)
    names = rows.collect_schema().names()
    rows.sink_parquet(target, row_group_size=ROWS, metadata=_carried(text) if kind == "parquet" and not base else None)
    untyped = [name for name in names if name != PATH] if kind == "csv" else []
    if len(untyped) > 2 and layout.quote is None:
        _check_quotes(address, layout, target, untyped)
    known: dict[str, Any] = {"untyped": untyped, "said": [f"read as {kind}, into a local copy"]}
    return known if PATH not in names else known | _partitions(address, str(base), target, untyped, names)


def folder_of(text: str) -> str | None:
    """Of a folder or pattern, the folder in which all of its files lie; None for a single file."""
    if "*" in text:
        return text[: text.rfind("/", 0, text.index("*")) + 1]
    return text if text.endswith("/") else None


def scan(address: Address, kind: str, layout: Layout, path: str | None) -> pl.LazyFrame:
    """The rows, lazily; path: the name of a column for the file of each row, None: no such column."""
    text = address.text
    options: dict[str, Any] = {"storage_options": dict(RETRIES), "include_file_paths": path}
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    if kind == DELTA:
        import deltalake  # noqa: F401

        plain = {"aws_allow_http": "true"} if endpoint.startswith("http://") else {}  # its own reader asks for this
        return pl.scan_delta(text, storage_options=RETRIES | plain)
    if kind == ICEBERG:
        import pyiceberg  # noqa: F401

        return pl.scan_iceberg(text, storage_options={"s3.endpoint": endpoint} if endpoint else None)
    if kind == "parquet":
        return pl.scan_parquet(text, hive_partitioning=False, glob=path is not None, **options)
    if kind == "arrow":
        return pl.scan_ipc(text, hive_partitioning=False, glob=path is not None, **options)
    if kind == "jsonl":
        return pl.scan_ndjson(text, infer_schema_length=None, **options)
    return _scan_text(address, layout, options)


def _scan_text(address: Address, layout: Layout, options: dict[str, Any]) -> pl.LazyFrame:
    separator = stated_separator(layout.separator or ",")
    wrong = None
    if len(separator.encode()) != 1:
        wrong = f"the separator '{layout.separator}'"
    elif (layout.encoding or "utf-8").lower().replace("_", "-") not in ("utf-8", "utf8", "ascii"):
        wrong = f"the encoding {layout.encoding}"
    elif layout.compression in ("bz2", "zip", "xz"):
        wrong = f"the compression {layout.compression}"
    if wrong is not None:
        raise InputError(f"{address}: {wrong} is read of local files only: download it first")
    path = options["include_file_paths"]
    rows = pl.scan_csv(
        address.text,
        separator=separator,
        infer_schema=False,
        has_header=layout.header is None,
        new_columns=None if layout.header is None else stated_names(layout.header, address),
        quote_char=None if layout.quote == "none" else '"',
        glob=path is not None,
        **options,
    )
    names = [name for name in rows.collect_schema().names() if name != path]
    plain = {re.sub(r"_duplicated_\d+$", "", name).strip(" ") for name in names}
    if len(plain) < len(names):
        raise InputError(f"{address} names a column twice: {shown(names)}")
    return rows.with_columns(value_of(pl.col(names), nulls_of(layout))).rename(
        {name: name.strip(" ") for name in names}
    )


def _check_quotes(address: Address, layout: Layout, target: Path, names: list[str]) -> None:
    """Raises InputError if a value with line ends, which stood in quotes, may as well be the middle of whole rows."""
    separator, columns = stated_separator(layout.separator or ","), len(names)
    twofold = pl.lit(False)
    for number, name in enumerate(names):
        counts = pl.col(name).str.split("\n").list.eval(pl.element().str.count_matches(separator, literal=True))
        inner = counts.list.slice(1, counts.list.len() - 2).list.eval(pl.element() == columns - 1).list.all()
        ends = (counts.list.first() == columns - 1 - number) & (counts.list.last() == number)
        twofold |= (pl.col(name).str.contains("\n", literal=True) & ends & inner).fill_null(False)
    found = pl.scan_parquet(target, glob=False).select(names).filter(twofold).head(1).collect(engine="streaming")
    if found.height:
        raise InputError(
            f"{address} cannot be read: quotes enclose what looks like whole rows: "
            f"{separator.join(value or '' for value in found.row(0))[:80]!r}; "
            "--quote=none if quotes are part of the values, --quote=double if not"
        )


def _format(address: Address, suffix: str, base: str | None) -> str:
    if address.text.partition("?")[0].endswith(SUFFIX):
        return ICEBERG
    if suffix in FORMATS:
        return FORMATS[suffix]
    if base is not None and not suffix:
        return "parquet"
    raise InputError(
        f"{address} has an unknown type '{suffix}': say what it is with --format; a folder's address ends in /"
    )


def _found_suffix(base: str | None) -> str:
    """That of what lies in a folder; empty: of nothing that is known, or there is no folder."""
    return "" if base is None else next((each for each in FORMATS if _exists(f"{base}**/*{each}*")), "")


def _suffix(text: str) -> str:
    """The last suffix of a name that is not one of packed files, in lower case."""
    path = text if "*" in text else text.partition("?")[0]
    suffixes = [] if path.endswith("/") else [s.lower() for s in PurePosixPath(path.rpartition("/")[2]).suffixes]
    return next((suffix for suffix in reversed(suffixes) if suffix not in PACKED), "")


def _exists(pattern: str) -> bool:
    try:
        rows = pl.scan_csv(pattern, has_header=False, separator="\x01", quote_char=None, storage_options=dict(RETRIES))
        rows.collect_schema()
    except Exception as error:
        if means(error, ABSENT):
            return False
        if denied(error) or means(error, UNREACHABLE):
            raise
    return True


def _carried(text: str) -> dict[str, str] | None:
    """What this project wrote into a Parquet file of its own."""
    found = pl.read_parquet_metadata(text, storage_options=dict(RETRIES))
    return {key: found[key] for key in CARRIED if key in found} or None


def _partitions(address: Address, base: str, target: Path, untyped: list[str], names: list[str]) -> dict[str, Any]:
    """The values that the folders' names give, by file."""
    paths = pl.scan_parquet(target, glob=False).select(pl.col(PATH).unique().sort()).collect()[PATH].to_list()
    relative = {path: PurePosixPath(path.partition(base.partition("://")[2])[2]) for path in paths}
    keys = check_partitions(relative.values(), address)
    twice = next((key for key in keys if key in names), None)
    if twice is not None:
        raise InputError(f"{address} has a column {shown([twice])}, which folders' names also give: rename one of them")
    return {"paths": {path: values_of(place) for path, place in relative.items()}, "untyped": [*untyped, *keys]}
