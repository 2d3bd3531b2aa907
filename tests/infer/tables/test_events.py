"""Which rows count, and what they weigh: SQL, event types, least ratings, repeats, and an order without times."""

from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.sources.source import open_source
from infer.tables.frames import tidy_frame
from infer.tables.interactions import read_interactions
from infer.tables.options import TableOptions
from infer.tables.rules import rules_in

EVENTS = """user,item,timestamp,event type,price,rating
1,10,5,view,3,1
1,10,6,cart,3,2
1,10,7,view,3,
1,11,8,purchase,20.5,5
2,10,1,purchase,3,-4
2,12,1,,100,0
"""


def table(tmp_path: Path, kind: str = "csv", content: str = EVENTS) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(content)
    if kind == "parquet":
        pl.read_csv(path).write_parquet(tmp_path / "t.parquet")
        path = tmp_path / "t.parquet"
    return path


def test_each_column_of_digits_is_what_the_sql_needs(tmp_path: Path) -> None:
    content = (
        "user,item,timestamp,zip,price,code\n1,10,5,1234,9,1\n1,11,6,1299,30,1\n2,10,7,3412,100,1\n2,11,8,1255,21,2\n"
    )
    path = table(tmp_path, content=content)
    assert both(path, where="zip like '12%' and price > 20")[0] == [(1, 11, 6), (2, 11, 8)]
    assert both(path, where="zip like '12%' and price > 20 and code like '1%'")[0] == [(1, 11, 6)]
    assert both(path, where='"user" > 1 and price > 20.5')[0] == [(2, 10, 7), (2, 11, 8)]
    with pytest.raises(InputError, match="--where 'zip like '12%' and zip > 20' cannot be used on"):
        both(path, where="zip like '12%' and zip > 20")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_of_which_no_row_counts_is_told_from_an_empty_one(kind: str, tmp_path: Path) -> None:
    path, options = table(tmp_path, kind), TableOptions(where="price > 1000")
    for read in (lambda: read_interactions(path, options), lambda: open_source(path, options, tmp_path, optional=())):
        with pytest.raises(InputError, match=r't\.\w+ has no row that counts \(--where "price > 1000"\)$'):
            read()
    empty = table(tmp_path, kind, EVENTS.splitlines()[0] + "\n")
    (tmp_path / "work").mkdir()
    for read in (lambda: read_interactions(empty, options), lambda: open_source(empty, options, tmp_path / "work")):
        with pytest.raises(InputError, match=r"t\.\w+ has no rows$"):
            read()
    with pytest.raises(InputError, match=r"^the data frame has no rows$"):
        tidy_frame(pl.read_csv(tmp_path / "t.csv"), options)


def test_a_condition_on_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path, content="user,item,timestamp,price,price\n1,10,5,5,50\n2,11,6,50,5\n")
    assert both(path)[0] == [(1, 10, 5), (2, 11, 6)], "what nobody names may stand twice"
    with pytest.raises(InputError, match=r"t\.csv names the column 'price' twice"):
        both(path, where="price > 20")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("user > 1", r"'user > 1' cannot be read .*; write SQL, .* in double quotes: \"user\", \"order\", \"end\"$"),
        ("null", "'null' cannot be used on the data frame: it gives Null, not true or false"),
        ("nothing", "'nothing' cannot be used on the data frame: it gives Null, not true or false"),
        ("COLUMNS('.*') > 0", "names several columns at once; expected one condition"),
        ("COLUMNS('user') > 0", "names several columns at once; expected one condition"),
    ],
)
def test_sql_that_is_no_condition_is_refused_in_a_line(where: str, message: str) -> None:
    rows = pl.DataFrame({"user": [1, 2], "item": [1, 2], "timestamp": [1, 2], "nothing": [None, None]})
    with pytest.raises(InputError, match=message):
        tidy_frame(rows, TableOptions(where=where))


def test_columns_of_a_table_may_be_called_as_those_that_where_needs(tmp_path: Path) -> None:
    content = "user,item,timestamp,price,row,row_,text of price\n1,10,5,3,a,b,c\n1,11,6,30,d,e,f\n2,10,7,x,g,h,i\n"
    rows, said = both(table(tmp_path, content=content.replace(",x,", ",8,")), where="price > 5 and row <> 'g'")
    assert rows == [(1, 11, 6)] and "1 of 3 rows count" in said
    path = table(tmp_path, content=content.replace("2,10,7", "2,10,z"))
    with pytest.raises(InputError, match="row 3 has the timestamp 'z'"):
        both(path, where="\"text of price\" in ('f', 'i') and price <> '3'")


def both(path: Path, **given) -> tuple[list[tuple], str]:
    """The rows and notes of a table, which are the same whether it is read whole or in parts."""
    options = TableOptions(**given)
    whole = read_interactions(path, options, ())
    work = path.parent / f"work-{len(list(path.parent.iterdir()))}"
    work.mkdir()
    source = open_source(path, options, work, part_users=1, optional=())
    rows = pl.concat(source.read(part) for part in source.parts)
    assert (
        rows.rows()
        == whole.interactions.rows()
        == pl.concat(
            open_source(path, options, work, part_users=1, optional=()).read(part) for part in source.parts
        ).rows()
    )
    return whole.interactions.select("user", "item", "timestamp").rows(), str(whole.notes)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("\"event type\" = 'purchase'", [(1, 11, 8), (2, 10, 1)]),
        ("price > 20", [(1, 11, 8), (2, 12, 1)]),  # a number in a text file, too
        ("\"event type\" in ('cart', 'purchase') and price between 3 and 4", [(1, 10, 6), (2, 10, 1)]),
        ("\"event type\" <> 'view'", [(1, 10, 6), (1, 11, 8), (2, 10, 1)]),  # not where it is null, as SQL has it
        ("item = 12 or rating = 2", [(1, 10, 6), (2, 12, 1)]),
        ("true", [(1, 10, 7), (1, 11, 8), (2, 10, 1), (2, 12, 1)]),
    ],
)
def test_sql_says_which_rows_count(kind: str, where: str, rows: list[tuple], tmp_path: Path) -> None:
    found, said = both(table(tmp_path, kind), where=where)
    kept = 6 if where == "true" else len(rows)
    assert found == rows and said.startswith(f'{kept} of 6 rows count (--where "{where}")')


def test_texts_are_compared_as_texts_where_sql_says_so(tmp_path: Path) -> None:
    content = "user,item,timestamp,kind\n1,1,1,01\n1,2,2,1\n"
    assert both(table(tmp_path, content=content), where="kind = '01'")[0] == [(1, 1, 1)]
    assert both(table(tmp_path, content=content), where="kind = 1")[0] == [(1, 1, 1), (1, 2, 2)]


@pytest.mark.parametrize(
    "where",
    [
        "price > 20", "price > 20.0", "price >= .5", "not price <= 20.", "price between 1.5 and 30.5", "price = 100.0",
        "price > 2e1", "price in (1.5, 5.0)", "20.5 < price", "price > 20.0 and item < 3",
    ],
)  # fmt: skip
def test_numbers_are_not_compared_with_texts_however_they_are_written(where: str, tmp_path: Path) -> None:
    dirty = "user,item,timestamp,price\n1,1,1,5\n1,2,2,100\n2,1,3,n/a\n"
    with pytest.raises(InputError, match=r"cannot be used on .*(cannot compare string|cannot check for String)"):
        both(table(tmp_path, content=dirty), where=where)
    both(table(tmp_path, content=dirty.replace("n/a", "25.5")), where=where)


def test_numbers_with_a_point_are_compared_exactly_and_in_quotes_they_are_texts(tmp_path: Path) -> None:
    content = "user,item,timestamp,price,kind\n1,1,1,9.5,1.5\n1,2,2,100,x\n2,1,3,9.50,'1.5'\n"
    assert both(table(tmp_path, content=content), where="price < 9.51")[0] == [(1, 1, 1), (2, 1, 3)]
    assert both(table(tmp_path, content=content), where="kind = '1.5'")[0] == [(1, 1, 1)]
    exact = pl.DataFrame(
        {"user": [1, 1], "item": [1, 2], "timestamp": [1, 2], "price": [Decimal("0.1"), Decimal("0.2")]}
    )
    exact.write_parquet(tmp_path / "d.parquet")
    assert both(tmp_path / "d.parquet", where="price + 0.2 = 0.3")[0] == [(1, 1, 1)]
    texts = exact.with_columns(text=pl.Series(["9", "100"]))
    texts.write_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match="cannot compare string"):
        both(tmp_path / "t.parquet", where="text > price")


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("event = ", "--where 'event = ' cannot be read"),
        ("event = 'x'", "t.csv has no column 'event', which --where names; its columns: user, item,"),
        ("price + 1", "cannot be used on .*it gives Float64, not true or false"),
        ('"event type" > 3', "cannot be used on .*cannot compare string with numeric"),
        ("1; drop table x", "cannot be read"),
    ],
)
def test_what_is_no_condition_is_refused_in_one_line(where: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said) as caught:
        both(table(tmp_path), where=where)
    assert "\n" not in str(caught.value)


def test_a_number_that_is_none_further_on_is_refused(tmp_path: Path) -> None:
    content = "user,item,timestamp,price\n" + "1,1,1,5\n" * 20_000 + "2,1,1,free\n"
    with pytest.raises(InputError, match=r"t.csv cannot be read: .*free"):
        both(table(tmp_path, content=content), where="price > 1")


def test_a_bad_row_is_named_by_its_place_in_the_file(tmp_path: Path) -> None:
    content = EVENTS.replace("view,3,\n", "view,3,good\n")
    with pytest.raises(InputError, match="row 3 has the rating 'good'; expected a number"):
        read_interactions(table(tmp_path, content=content), TableOptions(where="\"event type\" = 'view'"))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_rows_rated_too_low_do_not_count(kind: str, tmp_path: Path) -> None:
    path = table(tmp_path, kind, EVENTS.replace("3,\n", "3,1\n"))
    found, said = both(path, least_rating=0)
    assert found == [(1, 10, 7), (1, 11, 8), (2, 12, 1)]
    assert said.startswith("left out 1 rows rated below 0 (--least-rating)")
    with pytest.raises(InputError, match="no row that can be used: left out 6 rows rated below 6"):
        both(path, least_rating=6)
    content = "user,item,timestamp\n1,1,1\n"
    with pytest.raises(InputError, match="no rating column, which --least-rating=4 needs; its columns: user, item"):
        both(table(tmp_path, content=content), least_rating=4)


def test_events_weigh_what_is_said_of_their_type(tmp_path: Path) -> None:
    options = {"event": "event type", "event_weights": "view=1, cart = 2.5,purchase=-4"}
    path = table(tmp_path, content=EVENTS.replace(",,", ",view,"))
    found = read_interactions(path, TableOptions(**options)).interactions
    assert found["rating"].to_list() == [1.0, -4.0, -4.0, 1.0]
    assert both(path, **options, least_rating=2)[0] == [(1, 10, 6)]
    with pytest.raises(InputError, match="row 2 has the event 'cart', for which --event-weights has no weight"):
        read_interactions(path, TableOptions(event="event type", event_weights="view=1"))
    dropped = read_interactions(path, TableOptions(event="event type", event_weights="view=1", drop_bad_rows=True))
    assert "rows with an event for which --event-weights has no weight" in str(dropped.notes)
    with pytest.raises(InputError, match="has no column 'kind'; its columns: user"):
        read_interactions(path, TableOptions(event="kind", event_weights="view=1"))
    for wrong in ("view", "view=", "=1", "view=nan", "view=1,,"):
        with pytest.raises(InputError, match=r"--event-weights: '.*' is not TYPE=NUMBER; expected view=1,purchase=5"):
            read_interactions(path, TableOptions(event="event type", event_weights=wrong))
    with pytest.raises(InputError, match="give both"):
        read_interactions(path, TableOptions(event_weights="view=1"))
    with pytest.raises(InputError, match="--event-weights stands where ratings would"):
        read_interactions(path, TableOptions(rating="price", **options))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_repeats_are_all_kept_if_asked_for(kind: str, tmp_path: Path) -> None:
    found, said = both(table(tmp_path, kind), repeats="keep")
    assert found == [(1, 10, 5), (1, 10, 6), (1, 10, 7), (1, 11, 8), (2, 10, 1), (2, 12, 1)] and not said
    found, said = both(table(tmp_path, kind))
    assert found == [(1, 10, 7), (1, 11, 8), (2, 10, 1), (2, 12, 1)]
    assert said == "dropped 2 repeated (user, item) rows, of which the latest is kept (--repeats=keep keeps all)"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_rows_may_be_in_order_without_times(kind: str, tmp_path: Path) -> None:
    path = table(tmp_path, kind, "user,item,x\n2,9,a\n1,5,a\n1,4,b\n2,8,a\n1,5,c\n")
    with pytest.raises(InputError, match=r"no timestamp column; .*--order=rows if it is oldest first, --order=none"):
        both(path)
    assert both(path, order="rows")[0] == [(1, 4, 2), (1, 5, 4), (2, 9, 0), (2, 8, 3)]
    assert both(path, order="none")[0] == [(1, 4, 0), (1, 5, 0), (2, 8, 0), (2, 9, 0)]
    assert both(path, order="rows", where="x <> 'b'")[0] == [(1, 5, 3), (2, 9, 0), (2, 8, 2)]
    with pytest.raises(InputError, match="--order=rows reads no times: leave out --timestamp-column"):
        both(path, order="rows", timestamp="x")


def test_rows_of_a_folder_are_in_order_from_file_to_file(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    for name, items in (("a", [3, 2]), ("b", [1, 3])):
        pl.DataFrame({"user": 1, "item": items}).write_parquet(folder / f"{name}.parquet")
    assert both(folder, order="rows", repeats="keep")[0] == [(1, 3, 0), (1, 2, 1), (1, 1, 2), (1, 3, 3)]
    assert both(folder, order="rows", where="item < 3")[0] == [(1, 2, 0), (1, 1, 1)]


def test_columns_are_found_by_common_names_however_they_are_written(tmp_path: Path) -> None:
    content = "Customer_ID,Product-Id,Event Time,Stars\n1,2,3,4\n"
    found = read_interactions(table(tmp_path, content=content))
    assert found.interactions.rows() == [(1, 2, 3, 4.0)]
    assert str(found.notes) == (
        "columns taken: user 'Customer_ID', item 'Product-Id', timestamp 'Event Time', rating 'Stars' "
        "(--{user,item,timestamp,rating}-column name others)"
    )


def test_a_column_that_is_compared_as_numbers_is_read_as_it_stands(tmp_path: Path) -> None:
    path = table(tmp_path, content="user,item,timestamp\n1,012,1\n1,7,2\n1,5,3\n")
    assert both(path, where="item > 5")[0] == [(1, "012", 1), (1, "7", 2)]


def test_a_table_of_which_no_row_counts_is_refused_in_parts_too(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    with pytest.raises(InputError, match="no row that can be used: left out 6 rows rated below 6"):
        open_source(
            table(tmp_path, content=EVENTS.replace("3,\n", "3,1\n")), TableOptions(least_rating=6), tmp_path / "work"
        )


@pytest.mark.parametrize("text", ["[1", "5", "null", '"x"', '{"repeats": 5}', '{"where": []}', "[" * 100_000, ""])
def test_rules_in_a_file_that_are_none_are_refused_if_it_says_to_be_ours(text: str) -> None:
    with pytest.raises(InputError, match=r"^the table of shop\.csv has damaged metadata \(rules\): write it again"):
        rules_in({"dataset": "shop.csv", "rules": text})
    assert rules_in({"rules": text}) is None, "another program's word"
    assert rules_in({"dataset": "shop.csv", "rules": '{"repeats": "keep"}'}) == {"repeats": "keep"}
