"""Ids in one type for a whole column, and for a model and every table that is read for it."""

import re
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.formats.layout import Layout
from infer.sources.source import open_source
from infer.tables.ids import Known, in_type, places
from infer.tables.interactions import read_interactions
from infer.tables.options import TableOptions
from infer.tables.tidy import Tidy, tidy

TEXTS, NUMBERS = pl.String(), pl.Int64()


def stored(ids: pl.Series, path: Path) -> Path:
    table = pl.DataFrame({"user": ids, "item": range(1, len(ids) + 1), "timestamp": 5})
    table.write_csv(path) if path.suffix == ".csv" else table.write_parquet(path)
    return path


def both(path: Path, known: Known = Known(), options: TableOptions = TableOptions()) -> Tidy:
    """The table read whole; in parts it has the same rows, types and notes."""
    whole = read_interactions(path, options, known=known)
    work = path.parent / f"work-{len(list(path.parent.iterdir()))}"
    work.mkdir()
    for _ in range(2):  # the second opens what the first found out
        source = open_source(path, options, work, part_users=1, known=known)
        rows = pl.concat(source.read(part) for part in source.parts)
        assert rows.rows() == whole.interactions.rows() and rows.schema["user"] == whole.interactions.schema["user"]
        assert source.types == whole.types and str(source.notes) == str(whole.notes)
    return whole


@pytest.mark.parametrize(
    ("ids", "read", "own", "said"),
    [
        (pl.Series([1, 2], dtype=pl.Int32), [1, 2], pl.Int32, ""),
        (pl.Series([1, 2], dtype=pl.UInt64), [1, 2], pl.UInt64, ""),
        (pl.Series(["1", "2"]), ["1", "2"], pl.String, ""),
        (pl.Series([1.0, 2.0]), [1, 2], pl.Int64, "user ids in Float64 are read as whole numbers"),
        (pl.Series([Decimal(1), Decimal(2)], dtype=pl.Decimal(38, 0)), [1, 2], pl.Int64,
         "user ids in Decimal(precision=38, scale=0) are read as whole numbers"),
        (pl.Series([b"1", b"x"]), ["1", "x"], pl.String, "user ids in Binary are read as texts"),
    ],
)  # fmt: skip
def test_typed_columns_keep_their_type(ids: pl.Series, read: list, own, said: str, tmp_path: Path) -> None:
    found = both(stored(ids, tmp_path / "t.parquet"))
    assert found.interactions["user"].to_list() == read
    assert found.types.own["user"] == own and str(found.notes) == said


@pytest.mark.parametrize(("dtype", "bits"), [(pl.Float64, 53), (pl.Float32, 24)])
def test_fractions_are_ids_only_where_each_whole_number_has_its_own(dtype, bits: int, tmp_path: Path) -> None:
    good = pl.Series([1, 2**bits - 1]).cast(dtype)
    assert both(stored(good, tmp_path / "t.parquet")).interactions["user"].to_list() == [1, 2**bits - 1]
    path = stored(pl.Series([1, 2**bits + 1]).cast(dtype), tmp_path / "u.parquet")  # read as 2**bits
    with pytest.raises(InputError, match=rf"holds Float.., as {2**bits}\.0; .* below 2\^{bits} in Float"):
        both(path)


@pytest.mark.parametrize(
    ("ids", "read", "said"),
    [
        (["1", "2"], [1, 2], ""),
        (["1.0", "-2.0"], [-2, 1], "user ids written as 1.0 are read as whole numbers"),
        (["1", "2.0"], [1, 2], "user ids written as 1.0 are read as whole numbers"),
        (["1.0", "02.0"], ["02.0", "1.0"], ""),
        (["1.0", "x"], ["1.0", "x"], ""),
        (["1.5", "2"], ["1.5", "2"], ""),
        (["9223372036854775808.0", "2"], ["2", "9223372036854775808.0"], ""),
    ],
)
def test_texts_without_a_type_are_numbers_if_all_are_written_so(ids, read, said, tmp_path: Path) -> None:
    found = both(stored(pl.Series(ids), tmp_path / "t.csv"))
    assert found.interactions["user"].to_list() == read and str(found.notes) == said


def test_ids_that_may_mean_no_value_are_said(tmp_path: Path) -> None:
    path = stored(pl.Series(["NA", "7", "NA", "null", "Nan"]), tmp_path / "t.csv")
    assert str(both(path).notes) == (
        "user 'NA' is an id as any other in 2 rows, user 'null' is an id as any other in 1 rows "
        "(--nulls=NA,null if it means no value)"
    )
    none = TableOptions(layout=Layout(nulls="NA,null"), drop_bad_rows=True)
    found = both(path, options=none)
    assert found.interactions["user"].to_list() == ["7", "Nan"]
    assert str(found.notes) == "dropped 3 rows with no user"


def test_fractions_are_refused_with_the_first_of_them() -> None:
    for number in (1.5, 2.0**54, float("inf")):
        table = pl.DataFrame({"user": [1.0, number], "item": [1, 2], "timestamp": [1, 2]})
        with pytest.raises(InputError, match=re.escape(f"column user holds Float64, as {number!r}; expected whole")):
            tidy(table, "t")
    with pytest.raises(InputError, match="t column user holds bytes that are no UTF-8; expected whole"):
        tidy(pl.DataFrame({"user": [b"\xff"], "item": [1], "timestamp": [1]}), "t")


def test_a_gap_among_fractions_is_a_row_without_an_id() -> None:
    table = pl.DataFrame({"user": [1.0, float("nan"), None], "item": [1, 2, 3], "timestamp": [1, 2, 3]})
    with pytest.raises(InputError, match=r"t row 2 has no user .*rows that cannot be used: 2"):
        tidy(table, "t")


def test_texts_beside_a_model_of_numbers_are_those_without_zeros_behind_them(tmp_path: Path) -> None:
    table = pl.DataFrame({"user": ["1.0", "u"], "item": ["7.0", "x"], "timestamp": [1, 2]})
    table.write_csv(tmp_path / "t.csv")
    table.write_parquet(tmp_path / "t.parquet")
    for path in (tmp_path / "t.csv", tmp_path / "t.parquet"):
        items = both(path, Known(item=NUMBERS)).interactions
        assert items.select("user", "item").rows() == [("1.0", "7"), ("u", "x")]
        users = both(path, Known(NUMBERS, NUMBERS, compares_users=True)).interactions
        assert users["user"].to_list() == ["1", "u"]
        assert both(path).interactions["item"].to_list() == ["7.0", "x"], "no model: ids of their own"


@pytest.mark.parametrize(
    ("ids", "dtype", "expected"),
    [
        (["7", "7.0", "-2.00", "007", "+7", " 7", "7.5", "x", None], NUMBERS, [7, 7, -2] + [None] * 6),
        (["7.0", "x"], TEXTS, ["7.0", "x"]),
        ([7, None], TEXTS, ["7", None]),
        ([7], NUMBERS, [7]),
    ],
)
def test_ids_in_another_type_are_the_same_ids(ids: list, dtype: pl.DataType, expected: list) -> None:
    assert in_type(pl.Series("item", ids), dtype).to_list() == expected


@pytest.mark.parametrize(
    ("ids", "known", "read", "own"),
    [
        (["7", "8"], Known(user=TEXTS), ["7", "8"], TEXTS),  # a table of digits for a model that knows texts
        (["7.0", "8"], Known(user=TEXTS), ["7.0", "8"], TEXTS),
        (["7", "8"], Known(user=NUMBERS), [7, 8], NUMBERS),
        (["7", "x"], Known(user=NUMBERS), ["7", "x"], TEXTS),
    ],
)
def test_texts_without_a_type_take_that_of_the_model(ids, known, read, own, tmp_path: Path) -> None:
    found = both(stored(pl.Series(ids), tmp_path / "t.csv"), known)
    assert found.interactions["user"].to_list() == read and found.types.own["user"] == own


def test_numbers_are_compared_as_texts_where_the_model_knows_texts(tmp_path: Path) -> None:
    path = stored(pl.Series([10, 9], dtype=pl.Int16), tmp_path / "t.parquet")
    found = both(path, Known(user=TEXTS, item=TEXTS, compares_users=True))
    assert found.interactions.rows() == [("10", "1", 5), ("9", "2", 5)]
    assert found.types.own == {"user": pl.Int16(), "item": NUMBERS}
    # Users that the model does not look up stay in the order of their own type.
    assert both(path, Known(user=TEXTS)).interactions["user"].to_list() == [9, 10]
    lists = pl.DataFrame({"user": ["9", "10"], "score": [1.0, 2.0]})
    assert found.types.to_own(lists).schema["user"] == pl.Int16
    assert found.types.back(found.types.to_own(lists)).rows() == lists.rows()


def test_items_of_one_second_have_one_order_in_any_type() -> None:
    ids = [10, 9, -1, 2**62]
    for items in (pl.Series(ids), pl.Series([str(i) for i in ids])):
        table = pl.DataFrame({"user": 1, "item": items, "timestamp": 5})
        assert tidy(table, "t").interactions["item"].cast(pl.Int64).to_list() == [-1, 9, 10, 2**62]
    mixed = pl.DataFrame({"user": 1, "item": ["b", "10", "a", "9", "007", "7"], "timestamp": 5})
    assert tidy(mixed, "t").interactions["item"].to_list() == ["007", "7", "9", "10", "a", "b"]


def test_places_are_those_among_ascending_ids() -> None:
    for ascending, ids in (([2, 5, 9], [9, 1, 5, 10, 3, 2]), (["2", "5", "9"], ["9", "1", "5", "91", "3", "2"])):
        assert places(pl.Series(ids), pl.Series(ascending)).tolist() == [2, -1, 1, -1, -1, 0]
    assert places(pl.Series([1, 2]), pl.Series([], dtype=pl.Int64)).tolist() == [-1, -1]
    assert places(pl.Series([], dtype=pl.Int64), pl.Series([1, 2])).tolist() == []
