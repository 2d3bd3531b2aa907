"""Read interaction and item tables: CSV, TSV, `::`-separated or Parquet, into the shared columns.

In: a file and the names of its columns. Out: tidy interactions (user, item, timestamp and, where
present, rating and split), ordered by (user, timestamp, item), without repeated pairs.

    python -m infer.batch --model hybrid.onnx --interactions ratings.csv --user-column userId

Rules, each counted in `Tidy`:
- A pair (user, item) that occurs more than once keeps its latest row (the highest rating in a tie).
- Rows of one user in the same second are ordered by item id: numbers by value, texts by code point.
- An id column is a number if every value is a whole number written plainly (`7`, not `007` or `7.0`).
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from infer.errors import InputError, first_line
from infer.schema import GENRES, ITEM, RATING, SPLIT, TEST, TEST_HISTORY, TIMESTAMP, TITLE, TRAIN, USER, VALIDATION

LINE = "line"
PARQUET = (".parquet", ".pq")
SEPARATORS = {".csv": ",", ".tsv": "\t", ".dat": "::", ".txt": "\t", ".inter": "\t", ".item": "\t"}
GUESSES = {
    USER: ("user", "userId", "user_id", "UserID"),
    ITEM: ("item", "movieId", "item_id", "MovieID", "itemId"),
    TIMESTAMP: ("timestamp", "Timestamp", "time"),
    RATING: ("rating", "Rating"),
    TITLE: ("title", "Title", "name"),
    GENRES: ("genres", "Genres", "genre"),
}


@dataclass(frozen=True)
class Columns:
    """The file's own column names; None means the usual names (`GUESSES`)."""

    user: str | None = None
    item: str | None = None
    timestamp: str | None = None
    rating: str | None = None
    title: str | None = None
    genres: str | None = None


@dataclass(frozen=True)
class Tidy:
    """Interactions in the shared columns and order, and how many rows the rules removed."""

    interactions: pl.DataFrame
    repeated: int


def read_interactions(path: Path, columns: Columns = Columns()) -> Tidy:
    """Read and tidy one table of interactions; raises InputError naming the file and the row."""
    table = read_table(path)
    names = _find(table, path, columns, needed=(USER, ITEM, TIMESTAMP), optional=(RATING,))
    keep = [pl.col(source).alias(target) for target, source in names.items()]
    if SPLIT in table.columns:
        keep.append(pl.col(SPLIT))
    return tidy(table.select(keep), str(path))


def read_items(path: Path, columns: Columns = Columns()) -> pl.DataFrame:
    """Read item titles and genres: (item, title, genres), absent columns filled with null."""
    table = read_table(path)
    names = _find(table, path, columns, needed=(ITEM,), optional=(TITLE, GENRES))
    if len(names) == 1:
        raise InputError(f"{path} has neither titles nor genres; its columns: {_shown(table.columns)}")
    found = table.select(pl.col(source).alias(target) for target, source in names.items())
    return items_table(found, str(path))


def items_table(table: pl.DataFrame, source: str) -> pl.DataFrame:
    """Bring item rows into (item, title, genres), one row an item, genres joined with `|`."""
    for name in (TITLE, GENRES):
        if name not in table.columns:
            table = table.with_columns(pl.lit(None, dtype=pl.String).alias(name))
        elif isinstance(table.schema[name], pl.List):
            table = table.with_columns(pl.col(name).cast(pl.List(pl.String)).list.join("|"))
    return (
        table.with_columns(_ids(table, ITEM, source), pl.col(TITLE, GENRES).cast(pl.String, strict=False))
        .select(ITEM, TITLE, GENRES)
        .unique(ITEM, keep="first")
        .sort(ITEM)
    )


def tidy(table: pl.DataFrame, source: str) -> Tidy:
    """Check types, drop repeated pairs and order by (user, timestamp, item).

    Raises InputError for null or empty ids, and timestamps or ratings that are not finite numbers.
    """
    if table.is_empty():
        raise InputError(f"{source} has no rows")
    numbers = [TIMESTAMP, *([RATING] if RATING in table.columns else [])]
    table = table.with_columns(
        _ids(table, USER, source), _ids(table, ITEM, source), *(_number(table, n, source) for n in numbers)
    )
    if SPLIT in table.columns:
        _check_split(table, source)
    order = [USER, ITEM, *numbers]
    kept = table.sort(order, maintain_order=True).unique([USER, ITEM], keep="last", maintain_order=True)
    ordered = kept.sort(USER, TIMESTAMP, ITEM, maintain_order=True)
    columns = [c for c in (USER, ITEM, TIMESTAMP, RATING, SPLIT) if c in ordered.columns]
    return Tidy(ordered.select(columns), repeated=table.height - kept.height)


def read_table(
    path: Path, separator: str | None = None, header: list[str] | None = None, encoding: str = "utf-8"
) -> pl.DataFrame:
    """Read a whole table; text files come back with every value as text and a null for an empty one.

    separator: of a text file; by default from the name (.csv `,`; .tsv, .txt tab; .dat `::`).
    header: the column names of a text file that has no header line, and no quoting.
    encoding: of a text file, by Python's name.
    Raises InputError if the file is absent, empty, damaged, not UTF-8 or of an unknown type.
    """
    suffix = next((s for s in reversed(path.suffixes) if s != ".gz"), "")
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected a file")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty")
    if suffix not in PARQUET and separator is None and suffix not in SEPARATORS:
        known = ", ".join([*SEPARATORS, *PARQUET])
        raise InputError(f"{path} has an unknown type '{suffix}'; expected one of {known}")
    try:
        if suffix in PARQUET:
            return pl.read_parquet(path, glob=False)
        source = path if encoding == "utf-8" else path.read_bytes().decode(encoding).encode()
        return _read_text(path, source, separator or SEPARATORS[suffix], header)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {first_line(error)}") from None


def _read_text(path: Path, source: Path | bytes, separator: str, header: list[str] | None) -> pl.DataFrame:
    if len(separator) == 1:
        if header is None:
            return pl.read_csv(source, separator=separator, infer_schema=False, glob=False)
        return pl.read_csv(
            source,
            separator=separator,
            has_header=False,
            infer_schema=False,
            new_columns=header,
            quote_char=None,
            glob=False,
        )
    # Polars separates at single bytes, so a longer separator is split here, from whole lines.
    lines = pl.read_csv(
        source, separator="\x01", quote_char=None, has_header=False, infer_schema=False, new_columns=[LINE], glob=False
    )
    parts = lines.select(pl.col(LINE).str.split(separator)).to_series()
    if header is None:
        if parts[0] is None:
            raise InputError(f"{path} has no header line")
        header, parts = parts[0].to_list(), parts.slice(1)
    if len(set(header)) < len(header):
        raise InputError(f"{path} names a column twice: {_shown(header)}")
    wrong = (parts.list.len() != len(header)).arg_true()
    if len(wrong):
        raise InputError(f"{path} row {wrong[0] + 1} has {parts.list.len()[wrong[0]]} fields; expected {len(header)}")
    return parts.list.to_struct(fields=header).struct.unnest() if len(parts) else pl.DataFrame(schema=header)


def _find(
    table: pl.DataFrame, path: Path, columns: Columns, needed: tuple[str, ...], optional: tuple[str, ...]
) -> dict[str, str]:
    """Which of the file's columns holds what: {shared name: the file's name}."""
    names = {}
    for target in (*needed, *optional):
        stated = getattr(columns, target)
        if stated is not None and stated not in table.columns:
            raise InputError(f"{path} has no column '{stated}'; its columns: {_shown(table.columns)}")
        source = stated or next((g for g in GUESSES[target] if g in table.columns), None)
        if source is not None:
            names[target] = source
        elif target in needed:
            raise InputError(
                f"{path} has no {target} column; its columns: {_shown(table.columns)}; name it with --{target}-column"
            )
    return names


def _shown(columns: list[str]) -> str:
    shown = ", ".join(columns[:12]) + (", ..." if len(columns) > 12 else "")
    return shown if len(shown) <= 200 else shown[:200] + "..."


def _ids(table: pl.DataFrame, name: str, source: str) -> pl.Series:
    """An id column as Int64 or String, without nulls."""
    ids = table[name]
    if not (ids.dtype.is_integer() or ids.dtype in (pl.String, pl.Categorical) or ids.dtype == pl.Enum):
        raise InputError(f"{source} column {name} holds {ids.dtype}; expected whole numbers or texts")
    if not ids.dtype.is_integer():
        ids = ids.cast(pl.String)
        ids = ids.set(ids == "", None)
    if ids.null_count():
        raise InputError(f"{source} row {ids.is_null().arg_true()[0] + 1} has no {name}")
    if ids.dtype == pl.String:
        numbers = ids.cast(pl.Int64, strict=False)
        plain = numbers.null_count() == 0 and (numbers.cast(pl.String) == ids).all()
        return numbers if plain else ids
    beyond = next((n for n in (ids.min(), ids.max()) if not -(2**63) <= n < 2**63), None)
    if beyond is not None:
        raise InputError(f"{source} column {name} holds {beyond}, beyond 64-bit signed integers")
    return ids.cast(pl.Int64)


def _number(table: pl.DataFrame, name: str, source: str) -> pl.Series:
    """A numeric column: whole-number timestamps (seconds) as Int64, all else Float64."""
    values = table[name]
    if values.dtype in (pl.Date, pl.Datetime):
        numbers = values.cast(pl.Datetime("us")).dt.epoch("us") / 1_000_000
    elif values.dtype.is_numeric() or values.dtype == pl.String:
        numbers = values.cast(pl.Float64, strict=False)
    else:
        raise InputError(f"{source} column {name} holds {values.dtype}; expected numbers")
    wrong = (numbers.is_null() | ~numbers.is_finite().fill_null(False)).arg_true()
    if len(wrong):
        found = repr(values[wrong[0]]) if values[wrong[0]] is not None else "nothing"
        raise InputError(f"{source} row {wrong[0] + 1} has the {name} {found[:80]}; expected a number")
    if name == TIMESTAMP and (numbers == numbers.floor()).all() and numbers.abs().max() < 2**53:
        return numbers.cast(pl.Int64)
    return numbers


def _check_split(table: pl.DataFrame, source: str) -> None:
    allowed = [TRAIN, VALIDATION, TEST_HISTORY, TEST]
    dtype = table.schema[SPLIT]
    if not (dtype in (pl.String, pl.Categorical, pl.Null) or dtype == pl.Enum):
        raise InputError(f"{source} column {SPLIT} holds {dtype}; expected texts")
    found = table.filter(~pl.col(SPLIT).cast(pl.String).is_in(allowed).fill_null(False))
    if not found.is_empty():
        raise InputError(f"{source} has the split '{found[SPLIT][0]}'; expected one of {', '.join(allowed)}")
    held = table.filter(pl.col(SPLIT).is_in([VALIDATION, TEST]))
    if held.select(USER, SPLIT).is_duplicated().any():
        raise InputError(f"{source} holds out more than one item of a user in one split")
