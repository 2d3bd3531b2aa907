"""Tables are dirty: each kind of dirt has a rule, is counted, and is told in one line."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infer.errors import InputError
from infer.formats import packed
from infer.sources import cutting, sorting
from infer.sources.source import open_source
from infer.tables.frames import tidy_frame
from infer.tables.interactions import read_interactions
from infer.tables.options import TableOptions

GOOD = [("u1", "a", "100"), ("u1", "b", "101"), ("u2", "a", "99")]
KEPT = [("u1", "a", 100), ("u1", "b", 101), ("u2", "a", 99)]
DROP = TableOptions(drop_bad_rows=True)


def csv(path: Path, *rows: tuple, header: str = "user,item,timestamp") -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def both(path: Path, options: TableOptions = TableOptions(), work: str = "work") -> tuple[list[tuple], str]:
    """The rows and the notes of a table, which are the same whether it is read whole or in parts."""
    whole = read_interactions(path, options)
    folder = path.parent / work
    folder.mkdir(exist_ok=True)
    source = open_source(path, options, folder, part_users=2)
    parts = [source.read(shard) for shard in source.parts]
    assert [row for part in parts for row in part.rows()] == whole.interactions.rows()
    notes = source.notes
    notes.repeated = (notes.repeated or 0) + sum(s.rows - p.height for s, p in zip(source.parts, parts, strict=True))
    assert str(notes) == str(whole.notes)
    return whole.interactions.rows(), str(notes)


BAD = {
    "no user": (("", "a", "1"), "row 4 has no user", "dropped 1 rows with no user"),
    "no item": (("u3", "", "1"), "row 4 has no item", "dropped 1 rows with no item"),
    "no timestamp": (("u3", "a", ""), "row 4 has the timestamp nothing; expected seconds or a date",
                     "dropped 1 rows with a timestamp that is none"),
    "nan": (("u3", "a", "NaN"), "row 4 has the timestamp 'NaN'", "dropped 1 rows with a timestamp that is none"),
    "infinite": (("u3", "a", "-inf"), "row 4 has the timestamp '-inf'", "dropped 1 rows with a timestamp that is none"),
    "word": (("u3", "a", "noon"), "row 4 has the timestamp 'noon'", "dropped 1 rows with a timestamp that is none"),
    "never": (("u3", "a", "1e300"), "row 4 has the timestamp '1e300'", "dropped 1 rows with a timestamp that is none"),
    "no such day": (("u3", "a", "2023-02-29"), "row 4 has the timestamp '2023-02-29'", "dropped 1 rows with"),
    "no such hour": (("u3", "a", "2023-02-01T24:00"), "row 4 has the timestamp '2023-", "dropped 1 rows with"),
}  # fmt: skip


BEYOND = [
    pl.Series([2**62, 5]).cast(pl.Datetime("ms")),
    pl.Series([2**31 - 1, 5], dtype=pl.Int32).cast(pl.Date),
]


@pytest.mark.parametrize("times", BEYOND, ids=["milliseconds", "days"])
def test_dates_beyond_microseconds_are_no_times(times: pl.Series, tmp_path: Path) -> None:
    rows = pl.DataFrame({"user": [1, 2], "item": [1, 2], "timestamp": times})
    with pytest.raises(InputError, match=r"row 1 has the timestamp (4611686018427387904|2147483647); expected seconds"):
        tidy_frame(rows)
    assert tidy_frame(rows, DROP).interactions["user"].to_list() == [2]


def test_numbers_beyond_64_bits_are_no_times_in_a_stated_unit(tmp_path: Path) -> None:
    path = csv(tmp_path / "t.csv", *GOOD, ("u3", "a", 2**63))
    stated = replace(DROP, timestamp_format="seconds")
    assert both(path, stated)[0] == KEPT
    with pytest.raises(InputError, match="row 4 has the timestamp '9223372036854775808'; expected seconds"):
        read_interactions(path, replace(stated, drop_bad_rows=False))


@pytest.mark.parametrize("kinds", [[[1], [2]], [b"\xff", b"a"], [{"a": 1}, {"a": 2}]])
def test_events_of_a_type_that_is_no_text_are_refused(kinds: list) -> None:
    rows = pl.DataFrame({"user": [1, 2], "item": [1, 2], "timestamp": [1, 2], "kind": kinds})
    with pytest.raises(InputError, match=r"column rating holds (List|Binary|Struct).*; expected texts"):
        tidy_frame(rows, TableOptions(event="kind", event_weights="view=1"))


@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_is_refused_or_dropped_and_counted(case: str, tmp_path: Path) -> None:
    row, refusal, note = BAD[case]
    path = csv(tmp_path / "t.csv", *GOOD, row)
    for read in (read_interactions, both):
        with pytest.raises(InputError) as found:
            read(path)
        assert f"t.csv {refusal}" in str(found.value)
        assert str(found.value).endswith("(rows that cannot be used: 1; --drop-bad-rows leaves them out)")
    rows, notes = both(path, DROP, "dropped")
    assert rows == KEPT and note in notes


@pytest.mark.parametrize(("value", "shown"), [("nan", "'nan'"), ("inf", "'inf'"), ("good", "'good'")])
def test_a_bad_rating_is_refused_or_dropped_and_counted(value: str, shown: str, tmp_path: Path) -> None:
    path = csv(
        tmp_path / "t.csv", (1, 2, 3, 4), (1, 3, 4, value), (2, 3, 4, value), header="user,item,timestamp,rating"
    )
    with pytest.raises(InputError, match=rf"row 2 has the rating {shown}; .* \(rows that cannot be used: 2; --drop"):
        both(path)
    assert both(path, DROP, "dropped") == ([(1, 2, 3, 4.0)], "dropped 2 rows with a rating that is none")


@pytest.mark.parametrize("value", ["", " "])
def test_a_row_may_have_no_rating(value: str, tmp_path: Path) -> None:
    path = csv(
        tmp_path / "t.csv", (1, 2, 3, 4), (1, 3, 4, value), (2, 3, 4, value), header="user,item,timestamp,rating"
    )
    assert both(path) == ([(1, 2, 3, 4.0), (1, 3, 4, None), (2, 3, 4, None)], "2 rows have no rating")
    rows, notes = both(path, TableOptions(least_rating=3), "least")
    assert rows == [(1, 2, 3, 4.0)] and "left out 2 rows rated below 3" in notes and "no rating" not in notes
    twice = csv(
        tmp_path / "u.csv", (1, 2, 3, value), (1, 2, 3, 4), (1, 2, 3, value), header="user,item,timestamp,rating"
    )
    assert both(twice, work="twice")[0] == [(1, 2, 3, 4.0)], "the highest rating in a tie"
    none = csv(tmp_path / "v.csv", (1, 2, 3, value), (2, 2, 3, value), header="user,item,timestamp,rating")
    assert both(none, work="none")[0] == [(1, 2, 3, None), (2, 2, 3, None)]


def test_a_table_of_bad_rows_alone_is_refused(tmp_path: Path) -> None:
    path = csv(tmp_path / "t.csv", ("", "a", 1), ("u", "a", "x"))
    for read in (read_interactions, both):
        with pytest.raises(InputError, match="no row that can be used: dropped 1 rows with a timestamp that is none"):
            read(path, DROP)


def test_each_bad_row_is_counted_once(tmp_path: Path) -> None:
    path = csv(tmp_path / "t.csv", *GOOD, ("", "", "x"), ("u", "", "x"), ("u", "a", "x"))
    rows, notes = both(path, DROP)
    assert rows == KEPT
    assert notes == (
        "dropped 1 rows with a timestamp that is none; dropped 1 rows with no item; dropped 1 rows with no user"
    )


MOMENTS = [
    ("1704067200", "seconds"), ("1704067200000", "milliseconds"), ("1704067200000000", "microseconds"),
    ("1704067200000000000", "nanoseconds"), ("2024-01-01", "dates"), ("2024-01-01T00:00", "dates"),
    ("2024-01-01 00:00:00", "dates"), ("2024-01-01T00:00:00Z", "dates"), ("2024-01-01T02:30:00+02:30", "dates"),
    ("2023-12-31 19:00:00.000-0500", "dates"), ("1.7040672e9", "seconds"),
]  # fmt: skip


def test_every_notation_of_a_moment_is_the_same_second(tmp_path: Path) -> None:
    path = csv(tmp_path / "t.csv", *((n, n, text) for n, (text, _) in enumerate(MOMENTS)))
    rows, notes = both(path)
    assert {row[2] for row in rows} == {1704067200}
    assert notes == (
        "6 timestamps in dates made seconds; 1 timestamps in microseconds made seconds; 1 timestamps in milliseconds "
        "made seconds; 1 timestamps in nanoseconds made seconds"
    )


def test_moments_of_parquet_are_seconds_whatever_their_zone(tmp_path: Path) -> None:
    moment = pl.Series([1704067200000]).cast(pl.Datetime("ms"))
    for n, column in enumerate(
        (moment, moment.dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo"), moment.cast(pl.Date))
    ):
        pl.DataFrame({"user": [1], "item": [2], "timestamp": column}).write_parquet(tmp_path / "t.parquet")
        assert both(tmp_path / "t.parquet", work=f"w{n}") == ([(1, 2, 1704067200)], "")


def test_moments_before_1970_are_negative(tmp_path: Path) -> None:
    path = csv(tmp_path / "t.csv", (1, 1, -5), (1, 2, "1969-12-31T23:59:50"), (1, 3, -1704067200000))
    assert [row[1:] for row in both(path)[0]] == [(3, -1704067200), (2, -10), (1, -5)]


def test_repeated_rows_are_counted(tmp_path: Path) -> None:
    path = csv(tmp_path / "t.csv", *GOOD, *GOOD, ("u1", "a", 50))
    assert both(path) == (
        KEPT,
        "dropped 4 repeated (user, item) rows, of which the latest is kept (--repeats=keep keeps all)",
    )


IDS = [
    str(2**53 + 1), str(2**63 - 1), str(-(2**63)), "-7", "0",
    "x" * 10_000, 'say "hi"', "two\nlines", "carriage\r\nreturn", "🎬🍿", "a,b", "'", "\t", "NULL", "nan", "日本",
]  # fmt: skip


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "csv.gz"])
@pytest.mark.parametrize("numbers", [True, False])
def test_ids_come_back_as_they_are(ending: str, numbers: bool, tmp_path: Path) -> None:
    ids = IDS[:5] if numbers else IDS
    table = pl.DataFrame({"user": ids, "item": ids[::-1], "timestamp": range(len(ids))})
    path = tmp_path / f"t.{ending}"
    if ending == "parquet":
        table.write_parquet(path)
    else:
        content = table.write_csv(separator="\t" if ending == "tsv" else ",").encode()
        path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    rows, _ = both(path)
    typed = numbers and ending != "parquet"  # where texts are texts though they are digits
    expected = {(int(u), int(i)) if typed else (u, i) for u, i in zip(ids, ids[::-1], strict=True)}
    assert {row[:2] for row in rows} == expected


@pytest.mark.parametrize("content", [
    b"\xef\xbb\xbfuser,item,timestamp\nu1,a,100\nu1,b,101\nu2,a,99\n",
    b"user,item,timestamp\r\nu1,a,100\r\nu1,b,101\r\nu2,a,99\r\n",
    b"timestamp,more,item,user\n100,x,a,u1\n101,x,b,u1\n99,x,a,u2",
    b'"user","item","timestamp"\n"u1","a","100"\n"u1","b","101"\n"u2","a","99"\n',
])  # fmt: skip
def test_marks_line_ends_quotes_and_the_order_of_columns_do_not_matter(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    assert both(tmp_path / "t.csv") == (KEPT, "")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(content))
    assert both(tmp_path / "t.csv.gz", work="packed") == (KEPT, "")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_double_separators_too(mark: bytes, end: str, tmp_path: Path) -> None:
    lines = ["user::item::timestamp", *("::".join(row) for row in GOOD)]
    (tmp_path / "t.dat").write_bytes(mark + (end.join(lines) + end).encode())
    assert both(tmp_path / "t.dat") == (KEPT, "")


def test_a_small_file_that_unpacks_to_a_large_one_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(packed, "CHUNK", 2**12)
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"user,item,timestamp\n" + b"1,1,1\n" * 1_000_000))
    for read in (read_interactions, both):
        with pytest.raises(InputError, match=r"t\.csv\.gz holds more than 200 times its size: unpack it first"):
            read(path)


@pytest.mark.parametrize("cut", [10, 30, -1])
def test_a_cut_gzip_file_is_refused(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"user,item,timestamp\n1,1,1\n" * 50)[:cut])
    for read in (read_interactions, both):
        with pytest.raises(InputError, match=r"t\.csv\.gz cannot be read"):
            read(path)


def parts(folder: Path, *tables: dict) -> Path:
    folder.mkdir()
    for n, table in enumerate(tables):
        pl.DataFrame(table).write_parquet(folder / f"part-{n}.parquet")
    (folder / "_SUCCESS").touch()
    (folder / ".part-9.parquet.crc").write_bytes(b"x")
    return folder


def test_a_folder_of_parts_with_drifting_schemas_is_one_table(tmp_path: Path) -> None:
    folder = parts(
        tmp_path / "f",
        {"user": pl.Series([1], dtype=pl.Int32), "item": [10], "timestamp": [1704067200]},
        {"timestamp": [1704067201.5], "more": ["x"], "item": pl.Series([11], dtype=pl.UInt8), "user": [1]},
        {"userId": [2], "movieId": [2**53 + 1], "timestamp": pl.Series([1704067200_000_000]).cast(pl.Datetime("us"))},
        {"user": [3], "item": [12], "timestamp": pl.Series([19723], dtype=pl.Int32).cast(pl.Date)},
    )
    rows, notes = both(folder)
    assert rows == [
        (1, 10, 1704067200.0), (1, 11, 1704067201.5), (2, 2**53 + 1, 1704067200.0), (3, 12, 1704067200.0),
    ]  # fmt: skip
    assert notes == ""
    more = parts(tmp_path / "g", {"user": [1], "item": [1], "timestamp": [5]},
                 {"user": [1], "item": [2], "timestamp": ["1970-01-01T00:00:09Z"]})  # fmt: skip
    assert both(more, work="more") == ([(1, 1, 5), (1, 2, 9)], "1 timestamps in dates made seconds")


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"user": ["x"], "item": [1], "timestamp": [1]}, r"part-1\.parquet has String as user ids; .*part-0.* Int64"),
        ({"user": [1], "item": [1]}, r"part-1\.parquet has no timestamp column"),
        ({"user": [1], "item": [1], "timestamp": [1], "rating": [1]}, "only one has a column rating"),
        ({"user": [1], "item": pl.Series([2**63], dtype=pl.UInt64), "timestamp": [1]}, "f cannot be read: conv"),
        ({"user": [1.5], "item": [1], "timestamp": [1]}, r"part-1\.parquet has Float64 as user ids"),
    ],
)
def test_parts_that_do_not_fit_are_named(second: dict, message: str, tmp_path: Path) -> None:
    folder = parts(tmp_path / "f", {"user": [1], "item": [1], "timestamp": [1]}, second)
    for read in (read_interactions, both):
        with pytest.raises(InputError, match=message):
            read(folder)


VALUES = st.one_of(
    st.sampled_from(
        ["", "1", "2", "007", "x", "nan", "inf", "-3", "1e12", "2024-01-01", "9" * 25, '"q"', "é\n🎬", "1.5"]
    ),
    st.integers(-9, 9).map(str),
)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(VALUES, VALUES, VALUES, VALUES), min_size=1, max_size=12),
    drop=st.booleans(),
    block=st.integers(1, 6),
    ending=st.sampled_from(["csv", "csv.gz", "parquet"]),
)
def test_any_table_is_the_same_whole_and_in_shards(rows, drop, block, ending) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "PART_ROWS", block)
        patch.setattr(sorting, "ROWS", block)
        patch.setattr(sorting, "SORTED_ROWS", 2 * block)
        table = pl.DataFrame(rows, schema=["user", "item", "timestamp", "rating"], orient="row")
        path = Path(name) / f"t.{ending}"
        if ending == "parquet":
            table.write_parquet(path)
        else:
            content = table.write_csv().encode()
            path.write_bytes(gzip.compress(content) if ending == "csv.gz" else content)
        said = []
        for read in (read_interactions, both):
            try:
                read(path, TableOptions(drop_bad_rows=drop))
                said.append("")
            except InputError as error:
                said.append(str(error))
        assert said[0] == said[1]


def test_users_that_are_texts_are_scored_again_only_if_they_changed(artifacts: Path, run, tmp_path: Path) -> None:
    rows = [("zoe", 1001, 5), ("user", 1003, 6), ("item", 1002, 7), ("user", 1005, 8)]
    path = csv(tmp_path / "t.csv", *rows)
    words = [f"--model={artifacts / 'hybrid.onnx'}", f"--interactions={path}", f"--output={tmp_path / 'l.parquet'}"]
    assert run("infer.batch", *words).returncode == 0
    csv(path, *rows, ("zoe", 1004, 9))
    done = run("infer.batch", *words, "--only-changed")
    assert done.returncode == 0 and "1 users scored anew" in done.stdout, done.stderr
    assert pl.read_parquet(tmp_path / "l.parquet")["user"].unique().sort().to_list() == ["item", "user", "zoe"]


def test_the_commands_count_in_one_line(artifacts: Path, run, refused, tmp_path: Path) -> None:
    rows = [(1, 1001, 5), (1, 1003, 6), ("", 1001, 7), (2, 1005, "2024-01-01"), (2, 1005, 9)]
    path = csv(tmp_path / "t.csv", *rows)
    given = [f"--model={artifacts / 'hybrid.onnx'}", f"--interactions={path}", f"--output={tmp_path / 'l.parquet'}"]
    refused(run("infer.batch", *given), "t.csv row 3 has no user (rows that cannot be used: 1; --drop-bad-rows leaves")
    done = run("infer.batch", *given, "--drop-bad-rows")
    assert done.returncode == 0, done.stderr
    line = (
        f"{path}: dropped 1 rows with no user; 1 timestamps in dates made seconds; "
        "dropped 1 repeated (user, item) rows, of which the latest is kept (--repeats=keep keeps all)"
    )
    assert line in done.stdout.splitlines()
    plan = json.loads((tmp_path / "l.json").read_text())["plan"]
    assert plan["data"]["columns"]["drop_bad_rows"] is True
    done = run("train.data", f"--dataset={path}", f"--artifacts={tmp_path / 'a'}", "--drop-bad-rows")
    assert "dropped 1 rows with no user" in done.stdout + done.stderr or "three interactions" in done.stderr
    shown = run("infer.recommend", given[0], given[1], "--user=2", "--drop-bad-rows")
    assert line in shown.stdout.splitlines(), shown.stderr
    folder = parts(tmp_path / "f", {"user": [1], "item": [1001], "timestamp": [1]})
    done = run("infer.batch", given[0], f"--interactions={folder}", f"--output={tmp_path / 'm.parquet'}")
    assert done.returncode == 0 and "1 users, 10 recommendations" in done.stdout, done.stderr
