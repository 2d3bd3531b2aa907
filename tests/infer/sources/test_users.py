"""Chosen users: what is an id and what is a file of ids, read by the byte, looked up as they stand."""

import gzip
import os
from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.sources.users import chosen_ids, rows_of

TABLE = pl.DataFrame({"user": ["3", " 4", "5", "Doe, John"]})


def found(wanted: str | list[str]) -> list[str]:
    return rows_of(TABLE.lazy(), wanted, Path("t.csv"))["user"].to_list()


def test_a_name_is_a_file_only_with_a_folder_or_a_suffix(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("3", "ids.txt"):
        Path(name).write_text("5\n")
    assert (chosen_ids("3"), chosen_ids("./3"), chosen_ids("ids.txt")) == (["3"], ["5"], ["5"])
    assert chosen_ids("none.txt") == ["none.txt"]


def test_ids_may_be_many_or_long() -> None:
    assert chosen_ids(",".join(map(str, range(1, 101)))) == [str(n) for n in range(1, 101)]
    assert chosen_ids("a.b/" + "x" * 5_000) == ["a.b/" + "x" * 5_000]
    assert chosen_ids("a/\0") == ["a/\0"]


def test_ids_on_the_command_line_are_quoted_as_in_csv_and_each_counts_once() -> None:
    assert chosen_ids('"Doe, John",7,7,,"say ""hi"""') == ["Doe, John", "7", 'say "hi"']
    assert found('"Doe, John",5') == ["5", "Doe, John"]


def test_lines_of_a_file_may_be_quoted_as_in_csv_and_the_file_packed(tmp_path: Path) -> None:
    text = '"Doe, John"\n5\n"say ""hi"""\n"half\n'
    (tmp_path / "ids.txt").write_text(text)
    (tmp_path / "ids.txt.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("ids.txt", "ids.txt.gz"):
        assert chosen_ids(str(tmp_path / name)) == ["Doe, John", "5", 'say "hi"', '"half']


def test_an_id_is_looked_up_as_it_stands_and_only_then_without_spaces() -> None:
    assert found(" 3, 4") == ["3", " 4"]
    assert found([" 4"]) == [" 4"]
    with pytest.raises(InputError, match=r"--users: t\.csv has no user ' 3'"):
        found([" 3"])
    # " 4" is there with its space, so that the user 4 is not meant.
    both = pl.DataFrame({"user": ["4", " 4"]})
    assert rows_of(both.lazy(), " 4", Path("t"))["user"].to_list() == [" 4"]


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_each_line_of_a_file_is_an_id(start: bytes, end: bytes, tmp_path: Path) -> None:
    (tmp_path / "i.txt").write_bytes(start + end.join([b"3", b" 4", b"", "Doe, John é".encode(), b"3", b""]))
    assert chosen_ids(str(tmp_path / "i.txt")) == ["3", " 4", "Doe, John é"]


def test_what_is_no_file_of_ids_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_bytes("3\né\n".encode("latin-1"))
    (tmp_path / "e.txt").write_bytes(b"\n \n")
    os.mkfifo(tmp_path / "p.txt")
    for name, message in (
        ("l.txt", r"--users: .*l\.txt is not UTF-8 \(byte 2\)"),
        ("e.txt", r"--users: '.*' holds no ids; expected ids separated by commas"),
        ("p.txt", r"p\.txt is a pipe or device; expected a file"),
        ("", r"--users: .* is a folder; expected ids separated by commas"),
    ):
        with pytest.raises(InputError, match=message):
            chosen_ids(f"{tmp_path}/{name}")
    for wanted, message in ((" , ", "holds no ids"), ([], "--users is a list without ids; expected at least one$")):
        with pytest.raises(InputError, match=message):
            found(wanted)


def test_a_file_of_ids_may_have_a_pattern_as_its_name(tmp_path: Path) -> None:
    (tmp_path / "i[1].txt").write_text("5\n")
    (tmp_path / "i1.txt").write_text("3\n")
    assert chosen_ids(str(tmp_path / "i[1].txt")) == ["5"]


def test_what_is_no_text_is_refused_in_a_line() -> None:
    with pytest.raises(InputError, match=r"^--users: '.udcff' is not valid Unicode$"):
        found("3,\udcff")
