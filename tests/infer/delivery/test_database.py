"""Tables of lists: what readers see meanwhile, whose tables they are, and what is said where a database refuses."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from infer.delivery import delivering
from infer.delivery.delivering import Delivery, deliver
from infer.delivery.targets import target_of
from infer.errors import InputError
from infer.system.addresses import place
from tests.helpers.checkerboard import ROOT
from tests.helpers.published import PARTS, publish
from tests.helpers.servers import postgresql

pytest.importorskip("pyarrow", reason="pyarrow, which rows go to a database in, is not installed")
Sql = Callable[[str], None]
NAME = "recommendations"
ROWS = [(1, 1, 30, 2.5), (1, 2, 10, 1.0), (2, 1, 20, 0.5), (2, 2, 10, 0.5), (9, 1, 30, -1.25)]
KINDS = ("sqlite", "postgresql")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Sql]]:
    pytest.importorskip("adbc_driver_postgresql", reason="the driver of PostgreSQL is not installed")
    with postgresql(tmp_path_factory.mktemp("server")) as (address, sql):
        sql("create role guest login password 'guest'")
        yield address, sql


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An address where nothing is yet, of the kind that the test is run with."""
    if request.param == "sqlite":
        pytest.importorskip("adbc_driver_sqlite", reason="the driver of SQLite is not installed")
        yield f"sqlite:///{tmp_path}/my shop.db"
        return
    address, sql = request.getfixturevalue("server")
    sql("drop owned by reader cascade; grant create on schema public to reader")
    yield address
    sql("drop owned by reader cascade; drop schema if exists shop cascade")


def asked(address: str, sql: str, *, commit: bool = False) -> list[tuple[Any, ...]]:
    """What a reader is told."""
    if address.startswith("sqlite"):
        connection: Any = sqlite3.connect(address.removeprefix("sqlite:///"), timeout=30)
    else:
        import adbc_driver_postgresql.dbapi

        connection = adbc_driver_postgresql.dbapi.connect(address)
    try:
        cursor = connection.cursor()
        cursor.execute(sql)
        rows = [] if commit else cursor.fetchall()
        if commit:
            connection.commit()
        cursor.close()
        return rows
    finally:
        connection.close()


def to(lists: Path, address: str, table: str = NAME, **options: Any) -> None:
    deliver(lists, Delivery(target_of(place(address), table), **options))


def all_of(address: str, table: str = f'"{NAME}"') -> list[tuple[Any, ...]]:
    return asked(address, f"select * from {table} order by 1, 2")


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    publish(tmp_path / "l.parquet", *PARTS)
    return tmp_path / "l.parquet"


both = pytest.mark.parametrize("database", KINDS, indirect=True)


@both
def test_a_table_holds_what_was_last_delivered(database: str, lists: Path) -> None:
    to(lists, database)
    assert all_of(database) == ROWS
    to(lists, database)
    assert all_of(database) == ROWS
    publish(lists, PARTS[1], run=1)
    to(lists, database)
    assert all_of(database) == ROWS[-1:]


@both
def test_lists_are_arrays_or_json(database: str, lists: Path) -> None:
    to(lists, database, lists_as="lists")
    found = all_of(database)
    if database.startswith("sqlite"):
        found = [(user, *map(json.loads, texts)) for user, *texts in found]
    assert found == [(1, [30, 10], [2.5, 1.0]), (2, [20, 10], [0.5, 0.5]), (9, [30], [-1.25])]


@both
def test_every_type_that_a_column_may_have_is_taken(database: str, tmp_path: Path) -> None:
    row = pl.DataFrame({"user": ["ä'\""], "rank": [1], "item": ["x"], "score": [0.5]})
    more = row.with_columns(
        small=pl.lit(-3, pl.Int8), large=pl.lit(2**40, pl.UInt64), yes=pl.lit(True), day=pl.date(2024, 5, 6),
        at=pl.datetime(2024, 5, 6, 7, time_zone="UTC"),
        kind=pl.lit("a").cast(pl.Categorical), none=pl.lit(None, pl.Int16),
        tags=pl.lit(["a", None], pl.List(pl.String)), nested=pl.lit([[1], [2, 3]], pl.List(pl.List(pl.Int64))),
    )  # fmt: skip
    publish(tmp_path / "t.parquet", more)
    to(tmp_path / "t.parquet", database)
    ((*found,),) = all_of(database)
    assert found[:6] == ["ä'\"", 1, "x", 0.5, -3, 2**40] and found[6] in (True, 1) and str(found[7]) == "2024-05-06"
    assert str(found[8]).startswith("2024-05-06 07:00:00") and found[9:11] == ["a", None]
    tags = found[11] if isinstance(found[11], list) else json.loads(found[11])
    assert tags == ["a", None] and json.loads(found[12]) == [[1], [2, 3]]
    to(tmp_path / "t.parquet", database)  # into the same table
    assert len(all_of(database)) == 1


@both
def test_lists_of_other_columns_take_a_new_table(database: str, lists: Path) -> None:
    to(lists, database)
    publish(lists, *(part.with_columns(source=pl.lit("model")) for part in PARTS), run=1)
    to(lists, database)
    assert all_of(database)[0] == (*ROWS[0], "model")
    to(lists, database, lists_as="lists")
    assert len(all_of(database)) == 3


@both
def test_a_table_of_somebody_else_stays(database: str, lists: Path) -> None:
    asked(database, f'create table {NAME} ("user" int, rank int, item int, score real)', commit=True)
    with pytest.raises(InputError, match=rf"{NAME} is .* mark|comment, so it may be somebody else's: rename it"):
        to(lists, database)
    assert all_of(database) == []
    asked(database, "create view v as select 1 as one", commit=True)
    with pytest.raises(InputError, match="v is "):
        to(lists, database, "v")
    assert asked(database, "select * from v") == [(1,)]


# A reader in a process of its own, as the locks of SQLite are those of a process.
READER = """
import sys
from pathlib import Path
from tests.infer.delivery.test_database import NAME, asked
while not Path(sys.argv[2]).exists():
    print(*asked(sys.argv[1], f"select count(*), min(item), max(item) from {NAME}")[0], flush=True)
"""


@both
def test_readers_find_the_old_or_the_new_lists(database: str, tmp_path: Path) -> None:
    lists, users = tmp_path / "l.parquet", 3000

    def night(number: int) -> list[pl.DataFrame]:
        whole = pl.DataFrame({"user": range(users), "rank": 1, "item": number, "score": 0.5})
        return list(whole.iter_slices(600))

    publish(lists, *night(0))
    to(lists, database)
    words = [sys.executable, "-c", READER, database, tmp_path / "over"]
    reader = subprocess.Popen(words, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
    seen = [reader.stdout.readline()]
    try:
        for number in range(1, 6):
            publish(lists, *night(number), run=number)
            to(lists, database)
    finally:
        (tmp_path / "over").touch()
        seen += reader.communicate(timeout=60)[0].splitlines()
    found = [tuple(map(int, line.split())) for line in seen]
    assert reader.returncode == 0 and len({least for _, least, _ in found}) > 1, found
    assert all(count == users and least == most for count, least, most in found), set(found)


# Delivers, and is killed when the second part is asked for.
KILLED = """
import os, signal, sys
from pathlib import Path
from infer.delivery import delivering, published
from infer.delivery.targets import target_of
from infer.system.addresses import place
parts = published.Published.parts
def dying(self):
    for number, part in enumerate(parts(self)):
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        yield part
published.Published.parts = dying
delivering.deliver(Path(sys.argv[1]), delivering.Delivery(target_of(place(sys.argv[2]), sys.argv[3]), sys.argv[4]))
"""


@both
@pytest.mark.parametrize("lists_as", ["rows", "lists"])  # the same table, and another in its place
def test_a_writer_that_is_killed_leaves_the_old_lists(database: str, lists_as: str, lists: Path) -> None:
    to(lists, database)
    publish(lists, *(part.with_columns(item=7) for part in PARTS), run=1)
    words = [sys.executable, "-c", KILLED, lists, database, NAME, lists_as]
    done = subprocess.run(words, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert all_of(database) == ROWS
    to(lists, database, lists_as=lists_as)
    assert len(all_of(database)) == (5 if lists_as == "rows" else 3)


@both
def test_a_failure_between_parts_leaves_the_old_lists(database: str, lists: Path) -> None:
    to(lists, database)
    twice = PARTS[0].with_columns(user=pl.lit(9), rank=pl.Series([1, 2, 3, 4]))
    publish(lists, PARTS[1], twice, run=1)  # user 9 has rank 1 in both
    with pytest.raises(InputError, match=r"cannot be written: .*(unique|UNIQUE).*; earlier tables are unchanged$"):
        to(lists, database)
    assert all_of(database) == ROWS


@both
def test_what_a_failed_first_delivery_made_is_gone(database: str, tmp_path: Path) -> None:
    publish(tmp_path / "l.parquet", PARTS[1], PARTS[1])
    with pytest.raises(InputError, match="cannot be written"):
        to(tmp_path / "l.parquet", database)
    assert not list(tmp_path.glob("*.db*"))
    publish(tmp_path / "l.parquet", PARTS[1], run=1)
    to(tmp_path / "l.parquet", database)
    assert all_of(database) == ROWS[-1:]


def test_a_folder_that_may_not_be_written_to_is_told(lists: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path)  # root may write to any
    with pytest.raises(InputError, match=rf"new\.db cannot be written: {tmp_path} may not be written to$"):
        to(lists, f"sqlite:///{tmp_path}/new.db")


def test_a_folder_or_file_that_is_no_database_is_told(lists: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be written: .*/no is no folder"):
        to(lists, f"sqlite:///{tmp_path}/no/x.db")
    with pytest.raises(InputError, match=rf"cannot be written: {tmp_path} is a folder; name a file in it$"):
        to(lists, f"sqlite:///{tmp_path}")
    (tmp_path / "t.db").write_text("no database, but longer than a header of one would be" * 9)
    with pytest.raises(InputError, match=r"t\.db cannot be written: .*not a database"):
        to(lists, f"sqlite:///{tmp_path}/t.db")
    assert (tmp_path / "t.db").read_text().startswith("no database")


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_rights_views_and_comments_stay_with_the_table(database: str, lists: Path, server) -> None:
    address, sql = server
    to(lists, address)
    asked(address, f"create view best as select item from {NAME} where rank = 1", commit=True)
    sql(f"grant select on {NAME} to guest")
    to(lists, address)
    guest = address.replace("reader:se%40same", "guest:guest")
    assert len(asked(guest, f"select * from {NAME}")) == 5 and len(asked(address, "select * from best")) == 3
    comment = f"select obj_description('{NAME}'::regclass)"
    assert asked(address, comment) == [
        ('hybrid-recommender-onnx: publication 000001 of m.onnx; columns ["user", "rank", "item", "score"]',)
    ]
    with pytest.raises(InputError, match=r"a new table would take its place, without the view best: drop these first"):
        to(lists, address, lists_as="lists")
    asked(address, "drop view best", commit=True)
    to(lists, address, lists_as="lists")
    assert len(asked(guest, f"select * from {NAME}")) == 3


@pytest.mark.parametrize(("made", "gone", "told"), [
    ("alter table {t} enable row level security", "alter table {t} disable row level security", "row-level security"),
    ('create policy p on {t} using ("user" = 1)', "drop policy p on {t}", "the policy p"),
    ("create index by_item on {t} (item)", "drop index by_item", "the index by_item"),
    ("alter table {t} add column note text", "alter table {t} drop column note", "the column note"),
    ("grant select (item) on {t} to guest", "revoke select (item) on {t} from guest", "rights to the column item"),
    ("alter table {t} add constraint c check (rank > 0)", "alter table {t} drop constraint c",
     "the constraint c of {t}"),
    ('create table other (u bigint, r int, foreign key (u, r) references {t} ("user", rank))', "drop table other",
     "the constraint other_u_r_fkey of other"),
    ("create function f() returns trigger language plpgsql as 'begin return new; end' | "
     "create trigger tr before insert on {t} for each row execute function f()", "drop function f cascade",
     "the trigger tr"),
])  # fmt: skip
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_what_would_go_with_a_table_is_named_and_the_table_stays(
    database: str, made: str, gone: str, told: str, lists: Path
) -> None:
    to(lists, database)
    for statement in made.format(t=NAME).split(" | "):
        asked(database, statement, commit=True)
    with pytest.raises(InputError, match=rf"its place, without {told.format(t=NAME)}: drop these first.* unchanged$"):
        to(lists, database, lists_as="lists")
    assert len(all_of(database)) == 5
    asked(database, gone.format(t=NAME), commit=True)
    to(lists, database, lists_as="lists")
    assert len(all_of(database)) == 3
    assert asked(database, f"select indexrelid::regclass::text from pg_index where indrelid = '{NAME}'::regclass") == [
        (f"{NAME}_pkey",)
    ]


@pytest.mark.parametrize(("made", "gone", "told"), [
    ("create index by_item on {t} (item)", "drop index by_item", "the index by_item"),
    ("create trigger tr after insert on {t} begin select 1; end", "drop trigger tr", "the trigger tr"),
    ("alter table {t} add column note text", "alter table {t} drop column note", "the column note"),
    ('alter table {t} add column twice integer as ("user" * 2) virtual', "alter table {t} drop column twice",
     "the column twice"),
])  # fmt: skip
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_would_go_with_a_table_of_sqlite_is_named_and_the_table_stays(
    database: str, made: str, gone: str, told: str, lists: Path
) -> None:
    to(lists, database)
    asked(database, "create view best as select item from recommendations where rank = 1", commit=True)
    asked(database, made.format(t=NAME.upper()), commit=True)
    with pytest.raises(InputError, match=rf"its place, without {told}: drop these first.* unchanged$"):
        to(lists, database, lists_as="lists")
    assert len(all_of(database)) == 5
    asked(database, gone.format(t=NAME), commit=True)
    asked(database, "drop view best", commit=True)
    to(lists, database)
    to(lists, database, lists_as="lists")
    assert len(all_of(database)) == 3


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_indexes_and_triggers_of_sqlite_stay_with_a_table_of_the_same_columns(database: str, lists: Path) -> None:
    mark = "/* hybrid-recommender-onnx */"  # as earlier versions wrote it
    asked(database, f'create table {NAME} ({mark} "user" bigint, "rank" integer, "item" bigint, "score" real, '
          'primary key ("user", "rank"))', commit=True)  # fmt: skip
    asked(database, f"create index by_item on {NAME} (item)", commit=True)
    to(lists, database)
    assert asked(database, "select count(*) from sqlite_master where name = 'by_item'") == [(1,)]
    assert all_of(database) == ROWS


@both
def test_a_database_that_leaves_rows_out_is_told(database: str, lists: Path) -> None:
    to(lists, database)
    if database.startswith("sqlite"):
        made = [f"create trigger tr before insert on {NAME} when new.user = 9 begin select raise(ignore); end"]
    else:
        made = ["create function f() returns trigger language plpgsql as 'begin if new.rank = 2 then return null; "
                "end if; return new; end'", f"create trigger tr before insert on {NAME} for each row execute "
                "function f()"]  # fmt: skip
    for statement in made:
        asked(database, statement, commit=True)
    with pytest.raises(
        InputError, match=rf"{NAME} holds [34] of 5 rows that were written.*earlier tables are unchanged"
    ):
        to(lists, database)
    assert all_of(database) == ROWS


# Another writer, in a process of its own: its transaction ends with its input.
WRITER = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], isolation_level=None)
other.execute(f"pragma journal_mode = {sys.argv[2]}")
other.execute("create table orders (id)")
other.execute("begin immediate")
other.execute("insert into orders values (1)")
print("held", flush=True)
sys.stdin.read()
other.execute("commit")
"""


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_sqlite_waits_for_another_writer(mode: str, lists: Path, tmp_path: Path) -> None:
    pytest.importorskip("adbc_driver_sqlite", reason="the driver of SQLite is not installed")
    words = [sys.executable, "-c", WRITER, tmp_path / "shop.db", mode]
    other = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "held\n"
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(to, lists, f"sqlite:///{tmp_path}/shop.db")
        time.sleep(1)
        assert not waiting.done()
        other.communicate(timeout=60)
        waiting.result(60)
    address = f"sqlite:///{tmp_path}/shop.db"
    assert all_of(address) == ROWS and asked(address, "select * from orders") == [(1,)]
    assert asked(address, "select count(*) from sqlite_master where type = 'table'") == [(2,)]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_while_a_transaction_reads_the_table_others_can_and_another_takes_its_place_later(
    database: str, lists: Path, monkeypatch
) -> None:
    import adbc_driver_postgresql.dbapi

    monkeypatch.setattr("infer.delivery.database.LOCK_PAUSE", 0.2)
    monkeypatch.setattr("infer.delivery.database.TRIES", 3)
    to(lists, database)
    with adbc_driver_postgresql.dbapi.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(f"select count(*) from {NAME}")
        cursor.fetchall()
        with ThreadPoolExecutor() as pool:
            replacing = pool.submit(to, lists, database, lists_as="lists")
            waits = []
            while not replacing.done():
                began = time.monotonic()
                assert len(all_of(database)) == 5
                waits.append(time.monotonic() - began)
                time.sleep(0.1)
            with pytest.raises(InputError, match=r"cannot take its place while open transactions read it: end these"):
                replacing.result()
            assert max(waits) < 3, waits
        monkeypatch.setattr("infer.delivery.database.TRIES", 30)
        with ThreadPoolExecutor() as pool:
            replacing = pool.submit(to, lists, database, lists_as="lists")
            time.sleep(1.5)
            connection.rollback()
            replacing.result(60)
    assert len(all_of(database)) == 3


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_signal_ends_a_delivery_that_waits_and_other_tables_do_not(database: str, lists: Path) -> None:
    import adbc_driver_postgresql.dbapi

    to(lists, database)
    with adbc_driver_postgresql.dbapi.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(f"lock table {NAME}")
        command = [sys.executable, "-m", "infer.deliver", f"--lists={lists}", f"--to={database}"]
        waiting = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        locks = "select count(*) from pg_locks where not granted"
        end = time.monotonic() + 60
        while asked(database, locks) == [(0,)]:
            assert time.monotonic() < end and waiting.poll() is None
            time.sleep(0.1)
        publish(lists.with_name("other.parquet"), *PARTS)
        to(lists.with_name("other.parquet"), database, "other")
        waiting.send_signal(signal.SIGTERM)
        assert waiting.communicate(timeout=30)[1] == "error: terminated\n" and waiting.returncode == 143
        assert asked(database, locks) == [(0,)]
    assert all_of(database) == all_of(database, "other") == ROWS


def test_lists_that_are_no_longer_current_are_not_delivered_from_a_bucket(monkeypatch) -> None:
    def publications(name: str | None) -> Any:
        return SimpleNamespace(current=lambda: None if name is None else SimpleNamespace(name=name))

    published: Any = SimpleNamespace(lists=place("s3://shop/lists.parquet"), name="000001")
    for current in ("000002", None):
        monkeypatch.setattr(delivering, "publications_at", lambda lists, current=current: publications(current))
        with pytest.raises(InputError, match="publication 000001 is no longer the current one, so it is not delivered"):
            delivering._check_current(published)
    monkeypatch.setattr(delivering, "publications_at", lambda lists: publications("000001"))
    delivering._check_current(published)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_schema_may_be_named_and_names_need_not_be_plain(database: str, lists: Path, server) -> None:
    address, sql = server
    sql("create schema shop; grant all on schema shop to reader")
    to(lists, address, 'shop.Top "10"')
    assert all_of(address, 'shop."Top ""10"""') == ROWS
    to(lists, address, 'shop.Top "10"', lists_as="lists")
    assert len(all_of(address, 'shop."Top ""10"""')) == 3


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("name", ["a$$b", "a$deliver$b", "a'\\'; select 1; --", "%s {0} \\", "a\nb"])
def test_a_name_of_a_segment_is_a_name_whatever_is_in_it(name: str, database: str, lists: Path) -> None:
    to(lists, database, name)
    to(lists, database, name, lists_as="lists")
    assert len(all_of(database, f'"{name}"')) == 3, "another table took the place of the first"


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_what_postgresql_refuses_is_one_line_without_the_password(database: str, lists: Path, server) -> None:
    address, sql = server
    with pytest.raises(InputError, match=r"^postgresql://127\.0\.0\.1:\d+/nowhere cannot be written: .*does not exist"):
        to(lists, address.replace("/postgres", "/nowhere"))
    with pytest.raises(InputError, match="password authentication failed") as told:
        to(lists, address.replace("se%40same", "hush%21"))
    assert "hush" not in str(told.value)
    guest = address.replace("reader:se%40same", "guest:guest")
    with pytest.raises(InputError, match=r"cannot be written: .*permission denied for schema public"):
        to(lists, guest)
    to(lists, address)
    sql(f"grant select on {NAME} to guest")
    with pytest.raises(InputError, match=f"cannot be written: .*permission denied for table {NAME}"):
        to(lists, guest)
    assert all_of(address) == ROWS


@pytest.mark.parametrize(("table", "told"), [("x" * 64, "has 64 bytes; expected 1 to 63"), ("shop.", "has 0 bytes")])
def test_a_name_that_would_be_cut_is_refused(table: str, told: str, lists: Path) -> None:
    with pytest.raises(InputError, match=told):
        to(lists, "postgresql://me:hush@127.0.0.1:9/shop", table)
