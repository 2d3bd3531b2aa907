"""Columns that say the group of a user or the labels of an item: how they are read, and types that are none."""

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.tables.groups import find_groups
from infer.tables.items import find_items
from infer.tables.labels import labels_of

UNFIT = [
    pl.Series([timedelta(1), timedelta(2)]),
    pl.Series([[[1]], [[2]]]),
    pl.Series([[timedelta(1)], []]),
    pl.Series([b"a", b"\xff"]),
    pl.Series([{"a": 1}, {"a": 2}]),
]


@pytest.mark.parametrize("values", UNFIT, ids=lambda values: str(values.dtype))
def test_columns_without_texts_are_refused_by_their_type(values: pl.Series, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pl.DataFrame({"item": [1, 2], "user": [1, 2], "title": values, "x": values}).write_parquet(path)
    for read in (lambda: labels_of(path, "x"), lambda: find_groups(path, "x"), lambda: find_items(path)):
        with pytest.raises(InputError, match=r"t\.parquet column \w+ holds (Duration|List|Binary|Struct).*; expected"):
            read()


def test_labels_of_lists_and_texts(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    columns = {"tags": [["b", "a "], []], "text": ["a|b", None], "semicolons": ["b; a", ""]}
    pl.DataFrame({"item": [2, 1], **columns}).write_parquet(path)
    for column in columns:
        assert labels_of(path, column).rows() == [(2, "a"), (2, "b")]
    pl.DataFrame({"item": [1, 2], "text": ["a|b", "c;d"]}).write_parquet(path)
    assert labels_of(path, "text").rows() == [(1, "a"), (1, "b"), (2, "c;d")], "the bar comes first"


@pytest.mark.parametrize("names", ["item,x,x", "item,x,item"])
def test_labels_of_a_name_that_stands_twice_are_refused(names: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"{names}\n1,a,b\n2,b,a\n")
    with pytest.raises(InputError, match=r"t\.csv names the column '\w+' twice"):
        labels_of(tmp_path / "t.csv", "x")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_users_written_with_zeros_are_whole_numbers(kind: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("user,age\n7.0,18\n8.0,25\n7,25\n")
    if kind == "parquet":
        pl.read_csv(tmp_path / "t.csv", infer_schema=False).write_parquet(tmp_path / "t.parquet")
    groups = find_groups(tmp_path / f"t.{kind}")
    for users in (pl.Series([8, 7, 9]), pl.Series(["8", "7.0", "x"])):
        assert [groups.names[n] for n in groups.of(users)] == ["25", "18", "(unknown)"]


def test_texts_beside_numbers_are_compared_without_zeros(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("user,age\n7.0,18\nx,25\n7,25\n")
    groups = find_groups(tmp_path / "t.csv")
    assert [groups.names[n] for n in groups.of(pl.Series([9, 7]))] == ["(unknown)", "25"], "one row a user"


def test_no_number_is_no_group(tmp_path: Path) -> None:
    pl.DataFrame({"user": [1, 2, 3], "age": [18.5, float("nan"), None]}).write_parquet(tmp_path / "t.parquet")
    groups = find_groups(tmp_path / "t.parquet")
    assert groups.names == ("18.5", "(unknown)") and groups.of(pl.Series([1, 2, 3])).tolist() == [0, 1, 1]


@pytest.mark.parametrize("kind", [pl.Int64, pl.String])
@pytest.mark.parametrize("asked", [pl.Int64, pl.String])
def test_users_of_either_type_are_found_in_any_order(kind, asked, tmp_path: Path, monkeypatch) -> None:
    table = pl.DataFrame({"user": [11, 9, 100, 10], "age": ["old", "young", "old", "mid"]})
    table.with_columns(pl.col("user").cast(kind)).write_parquet(tmp_path / "u.parquet")

    def users(ids: list[int]) -> pl.Series:
        return pl.Series("user", ids, dtype=pl.Int64).cast(asked)

    groups = find_groups(tmp_path / "u.parquet")
    assert groups.names == ("mid", "old", "young", "(unknown)")
    assert groups.of(users([100, 1, 9])).tolist() == [1, 3, 2]
    monkeypatch.setattr(pl.DataFrame, "with_columns", None)  # texts are made once: of millions it takes seconds
    assert groups.of(users([12, 11, 10])).tolist() == [3, 1, 0]
    assert groups.of(users([])).tolist() == []
