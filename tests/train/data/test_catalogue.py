"""A table of items beside one's own events: ids of one type, who is a candidate, and which features models get."""

from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from train.config import LinearConfig
from train.data import __main__ as data
from train.data import content, dataset
from train.data.catalogue import CATALOGUE_KEY, newcomers
from train.data.prepare import DataConfig, load
from train.models.linear import by_content

EVENTS = "user,item,timestamp\n1,10,1\n1,20,2\n1,30,3\n2,10,1\n2,20,2\n2,9,3\n"


@pytest.fixture
def written(tmp_path: Path, capsys):
    """Prepare these texts with these options: the folder and what was printed."""

    def write(items: str, *words: str, events: str = EVENTS) -> tuple[Path, str]:
        (tmp_path / "e.csv").write_text(events)
        (tmp_path / "i.csv").write_text(items)
        given = [f"--dataset={tmp_path / 'e.csv'}", f"--items={tmp_path / 'i.csv'}"]
        data.main([*given, f"--artifacts={tmp_path / 'out'}", *words])
        return tmp_path / "out", capsys.readouterr().out

    return write


def test_items_without_events_are_candidates_if_something_is_known_of_them(written) -> None:
    items = "item,brand\n10,X\n15,X\n16,\n20,Y\n30,Y\n"
    folder, printed = written(items)
    assert dataset.load(folder).item_ids == [9, 10, 15, 20, 30]
    assert "1 items that no event names are candidates, too; --catalogue=events leaves them out" in printed
    assert "i.csv: categories from 'brand'" in printed
    assert "i.csv lacks 1 of the 4 items of the events, as 9: nothing tells what they are like" in printed
    found = content.load(folder, [9, 10, 15, 20, 30]).toarray().tolist()
    assert found == [[0, 1, 1, 0, 0], [0, 0, 0, 1, 1]], "brand:X and brand:Y"
    pl.read_parquet(folder / "items.parquet").head(2).write_parquet(folder / "items.parquet")
    with pytest.raises(InputError, match=r"items\.parquet is not the table of items that the interactions were"):
        dataset.load(folder)
    (folder / "items.parquet").unlink()
    with pytest.raises(InputError, match=r"items\.parquet is not the table of items that the interactions were"):
        dataset.load(folder)
    folder, printed = written(items, "--catalogue=events")
    assert dataset.load(folder).item_ids == [9, 10, 20, 30]
    assert CATALOGUE_KEY not in pl.read_parquet_metadata(folder / "interactions.parquet")
    assert "1 items that no event names are no candidates; --catalogue=items makes them so" in printed


def test_what_only_rows_name_that_a_split_leaves_out_is_a_candidate_as_the_table_of_items_says(written) -> None:
    rows = [(1, 10, 1), (1, 20, 7), (1, 30, 8), (1, 40, 9), (1, 50, 10), (2, 10, 2), (2, 20, 9.5)]
    rows += [(3, 10, 3), (3, 20, 4)]
    events = "user,item,timestamp\n" + "".join(f"{u},{i},{t}\n" for u, i, t in rows)
    items = "item,brand\n10,X\n20,Y\n30,X\n40,Y\n50,X\n"  # every item has events: 50 one that the split leaves out
    shares = ("--split=time", "--validation-share=0.3", "--test-share=0.3")
    folder, printed = written(items, *shares, events=events)
    assert dataset.load(folder).item_ids == [10, 20, 30, 40, 50]
    assert "1 items have no other rows than these" in printed and "1 items that no event names are candid" in printed
    folder, printed = written(items, *shares, "--catalogue=events", events=events)
    assert dataset.load(folder).item_ids == [10, 20, 30, 40] and "1 items that no event names are no cand" in printed


def test_the_content_model_recommends_an_item_without_events_by_its_columns(written) -> None:
    folder, _ = written("item,brand,price\n10,X,1.5\n15,X,1.5\n20,Y,8\n30,Y,9\n", "--item-features=brand")
    similar = by_content(dataset.load(folder), LinearConfig(kind="content", rare=0)).toarray()
    # Catalogue 9 10 15 20 30, of which training holds 10 alone: 15 follows it, of the same brand, though nobody has it.
    assert [(int(row), int(column)) for row, column in zip(*similar.nonzero(), strict=True)] == [(1, 2), (3, 4), (4, 3)]


def test_ids_are_numbers_only_if_both_tables_say_so(written) -> None:
    events = EVENTS.replace("1,10,1", "1,x10,1")
    folder, _ = written("item,brand\n10,X\n20,X\n9,Y\n", events=events)
    assert pl.read_parquet(folder / "items.parquet")["item"].to_list() == ["10", "20", "9"]
    folder, printed = written("item,brand\nB1,X\n10,X\n9,Y\n")
    table = pl.read_parquet(folder / "interactions.parquet")
    assert table["item"].to_list() == ["10", "20", "30", "10", "20", "9"]
    assert "i.csv: not all item ids are whole numbers, so all are read as texts" in printed
    # The order of rows in one second is that of numbers still.
    (folder.parent / "e.csv").write_text("user,item,timestamp\n1,9,1\n1,10,1\n")
    config = DataConfig(dataset=str(folder.parent / "e.csv"), items=folder.parent / "i.csv")
    assert load(config)[1].interactions["item"].to_list() == ["9", "10"]


def test_items_written_with_a_point_are_the_numbers_of_the_events(written) -> None:
    folder, printed = written("item,brand\n10.0,X\n20.0,X\n30.0,Y\n9.0,Y\n")
    table = pl.read_parquet(folder / "items.parquet")
    assert (table["item"].to_list(), table["brand"].to_list()) == ([9, 10, 20, 30], [["Y"], ["X"], ["X"], ["Y"]])
    assert "texts" not in printed


def test_a_table_that_knows_no_item_of_the_events_is_refused(written) -> None:
    message = (
        r"i\.csv knows no item of the interactions: its ids are texts such as 'A1', 'A2', 'A3', "
        r"those of the interactions numbers such as 9, 10, 20; --items-item-column names another column"
    )
    with pytest.raises(InputError, match=message):
        written("item,brand\nA1,X\nA2,X\nA3,Y\n")


def test_the_table_of_items_has_options_of_its_own(written, tmp_path: Path) -> None:
    events = EVENTS.replace("user,item", "user,sku")
    words = ["--item-column=sku", "--items-item-column=id", "--items-separator=;", "--items-header=id,brand"]
    folder, _ = written("10;X\n20;X\n9;Y\n", *words, events=events)
    assert pl.read_parquet(folder / "items.parquet").columns == ["item", "title", "genres", "brand"]
    (tmp_path / "i.csv").write_bytes("item;name;brand\n10;Zoë;X\n;Lea;Y\n20;NA;X\n9;Kim;Y\n".encode("latin-1"))
    found = load(
        DataConfig(
            dataset=str(tmp_path / "e.csv"), items=tmp_path / "i.csv", item_column="sku", items_item_column="item",
            items_separator=";", items_encoding="latin-1", drop_bad_rows=True, item_features="none",
        )
    )[2]  # fmt: skip
    assert found.table["title"].to_list() == ["Kim", "Zoë", "NA"]
    assert found.said[1] == "i.csv: dropped 1 rows with no item"
    plain = DataConfig(dataset=str(tmp_path / "e.csv"), items=tmp_path / "i.csv", item_column="sku",
                       items_item_column="item", drop_bad_rows=True)  # fmt: skip
    said = " ".join(load(plain)[2].said)
    assert "(--items-encoding, if it is another)" in said and "(--items-separator)" in said, "its own options"
    for name in ("sku", "item", "product_id"):  # as in the table of events, or as anywhere
        folder, _ = written(f"{name},brand\n10,X\n20,X\n9,Y\n", "--item-column=sku", events=events)
        assert pl.read_parquet(folder / "items.parquet")["item"].to_list() == [9, 10, 20]
    with pytest.raises(InputError, match=r"name it with --items-item-column"):
        written("id,brand\n10,X\n20,Y\n")
    with pytest.raises(InputError, match="--items-separator is of the table of items: name one with --items"):
        load(DataConfig(dataset=str(tmp_path / "e.csv"), items_separator=";"))
    with pytest.raises(InputError, match="--items is of a data set given as a file; ml-1m has its own table of items"):
        load(DataConfig(dataset="ml-1m", items=tmp_path / "i.csv"))


def test_films_without_ratings_are_no_candidates_of_the_named_data_sets(tmp_path: Path, capsys) -> None:
    folder = tmp_path / "ml-1m"
    folder.mkdir()
    (folder / "ratings.dat").write_text("1::7::4::10\n1::8::3::11\n1::9::3::12\n")
    (folder / "movies.dat").write_text("7::A (1995)::War\n8::B (1995)::War\n9::C::War\n6::D (1990)::War\n")
    words = ["--dataset=ml-1m", f"--data-dir={tmp_path}", f"--artifacts={tmp_path / 'out'}"]
    data.main(words)
    assert dataset.load(tmp_path / "out").item_ids == [7, 8, 9]
    assert set(pl.read_parquet_metadata(tmp_path / "out" / "interactions.parquet")) - {"ARROW:schema"} == {
        "dataset", "protocol", "rules", "tidy",
    }  # fmt: skip
    data.main([*words, "--catalogue=items"])
    assert dataset.load(tmp_path / "out").item_ids == [6, 7, 8, 9]


def test_a_table_of_ones_own_in_a_folder_that_is_called_as_a_named_set_is_of_ones_own(tmp_path: Path) -> None:
    folder = tmp_path / "ml-1m"
    folder.mkdir()
    (folder / "e.csv").write_text("user,item,timestamp\na,1,1\na,2,2\na,3,3\n")
    (tmp_path / "i.csv").write_text("item,brand\n1,X\n2,X\n3,Y\n4,Y\n")
    data.main([f"--dataset={folder}", f"--items={tmp_path / 'i.csv'}", f"--artifacts={tmp_path / 'out'}"])
    assert dataset.load(tmp_path / "out").item_ids == [1, 2, 3, 4]


def test_newcomers_are_items_of_which_something_is_known() -> None:
    items = pl.DataFrame({"item": [1, 2, 3, 4], "title": ["a", None, None, "d"], "genres": [None, None, "x", None]})
    assert newcomers(pl.DataFrame({"item": [4]}), items).to_list() == [1, 3]
