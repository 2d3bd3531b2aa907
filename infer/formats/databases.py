"""The rows of a query to a database, through its ADBC driver, a batch at a time.

In: a database's address and SQL. Out: a Parquet file with the rows; or InputError, without the password.

    python -m infer.batch --model=hybrid.onnx --interactions=sqlite:///shop.db \
        --query="select user, item, timestamp from purchases"

Nothing is committed. PostgreSQL's `numeric` comes as text: `numeric_types` says what it becomes.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from infer.errors import InputError, first_line, unread
from infer.formats.lakes import needs
from infer.formats.layout import shown
from infer.system.addresses import Address, scheme_of, secrets
from infer.system.waiting import cancelled_by_signals

SQLITE = "sqlite"
SCHEMES = ("postgresql", "postgres", SQLITE)
HEADER = b"SQLite format 3\0"
EXAMPLE = '--query="select user, item, timestamp from events"'
# Of libpq, unless the address says otherwise, in seconds and milliseconds: nothing waits for ever for what is gone.
OPTIONS = {
    "connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}  # fmt: skip
# Rows at once. SQLite's driver takes a column's type from the first of them: if later ones differ, more are looked at.
BATCHES = (2**16, 2**22)
MISMATCH = "Type mismatch in column"  # what it says then
WHOLE = r"^-?\d{1,38}$"
WHOLE_NUMBERS, NUMBERS = "whole numbers", "numbers"
NUMERIC_TYPES = {WHOLE_NUMBERS: pl.Decimal(38, 0), NUMBERS: pl.Float64()}


def is_database(path: Path) -> bool:
    """Whether a table is to be asked for with a query: a database's address, or a file of SQLite."""
    if isinstance(path, Address):
        return scheme_of(path.text) in SCHEMES
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(HEADER)) == HEADER


def check_query(path: Path, query: str | None) -> None:
    """Raises InputError if a database comes without a query, or a query without a database."""
    if is_database(path) and not query:
        raise InputError(f"{path} is a database: say which rows, as with {EXAMPLE}")
    if query and not is_database(path):
        raise InputError(f"--query is asked of a database; {path} is none")


def copy_query(address: Address, query: str, target: Path) -> dict[str, Any]:
    """Write the rows to a Parquet file; returns what is to be known beside it: `numeric`, see `numeric_types`."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise needs(address, error, "database") from None
    with asked(address), connected(address) as connection:
        for rows in BATCHES:
            try:
                return _copied(connection, address, query, target, rows)
            except Exception as error:  # of pyarrow or of the driver, by which of them asks for the batch
                if MISMATCH not in str(error):
                    raise
                said = MISMATCH + str(error).partition(MISMATCH)[2].partition("\n")[0]
        raise InputError(
            f"{address}: --query gives values of a type that the first {rows:,} rows do not have ({said}, counted from "
            "0): cast them, as in `select cast(rating as real)`, and let rows with a value come first"
        )


def _copied(connection: Any, address: Address, query: str, target: Path, rows: int) -> dict[str, Any]:
    """As `copy_query`; rows: at once, of SQLite."""
    import pyarrow
    from pyarrow import parquet

    with closing(connection.cursor()) as cursor:
        if scheme_of(address.text) == SQLITE:
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(rows)})
        cursor.execute(query)
        if cursor.description is None or not cursor.description:
            raise InputError(f"{address}: --query gives no rows; expected a select")
        reader = cursor.fetch_record_batch()
        names = list(reader.schema.names)
        if len(set(names)) < len(names):
            raise InputError(f"{address}: --query names a column twice: {shown(names)}")
        plain = pyarrow.schema([pyarrow.field(field.name, _storage(field.type)) for field in reader.schema])
        with parquet.ParquetWriter(target, plain) as writer:
            for batch in reader:
                columns = [_plain(column) for column in batch.columns]
                writer.write_batch(pyarrow.record_batch(columns, schema=plain))
    numeric = [field.name for field in reader.schema if getattr(field.type, "type_name", None) == "numeric"]
    return {"numeric": numeric_types(target, numeric)}


def numeric_types(target: Path, names: list[str]) -> dict[str, str]:
    """What the texts of PostgreSQL's `numeric` are: whole numbers if all are, else fractions."""
    if not names:
        return {}
    whole = pl.scan_parquet(target, glob=False).select(pl.col(names).str.contains(WHOLE).all())
    found = whole.collect(engine="streaming").row(0, named=True)
    return {name: WHOLE_NUMBERS if found[name] else NUMBERS for name in names}


def _storage(dtype: Any) -> Any:
    """What a type of PostgreSQL's own is kept as; a uuid as its text, which other tables have."""
    import pyarrow

    return pyarrow.string() if _is_uuid(dtype) else getattr(dtype, "storage_type", dtype)


def _plain(column: Any) -> Any:
    import pyarrow

    if _is_uuid(column.type):
        return pyarrow.array([None if value is None else str(value) for value in column.to_pylist()], pyarrow.string())
    return column.storage if hasattr(column, "storage") else column


def _is_uuid(dtype: Any) -> bool:
    return getattr(dtype, "extension_name", None) == "arrow.uuid"


@contextmanager
def connected(address: Address, write: bool = False) -> Iterator[Any]:
    """A connection of ADBC's for a block, whose transaction is open, and whose waits signals end; write: to a file of
    SQLite that may be new."""
    with closing(_connection(address, write)) as connection, cancelled_by_signals(connection.adbc_cancel):
        yield connection


def _connection(address: Address, write: bool) -> Any:
    if scheme_of(address.text) == SQLITE:
        import adbc_driver_sqlite.dbapi as sqlite

        path = sqlite_path(address) if write else sqlite_file(address)
        return sqlite.connect(f"file:{quote(str(path))}?mode={'rwc' if write else 'ro'}")
    import adbc_driver_postgresql.dbapi as postgresql

    own = "&".join(f"{name}={value}" for name, value in OPTIONS.items() if f"{name}=" not in address.text)
    between = "&" if "?" in address.text.rpartition("@")[2] else "?"
    return postgresql.connect(address.text + (between + own if own else ""))


def sqlite_path(address: Address) -> Path:
    """The file of `sqlite:///relative/path` or `sqlite:////absolute/path`, whether it is there or not.

    A `?` belongs to the name of a file that is there.
    """
    written = address.text.partition("://")[2]
    whole = Path(written.removeprefix("/"))
    return whole if whole.is_file() else Path(written.partition("?")[0].removeprefix("/"))


def sqlite_file(address: Address) -> Path:
    """The file of `sqlite_path`; raises InputError if it is not there."""
    path = sqlite_path(address)
    if not path.is_file():
        absolute = "" if path.is_absolute() else f"; an absolute path has four slashes: sqlite:////{path}"
        raise InputError(f"{path} does not exist{absolute}")
    if not is_database(path):
        raise InputError(f"{path} is no SQLite database")
    return path


@contextmanager
def asked(address: Address, doing: str = "read", then: str = "") -> Iterator[None]:
    """What the driver says, in a line without the password. doing: what cannot be done.  then: how the line ends."""
    try:
        yield
    except ImportError as error:
        raise needs(address, error, "database") from None
    except InputError:
        raise
    except Exception as error:
        said = first_line(error).rstrip(":")
        if any(piece in said for piece in secrets(address.text)):
            said = "its driver's message is left out, since the password stands in it"
        line = f"{address} cannot be {doing}: {said:.300}{then}"
        raise InputError(unread(address, error, f"{said:.300}") if doing == "read" else line) from None
