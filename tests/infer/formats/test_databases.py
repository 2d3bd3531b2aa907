"""Rows of a query: in the database's types, and without its password in anything that is said."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.formats import databases
from infer.formats.layout import Layout
from infer.formats.places import located, open_files, read_place
from infer.system.addresses import place
from infer.system.fingerprints import sha256
from infer.tables.interactions import read_interactions
from infer.tables.options import TableOptions
from tests.helpers import nights
from tests.helpers.servers import postgresql

pytest.importorskip("pyarrow", reason="pyarrow, which the batches of a database come in, is not installed")
ALL = Layout(query="select * from events")
Sql = Callable[[str], None]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    pytest.importorskip("adbc_driver_sqlite", reason="the driver of SQLite is not installed")
    file = tmp_path / "my shop.db"
    with sqlite3.connect(file) as database:
        database.execute("create table events (user integer, item text, timestamp integer, rating real)")
        database.executemany("insert into events values (?, ?, ?, ?)", [(1, "a", 5, 0.5), (2, "007", 6, None)])
    database.close()
    return file


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Sql]]:
    pytest.importorskip("adbc_driver_postgresql", reason="the driver of PostgreSQL is not installed")
    with postgresql(tmp_path_factory.mktemp("server")) as (address, sql):
        sql(
            "create table events (usr bigint, item text, at timestamptz, big numeric(38, 0), part numeric(5, 2));"
            "insert into events values (7, 'ä', '2024-01-02 03:04:05+00', 12345678901234567890123, 0.25),"
            "(8, null, null, null, null); grant select on events to reader"
        )
        yield address, sql


def test_a_file_of_sqlite_and_its_address_are_read_alike(shop: Path) -> None:
    for path in (shop, place(f"sqlite:///{shop}")):
        assert read_place(path, ALL).rows() == [(1, "a", 5, 0.5), (2, "007", 6, None)]
        assert read_place(path, ALL).dtypes == [pl.Int64, pl.String, pl.Int64, pl.Float64]


def test_types_are_those_of_the_database_and_not_untyped(shop: Path) -> None:
    (path, opened), *_ = open_files(shop, ALL)
    assert opened.names == ["user", "item", "timestamp", "rating"] and not opened.untyped
    assert str(path) == str(shop)


def test_a_copy_lasts_as_long_as_its_address(shop: Path) -> None:
    path = located(shop, ALL)
    copy = path.copy
    assert copy.is_file() and path.is_file() and str(path) == str(shop)
    del path
    assert not copy.parent.exists()


def test_a_question_mark_in_the_name_of_a_file_is_one(shop: Path) -> None:
    file = shop.rename(shop.with_name("a?b.db"))
    for path in (file, place(f"sqlite:///{file}")):
        assert read_place(path, ALL).height == 2


@pytest.mark.parametrize(
    ("first", "last", "type_"),
    [
        (None, 0.5, pl.Float64),
        (1, 0.5, pl.Float64),
        (None, "x", pl.String),
        (1, "x", pl.String),
        (0.5, "x", pl.String),
        (0.5, 1, pl.Float64),
    ],
)
def test_a_column_of_sqlite_may_change_its_type(first, last, type_: type, shop: Path, monkeypatch) -> None:
    with sqlite3.connect(shop) as database:
        database.execute("create table mixed (user, value)")
        database.executemany("insert into mixed values (?, ?)", [(1, first), (2, first), (3, last)])
    database.close()
    mixed = Layout(query="select * from mixed")
    monkeypatch.setattr(databases, "BATCHES", (2, 4))
    address = place(f"sqlite:///{shop}")
    assert databases.copy_query(address, mixed.query, shop.with_name("t.parquet")) == {"numeric": {}}
    table = pl.read_parquet(shop.with_name("t.parquet"))
    assert table.schema["value"] == type_ and table["value"].cast(pl.String)[2] == str(type_.to_python()(last))
    if type_ != pl.Float64 or last != 1:
        monkeypatch.setattr(databases, "BATCHES", (2,))
        said = (
            r"my shop\.db: --query gives values of a type that the first 2 rows do not have \(Type mismatch in column 1"
        )
        with pytest.raises(InputError, match=f"{said}.*cast them, as in `select cast"):
            databases.copy_query(address, mixed.query, shop.with_name("u.parquet"))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select nope from events", "no such column: nope"),
        ("delete from events", "attempt to write a readonly database"),
        ("select item, item from events", "names a column twice: item, item"),
        (None, 'my shop.db is a database: say which rows, as with --query="select'),
    ],
)
def test_a_query_that_gives_no_rows_is_told_in_a_line(query: str | None, said: str, shop: Path) -> None:
    with pytest.raises(InputError, match=said):
        read_place(shop, Layout(query=query))
    assert read_place(shop, ALL).height == 2


def test_a_query_of_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("user,item,timestamp\n1,2,3\n")
    with pytest.raises(InputError, match=r"--query is asked of a database; .*t\.csv is none"):
        read_interactions(tmp_path / "t.csv", TableOptions(layout=ALL))


def test_a_database_that_is_not_there_is_told_with_its_slashes(tmp_path: Path, shop: Path) -> None:
    with pytest.raises(InputError, match=r"no/x\.db does not exist; an absolute path has four slashes: sqlite:////no"):
        read_place(place("sqlite:///no/x.db"), ALL)
    (tmp_path / "t.csv").write_text("user,item,timestamp\n1,2,3\n")
    with pytest.raises(InputError, match=r"t\.csv is no SQLite database"):
        read_place(place(f"sqlite:///{tmp_path}/t.csv"), ALL)


def test_lists_of_a_query_are_those_of_the_same_table(tmp_path: Path, shop: Path) -> None:
    nights.write_night(tmp_path)
    table = pl.read_parquet(tmp_path / "interactions.parquet")
    with sqlite3.connect(tmp_path / "n.db") as database:
        database.execute("create table t (user integer, item integer, timestamp integer)")
        database.executemany("insert into t values (?, ?, ?)", table.select("user", "item", "timestamp").rows())
    database.close()
    nights.score(tmp_path, "--production")
    expected = nights.lists(tmp_path)
    words = [f"--interactions=sqlite:///{tmp_path}/n.db", "--query=select * from t order by user, timestamp, item"]
    nights.score(tmp_path, "--production", *words)
    assert nights.lists(tmp_path).equals(expected)
    again = [located(place(words[0].partition("=")[2]), Layout(query=words[1].partition("=")[2])) for _ in range(2)]
    assert sha256(again[0]) == sha256(again[1])  # so that a stopped run goes on


def test_postgresql_keeps_its_types(server: tuple[str, Sql]) -> None:
    table = read_place(place(server[0]), Layout(query="select * from events order by usr"))
    types = {"usr": pl.Int64, "item": pl.String, "at": pl.Datetime("us", "UTC"), "big": pl.Decimal(38, 0)}
    assert table.schema == types | {"part": pl.Float64}
    assert table["at"].dt.epoch("s").to_list() == [1704164645, None]
    assert table.drop("at").rows() == [(7, "ä", 12345678901234567890123, 0.25), (8, None, None, None)]


def test_a_uuid_of_postgresql_is_its_text(server: tuple[str, Sql]) -> None:
    ids = ["00000000-0000-4000-8000-000000000001", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"]
    query = (
        f"select u::uuid as usr, 3 as item from unnest(array['{ids[0]}', null, '{ids[1]}']) with ordinality t (u, n)"
    )
    table = read_place(place(server[0]), Layout(query=f"{query} order by n"))
    assert table.schema["usr"] == pl.String and table["usr"].to_list() == [ids[0], None, ids[1]]


@pytest.mark.parametrize("query", ["select * from nothing", "selec"])
def test_what_postgresql_says_is_one_line_without_the_password(query: str, server: tuple[str, Sql]) -> None:
    with pytest.raises(InputError, match=r"^postgresql://127\.0\.0\.1:\d+/postgres cannot be read: .*ERROR: ") as told:
        read_place(place(server[0]), Layout(query=query))
    assert "same" not in str(told.value)


def test_a_wrong_password_is_not_told(server: tuple[str, Sql]) -> None:
    with pytest.raises(InputError, match="password authentication failed") as told:
        read_place(place(server[0].replace("se%40same", "hush%21")), ALL)
    assert "hush" not in str(told.value)


def test_a_message_with_the_password_in_it_is_left_out() -> None:
    pytest.importorskip("adbc_driver_postgresql", reason="the driver of PostgreSQL is not installed")
    with pytest.raises(InputError, match="its driver's message is left out") as told:
        read_place(place("postgresql://me:hu%zzsh@127.0.0.1:9/shop"), ALL)  # which libpq quotes
    assert "zzsh" not in str(told.value)
    with pytest.raises(InputError, match=r"^postgresql://127\.0\.0\.1:9/shop cannot be read: .*Connection refused"):
        read_place(place("postgresql://me:hush@127.0.0.1:9/shop"), ALL)
