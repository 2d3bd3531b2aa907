"""Text in any encoding gives the same rows; what is guessed is said, and what is no text is named by its place."""

from pathlib import Path

import pytest

from infer.errors import InputError
from infer.formats import packed
from infer.formats.encodings import encoding_of
from infer.formats.layout import Layout
from infer.formats.opening import first_rows, open_table, read_table

TEXT = "user,item,título\n1,café,日\n"
ROWS = [("1", "café", "日")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("inside", [True, False])
def test_what_the_first_bytes_say_is_believed(encoding: str, inside: bool, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(TEXT.encode(encoding))
    opened = open_table(path, folder=tmp_path if inside else None)
    assert opened.names == first_rows(path).names == ["user", "item", "título"]
    assert opened.rows.collect().rows() == first_rows(path).rows.collect().rows() == ROWS
    assert (tmp_path / "unpacked").exists() == (inside and not encoding.startswith("utf-8"))
    said = [] if encoding.startswith("utf-8") else [f"{path} is read as {encoding.upper()}, as its first bytes are"]
    assert [line.removesuffix(" (--encoding)") for line in opened.said] == said


def test_utf_16_is_seen_without_a_mark_and_a_few_zeros_are_none() -> None:
    assert encoding_of("日本,日本,日本,日本\n".encode("utf-16-le")) == "utf-16-le"
    assert encoding_of("a,b\n".encode("utf-16-be")) == "utf-16-be"
    assert encoding_of(b"a\0,b\n1234567890") == encoding_of(b"a\0\0b") == encoding_of(b"") == "utf-8"
    assert encoding_of("é".encode("utf-32")) == "utf-32"


@pytest.mark.parametrize("before", [0, 9])
def test_what_is_no_utf_8_is_windows_and_said_wherever_it_begins(before: int, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(packed, "CHUNK", 16)
    path = tmp_path / "t.csv"
    path.write_bytes(b"user,item\n" + b"1,2222222\n" * before + "1,a caf\xe9s €\n".encode("cp1252"))
    opened = open_table(path)
    assert opened.rows.collect().rows()[-1] == ("1", "a cafés €")
    (said,) = opened.said
    assert "is not UTF-8: read as windows-1252, as in '" in said and "(--encoding" in said
    assert read_table(path, Layout(encoding="cp437"))["item"][-1].startswith("a cafΘs")


def test_a_stated_encoding_is_taken_and_an_unknown_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("user,item\n1,日\n".encode("shift_jis"))
    assert read_table(path, Layout(encoding="Shift-JIS")).rows() == [("1", "日")]
    for name in ("latin-11", "base64", ""):
        with pytest.raises(InputError, match=f"--encoding: no encoding is called '{name}'; try utf-8"):
            read_table(path, Layout(encoding=name))
    with pytest.raises(InputError, match=r"t\.csv cannot be read as utf-16: .*BOM.* \(--encoding\)$"):
        read_table(path, Layout(encoding="utf-16"))


@pytest.mark.parametrize(
    ("content", "layout", "message"),
    [
        # Byte 15: ten of the header, then 1,caf.
        (b"user,item\n1,caf\x81\n", Layout(), r"line 2 \(byte 16\) holds '(caf)?\\x81', which is no windows-1252"),
        (
            b"user,item\n1,caf\xe9\n",
            Layout(encoding="utf8"),
            r"line 2 \(byte 16\) holds '(caf)?\\xe9', which is no utf-8",
        ),
        # There is UTF-8 before it, so that it is none of Windows'.
        ("user,item\n1,日\n".encode() + b"2,\xe9\n", Layout(), r"line 3 \(byte 19\) holds '\\xe9', which is no utf-8"),
        (b"\xef\xbb\xbfuser,item\n1,\xe9\n", Layout(), r"line 2 \(byte 16\) holds '\\xe9', which is no utf-8"),
        ("user,item\n1,é\n".encode()[:-2], Layout(), r"line 2 \(byte 13\) holds '\\xc3', which is no utf-8"),
        ("user,item\n1,2\n".encode("utf-16")[:-1], Layout(), r"line 2 \(byte 29\) holds '\\n', which is no utf-16"),
    ],
)
@pytest.mark.parametrize("size", [2**20, 4])
def test_a_byte_that_is_no_text_is_named_by_its_place(
    content: bytes, layout: Layout, message: str, size: int, tmp_path: Path, monkeypatch
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    monkeypatch.setattr(packed, "CHUNK", max(size, 24))
    with pytest.raises(InputError, match=rf"t\.csv cannot be read: {message}; say how it is written with --encoding"):
        read_table(path, layout)
