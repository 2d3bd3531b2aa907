"""What separates fields and what names columns is seen in the first lines, said, or asked for."""

from pathlib import Path

import pytest

from infer.errors import InputError
from infer.formats import packed
from infer.formats.layout import Layout
from infer.formats.opening import Opened, first_rows, open_table
from infer.formats.text import distinct

ROWS = [("1", "2", "3"), ("1", "4", "5")]


def table(path: Path, text: str, **layout) -> Opened:
    path.write_bytes(text.encode())
    opened = open_table(path, Layout(**layout))
    assert first_rows(path, Layout(**layout)).names == opened.names
    return opened


def refusal(path: Path, text: str, **layout) -> str:
    with pytest.raises(InputError) as caught:
        table(path, text, **layout)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def text(separator: str) -> str:
    return "\n".join(map(separator.join, [("user", "item", "timestamp"), *ROWS])) + "\n"


@pytest.mark.parametrize(
    ("separator", "stated", "shown"),
    [
        (",", ",", "','"), ("\t", "tab", "tabs"), (";", ";", "';'"), ("|", "|", "'|'"), ("::", "::", "'::'"),
        (" ", "space", None), ("~~~", "~~~", None), ("§", "§", None), ("\x01", "\x01", None),
    ],
)  # fmt: skip
def test_any_separator_is_found_or_stated(separator: str, stated: str, shown: str | None, tmp_path: Path) -> None:
    for name in ("t", "t.csv", "t.tsv", "t.parq"):
        opened = table(tmp_path / name, text(separator), separator=stated)
        assert opened.rows.collect().rows() == ROWS and not opened.said
        if shown is None:
            continue
        opened = table(tmp_path / name, text(separator))
        assert opened.rows.collect().rows() == ROWS and opened.untyped == {"user", "item", "timestamp"}
        own = (name, separator) in {("t.csv", ","), ("t.tsv", "\t")}
        said = [f"{tmp_path / name} is read as text separated by {shown} (--separator)"]
        assert opened.said == ([] if own else said)


def test_the_usual_separator_is_taken_where_it_fits_and_only_one_is_guessed(tmp_path: Path) -> None:
    both = "user,time;item\n1,5;2\n"
    assert table(tmp_path / "t.csv", both).names == ["user", "time;item"]
    said = refusal(tmp_path / "t", both)
    assert "may be separated by ',' or ';', as its first line shows: 'user,time;item'; say which with" in said
    # Commas are decimal here, and in names: they are not in the same number in each line.
    assert table(tmp_path / "t.csv", "user;item, own;rating\n1;2;3,5\n1;3;4\n").names == [
        "user",
        "item, own",
        "rating",
    ]
    assert table(tmp_path / "t.csv", "1;2;3,5\n", header="user,item,rating").rows.collect().rows() == [
        ("1", "2", "3,5")
    ]
    # A line that is too short leaves the usual one.
    assert table(tmp_path / "t.csv", "user,item,time\n1,2\n").rows.collect().rows() == [("1", "2", None)]
    assert table(tmp_path / "t.csv", 'user,item\n"a;b",2\n"a,b\n;",2\n').rows.collect()["user"].to_list() == [
        "a;b",
        "a,b\n;",
    ]


def test_one_column_is_refused(tmp_path: Path, monkeypatch) -> None:
    for name, content, layout in (
        ("t.csv", "user~item\n1~2\n", {}),
        ("t", "user\n1\n", {}),
        ("t.csv", "user~item\n1~2\n", {"separator": ";"}),
    ):
        said = refusal(tmp_path / name, content, **layout)
        assert f"has one column alone: '{content.splitlines()[0]}'; name what separates its fields with --sep" in said
    for separator in ("", '"', "a\n"):
        assert "--separator takes `tab`, or one or more" in refusal(tmp_path / "t.csv", "a,b\n", separator=separator)
    assert "its lines end with carriage returns alone" in refusal(tmp_path / "t.csv", "a,b\r1,2\r")
    monkeypatch.setattr(packed, "CHUNK", 8)
    assert "its first line alone is 8 characters long" in refusal(tmp_path / "t.csv", "user,item\n1,2\n")
    assert "it has no header line" in refusal(tmp_path / "t.csv", "\n\n")


@pytest.mark.parametrize(
    ("line", "header"),
    [
        ("a,1027", "user,item"), ("a,-1.5e3,b", "user,item,timestamp"), ("a,b,4.0,7", "user,item,rating,timestamp"),
        ("a,b,2024-01-01T00:00", "user,item,timestamp"), ("a,Mon Sep 11 06:29:24 2017", "user,item"),
        ("a,1.2.2024,b", "user,item,timestamp"), ("a,b,c,d,7", "user,item,rating,timestamp,column5"),
    ],
)  # fmt: skip
def test_a_first_line_of_data_is_no_header(line: str, header: str, tmp_path: Path) -> None:
    said = refusal(tmp_path / "t.csv", f"{line}\n{line}\n")
    number = line.count(",") + 1
    expected = f"begins with data, not with names of columns: '{line}'; name its {number} columns in their order: "
    assert expected + f"--header={header}" in said
    opened = table(tmp_path / "t.csv", f"\n{line}\n{line}\n", header=header.replace(",", " , "))
    assert opened.names == header.split(",") and opened.rows.collect().rows() == [tuple(line.split(","))] * 2


def test_a_header_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path / "t.csv", "1,2,3\n", header="user,item")
    assert said.endswith("t.csv has 3 columns; --header names 2: user,item")
    assert "--header names a column of" in refusal(tmp_path / "t.csv", "1,2\n", header="user,user")
    assert table(tmp_path / "t.csv", "1,2,3,4\n", header="user,,,item").names == ["user", "", "", "item"]


def test_quotes_are_csvs_but_for_what_other_text_may_hold_without_a_header(tmp_path: Path) -> None:
    assert table(tmp_path / "t.csv", '"a, b",2\n', header="user,item").rows.collect().rows() == [("a, b", "2")]
    opened = table(tmp_path / "t.tsv", '1\t"Heroes" (1977)\n2\t"Live\n', header="user,item")
    assert opened.rows.collect()["item"].to_list() == ['"Heroes" (1977)', '"Live']
    assert opened.said == [f"{tmp_path / 't.tsv'}: quotes are part of its values"]


def test_a_name_that_stands_twice_does(tmp_path: Path) -> None:
    opened = table(tmp_path / "t.csv", "user,item,item,,\n1,2,3,4,5\n")
    assert opened.names == ["user", "item", "item", "", ""]
    assert opened.rows.select("user", "item").collect().rows() == [("1", "2")]
    assert distinct(["a", "a", "a_duplicated_0", "a"]) == ["a", "a_duplicated_1", "a_duplicated_0", "a_duplicated_2"]


@pytest.mark.parametrize("separator", [",", "::"])
def test_spaces_around_names_and_values_are_none_of_theirs_wherever_they_are(separator: str, tmp_path: Path) -> None:
    plain = "a{0}b\n" * 999
    content = ("user{0} item \n 1 {0}x y\n" + plain + "  {0} z\n").format(separator)
    opened = table(tmp_path / "t.txt", content)
    found = opened.rows.collect().rows()
    assert opened.names == ["user", "item"] and (found[0], found[1], found[-1]) == (
        ("1", "x y"),
        ("a", "b"),
        (None, "z"),
    )
    late = table(tmp_path / "t.txt", ("user{0}item\n" + plain + "a{0} b\n").format(separator)).rows.collect().rows()
    assert late == [("a", "b")] * 1000


@pytest.mark.parametrize("separator", [",", "::"])
def test_texts_that_stand_for_no_value_are_none(separator: str, tmp_path: Path) -> None:
    content = text(separator) + separator.join(["NA", " NULL", "NAB"]) + "\n" + separator.join(["", "na", "-"]) + "\n"
    rows = table(tmp_path / "t.txt", content, nulls="NA, NULL,-").rows.collect().rows()
    assert rows == [*ROWS, (None, None, "NAB"), (None, "na", None)]
    assert table(tmp_path / "t.txt", content).rows.collect().rows()[2] == ("NA", "NULL", "NAB")


def test_files_of_movielens_are_known_by_name_and_content(tmp_path: Path) -> None:
    names = ["user", "item", "rating", "timestamp"]
    for name, separator in (("ratings.dat", "::"), ("u.data", "\t")):
        opened = table(tmp_path / name, separator.join("1234") + "\n")
        assert opened.names == names and opened.rows.collect().rows() == [("1", "2", "3", "4")]
        assert opened.said == [
            f"{tmp_path / name} is read as {name} of MovieLens, without a header: {','.join(names)} (--header)"
        ]
        with_header = table(tmp_path / name, separator.join(["who", "what", "when", "why"]) + "\n")
        assert with_header.names == ["who", "what", "when", "why"] and not with_header.said
        stated = table(tmp_path / name, separator.join("1234") + "\n", header="a,b,c,d")
        assert stated.names == ["a", "b", "c", "d"]
    (tmp_path / "movies.dat").write_bytes('7::"Amélie\x81::Drama|War\n'.encode("latin-1"))
    opened = open_table(tmp_path / "movies.dat")
    assert opened.rows.collect().rows() == [("7", '"Amélie\x81', "Drama|War")] and "latin-1" in " ".join(opened.said)
