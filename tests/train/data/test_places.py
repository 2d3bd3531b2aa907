"""Data sets by address: prepared as the same file is, and named without secrets."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.tables.columns import DATASET_KEY
from tests.helpers.checkerboard import checkerboard
from train.data.prepare import DataConfig, prepare


def test_a_query_is_prepared_as_the_same_file_is(tmp_path: Path) -> None:
    pytest.importorskip("adbc_driver_sqlite", reason="the driver of SQLite is not installed")
    pytest.importorskip("pyarrow", reason="pyarrow, which the batches of a database come in, is not installed")
    table = checkerboard().select("user", "item", "timestamp")
    table.write_csv(tmp_path / "board.csv")
    with sqlite3.connect(tmp_path / "board.db") as database:
        database.execute("create table board (user integer, item integer, timestamp integer)")
        database.executemany("insert into board values (?, ?, ?)", table.rows())
    database.close()
    expected = pl.read_parquet(prepare(DataConfig(dataset=str(tmp_path / "board.csv"), artifacts=tmp_path / "a")))
    for number, given in enumerate((f"sqlite:///{tmp_path}/board.db", str(tmp_path / "board.db"))):
        config = DataConfig(dataset=given, query="select * from board", artifacts=tmp_path / str(number))
        made = prepare(config)
        assert pl.read_parquet(made).equals(expected)
        assert pl.read_parquet_metadata(made)[DATASET_KEY] == "board.db"


def test_a_database_gives_no_items(tmp_path: Path, ratings_csv: Path, run: Callable, refused: Callable) -> None:
    words = [f"--dataset={ratings_csv}", "--items=sqlite:///board.db", f"--artifacts={tmp_path}"]
    refused(
        run("train.data", *words), "--items is a file, a folder or an address in the cloud; found sqlite:///board.db"
    )


def test_a_data_set_is_named_without_its_password(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(InputError, match=r"^postgresql://host/shop is a database: say which rows") as told:
        prepare(DataConfig(dataset="postgresql://me:hush@host/shop", artifacts=tmp_path))
    said = capsys.readouterr()
    assert "hush" not in said.out + said.err + str(told.value)
