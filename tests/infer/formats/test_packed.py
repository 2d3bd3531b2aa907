"""Packed text: its first lines alone give the names of columns, and no name gets round the limit."""

import bz2
import gzip
import io
import lzma
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
import zstandard

from infer.errors import InputError
from infer.formats import packed
from infer.formats.layout import Layout
from infer.formats.opening import first_rows, open_table, read_table
from infer.sources.source import open_source
from infer.tables.interactions import names_in, read_interactions
from infer.tables.options import TableOptions

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
        (gzip.compress(gzip.compress(HEADER, mtime=0), mtime=0), "gzip"),
        (zlib.compress(HEADER, 1), "zlib"),
        (zlib.compress(HEADER, 6), "zlib"),
        (zlib.compress(HEADER, 9), "zlib"),
        (gzip.compress(zlib.compress(HEADER), mtime=0), "zlib"),
        (gzip.compress(zstandard.compress(HEADER), mtime=0), "zstd"),
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


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


PACK = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "zip": lambda content: zipped({"../b/T.CSV": content}),
}
TEXT = HEADER + b"1,2,3\n" * 9
FRAME = b"\x50\x2a\x4d\x18\x01\0\0\0x"  # of zstd, to be skipped


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("inside", [True, False])
def test_every_packing_is_seen_whatever_the_name(packing: str, inside: bool, tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes(PACK[packing](TEXT))
    opened = open_table(path, folder=tmp_path if inside else None)
    assert opened.rows.collect().rows() == [("1", "2", "3")] * 9
    assert [file.name for file in tmp_path.iterdir() if file != path] == (["unpacked"] if inside else [])
    what = (
        "read t.csv, the one table in it" if packing == "zip" else f"is packed with {packing}, whatever its name says"
    )
    assert what in opened.said[0] and first_rows(path).names == opened.names
    assert read_table(path, Layout(compression=packing)).height == 9
    with pytest.raises(InputError):
        read_table(path, Layout(compression="none"))
    named = tmp_path / f"t.csv{ {'gzip': '.GZ', 'bz2': '.bz2', 'xz': '.xz', 'zstd': '.zst', 'zip': '.zip'}[packing] }"
    named.write_bytes(path.read_bytes())
    assert len(open_table(named).said) == (packing == "zip")


@pytest.mark.parametrize("packing", PACK)
def test_what_is_cut_damaged_or_packed_twice_is_refused(packing: str, tmp_path: Path) -> None:
    path, whole = tmp_path / "t.csv", PACK[packing](TEXT * 99)
    for content in (whole[:-20], whole[: len(whole) // 2], whole[:30] + b"\0\0\0\0" + whole[34:]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"t\.csv (cannot be read|has one column|holds no|begins with data)"):
            read_table(path, Layout(compression=packing))
    path.write_bytes(PACK[packing](whole))
    with pytest.raises(
        InputError, match=rf"t\.csv holds data packed with {packing}; expected text, or text packed once"
    ):
        read_table(path)
    path.write_bytes(HEADER)
    with pytest.raises(InputError, match=r"t\.csv cannot be read"):
        read_table(path, Layout(compression=packing))
    path.write_bytes(PACK[packing](b""))
    with pytest.raises(InputError, match=r"t\.csv is empty once it is unpacked"):
        read_table(path)


@pytest.mark.parametrize("packing", PACK)
def test_no_packing_gets_round_the_limit_nor_unpacks_much_at_once(packing: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(packed, "CHUNK", 2**14)
    path = tmp_path / "t.csv"
    path.write_bytes(PACK[packing](b"user,item\n" + b"1" * (100_000_000 if packing == "zstd" else 20_000_000)))
    tracemalloc.start()
    with pytest.raises(InputError, match="holds more than 200 times its size: unpack it first"):
        sum(map(len, packed.chunks(path, packing)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < {"xz": 12_000_000, "zstd": 70_000_000}.get(packing, 4_000_000), "the dictionary of xz takes 8 MiB"


@pytest.mark.parametrize(
    ("packing", "content"),
    [
        ("gzip", gzip.compress(HEADER, mtime=0) + gzip.compress(b"1,2,3\n", mtime=0)),
        ("bz2", bz2.compress(HEADER) + bz2.compress(b"1,2,3\n")),
        ("xz", lzma.compress(HEADER) + bytes(4) + lzma.compress(b"1,2,3\n") + bytes(4)),
        ("zstd", FRAME + zstandard.compress(HEADER) + FRAME + zstandard.compress(b"1,2,3\n")),
    ],
)
def test_streams_that_follow_each_other_are_one_text(packing: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    assert read_table(tmp_path / "t.csv").rows() == [("1", "2", "3")]
    if packing != "gzip":  # which says so itself
        (tmp_path / "t.csv").write_bytes(content + b"left over")
        with pytest.raises(InputError, match="cannot be read"):
            read_table(tmp_path / "t.csv")


def test_an_archive_has_exactly_one_table(tmp_path: Path) -> None:
    path = tmp_path / "t.zip"
    path.write_bytes(zipped({"a/": b"", "a/x.csv": TEXT, "__MACOSX/a/x.csv": b"?", "a/.x.csv": b"?", "LICENCE": b"?"}))
    opened = open_table(path)
    assert opened.rows.collect().height == 9 and opened.said == [f"{path}: read x.csv, the one table in it"]
    for members, message in (
        ({"a.csv": TEXT, "b/b.csv": TEXT}, r"holds the files a\.csv, b/b\.csv; expected exactly one table in it"),
        ({"a.csv": TEXT, "README.txt": b"?"}, r"holds the files a\.csv, README\.txt; expected exactly one"),
        ({"xl/sheet.xml": b"?", "[Content_Types].xml": b"?"}, r"holds the files xl/sheet\.xml, \[Content"),
        ({}, "holds no file; expected exactly one table in it"),
    ):
        path.write_bytes(zipped(members))
        with pytest.raises(InputError, match=message):
            read_table(path)
    path.write_bytes(zipped({"a.csv": TEXT}, zipfile.ZIP_LZMA))
    with pytest.raises(InputError, match="is packed by method 14 of zip; expected deflate: unpack it first"):
        read_table(path)
    path.write_bytes(zipped({"u.data": b"1\t2\t3\t4\n"}))
    assert open_table(path).names == ["user", "item", "rating", "timestamp"]


def test_memory_that_an_archive_asks_for_is_bounded(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**29}]
    (tmp_path / "t.csv").write_bytes(lzma.compress(TEXT, filters=filters))
    with pytest.raises(InputError, match=r"t\.csv cannot be read: Memory usage limit exceeded"):
        read_table(tmp_path / "t.csv")
    window = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=False)
    stream = zstandard.ZstdCompressor(compression_params=window).compressobj()
    (tmp_path / "t.csv").write_bytes(stream.compress(TEXT) + stream.flush())
    with pytest.raises(InputError, match=r"t\.csv cannot be read"):
        read_table(tmp_path / "t.csv")
