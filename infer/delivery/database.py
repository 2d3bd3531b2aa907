"""Lists as tables of PostgreSQL or SQLite, through ADBC: all in one transaction.

In: a database's address, and the table of each segment. Out: a function that takes rows; tables that hold exactly
these, once the block ends.

    python -m infer.deliver --lists=artifacts/hybrid.topk.parquet --to=sqlite:///shop.db --to-table=recommendations

A table of the same columns is emptied and filled: who may read it, views of it and what is prepared for it stay, and
readers find the old lists until the new ones are committed. With other columns a new table takes its place, and the
rights to read it. A table that this project did not make is refused: it lacks the mark that is a comment on it
(PostgreSQL) or within its definition (SQLite).
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, cast

import polars as pl

from infer.delivery.tables import create, definition, for_database, made, quoted, text
from infer.delivery.targets import LONGEST_TABLE, SQLITE, Target
from infer.errors import InputError
from infer.formats.databases import asked, connected, sqlite_path
from infer.system.addresses import Address
from infer.system.project import PROJECT

UNCHANGED = "; earlier tables are unchanged"
NEW, WRITING = "__new", "recommender__writing"
PATIENCE = 60_000  # milliseconds that a writer of SQLite waits for another
# Of PostgreSQL: how long a wait for readers to end is (ms), how many there are, and the pause between (s).
LOCK_PATIENCE, TRIES, LOCK_PAUSE = 1_000, 12, 4.0
KEEPALIVES = {"tcp_keepalives_idle": 30, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 3}
COLUMNS = "; columns "  # in the comment, before their names
# What goes with a table that is dropped, in words.
OF_TABLE = """
select 'row-level security' from pg_class where oid = {place} and relrowsecurity
union all select 'the policy ' || polname from pg_policy where polrelid = {place}
union all select 'the trigger ' || tgname from pg_trigger where tgrelid = {place} and not tgisinternal
union all select 'the rule ' || rulename from pg_rewrite where ev_class = {place}
union all select 'the index ' || indexrelid::regclass from pg_index where indrelid = {place} and not indisprimary
union all select 'rights to the column ' || attname from pg_attribute where attrelid = {place} and attacl is not null
union all select 'the constraint ' || conname || ' of ' || conrelid::regclass from pg_constraint
    where confrelid = {place} or (conrelid = {place} and contype not in ('p', 'n'))
union all select distinct 'the view ' || v.oid::regclass from pg_depend d join pg_rewrite r on r.oid = d.objid
    join pg_class v on v.oid = r.ev_class where d.classid = 'pg_rewrite'::regclass and d.refobjid = {place}
    and v.oid <> {place}
order by 1
"""
Write = Callable[[str, pl.DataFrame], None]
Names = tuple[str, ...]  # of a table, or of a schema and a table


def check_database(target: Target) -> None:
    """Raises InputError if the database is not reached, or lets nobody in."""
    address = cast(Address, target.place)
    with asked(address, "written", UNCHANGED):
        _check_folder(target)
        if target.kind == SQLITE and not sqlite_path(address).exists():
            return  # to make it here, and remove it, might take it from another delivery that has just begun
        with connected(address, write=True) as connection, closing(connection.cursor()) as cursor:
            cursor.execute("select 1")
            cursor.fetchall()


@contextmanager
def written_tables(target: Target, tables: Mapping[str, Names], empty: pl.DataFrame, remark: str) -> Iterator[Write]:
    """Gives a function that takes a segment and rows of it, with the columns of `empty`.

    tables: by segment.  remark: of the lists, which PostgreSQL's comment carries.
    Raises InputError, without the password, if the database refuses or a table is not this project's; nothing in it
    has changed then.
    """
    address = cast(Address, target.place)
    with asked(address, "written", UNCHANGED):
        _check_folder(target)
        with (
            _no_empty_file(target),
            connected(address, write=True) as connection,
            closing(connection.cursor()) as cursor,
        ):
            database = (_SQLite if target.kind == SQLITE else _PostgreSQL)(cursor, address)
            columns = definition(empty, target.kind)
            database.begin(tables.values())
            filled = {segment: database.prepare(names, columns) for segment, names in tables.items()}

            def write(segment: str, rows: pl.DataFrame) -> None:
                with asked(address, "written", UNCHANGED):
                    database.append(filled[segment], for_database(rows, target.kind))

            yield write
            for segment, names in tables.items():
                database.check_rows(filled[segment])
                database.finish(names, filled[segment], remark)
            connection.commit()


def _check_folder(target: Target) -> None:
    if target.kind != SQLITE:
        return
    path = sqlite_path(cast(Address, target.place))
    if path.is_dir():
        raise InputError(f"{target.place} cannot be written: {path} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise InputError(f"{target.place} cannot be written: {path.parent} is no folder")
    if not path.exists() and not os.access(path.parent, os.W_OK):  # of which SQLite says that memory is wanting
        raise InputError(f"{target.place} cannot be written: {path.parent} may not be written to")


@contextmanager
def _no_empty_file(target: Target) -> Iterator[None]:
    """Leave no new file of SQLite where nothing came of it."""
    path = sqlite_path(cast(Address, target.place)) if target.kind == SQLITE else None
    new = path is not None and not path.exists()
    try:
        yield
    finally:
        if path is not None and new and path.exists() and not path.stat().st_size:
            path.unlink()


class _Database:
    """What both databases do alike. cursor: of a transaction that is open."""

    def __init__(self, cursor: Any, address: Address) -> None:
        self.cursor, self.address = cursor, address
        self.written: dict[Names, int] = {}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        self.cursor.execute(sql)
        return list(self.cursor.fetchall())

    def refuse(self, names: Names, why: str) -> InputError:
        return InputError(
            f"{self.address}: {'.'.join(names)} {why}, so it may be somebody else's: rename it, or choose another "
            "--to-table"
        )

    def check_replaceable(self, names: Names, found: list[str]) -> None:
        """Raise InputError, naming it, if something of a table would not outlive its replacement by another."""
        if found:
            raise InputError(
                f"{self.address}: {'.'.join(names)} has other columns than these lists, so a new table would take its "
                f"place, without {', '.join(found)}: drop these first, or choose another --to-table{UNCHANGED}"
            )

    def append(self, names: Names, rows: pl.DataFrame) -> None:
        self.written[names] = self.written.get(names, 0) + rows.height
        if rows.height:
            schema = {"db_schema_name": names[0]} if len(names) > 1 else {}
            self.cursor.adbc_ingest(names[-1], rows.to_arrow(), mode="append", **schema)

    def check_rows(self, names: Names) -> None:
        """Raise InputError if the table does not hold what was written: a trigger can leave rows out."""
        [(held,)] = self.rows(f"select count(*) from {quoted(*names)}")
        if held != self.written.get(names, 0):
            raise InputError(
                f"{self.address}: {'.'.join(names)} holds {held:,} of {self.written.get(names, 0):,} rows that were "
                f"written, perhaps for a trigger or rule of the table{UNCHANGED}"
            )


class _SQLite(_Database):
    """Its transactions hold tables as well as rows, and its tables keep the comments of their definition."""

    def begin(self, tables: Iterable[Names]) -> None:
        self.cursor.execute(f"pragma busy_timeout = {PATIENCE}")
        # Beginning by reading it would be refused at once where another writes; beginning by writing it waits.
        self.cursor.execute(f"create table {quoted(WRITING)} (x)")
        self.cursor.execute(f"drop table {quoted(WRITING)}")

    def prepare(self, names: Names, columns: dict[str, str]) -> Names:
        """An empty table of these columns, in the place of the one before."""
        table = quoted(*names)
        found = self.rows(f"select type, sql from sqlite_master where lower(name) = lower({text(names[-1])})")
        if found:
            kind, sql = found[0]
            ours = made(sql)
            if kind != "table" or ours is None:
                raise self.refuse(names, f"is a {kind} without this project's mark")
            there = self.rows(f"select name, lower(type) from pragma_table_xinfo({text(names[-1])}) order by cid")
            if there == list(columns.items()):
                self.cursor.execute(f"delete from {table}")
                return names
            self.check_replaceable(
                names, self._goes_with(names[-1]) + [f"the column {name}" for name, _ in there[ours:]]
            )
            self.cursor.execute(f"drop table {table}")
        self.cursor.execute(create(table, columns))
        return names

    def _goes_with(self, table: str) -> list[str]:
        """What is dropped with a table, in words: a view stays."""
        listed = self.rows(
            "select 'the ' || type || ' ' || name from sqlite_master where type in ('index', 'trigger') "
            f"and sql is not null and lower(tbl_name) = lower({text(table)}) order by 1"
        )
        return [what for (what,) in listed]

    def finish(self, names: Names, filled: Names, remark: str) -> None:
        """Nothing is left to do."""


class _PostgreSQL(_Database):
    """Readers of a table wait for nobody, until another takes its place."""

    def begin(self, tables: Iterable[Names]) -> None:
        # The server ends a session whose client is gone, and with it what that has locked.
        for name, seconds in KEEPALIVES.items():
            self.cursor.execute(f"set local {name} = {seconds}")
        # One delivery at a time: two that make the same table would end each other.
        for name in sorted({names[-1] for names in tables}):
            key = f"hashtext({text(PROJECT)}), hashtext({text(name)})"
            self.do(f"perform pg_advisory_xact_lock({key});")

    def do(self, block: str) -> None:
        """Run statements that give no rows; in a text like others, which no name within can end, as dollars would."""
        self.cursor.execute(f"do {text(f'begin {block} end')}")

    def prepare(self, names: Names, columns: dict[str, str]) -> Names:
        """An empty table of these columns: the one before, or a new one for its place."""
        table = quoted(*names)
        place = f"to_regclass({text(table)})"
        found = self.rows(
            f"select relkind::text, coalesce(obj_description(oid, 'pg_class'), '') from pg_class where oid = {place}"
        )
        if not found:
            self.cursor.execute(create(table, columns))
            return names
        kind, comment = found[0]
        if kind not in ("r", "p") or not comment.startswith(PROJECT):
            raise self.refuse(names, "is no table with this project's comment")
        types = self.rows(
            "select attname::text, format_type(atttypid, atttypmod) from pg_attribute where attnum > 0 and not "
            f"attisdropped and attrelid = {place} order by attnum"
        )
        if [(name, LONG.get(dtype, dtype)) for name, dtype in types] == list(columns.items()):
            self.cursor.execute(f"lock table {table} in share row exclusive mode")
            self.cursor.execute(f"delete from {table}")
            return names
        self.check_replaceable(names, self._goes_with(place, comment, [name for name, _ in types]))
        new = (*names[:-1], names[-1].encode()[: LONGEST_TABLE - len(NEW)].decode(errors="ignore") + NEW)
        self.cursor.execute(create(quoted(*new), columns))
        rights = self.rows(
            "select privilege_type::text, case when grantee = 0 then 'public' "
            "else quote_ident(pg_get_userbyid(grantee)) end "
            f"from pg_class, aclexplode(relacl) where oid = {place} and grantee <> relowner"
        )
        for right, whose in rights:
            self.cursor.execute(f"grant {right} on {quoted(*new)} to {whose}")
        return new

    def finish(self, names: Names, filled: Names, remark: str) -> None:
        """Say what is in the table, and let it take its place."""
        self.cursor.execute(f"comment on table {quoted(*filled)} is {text(f'{PROJECT}: {remark}')}")
        if filled == names:
            return
        self._lock_alone(names)
        self.cursor.execute(f"drop table {quoted(*names)}")
        self.cursor.execute(f"alter table {quoted(*filled)} rename to {quoted(names[-1])}")
        key = quoted(*names[:-1], f"{filled[-1]}_pkey")
        self.cursor.execute(f"alter index if exists {key} rename to {quoted(f'{names[-1]}_pkey')}")

    def _goes_with(self, place: str, comment: str, columns: list[str]) -> list[str]:
        """What of a table would not outlive its replacement by another, in words."""
        found = [what for (what,) in self.rows(OF_TABLE.format(place=place))]
        # Comments of earlier versions do not say which columns were made here.
        stated = json.loads(comment.rpartition(COLUMNS)[2]) if COLUMNS in comment else columns
        return found + [f"the column {name}" for name in columns if name not in stated]

    def _lock_alone(self, names: Names) -> None:
        """Wait until nobody reads the table; who comes meanwhile queues behind this, so that each wait is short."""
        # The server catches that it waited too long: after an error the driver would let nothing follow.
        attempt = (
            f"perform set_config('lock_timeout', '{LOCK_PATIENCE}', true); lock table {quoted(*names)} in access "
            "exclusive mode; exception when lock_not_available then null;"
        )
        held = (
            f"select count(*) from pg_locks where pid = pg_backend_pid() and granted and mode = 'AccessExclusiveLock' "
            f"and relation = to_regclass({text(quoted(*names))})"
        )
        for number in range(TRIES):
            if number:
                time.sleep(LOCK_PAUSE)
            self.do(attempt)
            if self.rows(held) != [(0,)]:
                return
        raise InputError(
            f"{self.address}: {'.'.join(names)} has other columns than these lists, and a new table cannot take its "
            f"place while open transactions read it: end these{UNCHANGED}"
        )


# How PostgreSQL shows types that are written shorter.
LONG = {
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone[]": "timestamp[]",
    "timestamp with time zone[]": "timestamptz[]",
}
