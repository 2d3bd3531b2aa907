"""Quotes and separators in columns that nobody reads neither hide rows nor move values into other columns."""

import csv
import io
import random
import re
from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.formats import quoting
from infer.formats.layout import Layout
from infer.formats.opening import open_table, read_table
from infer.formats.sniffing import Written

WRITTEN = Written(",", ["a", "b", "c"], header=True, quotes=True, skipped=0)


def items(path: Path, text: str, **layout: str) -> list[str]:
    """The items of a table, the column of reviews being left alone."""
    path.write_text(text)
    return open_table(path, Layout(**layout)).rows.select("item").collect()["item"].to_list()


def refused(path: Path, text: str, **layout: str) -> str:
    with pytest.raises(InputError) as error:
        items(path, text, **layout)
    assert str(error.value).startswith(f"{path} cannot be read: ")
    return str(error.value).removeprefix(f"{path} cannot be read: ")


def reviews(separator: str, *texts: str) -> str:
    """Rows with these reviews between their item, from i1, and their timestamp."""
    rows = [("user", "item", "review", "timestamp"), *((f"u{n}", f"i{n}", t, str(n)) for n, t in enumerate(texts, 1))]
    return "".join(separator.join(row) + "\n" for row in rows)


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("last", ["u3", "u3SEPi3SEP5", 'u3SEP"i3"'])
def test_a_row_that_is_cut_off_at_the_end_is_refused(separator: str, last: str, tmp_path: Path) -> None:
    whole, last = reviews(separator, "good", "bad"), last.replace("SEP", separator)
    assert refused(tmp_path / "t.csv", whole + last).startswith("it ends in the middle of a row, 'u3")
    for end in ("\n", "\r\n"):
        assert items(tmp_path / "t.csv", whole + last + end) == ["i1", "i2", None if last == "u3" else "i3"]
    assert items(tmp_path / "t.csv", whole.rstrip("\n")) == ["i1", "i2"], "the last row is whole"


def test_a_value_with_line_ends_at_the_end_is_no_row_that_is_cut_off(tmp_path: Path) -> None:
    text = 'user,item,review\nu1,i1,good\nu2,i2,"so\nlong"'
    assert items(tmp_path / "t.csv", text) == ["i1", "i2"]


STRAYS = [
    ('"hello there', "fine", '"so said', "ok"),
    ('"hello there', "fine"),
    ("fine", 'a 5" print'),
    ("fine", '"so" he said'),
    ('the "best', 'film" ever'),
]


@pytest.mark.parametrize("texts", STRAYS)
def test_a_quote_that_encloses_no_value_is_part_of_it_beside_tabs_and_refused_beside_commas(
    texts: tuple[str, ...], tmp_path: Path
) -> None:
    expected = [f"i{n + 1}" for n in range(len(texts))]
    line = next(n for n, text in enumerate(texts, 2) if '"' in text)
    assert items(tmp_path / "t.tsv", reviews("\t", *texts)) == expected
    said = f"quotes are part of its values, as in line {line} (--quote=double if they are not)"
    assert open_table(tmp_path / "t.tsv").said == [f"{tmp_path / 't.tsv'}: {said}"]
    for name, separator in (("t.csv", ","), ("t.tsv", "\t")):
        layout = {"quote": "double"} if separator == "\t" else {}
        message = refused(tmp_path / name, reviews(separator, *texts), **layout)
        assert message.startswith(f"line {line} has a quote that encloses no value: 'u{line - 1}")
        assert "--quote=none if quotes are part of the values" in message
        assert items(tmp_path / name, reviews(separator, *texts), quote="none") == expected


@pytest.mark.parametrize("separator", [",", "\t"])
def test_quotes_around_values_are_none_of_theirs(separator: str, tmp_path: Path) -> None:
    texts = [f'"a{separator}b"', '"two\nlines"', '"so ""said"" he"', '""', 'the "best" film', 'a 5" x 7" print', '""""']
    text = reviews(separator, *texts)
    for each in (text, text.replace("\n", "\r\n"), text.rstrip("\n")):
        assert items(tmp_path / "t.tsv", each) == [f"i{n}" for n in range(1, 8)]
    assert open_table(tmp_path / "t.tsv", Layout(separator=separator)).rows.collect()["review"][2] == 'so "said" he'


def test_a_header_in_quotes_says_that_values_are(tmp_path: Path) -> None:
    text = reviews("\t", '"hello').replace("user", '"user"')
    assert refused(tmp_path / "t.tsv", text).startswith("line 2 has a quote")


def test_quotes_around_what_looks_like_whole_rows_are_not_taken_for_either(tmp_path: Path) -> None:
    texts = ['"hello', "fine", 'so said"', "ok"]
    assert items(tmp_path / "t.tsv", reviews("\t", *texts)) == ["i1", "i2", "i3", "i4"]
    message = refused(tmp_path / "t.csv", reviews(",", *texts))
    assert message.startswith(
        "the quotes from line 2 on enclose what looks like whole rows: 'u1,i1,\"hello,1'; --quote=none"
    )
    assert items(tmp_path / "t.csv", reviews(",", *texts), quote="none") == ["i1", "i2", "i3", "i4"]
    assert items(tmp_path / "t.csv", reviews(",", *texts), quote="double") == ["i1", "i4"]


def test_a_row_that_is_too_wide_is_refused_though_its_columns_are_not_all_read(tmp_path: Path) -> None:
    assert refused(tmp_path / "t.csv", "user,review,item\nu1,fine,i1\nu2,well, well,i2\n") == (
        "row 2 has 4 fields, the first line 3: 'u2,well, well,i2'"
    )
    text = 'user,review,item\nu0,fine,i0\nu1,"a,b",i1\n'
    assert items(tmp_path / "t.csv", text) == ["i0", "i1"]
    assert refused(tmp_path / "t.csv", text, quote="none").startswith("row 2 has 4 fields, the first line 3")


def test_one_character_separates_where_values_stand_in_quotes(tmp_path: Path) -> None:
    (tmp_path / "t.dat").write_text(reviews("::", "fine"))
    with pytest.raises(InputError, match="--quote=double is of text with separators of one character"):
        open_table(tmp_path / "t.dat", Layout(quote="double"))


def test_what_passes_is_read_alike_by_all_and_by_some_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random texts, in pieces of any size: the rows are those of Python's reader."""
    numbers, passed = random.Random(1), 0
    pieces = ["x", "x", "1", '"', '"', '""', ",", ",", "\n", '",', '\n"', " ", "\r\n"]
    for _ in range(3000):
        text = "a,b,c\n" + "".join(numbers.choice(pieces) for _ in range(numbers.randint(1, 25)))
        monkeypatch.setattr(quoting, "CHUNK", numbers.choice([1, 3, 7, 100]))
        found = quoting.misfit(text.encode(), WRITTEN, sure=True)
        monkeypatch.setattr(quoting, "CHUNK", 2**20)
        assert quoting.misfit(text.encode(), WRITTEN, sure=True) == found
        if found is None:
            passed += 1
            rows = [[*row, *[""] * (3 - len(row))] for row in csv.reader(io.StringIO(text, newline=""))][1:]
            assert not any(field for row in rows for field in row[3:])
            rows = [row[:3] for row in rows]
            scanned = pl.scan_csv(text.encode(), infer_schema=False, truncate_ragged_lines=True)
            every = scanned.collect(engine="streaming")
            assert scanned.select("a", "c").collect(engine="streaming").equals(every.select("a", "c"))
            assert [row for row in every.fill_null("").rows() if any(row)] == [tuple(row) for row in rows if any(row)]
    assert passed > 500


def test_a_quote_that_is_never_closed_does_not_take_in_the_whole_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quoting, "LONGEST", 1000)
    monkeypatch.setattr(quoting, "CHUNK", 100)
    text = "a,b,c\n1,2,3\n" + '4,5,"6\n' + "7,8,9\n" * 100_000
    found = quoting.misfit(text.encode(), WRITTEN)
    assert found is not None and (found.kind, found.line, found.row) == (quoting.STRAY, 3, 2)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("user,item,time\n1,2,3,\n4,5,6\n", [("1", "2", "3"), ("4", "5", "6")]),
        ("user,item,time\r\n1,2,3,,\r\n4,,6,", [("1", "2", "3"), ("4", None, "6")]),
        ('user,item,time\n1,"2,5",3,\n', [("1", "2,5", "3")]),
        ("user,item,time\n1,2,3,,7\n", "row 1 has 5 fields, the first line 3: '1,2,3,,7'"),
        ("user,item,time\n1,2,3,\n4,5,6, \n", "row 2 has 4 fields"),
    ],
)
def test_separators_at_the_end_of_a_row_move_nothing(text: str, rows: list | str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, newline="")
    if isinstance(rows, list):
        assert read_table(path).rows() == rows
        return
    with pytest.raises(InputError, match=re.escape(rows)):
        read_table(path)
