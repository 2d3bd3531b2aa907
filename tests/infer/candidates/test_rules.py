"""Rules as shops write them: what is read, what is counted and named, and what is refused in one line."""

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from infer.candidates.candidates import Candidates, resolve
from infer.candidates.given import other_rules, shown
from infer.candidates.options import CandidateOptions
from infer.candidates.pairs import Pairs
from infer.errors import InputError
from infer.histories.vocabulary import vocabulary

KNOWN = vocabulary([10, 20, 30, 40], "item")
TEXTS = vocabulary(["10", "b", "c", "d"], "item")


def rules(ids: pl.DataFrame = KNOWN, table: Path | None = None, **given) -> Candidates:
    return resolve(CandidateOptions(**given), ids, table, "m.onnx")


def allowed(found: Candidates) -> list[int]:
    return np.flatnonzero(found.mask).tolist()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain.txt", "30\n10\n30\n"),
        ("plain.csv", "30\n10\n"),
        ("header.csv", "item\n10\n30\n30\n"),
        ("quoted.csv", '"item"\n"10"\n"30"\n'),
        ("two.csv", "item,stock\n10,5\n30,2\n"),
        ("lines.jsonl", '{"item": 30}\n{"item": 10}\n'),
        ("bom.txt", "\ufeff30\r\n10\r\n"),
        ("zeros.csv", "item\n10.0\n30\n"),
        ("zeros2.csv", "item,stock\n10.0,5\n30.0,2\n"),
    ],
)
def test_items_are_read_from_any_kind_of_file(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    found = rules(only_items=tmp_path / name)
    assert allowed(found) == [1, 3] and found.said == ("2 of 4 items may be recommended",)
    assert found.given["only_items"]["file"] == name and len(found.given["only_items"]["sha256"]) == 64


def test_ids_with_quotes_and_separators_are_read_as_csv_writes_them(tmp_path: Path) -> None:
    ids = ['q"q', "a,b", "c;d", "e"]
    known = vocabulary([*ids, "f"], "item")
    frame = pl.DataFrame({"item": ids})
    for name, header in (("headed.csv", True), ("bare.csv", False)):
        frame.write_csv(tmp_path / name, include_header=header)
        assert allowed(rules(known, only_items=tmp_path / name)) == [1, 2, 3, 4]
    pl.DataFrame({"item": ["a,b", "e"]}).write_csv(tmp_path / "first.csv", include_header=False)
    assert allowed(rules(known, only_items=tmp_path / "first.csv")) == [2, 4], "a separator in quotes separates nothing"


@pytest.mark.parametrize("text", ["item\n10\n30\n", "10\n30\n"])
def test_a_list_of_items_may_be_packed(text: str, tmp_path: Path) -> None:
    (tmp_path / "stock.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert allowed(rules(only_items=tmp_path / "stock.csv.gz")) == [1, 3]


def test_a_text_stays_what_it_is_for_a_model_of_texts() -> None:
    known = vocabulary(["7", "7.0", "x"], "item")
    assert allowed(rules(known, only_items=["7.0"])) == [2]
    assert allowed(rules(known, only_items=[7])) == [1]
    assert allowed(rules(only_items=["10.0", "020", "30.5"])) == [1], "020 and 30.5 are no whole numbers"


def test_pairs_find_users_and_items_that_are_written_with_zeros(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("user,item\n7.0,10.0\n8,20\n")
    pairs = rules(only_pairs=tmp_path / "p.csv").only
    assert pairs is not None
    assert pairs.take(pl.Series("user", [8, 7])).items.tolist() == [2, 1]
    assert pairs.unknown(pl.LazyFrame({"user": [7, 8]}), Path("t.csv")) is None
    twice = Pairs.of(pl.DataFrame({"user": ["7", "7.0", "8.0"], "item": [10, 20, 30]}), KNOWN)
    assert twice.take(pl.Series("user", [7, 8])).items.tolist() == [1], "two that were one stay as they are written"


def test_items_are_read_from_parquet_frames_and_lists(tmp_path: Path) -> None:
    frame = pl.DataFrame({"item": [30, 10, 10]})
    frame.write_parquet(tmp_path / "p.parquet")
    for given in (tmp_path / "p.parquet", frame, frame.to_pandas(), [30, 10, 10], np.array([30, 10]), ("30", "10")):
        assert allowed(rules(only_items=given)) == [1, 3]
        assert allowed(rules(exclude_items=given)) == [2, 4]
    assert allowed(rules(TEXTS, only_items=[10])) == [1], "numbers and texts are compared as texts"


def test_spaces_around_an_id_in_a_file_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "blocked.txt").write_text("10 \n  30\r\n")
    assert allowed(rules(exclude_items=tmp_path / "blocked.txt")) == [2, 4]
    padded = vocabulary(["a ", "a", "b "], "item")
    (tmp_path / "padded.txt").write_text("a \n  a\n b\n")
    found = rules(padded, only_items=tmp_path / "padded.txt")
    assert allowed(found) == [1, 2], "an id with spaces of its own is meant as it stands"
    assert found.said[0].endswith("m.onnx does not know 1 of 3 items, as ' b'")


def test_unknown_items_are_counted_and_named_and_none_known_is_refused() -> None:
    assert rules(exclude_items=[10, 77, 88]).said[0] == "--exclude-items: m.onnx does not know 2 of 3 items, as '77'"
    with pytest.raises(InputError, match=r"--only-items names no item of m\.onnx: it has '7', the model '10'"):
        rules(only_items=[7, 8])
    with pytest.raises(InputError, match=r"the rules leave none of the 4 items of m\.onnx"):
        rules(only_items=[10], exclude_items=[10])


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("only_items", "", "empty|holds no"),
        ("only_items", "item\n", "holds no rows"),
        ("only_items", "film,stock\n1,2\n", "has no item column; its columns: film, stock"),
        ("exclude_pairs", "user,item\n1,10\n2,\n", "row 2"),
        ("exclude_pairs", "item,stock\n10,2\n", "has no user column"),
        ("boost", "item,price\n10,2\n", "takes a column weight"),
        (
            "only_items",
            "10,5\n30,2\n",
            "begins with data, not with names of columns: '10,5'; put a line of names above",
        ),
        ("only_pairs", "7,10\n8,20\n", "put a line of names above it .user,item., or write one id a line"),
        ("boost", "item,weight,multiply\n10,2,3\n", "has weight and multiply, of which one can be meant"),
        ("boost", "item,weight\n10,\n", "row 1 has no weight"),
        ("boost", "item,weight\n10,0\n", "a weight is above 0; found 0"),
        ("boost", "item,weight\n10,-2\n", "a weight is above 0; found -2"),
        ("boost", "item,weight\n10,nan\n", "expected a finite number"),
        ("boost", "item,weight\n10,much\n", "expected a finite number"),
        ("boost", "item,weight\n10,1e39\n", "a weight is from 1e-06 to 1e\\+06; found 1e\\+39"),
        ("boost", "item,weight\n10,1e-50\n", "a weight is from 1e-06 to 1e\\+06; found 1e-50"),
        ("boost", "item,add\n10,-1e39\n", "what is added is from -1e\\+09 to 1e\\+09; found -1e\\+39"),
        ("boost", "item,weight\n10,2\n10,3\n", "names the item '10' twice"),
        ("boost", "item,weight\n10,2\n10.0,3\n20x,1\n", "names the item '10' twice"),
        ("boost", "item,weight\n7,2\n", "names no item of m.onnx"),
        ("boost", "item,weight,weight\n10,2,3\n", "rule.csv names the column 'weight' twice"),
        ("only_items", "item;stock;item\n10;3;30\n", "rule.csv names the column 'item' twice"),
        ("only_pairs", "user,item,user\n1,10,2\n", "rule.csv names the column 'user' twice"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(option: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "rule.csv").write_text(text)
    with pytest.raises(InputError, match=message) as error:
        rules(**{option: tmp_path / "rule.csv"})
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"stock\.csv does not exist"):
        rules(only_items=tmp_path / "stock.csv")


def test_boosts_are_in_the_order_of_items_with_what_is_added_after_the_weight() -> None:
    frame = pl.DataFrame({"item": [30, 99, 10], "weight": [2.0, 3.0, 0.5], "add": [1.0, 0.0, -1.0]})
    found = rules(boost=frame)
    assert found.boosts.items.tolist() == [1, 3] and found.boosts.values.tolist() == [[0.5, -1], [2, 1]]
    assert rules(boost={30: 4}).boosts.values.tolist() == [[4, 0]]


@pytest.fixture
def products(tmp_path: Path) -> Path:
    (tmp_path / "products.csv").write_text("item,price,kind\n10,5,toys\n20,30,toys\n40,1,tools\n99,1,toys\n")
    return tmp_path / "products.csv"


def test_items_are_chosen_by_sql_and_those_that_the_table_lacks_are_not(products: Path) -> None:
    found = rules(items=products, items_where="price < 20 and kind = 'toys'")
    assert allowed(found) == [1] and f"{products} lacks 1 of 4 items, which --items-where leaves out" in found.said
    assert found.given["items_where"]["sql"] == "price < 20 and kind = 'toys'"


def test_a_condition_holds_on_nights_when_each_item_has_one_value_and_when_one_has_several(tmp_path: Path) -> None:
    stock = tmp_path / "stock.parquet"
    for tags, wool in ([["wool"], ["silk"], []], [10]), ([["wool"], ["silk", "wool"], None], [10, 20]):
        pl.DataFrame({"item": [10, 20, 30], "tags": tags}).write_parquet(stock)
        found = rules(items=stock, items_where="array_contains(tags, 'wool')")
        assert [10 * index for index in allowed(found)] == wool
    with pytest.raises(InputError, match=r"cannot be used on .*stock\.parquet"):
        rules(items=stock, items_where="tags = 'wool'")
    pl.DataFrame({"item": [10, 20, 30], "tags": [["wool"], ["silk"], []]}).write_parquet(stock)
    assert allowed(rules(items=stock, items_where="tags = 'wool'")) == [1]
    with pytest.raises(InputError, match="has no column 'size'"):
        rules(items=stock, items_where="size = 'L'")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("price <", "cannot be read"),
        ("weight < 3", "has no column 'weight'"),
        ("price + 1", "it gives"),
        ("price > 1000", "leave none of the 4 items"),
    ],
)
def test_sql_that_cannot_be_used_is_refused(where: str, message: str, products: Path) -> None:
    with pytest.raises(InputError, match=message):
        rules(items=products, items_where=where)


@pytest.mark.parametrize("names", ["item,price,price", "item,price,item"])
def test_sql_is_not_asked_of_a_name_that_stands_twice(names: str, tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text(f"{names}\n10,5,50\n20,50,5\n")
    with pytest.raises(InputError, match=r"products\.csv names the column '\w+' twice"):
        rules(items=tmp_path / "products.csv", items_where="price < 20")


def test_sql_is_asked_of_a_table_of_these_items(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name one with --items"):
        rules(items_where="price < 1")
    (tmp_path / "other.csv").write_text("item,price\n7,5\n")
    with pytest.raises(InputError, match=r"knows no item of m\.onnx: it has '7', the model '10'"):
        rules(items=tmp_path / "other.csv", items_where="price < 9")
    (tmp_path / "none.csv").write_text("item,price\n")
    with pytest.raises(InputError, match=r"none\.csv"):
        rules(items=tmp_path / "none.csv", items_where="item > 0")
    pl.DataFrame(schema={"item": pl.Int64}).write_parquet(tmp_path / "none.parquet")
    with pytest.raises(InputError, match=r"none\.parquet has no items, of which --items-where could be asked"):
        rules(items=tmp_path / "none.parquet", items_where="item > 0")


def test_rows_without_an_item_are_none_of_the_models(tmp_path: Path) -> None:
    path = tmp_path / "products.parquet"
    pl.DataFrame({"item": [None, 10, 20], "price": [1, 5, 30]}).write_parquet(path)
    assert allowed(rules(items=path, items_where="price < 20")) == [1]
    pl.DataFrame({"item": [None, 7], "price": [1, 5]}).write_parquet(path)
    with pytest.raises(InputError, match=r"knows no item of m\.onnx: it has '7', the model '10'"):
        rules(items=path, items_where="price < 20")


def test_pairs_are_taken_in_any_order_of_users() -> None:
    table = pl.DataFrame({"user": [5, 5, 5, 2, 9], "item": [30, 10, 30, 40, 77]})
    pairs = Pairs.of(table, KNOWN)
    taken = pairs.take(pl.Series("user", [9, 5, 1, 2]))
    assert taken.items.tolist() == [1, 3, 4] and taken.lengths.tolist() == [0, 2, 0, 1]
    assert pairs.take(pl.Series("user", ["5", "x"])).lengths.tolist() == [2, 0], "numbers and texts as texts"
    assert Pairs.of(table.clear(), KNOWN).take(pl.Series("user", [1])).lengths.tolist() == [0]


def test_users_of_another_type_are_converted_once_for_all_parts(monkeypatch) -> None:
    pairs = Pairs.of(pl.DataFrame({"user": [9, 10, 11], "item": [10, 20, 30]}), KNOWN)
    assert pairs.take(pl.Series("user", ["9", "10", "x"])).items.tolist() == [1, 2]
    monkeypatch.setattr("infer.candidates.pairs.as_texts", None)
    assert pairs.take(pl.Series("user", ["11", "1", "9"])).items.tolist() == [3, 1]


def test_users_of_pairs_that_a_table_lacks_are_counted_and_named() -> None:
    pairs = Pairs.of(pl.DataFrame({"user": [5, 2, 9], "item": [10, 10, 10]}), KNOWN, "--only-pairs: p.csv")
    said = [pairs.unknown(pl.LazyFrame({"user": users}), Path("t.csv")) for users in ([2, 2, 1], ["5", "x"], [9, 5, 2])]
    words = "--only-pairs: p.csv: t.csv does not have 2 of 3 users, as "
    assert said == [words + "'5'", words + "'2'", None]
    with pytest.raises(InputError, match=r"--only-pairs: p\.csv names no user of t\.csv: it has '2'"):
        pairs.unknown(pl.LazyFrame({"user": [1, 3]}), Path("t.csv"))


def test_pairs_of_other_users_are_another_plan_and_the_order_of_rows_is_none() -> None:
    def plan(users: list, items: list) -> dict:
        return rules(only_pairs=pl.DataFrame({"user": users, "item": items})).by_user

    assert plan([1, 2], [10, 20]) == plan([2, 1, 1], [20, 10, 10])
    assert plan([1, 2], [10, 20]) != plan([1, 3], [10, 20]), "the same items of another user"


def test_what_counts_as_seen() -> None:
    assert rules(seen="keep").determining == {"seen": ["keep", None]} and rules(seen="drop").determining == {}
    assert rules(seen="only", seen_within="2h").within == 7200
    with pytest.raises(InputError, match="--seen is one of drop, keep, only; found 'all'"):
        rules(seen="all")
    with pytest.raises(InputError, match=r"--seen-within=0d is no time at all; .* or --seen=keep"):
        rules(seen_within="0d")
    with pytest.raises(InputError, match="--seen-within says what counts as seen"):
        rules(seen="keep", seen_within="2h")


def test_rules_in_words() -> None:
    found = rules(only_items=[10, 20], boost={10: 2}, seen="only", seen_within="2h", exclude_pairs=pl.DataFrame(
        {"user": [1], "item": [10]}))  # fmt: skip
    assert found.protocol == (
        "full ranking of 2 of 4 items, only seen items of the last 2h, others excluded by user, scores boosted"
    )
    assert rules().protocol == "full ranking of 4 items, seen items dropped" and shown(rules().given) == "none"
    assert shown({"only_items": {"file": "a.csv"}, "seen": "keep"}) == "only_items a.csv, seen keep"
    plans = [{"options": {"rules": r.determining, "pairs": r.by_user, "fallback": None}} for r in (rules(), found)]
    assert other_rules(plans[0], plans[0]) == []
    assert other_rules(*plans) == ["which items may be recommended", "--boost", "--seen", "--exclude-pairs"]
