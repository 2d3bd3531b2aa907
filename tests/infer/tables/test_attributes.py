"""Further columns of items: how each type is taken, what is left out and why, and what may be stated."""

from datetime import date, time, timedelta

import polars as pl
import pytest

from infer.errors import InputError
from infer.tables.attributes import MOST, attributes


def taken(values: list, name: str = "x", untyped: bool = False, stated: str | None = None) -> tuple[str | None, object]:
    """The kind of one column and its values, or None and the reason why it is left out."""
    table = pl.DataFrame({name: values}, strict=False)
    found = attributes(table, [name] if untyped else [], stated)
    if name not in found.kinds:
        return None, found.left_out[name]
    return found.kinds[name], found.table[name].to_list()


def test_lists_truths_and_texts_that_repeat_are_categories() -> None:
    assert taken([["a", " b"], ["a"], []]) == ("categories", [["a", "b"], ["a"], None])
    assert taken([[1, 2], None, [1]]) == ("categories", [["1", "2"], None, ["1"]])
    assert taken([True, False, None, True]) == ("categories", [["true"], ["false"], None, ["true"]])
    assert taken(["red", "blue ", "red", "blue"]) == ("categories", [["red"], ["blue"], ["red"], ["blue"]])
    assert taken(["a|b;c", "a", "b;c|"]) == ("categories", [["a", "b;c"], ["a"], ["b;c"]]), "the bar comes first"
    assert taken(["a;b", "a", " ", "b"]) == ("categories", [["a", "b"], ["a"], None, ["b"]])
    assert taken(["Home and Kitchen", "Toys", "Home and Kitchen", "Toys"])[0] == "categories"
    assert taken(["Le Creuset", "Acme Inc", "Acme Inc"], "Brand")[0] == "categories", "by its name"
    assert taken([10, 20, 30, 10], "category_id") == ("categories", [["10"], ["20"], ["30"], ["10"]])
    assert taken([10.0, None, 20.0, 10.0], "type") == ("categories", [["10"], None, ["20"], ["10"]])
    codes = ["0101", "0102", "1201", "0101", "0102", "1201"]
    assert taken(codes, untyped=True) == ("categories", [[code] for code in codes]), "0101 is not 101"
    assert taken(["0.5", "0", "10"], untyped=True)[0] == "numbers"


def test_numbers_and_dates_are_numbers() -> None:
    assert taken([1.5, None, 2.0, float("nan")]) == ("numbers", [1.5, None, 2.0, None])
    assert taken([3, 3, 4]) == ("numbers", [3.0, 3.0, 4.0])
    assert taken(["3", " 4.5", None], untyped=True) == ("numbers", [3.0, 4.5, None])
    assert taken(["3,5", "1200,00", "4", None], untyped=True) == ("numbers", [3.5, 1200.0, 4.0, None])
    assert taken(["3,5", "4"], stated="x=numbers") == ("numbers", [3.5, 4.0])
    assert taken(["3,5", "1,200"], untyped=True)[0] == "words", "a thousand, or little more than one"
    assert taken(["3", "4", "3", "4"]) == ("categories", [["3"], ["4"], ["3"], ["4"]]), "texts of a file with types"
    assert taken([date(1970, 1, 2), date(1970, 1, 3)]) == ("numbers", [1.0, 2.0])


def test_long_texts_are_words() -> None:
    assert taken(["a fine red shoe", "a hat", "..."]) == ("words", ["a fine red shoe", "a hat", None])
    assert taken(["short", "word"], "description")[0] == "words", "by its name"
    assert taken(["one", "two words"])[1] == "all different", "a word and a half each: no text"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["x", "x"], "one value only"),
        ([7, 7], "one value only"),
        ([None, None], "empty"),
        (["a1", "a2", "a3"], "all different"),
        ([1, 2, 3], "whole numbers, all different"),
        ([1.0, 2.0, None], "whole numbers, all different"),
        (["http://a/1", "http://a/2"], "addresses"),
        ([{"a": 1}, {"a": 2}], "holds Struct({'a': Int64})"),
        ([f"w{n}" for n in range(MOST + 1)] + ["w1", "w2"], "over 10,000 different values without words"),
    ],
)
def test_what_tells_nothing_is_left_out_with_the_reason(values: list, reason: str) -> None:
    assert taken(values) == (None, reason)


def test_what_is_left_out_by_itself_may_be_stated() -> None:
    assert taken([1, 2, 3], stated="x") == ("numbers", [1.0, 2.0, 3.0])
    assert taken([1, 2, 3], stated="x=categories") == ("categories", [["1"], ["2"], ["3"]])
    assert taken(["7", "dear", "8"], stated="x=numbers") == ("numbers", [7.0, None, 8.0])
    assert taken(["a|b", "c"], stated="x=words") == ("words", ["a|b", "c"])
    assert taken(["yes", None, "yes"]) == ("categories", [["yes"], None, ["yes"]]), "one value, but not of all"
    table = pl.DataFrame({"a": [1.5, 2], "b=c": ["x", "y"], "d": [1, 1]})
    assert attributes(table, stated="b=c,a").kinds == {"b=c": "categories", "a": "numbers"}
    assert attributes(table, stated="none").table.shape == (0, 0)


def test_what_cannot_be_stated_is_refused() -> None:
    table = pl.DataFrame({"a": ["x", "y"], " b": [{"c": 1}, {"c": 2}], "n": pl.Series([None, None], dtype=pl.String)})
    for stated, message in (
        ("b", r"t has no column 'b' for --item-features; it has: a, ' b', n"),
        ("a=number", "--item-features: 'number' of column 'a' is none of categories, numbers, words"),
        ("a=numbers", "t column 'a' gives no numbers: empty"),
        ("n", "t column 'n' gives no categories: empty"),
        (" b", r"t column ' b' gives no features: holds Struct"),
    ):
        with pytest.raises(InputError, match=message):
            attributes(table, stated=stated, source="t")


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ([[1, 2], [3]], "numbers"),
        ([timedelta(1), timedelta(2)], "numbers categories words"),
        ([[timedelta(1)], []], "numbers categories words"),
        ([time(1), time(2)], "numbers"),
        ([{"a": 1}, {"a": 2}], "numbers"),
        ([b"a", b"\xff"], "numbers categories words"),
        (pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int64, 2)), "numbers categories words"),
        (pl.Series(["a", "1"], dtype=pl.Categorical), "numbers"),
    ],
)
def test_types_that_do_not_fit_what_is_stated_are_refused(values: list, kinds: str) -> None:
    for kind in kinds.split():
        with pytest.raises(InputError, match=f"the table column 'x' gives no {kind}: holds [A-Z]"):
            attributes(pl.DataFrame({"x": values}), (), f"x={kind}")


def test_a_list_of_a_type_that_has_no_texts_is_left_out() -> None:
    assert taken([[timedelta(1)], []]) == (None, "holds List(Duration(time_unit='us'))")


def test_what_was_taken_is_told() -> None:
    table = pl.DataFrame({"color": ["a", "b", "b"], "price": [1.5, 2.5, 3], "size": ["s", "m", "s"], "id": [8, 9, 10]})
    assert attributes(table).said == [
        "categories from 'color', 'size'",
        "numbers from 'price'",
        "left out: 'id' (whole numbers, all different)",
    ]
