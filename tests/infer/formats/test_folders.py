"""A folder is one table: all that lies in it is read, or named; and so are names in capitals."""

import gzip
import os
from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.formats.folders import files_of
from infer.system.fingerprints import fingerprint, sha256
from infer.tables.interactions import names_in, read_interactions

ONE = pl.DataFrame({"user": [1], "item": [2], "timestamp": [3]})
TWO = pl.DataFrame({"user": [2], "item": [2], "timestamp": [4]})
MARKS = ("_SUCCESS", "_metadata", "_common_metadata", "_committed_7", "_started_7", ".a.PQ.crc", "a.crc", ".x.parquet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "f[1]"
    folder.mkdir()
    ONE.write_parquet(folder / "a.PARQUET")
    TWO.write_parquet(folder / "b.Pq")
    for name in MARKS:
        (folder / name).write_bytes(b"x")
    return folder


def test_every_parquet_file_is_read_and_marks_of_writers_are_not(folder: Path) -> None:
    assert [path.name for path in files_of(folder)] == ["a.PARQUET", "b.Pq"]
    assert read_interactions(folder).interactions.rows() == [(1, 2, 3), (2, 2, 4)]


@pytest.mark.parametrize("name", ["_temporary", "_delta_log", "date=2024-01-01", "c.parquet", ".hoodie"])
def test_a_folder_within_is_refused_by_its_name(name: str, folder: Path) -> None:
    (folder / name).mkdir()
    with pytest.raises(InputError, match=f"holds the folder {name}, which would not be read; expected Parquet files"):
        read_interactions(folder)


def test_other_files_are_refused_by_their_name(folder: Path) -> None:
    (folder / "c.csv").write_text("user,item,timestamp\n")
    with pytest.raises(InputError, match=r"holds the file c\.csv, which would not be read"):
        names_in(folder)
    (folder / "c.csv").unlink()
    os.mkfifo(folder / "c.parquet")
    with pytest.raises(InputError, match=r"holds the pipe or device c\.parquet"):
        files_of(folder)


def test_what_is_not_read_does_not_change_the_checksum(folder: Path) -> None:
    def both() -> tuple:
        return sha256(folder, files_of(folder)), fingerprint(folder, files_of(folder))

    before = both()
    (folder / "_SUCCESS").write_bytes(b"other")
    assert both() == before
    ONE.write_parquet(folder / "b.Pq")
    assert both()[0] != before[0] and both()[1] != before[1]


@pytest.mark.parametrize("name", ["T.CSV", "T.Csv.GZ", "T.TSV", "T.DAT", "T.PARQUET"])
def test_capitals_in_a_suffix_do_not_matter(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.endswith("PARQUET"):
        ONE.write_parquet(path)
    else:
        between = {"T.TSV": "\t", "T.DAT": "::"}.get(name, ",")
        content = "\n".join(map(between.join, (["user", "item", "timestamp"], ["1", "2", "3"]))).encode() + b"\n"
        path.write_bytes(gzip.compress(content) if name.endswith("GZ") else content)
    assert names_in(path) == ["user", "item", "timestamp"]
    assert read_interactions(path).interactions.rows() == [(1, 2, 3)]


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.csv")
    for read in (names_in, read_interactions):
        with pytest.raises(InputError, match=r"p\.csv is a pipe or device; expected a file"):
            read(tmp_path / "p.csv")
