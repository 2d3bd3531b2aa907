"""Packed text: its first lines alone give the names of columns, and no name gets round the limit."""

import gzip
import tracemalloc
import zlib
from pathlib import Path

import pytest
import zstandard

from infer.errors import InputError
from infer.formats import packed
from infer.tables.interactions import names_in, read_interactions
from infer.tables.options import TableOptions
from infer.tables.source import open_source

HEADER = b"user,item,timestamp\n"
BOMB = HEADER + b"1,1,1\n" * 1_000_000


def opened(path: Path) -> object:
    folder = path.parent / f"{path.name}.work"
    folder.mkdir()
    return open_source(path, TableOptions(), folder)


@pytest.mark.parametrize("name", ["t.csv.gz", "t.csv.GZ", "t.csv", "t.csv.gz.csv"])
def test_a_bomb_is_refused_whatever_its_name(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(packed, "CHUNK", 2**12)
    path = tmp_path / name
    path.write_bytes(gzip.compress(BOMB))
    for read in (read_interactions, opened):
        with pytest.raises(InputError, match="holds more than 200 times its size: unpack it first"):
            read(path)


@pytest.mark.parametrize("name", ["t.csv.gz", "t.csv.gz.csv", "t.tsv"])
def test_packed_text_is_read_by_what_it_is(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    content = HEADER + b"1,2,3\n"
    path.write_bytes(gzip.compress(content.replace(b",", b"\t") if name == "t.tsv" else content))
    assert names_in(path) == ["user", "item", "timestamp"]
    assert read_interactions(path).interactions.rows() == [(1, 2, 3)]
    source = opened(path)
    assert source.read(source.parts[0]).rows() == [(1, 2, 3)]
    assert sorted(file.name for file in (tmp_path / f"{name}.work").iterdir()) == ["source.json", "text.parquet"]


@pytest.mark.parametrize(
    ("content", "packing"),
    [
        (gzip.compress(gzip.compress(HEADER)), "gzip"),
        (zlib.compress(HEADER, 1), "zlib"),
        (zlib.compress(HEADER, 6), "zlib"),
        (zlib.compress(HEADER, 9), "zlib"),
        (gzip.compress(zlib.compress(HEADER)), "zlib"),
        (gzip.compress(zstandard.compress(HEADER)), "zstd"),
    ],
)
def test_what_polars_would_unpack_itself_is_refused(content: bytes, packing: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    for read in (names_in, read_interactions, opened):
        with pytest.raises(InputError, match=rf"t\.csv holds data packed with {packing}; expected text"):
            read(tmp_path / "t.csv")


def test_names_take_the_first_lines_alone(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(packed, "CHUNK", 2**12)
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(BOMB))
    tracemalloc.start()
    assert names_in(path) == ["user", "item", "timestamp"]
    assert tracemalloc.get_traced_memory()[1] < len(BOMB) / 10
    tracemalloc.stop()
    assert packed.beginning(path, "gzip") == (BOMB[: 2**12], False)
    (tmp_path / "t.dat").write_bytes(b"user::item::timestamp\n" + b"1::2::3\n" * 9_999 + b"1::2\n")
    assert names_in(tmp_path / "t.dat") == ["user", "item", "timestamp"]
