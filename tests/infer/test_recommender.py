"""Recommendations in Python, of a model whose scores are written down here; and as the batch command's, to the bit."""

import json
import logging
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import infer
from infer import arguments, batch
from infer.arguments import in_words_of_python
from infer.errors import UnknownItemsError
from infer.scoring import variety
from infer.system import project
from tests.helpers.checkerboard import ROOT
from tests.helpers.markov import ITEMS, NEXT, write_model
from tests.helpers.networks import write_network
from train.models.bert import MiniBERT4Rec
from train.presets import configuration

ROWS = [("u", "b", 2), ("u", "a", 1), ("v", "d", 5), ("w", "zz", 1)]
# u reads a b: row b, unseen e d c. v reads d: row d, unseen e a c b. w reads nothing that is known.
BEST_TWO = [("u", 1, "e", 5.0), ("u", 2, "d", 4.0), ("v", 1, "e", 4.0), ("v", 2, "a", 3.0)]
TABLE = pl.DataFrame(ROWS, schema=["user", "item", "timestamp"], orient="row")


@pytest.fixture
def model(tmp_path: Path) -> infer.Recommender:
    TABLE.write_parquet(tmp_path / "interactions.parquet")
    return infer.load(write_model(tmp_path / "m.onnx", ITEMS, NEXT, tmp_path / "interactions.parquet"))


def gone(model: infer.Recommender) -> infer.Recommender:
    """The same without its file."""
    model.model.path.unlink()
    return model


@pytest.fixture
def numbers(tmp_path: Path) -> infer.Recommender:
    """The same with the items 1 to 5."""
    table = tmp_path / "numbers.parquet"
    pl.DataFrame({"user": [1], "item": [1], "timestamp": [1]}).write_parquet(table)
    return infer.load(str(write_model(tmp_path / "numbers.onnx", [1, 2, 3, 4, 5], NEXT, table)))


def test_one_history_gives_ranks_items_and_scores(model: infer.Recommender) -> None:
    found = model.recommend(["a", "b"], k=2)
    assert found.rows() == [(1, "e", 5.0), (2, "d", 4.0)]
    assert found.columns == ["rank", "item", "score"]
    assert model.recommend(["a", "b"]).height == 3, "there are no more unseen ones"
    assert model.recommend(ITEMS).height == 0, "all are seen"


def test_the_same_list_without_a_frame(model: infer.Recommender, numbers: infer.Recommender) -> None:
    assert model.best(["a", "b"], k=2) == (["e", "d"], [5.0, 4.0])
    assert model.best(["a", "b"], 2, rules=model.rules(exclude_items=["e"])) == (["d", "c"], [4.0, 3.0])
    assert model.best(ITEMS) == ([], [])
    assert numbers.best(["1", "2"], k=1) == ([5], [5.0]), "numbers may be written as texts"
    for wrong, said in (
        (["zz"], "it knows none of its 1 items"),
        (TABLE, "best is of one history"),
        ("a", "found a str"),
    ):
        with pytest.raises(infer.InputError, match=said):
            model.best(wrong)


def test_a_history_reads_as_the_rows_of_a_table_do(model: infer.Recommender) -> None:
    """An item that comes again counts where it comes last; one that is unknown counts nowhere."""
    assert model.recommend(["a", "b", "a"], k=1).rows() == [(1, "c", 3.0)]
    assert model.recommend(["b", "a", "zz"], k=1).rows() == [(1, "c", 3.0)]


def test_items_of_equal_scores_stand_in_the_same_order_in_tables_and_histories(tmp_path: Path) -> None:
    table = pl.DataFrame({"user": ["u"] * 4, "item": ["e", "b", "d", "c"], "timestamp": [1, 2, 3, 4]})
    table.write_parquet(tmp_path / "t.parquet")
    equal = np.zeros((6, 6))
    model = infer.load(write_model(tmp_path / "m.onnx", ITEMS, equal, tmp_path / "t.parquet"))
    for k in (1, 2, 3, 9):
        one = model.recommend(table["item"].to_list(), k=k, seen="only")
        assert one["item"].to_list() == ["b", "c", "d", "e"][:k]
        assert model.score(table, k=k, seen="only")["item"].to_list() == one["item"].to_list()


def test_texts_are_numbers_only_where_they_are_written_as_one(numbers: infer.Recommender) -> None:
    known = numbers.metadata.item_ids[0]
    expected = numbers.recommend([known], k=3).rows()
    assert numbers.recommend([f"{known}.0"], k=3).rows() == numbers.recommend([str(known)], k=3).rows() == expected
    for text in (f"00{known}", f"+{known}", f" {known}"):
        with pytest.raises(UnknownItemsError):
            numbers.recommend([text], k=3)
    table = pl.DataFrame({"user": ["u", "u"], "item": [f"{known}.0", "x"], "timestamp": [1, 2]})
    assert numbers.score(table, k=3).drop("user").rows() == [(r, str(i), s) for r, i, s in expected]


def test_ids_may_come_in_any_row(numbers: infer.Recommender) -> None:
    pandas = pytest.importorskip("pandas")
    series = pl.Series([1, 2], dtype=pl.Int16)
    for history in ([1, 2], (1, 2), range(1, 3), np.array([1, 2], dtype=np.int32), series, pandas.Series([1, 2])):
        assert numbers.recommend(history, k=1).rows() == [(1, 5, 5.0)]


def test_numpy_before_2_has_no_bool(model: infer.Recommender, tmp_path: Path, monkeypatch) -> None:
    before = SimpleNamespace(**{name: value for name, value in vars(np).items() if name != "bool"})
    monkeypatch.setattr(arguments, "np", before)
    (tmp_path / "r.csv").write_text("user,item,timestamp\n1,a,1\n", encoding="utf-8")
    assert model.recommend(["a"], k=1).height == model.score(tmp_path / "r.csv", k=1, drop_bad_rows=True).height == 1


def test_a_table_gives_the_lists_of_whole_histories(model: infer.Recommender, tmp_path: Path) -> None:
    TABLE.write_csv(tmp_path / "t.csv")
    held = TABLE.with_columns(split=pl.Series(["test", "train", "train", "train"]))
    for table in (TABLE, TABLE.lazy(), held, tmp_path / "t.csv", str(tmp_path / "t.csv")):
        assert model.recommend(table, k=2).rows() == BEST_TWO
    # Scored as the batch does, u's b is held out: row a, unseen b c.
    assert model.score(held, k=2).rows() == BEST_TWO, "nobody asked for the column"
    assert model.score(held, k=2, split_column="split").rows()[:2] == [("u", 1, "b", 4.0), ("u", 2, "c", 3.0)]
    assert model.score(held, k=2, split=None, split_column="split").rows() == BEST_TWO
    assert model.score(TABLE, k=2).rows() == BEST_TWO, "nothing is held out"
    assert model.score(k=2).rows() == BEST_TWO, "the table of the training"


def test_reasons_are_items_of_the_history(model: infer.Recommender) -> None:
    # After b: e 5, d 4, c 3; without it, after a: e 1, d 2, c 3.
    found = model.recommend(["a", "b"], k=3, reasons=2)
    assert found.rows() == [(1, "e", 5.0, ["b"]), (2, "d", 4.0, ["b"]), (3, "c", 3.0, [])]
    assert found.columns == ["rank", "item", "score", "because"]
    with pytest.raises(infer.InputError, match="reasons are of one history; found a table"):
        model.recommend(TABLE, reasons=1)
    with pytest.raises(infer.InputError, match="reasons is at least 0"):
        model.recommend(["a"], reasons=-1)


def test_chosen_users_are_one_id_or_several(model: infer.Recommender, tmp_path: Path) -> None:
    for users, expected in (
        ("v", BEST_TWO[2:]),
        (["v", "u"], BEST_TWO),
        (pl.Series(["u"]), BEST_TWO[:2]),
        ({"u"}, BEST_TWO[:2]),
    ):
        assert model.recommend(TABLE, k=2, users=users).rows() == expected
    with pytest.raises(infer.InputError, match=r"^users: the data frame has no user 'x'$"):
        model.score(TABLE, users=["u", "x"])
    assert model.recommend(TABLE, users=["w"]).height == 0, "nothing of w is known"


def test_columns_have_the_names_that_are_stated(model: infer.Recommender, tmp_path: Path) -> None:
    names = {"user": "who", "item": "what", "timestamp": "when"}
    table = TABLE.rename(names)
    table.write_csv(tmp_path / "t.csv")
    for given in (table, tmp_path / "t.csv"):
        assert model.recommend(given, k=2, **names).rows() == BEST_TWO
        with pytest.raises(infer.InputError, match=r"no user column; .*; name it with user=$"):
            model.recommend(given)
        with pytest.raises(infer.InputError, match=r"has no column 'whom'; its columns: who, what, when$"):
            model.recommend(given, **names | {"user": "whom"})
    with pytest.raises(infer.InputError, match="there is no option users_column here"):
        model.score(TABLE, users_column="who")


def test_rows_without_timestamps_are_refused_unless_they_are_said_to_be_in_order(
    model: infer.Recommender, tmp_path: Path
) -> None:
    rows = TABLE.sort("timestamp").drop("timestamp")
    with pytest.raises(infer.InputError, match=r"no timestamp column; .* \(or order=rows if it is oldest first"):
        model.recommend(rows)
    rows.write_csv(tmp_path / "t.csv")
    for table in (rows, tmp_path / "t.csv"):
        assert model.recommend(table, k=2, order="rows").rows() == BEST_TWO
    # As they stand, u reads b a: row a, unseen c d. The column is not read.
    assert model.recommend(TABLE, k=1, order="rows", users="u").rows() == [("u", 1, "c", 3.0)]
    with pytest.raises(infer.InputError, match=r"^order=rows reads no times: leave out timestamp="):
        model.recommend(rows, order="rows", timestamp="t")
    with pytest.raises(infer.InputError, match=r"^order is one of time, rows, none; found 'up'"):
        model.recommend(rows, order="up")


def test_rows_that_cannot_be_used_are_refused_or_dropped_and_logged(
    model: infer.Recommender, caplog, monkeypatch
) -> None:
    rows = pl.concat([TABLE, TABLE.head(1).with_columns(item=pl.lit(None, pl.String))])
    with pytest.raises(infer.InputError, match=r"row 5 has no item .*drop_bad_rows=True leaves them out"):
        model.recommend(rows)
    with caplog.at_level(logging.INFO, logger="infer"):
        monkeypatch.setattr(logging.getLogger("infer"), "propagate", True)
        assert model.recommend(rows, k=2, drop_bad_rows=True).rows() == BEST_TWO
    assert "the data frame: dropped 1 rows with no item" in caplog.text


def test_a_frame_of_pandas_is_a_table(numbers: infer.Recommender) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"user": [7, 7, 8], "item": [1, 2, 4], "timestamp": [1, 2, 1]}, index=[5, 5, 5])
    expected = [(7, 1, 5, 5.0), (8, 1, 5, 4.0)]
    assert numbers.recommend(table, k=1).rows() == expected
    texts = table.assign(user=["x", "x", "y"], timestamp=pandas.to_datetime([1, 2, 1], unit="s"))
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        with pytest.raises(infer.InputError, match=r"^a pandas\..*DataFrame .* takes pyarrow .*: pip install pyarrow$"):
            numbers.recommend(texts)
    else:
        assert numbers.recommend(texts, k=1).rows() == [("x", 1, 5, 5.0), ("y", 1, 5, 4.0)]


def test_an_arrow_table_is_a_table(model: infer.Recommender) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    columns = {name: [row[n] for row in ROWS] for n, name in enumerate(TABLE.columns)}
    assert model.recommend(pyarrow.table(columns), k=2).rows() == BEST_TWO


def test_a_table_of_items_may_be_a_data_frame(model: infer.Recommender, tmp_path: Path) -> None:
    items = pl.DataFrame({"item": ITEMS, "brand": ["x", "x", "y", "x", "x"], "price": [1, 2, 3, 4, 5]})
    items.write_parquet(tmp_path / "products.parquet")
    cold = {"user": ["w", "w"], "item": ["c", "zz"], "timestamp": [1, 2]}
    table = pl.concat([TABLE.filter(pl.col("user") != "w"), pl.DataFrame(cold)])
    cheap, limit = "price < 5", "brand=1"
    found = [
        (
            model.recommend(["a", "b"], items_where=cheap, items=given),
            model.recommend(["a", "b"], rules=model.rules(items_where=cheap, items=given)),
            model.recommend(["a", "b"], most_per=limit, items=given),
            model.similar("a", items_where=cheap, items=given),
            model.score(table, most_per=limit, items_where=cheap, items=given, fallback="category-popular"),
        )
        for given in (items, items.lazy(), str(tmp_path / "products.parquet"))
    ]
    assert found[0][0]["item"].to_list() == found[0][1]["item"].to_list() == ["d", "c"]
    assert found[0][2]["item"].to_list() == ["e", "c"]
    assert all(one.equals(other) for lists in found[:2] for one, other in zip(lists, found[2], strict=True))
    for wrong, said in (
        (5, "items: expected a data frame, or the path of a table; found a builtins.int"),
        (pl.DataFrame({"x": [1]}), "items has no item column; its columns: x"),
        (pl.DataFrame({"item": ["a"], "x": pl.Series([object()], dtype=pl.Object)}), "items: cannot be read: .*Object"),
    ):
        with pytest.raises(infer.InputError, match=said):
            model.recommend(["a"], most_per=limit, items=wrong)


def test_a_column_of_arrow_is_a_row_of_ids(model: infer.Recommender) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    pieces = pyarrow.chunked_array([["a"], ["b"]])
    whole = pyarrow.array(["a", "b"])
    for history in (pieces, whole, whole.dictionary_encode(), pyarrow.table({"item": whole})["item"]):
        assert model.recommend(history, k=1).rows() == [(1, "e", 5.0)]
        assert model.best(history, k=1) == (["e"], [5.0])
    assert model.recommend(["a"], only_items=pieces)["item"].to_list() == ["b"]
    assert set(model.recommend(["a"], exclude_items=pieces)["item"]) == {"c", "d", "e"}
    assert model.recommend(TABLE, k=2, users=pyarrow.array(["v"])).rows() == BEST_TWO[2:]
    for wrong, said in (
        (pyarrow.array(["a", None]), "holds None"),
        (pyarrow.array([["a"]]), "holds .'a'.; expected ids"),
    ):
        with pytest.raises(infer.InputError, match=said):
            model.recommend(wrong)
    with pytest.raises(infer.InputError, match="found a StringArray"):
        model.score(whole)


def test_whatever_gives_its_columns_as_arrow_does_is_a_table(model: infer.Recommender) -> None:
    class Foreign:
        def __arrow_c_stream__(self, requested: object = None) -> object:
            return TABLE.__arrow_c_stream__(requested)

    assert model.recommend(Foreign(), k=2).rows() == BEST_TWO


WRONG: dict[str, tuple[Callable, str]] = {
    "no table": (lambda m, f: m.recommend(5), "expected a data frame, or the path of a table; found a builtins.int"),
    "a dictionary": (lambda m, f: m.recommend({"user": [1]}), "expected a data frame.*found a builtins.dict"),
    "a history to score": (lambda m, f: m.score(["a"]), "expected a data frame, or the path of a table; found a list"),
    "no such file": (lambda m, f: m.score(f / "no.csv"), r"no\.csv does not exist"),
    "an unknown type of file": (lambda m, f: m.score(f / "m.onnx"), r"m\.onnx "),
    "no rows": (lambda m, f: m.recommend(TABLE.clear()), "the data frame has no rows"),
    "a missing column": (lambda m, f: m.recommend(TABLE.drop("item")), "the data frame has no item column"),
    "items of another type": (
        lambda m, f: m.recommend(TABLE.with_columns(item=pl.lit(3))),
        r"the data frame has whole numbers as item ids, as '3'; m\.onnx knows texts, as 'a', and none",
    ),
    "fractions as ids": (
        lambda m, f: m.recommend(TABLE.with_columns(user=pl.lit(0.5))),
        "the data frame column user holds Float64, as 0.5; expected whole numbers or texts",
    ),
    "a history of another type": (
        lambda m, f: m.recommend([1, 2]),
        r"the history has whole numbers as item ids; m\.onnx knows texts",
    ),
    "two types": (lambda m, f: m.recommend(["a", 1]), "the history holds whole numbers and texts"),
    "a fraction": (lambda m, f: m.recommend([0.5]), "the history holds 0.5; expected ids"),
    "a truth": (lambda m, f: m.recommend([True]), "the history holds True; expected ids"),
    "a gap": (lambda m, f: m.recommend(["a", None]), "the history holds None; expected ids"),
    "a number too large": (lambda m, f: m.recommend([2**63]), "holds 9223372036854775808, beyond 64-bit"),
    "half a character": (lambda m, f: m.recommend(["a", "\ud800"]), r"the history: '.ud800' is not valid Unicode"),
    "no text as a user": (lambda m, f: m.score(TABLE, users="\ud800"), r"the list of users: '.ud800' is not valid"),
    "no text as an item": (lambda m, f: m.similar("\ud800"), r"item: '.ud800' is not valid Unicode"),
    "no text as a condition": (
        lambda m, f: m.score(TABLE, where="user = '\udcff'"),
        r"'.udcff'\" is not valid Unicode",
    ),
    "an array without a dimension": (
        lambda m, f: m.recommend(np.array("a")),
        "expected a data frame, or the path of a table; found a numpy",
    ),
    "an empty history": (lambda m, f: m.recommend([]), "knows none of its 0 items"),
    "an unknown history": (lambda m, f: m.recommend(["x", "y"]), r"m\.onnx cannot recommend .* none of its 2 items"),
    "names beside a history": (lambda m, f: m.recommend(["a"], item="movie"), "item is an option of tables"),
    "nobody": (lambda m, f: m.score(TABLE, users=[]), "^users is a list without ids; expected at least one$"),
    "a model that is nowhere": (
        lambda m, f: infer.load(f / "no.onnx"),
        r"^/\S+/no\.onnx does not exist: give a file written by `python -m export`, or run `just train-all` first$",
    ),
    "users beside a history": (lambda m, f: m.recommend(["a"], users=1), "users is an option of tables"),
    "pairs beside a history": (lambda m, f: m.recommend(["a"], only_pairs=TABLE), "only_pairs is an option of tables"),
    "rules of pairs beside a history": (
        lambda m, f: m.recommend(["a"], rules=m.rules(exclude_pairs=TABLE)),
        "exclude_pairs is a rule of tables; found it beside a list of item ids",
    ),
    "rules twice": (lambda m, f: m.recommend(["a"], rules=m.rules(), seen="keep"), "seen is given beside rules"),
    "rules that are none": (
        lambda m, f: m.score(TABLE, rules=["a"]),
        r"rules are what model\.rules\(.*found a list",
    ),
    "a rule that is none": (lambda m, f: m.rules(only=["a"]), "only is no rule; rules are only_items, "),
    "unknown items": (
        lambda m, f: m.recommend(["a"], only_items=["x"]),
        "only_items names no item of .*: it has 'x'",
    ),
    "no items": (lambda m, f: m.recommend(["a"], only_items=[]), "only_items: what was given holds no rows"),
    "nothing left": (lambda m, f: m.recommend(["a"], exclude_items=ITEMS), "the rules leave none of the 5 items"),
    "another word": (lambda m, f: m.recommend(["a"], seen="hide"), "seen is one of drop, keep, only; found 'hide'"),
    "no text": (lambda m, f: m.recommend(["a"], items_where=5), "items_where is a text; found 5"),
    "a weight of nothing": (lambda m, f: m.recommend(["a"], boost={"a": 0}), "boost: a weight is above 0; found 0"),
    "no table of items": (lambda m, f: m.recommend(["a"], items_where="x = 1"), "name one with items"),
    "k of nothing": (lambda m, f: m.recommend(["a"], k=0), "k is at least 1; found 0"),
    "k beyond numbers": (lambda m, f: m.recommend(["a"], k=10**30), "k is a number of 64 bits; found 10000"),
    "a limit that is no text": (
        lambda m, f: m.recommend(["a"], most_per={"genres": 1}),
        "most_per is COLUMN=NUMBER, as genres=2; found '.'genres': 1",
    ),
    "diversity that is no number": (lambda m, f: m.recommend(["a"], diversity="much"), "diversity is from 0 to 1"),
    "an option of the commands": (
        lambda m, f: m.score(TABLE, user_column="user"),
        "there is no option user_column here; how a table is read is said by user, item, ",
    ),
    **{
        f"{name} of another type": (lambda m, f, given=given: m.score(TABLE, **given), message)
        for name, given, message in (
            ("nulls", {"nulls": [1]}, r"nulls is a list of texts without commas; found \[1\]"),
            ("header", {"header": 5}, "header is a text or a list of texts; found 5"),
            ("rating", {"least_rating": "3"}, "least_rating is a number; found '3'"),
            ("no rating", {"least_rating": float("nan")}, "least_rating is a number; found nan"),
            ("weights", {"event": "e", "event_weights": ["view"]}, "event_weights is a text or a dictionary; found"),
            ("format", {"timestamp_format": 5}, "timestamp_format is a text; found 5"),
            ("where", {"where": []}, r"where is a text; found \[\]"),
            ("separator", {"separator": 5}, "separator is a text; found 5"),
            ("encoding", {"encoding": 5}, "encoding is a text; found 5"),
            ("user", {"user": 0}, "user is a text; found 0"),
            ("order", {"order": ["time"]}, r"order is one of time, rows, none; found \['time'\]"),
            ("bad rows", {"drop_bad_rows": "no"}, "drop_bad_rows is True or False; found 'no'"),
            ("condition", {"where": "null"}, "where 'null' cannot be used on the data frame: it gives Null"),
        )
    },
    "an option of score": (lambda m, f: m.evaluate(TABLE, fallback="popular"), "there is no option fallback here"),
    "k of a table": (lambda m, f: m.score(TABLE, k=-1), "k is at least 1; found -1"),
    "k that is a fraction": (lambda m, f: m.evaluate(TABLE, k=2.5), "k is a whole number; found 2.5"),
    "k that is a truth": (lambda m, f: m.recommend(["a"], k=True), "k is a whole number; found True"),
    "no batch": (lambda m, f: m.score(TABLE, batch_size=0), "batch_size is at least 1; found 0"),
    "another split": (lambda m, f: m.score(TABLE, split="train"), "split is test, validation or None; found 'train'"),
    "nothing held out": (lambda m, f: m.evaluate(TABLE), "the data frame carries no held-out items"),
    "nobody held out": (
        lambda m, f: m.score(TABLE.with_columns(split=pl.lit("train")), split_column="split"),
        "the data frame has no test items to measure; use split=None",
    ),
    "no split to evaluate": (lambda m, f: m.evaluate(TABLE, split=None), "split is test or validation; found None"),
    "another device": (lambda m, f: infer.load(f / "m.onnx", device="gpu"), "device is one of cpu, cuda; found 'gpu'"),
    "a device that is no text": (lambda m, f: infer.load(f / "m.onnx", device=["cpu"]), "device is one of cpu, cuda"),
    "threads": (lambda m, f: infer.load(f / "m.onnx", threads=-1), "threads is at least 0; found -1"),
    "too many threads": (
        lambda m, f: infer.load(f / "m.onnx", threads=2**40),
        "^threads is at most 4096; found 1099511627776",
    ),
    "no path": (lambda m, f: infer.load(None), "expected the path of a model file; found a NoneType"),
    "no history": (lambda m, f: m.recommend(None), r"history is None: give item ids or a table; score\(\)"),
    "one item": (lambda m, f: m.recommend("a"), r"'a' is an item: give a history as a list, \['a'\]"),
    "pickled": (lambda m, f: pickle.dumps(m), "a model cannot be pickled: load its file in each process"),
    "gone": (lambda m, f: gone(m).recommend(["a"], reasons=1), "which is open, can be read no more: No such file"),
    "no model": (lambda m, f: infer.load(f / "no.onnx"), r"no\.onnx does not exist"),
    "no model's file": (lambda m, f: infer.load(f / "interactions.parquet"), "is not a readable ONNX model"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_used_is_one_line(what: str, model: infer.Recommender, tmp_path: Path) -> None:
    call, message = WRONG[what]
    with pytest.raises(infer.InputError, match=message) as refused:
        call(model, tmp_path)
    assert "\n" not in str(refused.value) and "--" not in str(refused.value)


@pytest.mark.parametrize("nothing", [{"exclude_items": []}, {"exclude_items": set()}, {"boost": {}}])
def test_nothing_to_exclude_or_boost_changes_nothing(nothing: dict, model: infer.Recommender) -> None:
    assert model.recommend(["a", "b"], k=2, **nothing).rows() == model.recommend(["a", "b"], k=2).rows()
    assert model.score(TABLE, k=2, **nothing).rows() == BEST_TWO
    assert repr(model.rules(**nothing)).endswith("5 of 5 items>")
    with pytest.raises(infer.InputError, match=r"exclude_items: what was given holds no rows"):
        model.recommend(["a"], exclude_items=pl.DataFrame({"item": []}))
    for empty in (
        lambda: model.recommend(["a"], exclude_items=""),
        lambda: model.recommend(["a"], items="", items_where="item > 'a'"),
        lambda: model.score(""),
        lambda: infer.Recommender(""),
    ):
        with pytest.raises(infer.InputError, match="found an empty text"):
            empty()


def test_names_and_nulls_may_be_lists(model: infer.Recommender, tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text(TABLE.select("user", "item", "timestamp").write_csv(include_header=False) + "NA,a,1\n")
    options = {"header": ["user", "item", "timestamp"], "nulls": ["NA", "NULL"], "drop_bad_rows": True}
    expected = model.score(TABLE, k=2, split=None)
    assert model.score(path, k=2, split=None, **options).equals(expected)
    texts = {"header": "user,item,timestamp", "nulls": "NA,NULL", "drop_bad_rows": np.True_}
    assert model.score(path, k=2, split=None, **texts).equals(expected)


@pytest.mark.parametrize("name", ["my--model.onnx", "--k.onnx", "a/--items/m.onnx", "--model-old.onnx"])
def test_a_path_that_looks_like_an_option_stays_as_it_is(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(infer.InputError) as refused:
        infer.load(name)
    assert str(refused.value).startswith(f"{name} does not exist (nor is there artifacts/{name}): ")


def test_options_that_there_are_not_in_python_keep_their_names() -> None:
    says = r"^made for others \(--fixed-k\): leave only_items out$"
    with pytest.raises(infer.InputError, match=says), in_words_of_python():
        raise infer.InputError("made for others (--fixed-k): leave --only-items out")


def test_a_file_that_may_not_be_read_is_one_line(model: infer.Recommender, tmp_path: Path, monkeypatch) -> None:
    def denied(self: Path, mode: str = "r") -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(infer.InputError, match=r"m\.onnx: Permission denied$"):
        infer.load(tmp_path / "m.onnx")


def test_a_model_of_users_recommends_to_those_of_a_table_alone(tmp_path: Path) -> None:
    TABLE.write_parquet(tmp_path / "t.parquet")
    scores = np.array([[0] * 6, [0, 1, 2, 3, 4, 5]])
    model = infer.load(write_model(tmp_path / "mf.onnx", ITEMS, scores, tmp_path / "t.parquet", user_ids=["v"]))
    # v has seen d.
    assert model.recommend(TABLE, k=2).rows() == [("v", 1, "e", 5.0), ("v", 2, "c", 3.0)]
    with pytest.raises(infer.InputError, match=r"mf\.onnx reads who a user is, .*; give a table of users"):
        model.recommend(["a"])


def test_a_model_that_needs_no_times_takes_tables_without_them(tmp_path: Path) -> None:
    TABLE.write_parquet(tmp_path / "t.parquet")
    scores = np.array([[0] * 6, [0, 1, 2, 3, 4, 5]])
    model = infer.load(write_model(tmp_path / "mf.onnx", ITEMS, scores, tmp_path / "t.parquet", user_ids=["v"]))
    timeless = TABLE.drop("timestamp")
    timeless.write_parquet(tmp_path / "timeless.parquet")
    for given in (timeless, timeless.to_pandas(), tmp_path / "timeless.parquet"):
        assert model.score(given, k=2, split=None).equals(model.score(TABLE, k=2, split=None))


@pytest.mark.parametrize("kind", ["mf", "bert", "hybrid"])
def test_lists_and_metrics_are_those_of_the_batch_command(kind: str, artifacts: Path, tmp_path: Path) -> None:
    path, table = artifacts / f"{kind}.onnx", artifacts / "interactions.parquet"
    batch.main([f"--model={path}", f"--output={tmp_path / 'l.parquet'}", "--k=7", "--seed=3", "--threads=1"])
    lists = pl.read_parquet(tmp_path / "l.parquet")
    report = json.loads((tmp_path / "l.metrics.json").read_text())["metrics"]
    model = infer.load(path, threads=1)
    shuffled = pl.read_parquet(table).sample(fraction=1.0, shuffle=True, seed=0)
    for given, options in ((None, {}), (table, {}), (shuffled, {"split_column": "split"})):
        assert model.score(given, k=7, **options).equals(lists)
        found = model.evaluate(given, k=7, seed=3, **options)
        assert found.columns == ["model", "metric", "value", "low", "high"]
        assert found["model"].unique(maintain_order=True).to_list() == ["random", "popularity", kind] == list(report)
        for row in found.iter_rows(named=True):
            assert report[row["model"]][row["metric"]] == {name: row[name] for name in ("value", "low", "high")}
        assert found.height == sum(map(len, report.values()))


def test_a_text_file_of_several_parts_is_scored_as_the_batch_command_does(
    artifacts: Path, ratings_csv: Path, tmp_path: Path, monkeypatch
) -> None:
    path = artifacts / "hybrid.onnx"
    words = [f"--model={path}", f"--interactions={ratings_csv}", f"--output={tmp_path / 'l.parquet'}", "--threads=1"]
    batch.main([*words, "--part-users=7"])
    expected = pl.read_parquet(tmp_path / "l.parquet")
    before = set(tmp_path.parent.iterdir())
    for module in ("infer.sources.source.open_source", "infer.sources.source.from_frame"):
        function = getattr(sys.modules["infer.sources.source"], module.rsplit(".", 1)[-1])
        monkeypatch.setattr(function, "__defaults__", (7, *function.__defaults__[1:]))
    model = infer.load(path, threads=1)
    assert model.score(ratings_csv).equals(expected)
    assert model.score(pl.read_csv(ratings_csv)).equals(expected)
    assert set(tmp_path.parent.iterdir()) == before and set(ratings_csv.parent.iterdir()) >= {ratings_csv}


def test_one_person_gets_the_list_of_the_same_row_of_a_table(artifacts: Path) -> None:
    model = infer.load(artifacts / "hybrid.onnx", threads=1)
    rows = pl.read_parquet(artifacts / "interactions.parquet").filter(pl.col("user") == 101)
    table = model.recommend(rows.drop("rating", strict=False), k=5).drop("user")
    assert model.recommend(rows["item"], k=5).equals(table) and table.height == 5


def test_threads_share_a_model_and_no_bar_is_shown(model: infer.Recommender, monkeypatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    written = []
    monkeypatch.setattr(sys.stderr, "write", written.append)
    found = []
    threads = [threading.Thread(target=lambda: found.append(model.recommend(TABLE, k=2).rows())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [BEST_TWO] * 4 and written == []


def test_rules_in_words_of_python(model: infer.Recommender, tmp_path: Path) -> None:
    """After a b the scores of a b c d e are 1 2 3 4 5."""

    def items(**rules) -> list[str]:
        return model.recommend(["a", "b"], **rules)["item"].to_list()

    assert items(only_items=["c", "d"]) == items(only_items={"c", "d"}) == ["d", "c"]
    assert items(only_items=pl.Series(["c"])) == items(only_items=np.array(["c"])) == ["c"]
    (tmp_path / "stock.txt").write_text("c\nzz\n")
    assert items(only_items=str(tmp_path / "stock.txt")) == items(only_items=tmp_path / "stock.txt") == ["c"]
    assert items(exclude_items=pl.DataFrame({"item": ["e"]})) == ["d", "c"]
    assert model.recommend(["a", "b"], 2, boost={"c": 2}).rows() == [(1, "c", 6.0), (2, "e", 5.0)]
    assert items(seen="only") == ["b", "a"] and items(seen="keep", k=1) == ["e"]
    assert model.recommend(["a", "b"], reasons=1, only_items=["d"]).columns == ["rank", "item", "score", "because"]
    pl.DataFrame({"item": ITEMS, "price": [1, 2, 3, 4, 5]}).write_csv(tmp_path / "p.csv")
    assert items(items_where="price < 5", items=tmp_path / "p.csv") == ["d", "c"]
    rules = model.rules(items_where="price < 5", items=str(tmp_path / "p.csv"))
    (tmp_path / "p.csv").unlink()
    assert items(rules=rules) == items(rules=rules) == ["d", "c"], "read once"
    assert repr(rules).endswith("m.onnx: 4 of 5 items>")
    assert model.similar("a", only_items=str(tmp_path / "stock.txt"))["similar_item"].to_list() == ["c"]


def test_rules_of_a_table_name_users_and_times_too(model: infer.Recommender) -> None:
    pairs = pl.DataFrame({"user": ["u", "v"], "item": ["e", "b"]})
    assert model.recommend(TABLE, 1, exclude_pairs=pairs).rows() == [("u", 1, "d", 4.0), ("v", 1, "e", 4.0)]
    rules = model.rules(only_pairs=pairs)
    expected = [("u", 1, "e", 5.0), ("v", 1, "b", 1.0)]
    assert model.score(TABLE, rules=rules).rows() == model.score(TABLE, only_pairs=pairs).rows() == expected
    # The table ends with second 5; of u's items, b at 2 and a at 1, neither was seen within a second.
    held = TABLE.with_columns(pl.col("timestamp") * 3600)
    assert model.recommend(held, 1, users="u", seen_within="3h").rows() == [("u", 1, "e", 5.0)]
    assert model.recommend(held, users="u", seen_within="3h")["item"].to_list() == ["e", "d", "c", "a"]


def test_baselines_and_metrics_follow_the_rules(model: infer.Recommender) -> None:
    held = TABLE.with_columns(split=pl.Series(["test", "train", "train", "train"]))
    for rules, hit in (({"only_items": ["b"]}, 1.0), ({"exclude_items": ["b"]}, 0.0)):
        found = model.evaluate(held, 1, split_column="split", **rules)
        assert found.filter(model="m", metric="hit@1")["value"].to_list() == [hit]


def test_a_path_opens_as_load_does_and_one_history_reads_no_table(model: infer.Recommender, tmp_path: Path) -> None:
    for table in tmp_path.glob("*.parquet"):
        table.unlink()
    opened = infer.Recommender(str(tmp_path / "m.onnx"), threads=1)
    assert opened.recommend(["a", "b"], k=2).rows() == [(1, "e", 5.0), (2, "d", 4.0)]
    assert opened.recommend(["a", "b"], only_items=["d"]).rows() == [(1, "d", 4.0)]
    with pytest.raises(infer.InputError, match=r"the rules are of .*; make them with rules"):
        opened.recommend(["a"], rules=model.rules(seen="keep"))


def test_threads_get_the_lists_of_one(artifacts: Path) -> None:
    model = infer.Recommender(artifacts / "hybrid.onnx", threads=1)
    ids = model.metadata.item_ids
    calls = [({}, [ids[n], ids[n + 1]]) for n in range(8)]
    calls += [({"rules": model.rules(only_items=ids[::2], boost={ids[2]: 2.0})}, history) for _, history in calls]
    expected = [model.recommend(history, 5, **given) for given, history in calls]
    fresh = infer.Recommender(artifacts / "hybrid.onnx", threads=1)  # nothing of it is worked out yet
    rules = fresh.rules(only_items=ids[::2], boost={ids[2]: 2.0})
    found: list[list[pl.DataFrame]] = []

    def ask() -> None:
        found.append([fresh.recommend(h, 5, **({"rules": rules} if given else {})) for given, h in calls])

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert all(one.equals(other) for lists in found for one, other in zip(lists, expected, strict=True))


def test_the_model_says_what_it_is(model: infer.Recommender) -> None:
    assert model.metadata.kind == "markov" and model.metadata.item_ids == ITEMS
    assert repr(model).startswith("<markov recommender of ") and repr(model).endswith("m.onnx>")


# What `import infer` loads: nothing heavy until it is asked for, and never PyTorch.
LIGHT = """
import sys
import infer
heavy = {"polars", "onnxruntime", "onnx", "numpy", "torch"} & set(sys.modules)
assert not heavy, heavy
assert sorted(infer.__all__) == ["InputError", "Recommender", "__version__", "load"]
assert set(infer.__all__) <= set(dir(infer)) and isinstance(infer.__version__, str)
from infer import Recommender, load
assert "torch" not in sys.modules and infer.load is load
try:
    infer.nothing
except AttributeError as error:
    assert str(error) == "module 'infer' has no attribute 'nothing'"
"""


def test_importing_is_light() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_version_is_that_of_the_installed_project_or_of_the_checkout(monkeypatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: {project.PROJECT: "1.2.3"}[name])
    assert infer.__version__ == "1.2.3"

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert f'version = "{infer.__version__}"' in (ROOT / "pyproject.toml").read_text()


def test_varied_lists_read_the_file_of_the_model_once(tmp_path: Path) -> None:
    small = configuration("bert", dim=8, heads=2, feedforward=8, max_length=5, chain=0)
    path = write_network(tmp_path / "b.onnx", MiniBERT4Rec(9, small).eval(), 9)
    opened = infer.load(path)
    first = opened.recommend([1, 2], k=3, diversity=0.5)
    path.unlink()
    assert opened.recommend([1, 2], k=3, diversity=0.5).equals(first)
    assert opened.similar(1, k=3).height == 3


def test_a_limit_for_each_category_reads_the_table_of_items_again_where_it_has_changed(
    model: infer.Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    read = variety.labels_of
    monkeypatch.setattr(variety, "labels_of", lambda *given: reads.append(given[1]) or read(*given))
    items = tmp_path / "items.parquet"
    brands = pl.DataFrame({"item": ITEMS, "brand": ["x", "x", "y", "x", "x"]})
    brands.write_parquet(items)
    for _ in range(3):  # e and d are of one brand
        assert model.recommend(["a", "b"], k=2, most_per="brand=1", items=items)["item"].to_list() == ["e", "c"]
    assert model.recommend(["a", "b"], k=2, most_per="brand=2", items=items)["item"].to_list() == ["e", "d"]
    assert reads == ["brand"]
    brands.with_columns(brand=pl.lit("x")).write_parquet(items)
    assert model.recommend(["a", "b"], k=2, most_per="brand=1", items=items)["item"].to_list() == ["e"]
    brands.rename({"brand": "maker"}).write_parquet(items)
    assert model.recommend(["a", "b"], k=2, most_per="maker=1", items=items)["item"].to_list() == ["e", "c"]
    assert reads == ["brand", "brand", "maker"]
    items.unlink()
    with pytest.raises(infer.InputError, match=r"items\.parquet does not exist"):
        model.recommend(["a", "b"], most_per="maker=1", items=items)


def test_varied_lists_of_one_history_of_a_table_and_of_the_command_are_the_same(
    artifacts: Path, tmp_path: Path
) -> None:
    model = infer.load(artifacts / "hybrid.onnx")
    table = pl.read_parquet(artifacts / "interactions.parquet").drop("split")
    varied = model.score(table, k=5, split=None, diversity=0.7)
    assert not varied.equals(model.score(table, k=5, split=None))
    words = [f"--model={artifacts / 'hybrid.onnx'}", "--production", "--k=5", "--diversity=0.7", "--accept"]
    batch.main([*words, f"--output={tmp_path / 'l.parquet'}"])
    assert pl.read_parquet(tmp_path / "l.parquet" / "*.parquet").equals(varied)
    user = varied["user"][0]
    history = table.filter(pl.col("user") == user).sort("timestamp", "item")["item"].to_list()
    alone = model.recommend(history, k=5, diversity=0.7)
    assert alone["item"].to_list() == varied.filter(pl.col("user") == user)["item"].to_list()
    measured = model.evaluate(k=5, diversity=0.7)["model"].unique()
    assert {"not re-ranked", "hybrid"} <= set(measured)
