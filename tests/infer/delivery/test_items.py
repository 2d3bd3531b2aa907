"""Columns of items beside recommendations: which, of what type, and items that the table lacks."""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from infer.delivery.delivering import Delivered, Delivery, deliver
from infer.delivery.items import ItemColumns
from infer.delivery.targets import target_of
from infer.errors import InputError
from infer.system.ownership import MARK
from tests.helpers.published import PARTS, publish

TABLE = 'sku,name,Genre,price,code,stock\n30,"Lamp, ""big""",x|y,9.50,007,4\n10,Desk,,2.00,8,\n30,Other,z,1.00,9,5\n'


def to(folder: Path, name: str, columns: str, content: str = TABLE, **options: str) -> Delivered:
    lists = folder / "l.parquet"
    if not lists.exists():
        publish(lists, *PARTS)
    (folder / "items.csv").write_text(content)
    items = ItemColumns(folder / "items.csv", columns)
    return deliver(lists, Delivery(target_of(folder / name, ""), items=items, **options))


def test_columns_stand_beside_every_recommendation(tmp_path: Path) -> None:
    done = to(tmp_path, "a.csv", "title,price")
    assert (tmp_path / "a.csv").read_text().splitlines()[:4] == [
        "user,rank,item,score,title,price", '1,1,30,2.5,"Lamp, ""big""",9.5', "1,2,10,1.0,Desk,2.0", "2,1,20,0.5,,",
    ]  # fmt: skip
    *_, last = done.told()
    assert last == f"1 items of the lists are not in {tmp_path}/items.csv, as '20': their columns of --with are empty"


def test_texts_are_numbers_where_all_are_written_as_such(tmp_path: Path) -> None:
    to(tmp_path, "a.ndjson", "code,stock,genres")
    row = json.loads((tmp_path / "a.ndjson").read_text().splitlines()[0])
    assert row == {"user": 1, "rank": 1, "item": 30, "score": 2.5, "code": "007", "stock": 4, "genres": "x|y"}


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["12345678901234567890", "12345678901234567891"], pl.String),
        (["9223372036854775807", "-3"], pl.Int64),
        (["1.10", "1.9"], pl.String),
        (["19.90", "5.00", ""], pl.Float64),
        (["5.0", "19.25"], pl.Float64),
        (["5", "19.25"], pl.Float64),
        (["0.1234567890123456", "0.5"], pl.Float64),
        (["0.12345678901234567890", "0.5"], pl.String),
        (["0.000000123456789012345", "1.5"], pl.Float64),
        (["1\u0662", "5"], pl.String),
        (["1\u0662.5", "5.5"], pl.String),
    ],
)
def test_numbers_are_texts_where_they_would_lose_something(values: list, found, tmp_path: Path) -> None:
    rows = "".join(f"{item},{value}\n" for item, value in enumerate(values))
    (tmp_path / "items.csv").write_text(f"item,x\n{rows}", encoding="utf-8")
    column = ItemColumns(tmp_path / "items.csv", "x").table["x"]
    assert column.dtype == found
    assert column.cast(pl.Float64, strict=False).n_unique() == len(values) or found == pl.String


def test_decimals_are_numbers_and_times_iso_8601_in_json(tmp_path: Path) -> None:
    publish(tmp_path / "l.parquet", *PARTS)
    items = pl.concat(PARTS)["item"].unique(maintain_order=True)
    table = pl.DataFrame({"item": items}).with_columns(
        price=pl.lit(Decimal("1.50")), at=pl.lit(datetime(2024, 1, 2, 3, 4, 5)), raw=pl.lit(b"a")
    )
    table.write_parquet(tmp_path / "i.parquet")
    for lists_as in ("rows", "lists"):
        columns = ItemColumns(tmp_path / "i.parquet", "price,at")
        deliver(tmp_path / "l.parquet", Delivery(target_of(tmp_path / "x.jsonl", ""), lists_as, columns))
        found = json.loads((tmp_path / "x.jsonl").read_text().splitlines()[0])
        prices, times = (found[name] if lists_as == "lists" else [found[name]] for name in ("price", "at"))
        assert set(prices) == {1.5} and set(times) == {"2024-01-02T03:04:05.000000"}
    with pytest.raises(InputError, match="--with raw: no target takes Binary: make it text or a number"):
        ItemColumns(tmp_path / "i.parquet", "raw")


def test_titles_are_lists_beside_lists(tmp_path: Path) -> None:
    to(tmp_path, "a.ndjson", "title", lists_as="lists")
    to(tmp_path, "a.csv", "title", lists_as="lists")
    row = json.loads((tmp_path / "a.ndjson").read_text().splitlines()[1])
    assert row == {"user": 2, "items": [20, 10], "scores": [0.5, 0.5], "title": [None, "Desk"]}
    assert pl.read_csv(tmp_path / "a.csv")["title"].to_list() == ['["Lamp, \\"big\\"","Desk"]', '[null,"Desk"]', '["Lamp, \\"big\\""]']  # fmt: skip # noqa: E501


@pytest.mark.parametrize("ours", [True, False])
def test_what_each_item_has_once_is_a_value_in_this_projects_table(ours: bool, tmp_path: Path) -> None:
    publish(tmp_path / "l.parquet", *PARTS)
    table = pl.DataFrame(
        {"item": [30, 10, 20], "brand": [["Acme"], [], ["Bolt, Inc."]], "tags": [["a"], ["a", "b"], None]}
    )
    table.write_parquet(tmp_path / "items.parquet", metadata=MARK if ours else None)
    items = ItemColumns(tmp_path / "items.parquet", "brand,tags")
    deliver(tmp_path / "l.parquet", Delivery(target_of(tmp_path / "a.csv", ""), items=items))
    found = pl.read_csv(tmp_path / "a.csv").unique("item").sort("item")
    assert found["brand"].to_list() == ([None, "Bolt, Inc.", "Acme"] if ours else ["[]", '["Bolt, Inc."]', '["Acme"]'])
    assert found["tags"].to_list() == ['["a","b"]', None, '["a"]']


def test_items_written_with_a_point_are_the_whole_numbers_of_the_lists(tmp_path: Path) -> None:
    to(tmp_path, "a.csv", "name", "item,name\n30.0,Lamp\n10.0,Desk\n10,Other\n20,Bed\n")
    rows = (tmp_path / "a.csv").read_text().splitlines()[1:4]
    assert rows == ["1,1,30,2.5,Lamp", "1,2,10,1.0,Desk", "2,1,20,0.5,Bed"]


def test_items_that_are_texts_in_one_of_both_are_found(tmp_path: Path) -> None:
    publish(tmp_path / "l.parquet", *(part.with_columns(pl.col("item").cast(pl.String)) for part in PARTS))
    to(tmp_path, "a.csv", "title")
    assert pl.read_csv(tmp_path / "a.csv")["title"].null_count() == 1


@pytest.mark.parametrize(
    ("columns", "content", "told"),
    [
        ("title,colour", TABLE, "has no column 'colour' for --with; it has: name, Genre, price, code, stock"),
        ("title", "product name,x\na,1\n", "has no item column; its columns: product name, x; call it 'item'"),
        ("score", "item,score\n30,1\n", "--with score: the lists have a column of that name already"),
        ("title,item", "item,title\n30,a\n", "--with item: the lists have a column of that name already"),
        ("title", "item,title\n5,a\n", "has none of the items of the lists, as '10'; its items are as '5'"),
        ("title", "item,title,title\n5,a,b\n", "names a column twice"),
    ],
)
def test_a_table_that_does_not_fit_is_told(columns: str, content: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=told):
        to(tmp_path, "a.csv", columns, content)
    assert not (tmp_path / "a.csv").exists()


def test_columns_may_not_have_the_names_of_lists(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the lists have a column items, as --lists-as=lists would make"):
        to(tmp_path, "a.csv", "items", "item,items\n30,4\n", lists_as="lists")
