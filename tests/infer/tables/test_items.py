"""Tables of items of any columns: what is read, said and refused."""

from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.formats.layout import Layout
from infer.tables.items import find_items, read_items
from infer.tables.options import TableOptions


def test_further_columns_follow_the_three_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("sku,price,name,brand,site\nb,2.5,B,X,s\na,1.5,A,Y,s\nb,9,again,X,s\n")
    found = find_items(path, TableOptions(item="sku"))
    assert found.table.rows() == [("a", "A", None, 1.5, ["Y"]), ("b", "B", None, 2.5, ["X"])]
    assert found.table.columns == ["item", "title", "genres", "price", "brand"]
    assert found.said == [
        "p.csv: titles from 'name'; categories from 'brand'; numbers from 'price'; left out: 'site' (one value only); "
        "--item-features chooses among them",
        "p.csv: 1 rows repeat an item, of which the first counts",
    ]
    assert read_items(path, TableOptions(item="sku")).columns == ["item", "title", "genres"]
    assert (
        find_items(path, TableOptions(item="sku"), "price").said[0] == "p.csv: titles from 'name'; numbers from 'price'"
    )


def test_a_table_without_anything_to_tell_is_refused_with_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("item,genres,code\n1,,x1\n2,,x2\n")
    message = (
        r"p\.csv has neither titles nor genres nor other columns that can be used; its columns: item, genres, code "
        r"\(genres from 'genres'; left out: 'code' \(all different\)\)$"
    )
    with pytest.raises(InputError, match=message):
        find_items(path)
    path.write_text("item,genres,code\n1,,x1\n2,War,x2\n")
    assert find_items(path).table["genres"].to_list() == [None, "War"]
    assert find_items(path, features="code").table["code"].to_list() == [["x1"], ["x2"]]


def test_the_layout_is_that_of_the_options(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes("7;Amélie;Drama;War\n".encode("latin-1"))
    layout = Layout(separator=";", header="item,title,genres,kind", encoding="latin-1")
    found = find_items(path, TableOptions(layout=layout), features="kind")
    assert found.table.rows() == [(7, "Amélie", "Drama", ["War"])]


def test_genres_may_be_separated_by_semicolons_and_rows_without_an_item_dropped(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("item,genres,brand\n1,Drama;War,X\n,War,Y\n2,War,X\n")
    with pytest.raises(InputError, match=r"p\.csv row 2 has no item"):
        find_items(path)
    found = find_items(path, TableOptions(drop_bad_rows=True))
    assert found.table.select("item", "genres", "brand").rows() == [(1, "Drama|War", ["X"]), (2, "War", ["X"])]
    assert found.said[1] == "p.csv: dropped 1 rows with no item"
    path.write_text("item,genres\n1,Drama|War;Peace\n")
    assert read_items(path)["genres"].to_list() == ["Drama|War;Peace"]


def test_names_that_are_taken_and_types_that_are_no_texts(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    table = pl.DataFrame({"item": [1, 2], "title": ["t", "u"], "label": ["A", "B"], "genres": [{"a": 1}, {"a": 2}]})
    table.drop("genres").write_parquet(path)
    found = find_items(path, TableOptions(title="label"))
    assert found.table.rows() == [(1, "A", None), (2, "B", None)] and "'title' (the name is taken)" in found.said[0]
    table.with_columns(genres=pl.concat_list("genres")).write_parquet(path)
    with pytest.raises(InputError, match=r"p\.parquet column genres holds List\(Struct.*; expected texts"):
        find_items(path)
