"""What a file is follows from its first bytes, then its name; an option says otherwise, or is refused."""

import io
import json
from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.formats import packed
from infer.formats.layout import Layout
from infer.formats.opening import Opened, first_rows, is_parquet, kind_of, open_table, read_table

TABLE = pl.DataFrame({"user": [1, 2], "item": ["x", " y"], "rating": [4.5, None]})


def written(kind: str) -> bytes:
    buffer = io.BytesIO()
    {"parquet": TABLE.write_parquet, "arrow": TABLE.write_ipc, "jsonl": TABLE.write_ndjson}[kind](buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["parquet", "arrow", "jsonl"])
@pytest.mark.parametrize("name", ["t", "t.csv", "t.[1]*.txt", "t.jsonl", "t.NDJSON", "t.pq", "t.feather"])
def test_typed_files_are_read_by_what_they_hold(kind: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(written(kind))
    if kind == "jsonl" and name in ("t.pq", "t.feather"):  # nothing but the name says what text is
        with pytest.raises(InputError, match=r"it does not begin as .* does; --format=csv reads it as separated text"):
            open_table(path)
        assert read_table(path, Layout(format="jsonl")).equals(TABLE)
        return
    opened = open_table(path)
    assert opened.rows.collect().equals(TABLE) and opened.untyped == frozenset()
    assert opened.names == first_rows(path).names == TABLE.columns
    own = {"parquet": ["t.pq"], "arrow": ["t.feather"], "jsonl": ["t.jsonl", "t.NDJSON"]}[kind]
    shown = {"parquet": "Parquet", "arrow": "Arrow", "jsonl": "JSON lines"}[kind]
    said = [] if name in own else [f"{path} is read as {shown}, as it begins like that (--format)"]
    assert opened.said == said
    assert (kind_of(path), is_parquet(path)) == (kind, kind == "parquet")


def lines(path: Path, *rows: dict, layout: Layout = Layout()) -> Opened:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return open_table(path, layout)


def test_json_lines_have_the_types_of_all_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    rows = [{"user": 1, "item": "7"}] * 300 + [{"user": 2.5, "late": None}, {"item": "8", "late": "x"}]
    found = lines(path, *rows).rows.collect()
    assert found.schema == {"user": pl.Float64, "item": pl.String, "late": pl.String}
    assert found.rows()[-2:] == [(2.5, None, None), (None, "8", "x")]
    assert lines(path, {"user": 1}, {"user": "b"}).rows.collect()["user"].to_list() == ["1", "b"]
    assert lines(path, {"user": " a "}).rows.collect()["user"].to_list() == [" a "]
    path.write_bytes(b'\xef\xbb\xbf \n{"user": "\xc3\xa9"}\r\n\r\n{"user": "b"}\r\n')
    assert read_table(path)["user"].to_list() == ["é", "b"]
    path.write_bytes('{"user": "é"}\n'.encode("utf-16"))
    assert read_table(path).rows() == [("é",)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.json", '[{"user": 1}]', "is a JSON array; expected JSON lines, an object on each"),
        ("t.json", "[]", "is a JSON array"),
        ("t", ' [\n  {"user": 1}\n]', "is a JSON array"),
        ("t.jsonl", "user,item\n1,2\n", "cannot be read"),
        ("t.jsonl", '{"user": 1}\n{"user":', "cannot be read"),
        ("t.parquet", "user,item\n1,2\n", "cannot be read: it does not begin as Parquet does; --format=csv reads it"),
        ("t.arrow", "user,item\n1,2\n", "cannot be read: it does not begin as Arrow does"),
    ],
)
def test_what_is_not_what_its_name_says_is_refused(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError) as caught:
        read_table(tmp_path / name)
    assert f"{name} {message}" in str(caught.value) and "\n" not in str(caught.value)


def test_a_stated_format_comes_before_what_a_file_looks_like(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_text('{user,"[item"\n1,2\n')
    assert read_table(path, Layout(format="csv")).rows() == [("1", "2")]
    assert kind_of(path, Layout(format="csv")) == "csv"
    with pytest.raises(InputError, match="does not begin as Arrow does"):
        read_table(path, Layout(format="arrow"))
    for name in ("delta", "iceberg"):
        with pytest.raises(InputError, match=rf"--format={name} is a folder; .*t\.parquet is a file"):
            read_table(path, Layout(format=name))
    with pytest.raises(InputError, match=r"--query is for databases; .*t\.parquet is a file"):
        read_table(path, Layout(query="select 1"))


@pytest.mark.parametrize("kind", ["parquet", "arrow", "jsonl"])
def test_options_that_would_do_nothing_are_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{kind}"
    path.write_bytes(written(kind))
    layouts = {"separator": ",", "header": "a,b", "nulls": "NA"}
    layouts |= {} if kind == "jsonl" else {"encoding": "utf-8", "compression": "gzip"}
    for name, value in layouts.items():
        with pytest.raises(InputError, match=rf"--{name} is of separated text; .*t\.{kind} is "):
            read_table(path, Layout(**{name: value}))
    assert read_table(path, Layout(compression="none")).equals(TABLE)


def test_plain_text_is_read_where_it_lies(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(packed, "CHUNK", 16)
    (tmp_path / "t.csv").write_text("user,item\n" + "1,é\n" * 99)
    (tmp_path / "work").mkdir()
    rows = open_table(tmp_path / "t.csv", folder=tmp_path / "work").rows
    assert rows.collect().height == 99 and not list((tmp_path / "work").iterdir())
    assert str(tmp_path / "t.csv") in rows.explain() and "strip" not in rows.explain()
