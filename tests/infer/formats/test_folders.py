"""A folder is one table: all that lies in it is read, or named; and so are names in capitals."""

import gzip
import os
from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.formats.folders import files_of
from infer.sources.source import open_source
from infer.system.fingerprints import fingerprint, sha256
from infer.tables.interactions import names_in, read_interactions, scan_interactions
from infer.tables.options import TableOptions
from tests.helpers import nights

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


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("_temporary", ": a writer has not finished"),
        (".hive-staging_7", ": a writer has not finished"),
        ("_spark_metadata", ": its log says which files count"),
        (".hoodie", ": a Hudi table, which is not read"),
        ("c.parquet", ", which would not be read; expected Parquet files alone"),
        ("old ", ", which would not be read"),
    ],
)
def test_a_folder_within_is_refused_by_its_name(name: str, why: str, folder: Path) -> None:
    (folder / name).mkdir()
    quoted = f"'{name}'" if name != name.strip() else name
    with pytest.raises(InputError, match=f"holds the folder {quoted}{why}"):
        read_interactions(folder)


def test_files_beside_partitions_are_refused(folder: Path) -> None:
    (folder / "day=1").mkdir()
    assert len(files_of(folder)) == 2  # without rows, it says nothing
    ONE.write_parquet(folder / "day=1" / "a.parquet")
    with pytest.raises(InputError, match=r"day=1/a\.parquet lies under the keys day, a\.PARQUET under no key"):
        read_interactions(folder)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "part-0.csv").write_text("user,item,timestamp\n1,2,3\n")
    (folder / "part-1.csv").write_text("item,user,timestamp,more\n2,2,4,x\n")
    (folder / "part-2.csv").write_bytes(b"")
    (folder / "_SUCCESS").touch()
    return folder


def test_text_files_of_a_folder_are_one_table(texts: Path) -> None:
    scanned = scan_interactions(texts)
    assert scanned.untyped == {"user", "item", "timestamp"}
    assert scanned.said == ["1 empty files of the folder hold no rows"]
    assert read_interactions(texts).interactions.rows() == [(1, 2, 3), (2, 2, 4)]
    (texts / "part-3.csv.gz").write_bytes(gzip.compress(b"user,item,timestamp\n3,2,5\n"))
    assert read_interactions(texts).interactions.rows() == [(1, 2, 3), (2, 2, 4), (3, 2, 5)]
    assert [file.name for file in files_of(texts)] == ["part-0.csv", "part-1.csv", "part-2.csv", "part-3.csv.gz"]


def test_what_text_files_of_a_folder_say_of_themselves_is_said(texts: Path) -> None:
    (texts / "part-2.csv").write_text("user,item,timestamp\ncafé,2,5\n", encoding="cp1252")
    (said,) = scan_interactions(texts).said
    assert said.endswith("part-2.csv is not UTF-8: read as windows-1252, as in 'café' (--encoding, if it is another)")
    for number in range(3, 7):
        (texts / f"part-{number}.csv").write_bytes((texts / "part-2.csv").read_bytes())
    told = scan_interactions(texts).said
    assert [line.split()[0].rpartition("/")[2] for line in told[:3]] == ["part-2.csv", "part-3.csv", "part-4.csv"]
    assert told[3:] == ["2 more sentences like these of other files of the folder"]


def test_text_files_of_two_kinds_are_refused(texts: Path) -> None:
    (texts / "part-3.tsv").write_text("user\titem\ttimestamp\n")
    with pytest.raises(InputError, match=r"holds the file part-3\.tsv, which would not be read; .* text files of one"):
        read_interactions(texts)
    (texts / "part-3.tsv").unlink()
    (texts / "README.txt").write_text("three days")  # stands before the others, and is the one that is strange
    with pytest.raises(InputError, match=r"holds the file README\.txt, which would not be read"):
        read_interactions(texts)
    (texts / "README.txt").unlink()
    (texts / "day=1").mkdir()
    (texts / "day=1" / "a.csv").write_text("user,item,timestamp\n")
    with pytest.raises(InputError, match=r"expected the same keys"):
        read_interactions(texts)


@pytest.mark.parametrize(
    ("names", "given", "column"),
    [
        ("user,item,timestamp,type,rating", {"where": "event = 'buy'"}, "event"),
        ("user,item,timestamp,event,stars", {"least_rating": 3}, "rating"),
        ("user,item,timestamp,event,stars", {}, "rating"),
        ("customer,item,timestamp,event,rating", {"drop_bad_rows": True}, "user"),
    ],
)
def test_a_column_that_one_text_file_calls_otherwise_is_refused(
    names: str, given: dict, column: str, tmp_path: Path
) -> None:
    (tmp_path / "monday.csv").write_text("user,item,timestamp,event,rating\n1,2,3,buy,5\n")
    (tmp_path / "tuesday.csv").write_text(f"{names}\n1,3,4,buy,5\n")
    with pytest.raises(InputError, match=rf"tuesday\.csv has no column '{column}', which other files have"):
        read_interactions(tmp_path, TableOptions(**given))
    if column != "user":
        assert read_interactions(tmp_path, optional=()).interactions.height == 2, "what is not read may be called so"


def test_a_name_that_stands_twice_in_a_text_file_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "monday.csv").write_text("user,item,timestamp,timestamp,more,more\n1,2,3,30,x,y\n")
    (tmp_path / "tuesday.csv").write_text("user,item,timestamp\n1,3,4\n")
    with pytest.raises(InputError, match="names the column 'timestamp' twice"):
        read_interactions(tmp_path)
    (tmp_path / "monday.csv").write_text("user,item,timestamp,more,more\n1,2,3,x,y\n")
    assert read_interactions(tmp_path).interactions.height == 2, "nobody reads it"


def test_text_files_without_a_row_are_refused(texts: Path) -> None:
    for number in (0, 1):
        (texts / f"part-{number}.csv").write_bytes(b"")
    with pytest.raises(InputError, match="holds empty files alone"):
        read_interactions(texts)


def test_a_folder_of_texts_is_scored_as_a_file(texts: Path, tmp_path: Path) -> None:
    nights.write_night(tmp_path)
    nights.score(tmp_path, "--production")
    expected = nights.lists(tmp_path)
    table = pl.read_parquet(tmp_path / "interactions.parquet")
    for number, half in enumerate((table.head(100), table.slice(100))):
        half.write_csv(texts / f"part-{number}.csv")
    nights.score(tmp_path, "--production", f"--interactions={texts}")
    assert nights.lists(tmp_path).equals(expected)


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


def test_a_copy_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch) -> None:
    rooms = tmp_path / "rooms"
    rooms.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(rooms))
    folder = tmp_path / "t"
    folder.mkdir()
    (folder / "a.csv").write_text("user,item,timestamp\n1,2,3\n")
    (folder / "b.csv").write_bytes(b"user,item,timestamp\n1,\x81\xc3\xa9,3\n\xc3\xa9,\xff,3\n")
    with pytest.raises(InputError, match=r"b\.csv cannot be read"):
        read_interactions(folder)
    assert [path.name for path in rooms.rglob("*")][1:] == [".lock"], "of the process's own folder"


UNLIKE = pl.DataFrame({"user": [1, None, 2], "item": [1, 2, 3], "timestamp": [1.5, 2.5, 3.5]})


@pytest.mark.parametrize("where", [None, "timestamp > 0"])
@pytest.mark.parametrize("kind", ["alike", "unlike", "text"])
def test_a_row_that_cannot_be_used_is_named_by_its_file(kind: str, where: str | None, tmp_path: Path) -> None:
    folder, files = tmp_path / "events", [ONE, TWO, ONE.vstack(UNLIKE.cast(ONE.schema)), TWO]
    if kind == "unlike":
        files[2] = ONE.cast(UNLIKE.schema).vstack(UNLIKE)
    for day, rows in enumerate(files):
        (folder / f"day={day}").mkdir(parents=True)
        file = folder / f"day={day}" / "part.x"
        rows.write_csv(file.with_suffix(".csv")) if kind == "text" else rows.write_parquet(file.with_suffix(".parquet"))
    name = "csv" if kind == "text" else "parquet"
    said = rf"row 5 \(row 3 of day=2/part\.{name}\) has no user \(rows that cannot be used: 1;"
    options = TableOptions(where=where)
    with pytest.raises(InputError, match=said):
        read_interactions(folder, options)
    room = tmp_path / "room"
    room.mkdir()
    for _ in range(2):  # the second time from what the first left
        with pytest.raises(InputError, match=said):
            open_source(folder, options, room)
