"""Tables are checked, sorted and cut once, in bounded steps; a stopped run goes on; only what is read is checked."""

import json
from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.sources import cutting, prepared, sorting, source
from infer.sources.cutting import Part, cut
from infer.sources.source import Source, open_source
from infer.tables.columns import RATING, SPLIT, TIDY_KEY
from infer.tables.interactions import read_interactions
from infer.tables.options import TableOptions

NAMES = ["user", "item", "timestamp"]
# In runs of three rows; user 2 has rows in each of them.
ROWS = [(2, 9, 1), (1, 7, 5), (2, 8, 2), (3, 7, 3), (2, 7, 3), (1, 6, 4), (2, 6, 4), (4, 6, 1), (1, 7, 9)]
SORTED = [(1, 6, 4), (1, 7, 9), (2, 9, 1), (2, 8, 2), (2, 7, 3), (2, 6, 4), (3, 7, 3), (4, 6, 1)]


@pytest.fixture
def small(monkeypatch) -> None:
    monkeypatch.setattr(sorting, "ROWS", 3)
    monkeypatch.setattr(sorting, "SORTED_ROWS", 3)


def table(folder: Path, rows: list[tuple] = ROWS, **metadata: str) -> Path:
    path = folder / "t[1].parquet"
    pl.DataFrame(rows, schema=NAMES, orient="row").write_parquet(path, metadata=metadata)
    pl.DataFrame({"user": [0]}).write_parquet(folder / "t1.parquet")
    (folder / "w").mkdir(exist_ok=True)
    return path


def rows_in(found: Source) -> list[tuple]:
    return [row for part in found.parts for row in found.read(part).rows()]


def test_runs_are_merged_into_ranges_that_part_no_user(small, tmp_path: Path) -> None:
    found = open_source(table(tmp_path), TableOptions(), tmp_path / "w", 2)
    assert rows_in(found) == SORTED and found.notes.repeated == 1
    files = sorted((tmp_path / "w").glob("*.parquet"))
    users = [pl.read_parquet(file, glob=False)["user"].unique().sort().to_list() for file in files]
    # Of the runs' users (1, 2, 2), (1, 2, 3), (1, 2, 4) each third in order begins a range: 1, 2, 2.
    assert users == [[1], [2, 3, 4]]


def test_rows_of_one_pair_and_second_keep_the_order_of_the_table(small, tmp_path: Path) -> None:
    splits = ["test", "train", "validation", "train", "validation"]
    rows = [(5, 1, 1), (4, 1, 1), (4, 1, 1), (2, 1, 1), (5, 1, 1)]
    frame = pl.DataFrame(rows, schema=NAMES, orient="row").with_columns(split=pl.Series(splits))
    frame.write_parquet(tmp_path / "t.parquet")
    (tmp_path / "w").mkdir()
    options = TableOptions(split="split")
    found = rows_in(open_source(tmp_path / "t.parquet", options, tmp_path / "w"))
    assert found == read_interactions(tmp_path / "t.parquet", options).interactions.rows()
    assert found[1:] == [(4, 1, 1, "validation"), (5, 1, 1, "validation")]


def test_parts_say_how_many_users_come_before(small, tmp_path: Path, monkeypatch) -> None:
    found = open_source(table(tmp_path), TableOptions(), tmp_path / "w", 3)
    assert found.parts == [Part(0, 3, 0, 0, 7), Part(1, 1, 3, 7, 1)]
    monkeypatch.setattr(cutting, "PART_ROWS", 4)
    rows = pl.DataFrame({"user": [1, 1, 2, 3, 3, 3, 3, 3, 4, 5]}).lazy()
    # Users 1 and 2 have three rows, with 3 they would have eight; 3 has more rows than a part.
    assert cut(rows, Path("t"), 9) == [Part(0, 2, 0, 0, 3), Part(1, 1, 2, 3, 5), Part(2, 2, 3, 8, 2)]


@pytest.mark.parametrize("kind", ["text", "unordered", "by user", "tidy"])
def test_what_was_found_out_is_not_sought_again(kind: str, tmp_path: Path, monkeypatch) -> None:
    rows = SORTED if kind in ("by user", "tidy") else ROWS
    path = table(tmp_path, rows, **({TIDY_KEY: "1"} if kind == "tidy" else {}))
    if kind == "text":
        path = tmp_path / "t.csv"
        pl.DataFrame([*ROWS, (None, 1, 1)], schema=NAMES, orient="row").write_csv(path)
    columns = TableOptions(drop_bad_rows=True)
    first = open_source(path, columns, tmp_path / "w", 2)
    expected = rows_in(first)
    assert expected == SORTED

    def never(*_: object, **__: object) -> None:
        raise AssertionError("sought again")

    for name in ("check", "cut", "sorted_by_user"):
        monkeypatch.setattr(source, name, never)
    second = open_source(path, columns, tmp_path / "w", 2)
    assert (second.parts, second.notes, second.ordered) == (first.parts, first.notes, first.ordered)
    assert second.rows.collect_schema() == first.rows.collect_schema() and rows_in(second) == expected


def test_a_stopped_run_goes_on_from_its_runs_and_sorted_files(small, tmp_path: Path, monkeypatch) -> None:
    path, folder = table(tmp_path), tmp_path / "w"
    real = sorting.in_order

    def stopped(rows: pl.DataFrame, *given: object, **options: bool) -> object:
        if rows["user"].max() == 4:
            raise KeyboardInterrupt
        return real(rows, *given, **options)

    monkeypatch.setattr(sorting, "in_order", stopped)
    with pytest.raises(KeyboardInterrupt):
        open_source(path, TableOptions(), folder)
    left = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert sorted(left) == [*(f"run-0000{n}.parquet" for n in range(3)), "sorted-00000.parquet"]
    monkeypatch.setattr(sorting, "in_order", real)
    written = []
    replacing = sorting.replacing
    monkeypatch.setattr(sorting, "replacing", lambda file: written.append(file.name) or replacing(file))
    assert rows_in(open_source(path, TableOptions(), folder)) == SORTED
    assert written == ["sorted-00001.parquet"]
    assert sorted(file.name for file in folder.iterdir()) == [
        "sorted-00000.parquet",
        *written,
        "source.json",
    ]


def test_files_that_a_stop_left_behind_are_removed_and_lost_ones_made_again(small, tmp_path: Path) -> None:
    path, folder = table(tmp_path), tmp_path / "w"
    open_source(path, TableOptions(), folder)
    for name in ("run-00000.parquet", "text.parquet", "unpacked"):
        (folder / name).write_bytes(b"x")
    assert rows_in(open_source(path, TableOptions(), folder)) == SORTED
    kept = ["sorted-00000.parquet", "sorted-00001.parquet", "source.json"]
    assert sorted(file.name for file in folder.iterdir()) == kept
    (folder / kept[0]).unlink()
    assert rows_in(open_source(path, TableOptions(), folder)) == SORTED
    content = json.loads((folder / prepared.FILE).read_text())
    (folder / prepared.FILE).write_text(json.dumps(content | {"format": 0, "parts": []}))
    assert rows_in(open_source(path, TableOptions(), folder)) == SORTED


BAD = "user,item,timestamp,rating,split\n2,1,5,x,B\n1,1,5,,\n"


@pytest.mark.parametrize(
    ("optional", "message"),
    [
        ((), None),
        ((RATING,), "row 1 has the rating 'x'"),
        ((SPLIT,), "row 1 has the split 'B'"),
        (None, "row 1 has the rating 'x'"),
    ],
)
def test_only_the_columns_that_are_read_are_checked(optional, message, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(BAD)
    given = {} if optional is None else {"optional": optional}
    (tmp_path / "w").mkdir()

    def whole() -> list[tuple]:
        return read_interactions(tmp_path / "t.csv", TableOptions(split="split"), **given).interactions.rows()

    def in_parts() -> list[tuple]:
        return rows_in(open_source(tmp_path / "t.csv", TableOptions(split="split"), tmp_path / "w", **given))

    for read in (whole, in_parts):
        if message is None:
            assert read() == [(1, 1, 5), (2, 1, 5)]
        else:
            with pytest.raises(InputError, match=message):
                read()


def test_a_rating_column_that_was_stated_must_exist_though_it_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(BAD)
    with pytest.raises(InputError, match="has no column 'stars'"):
        read_interactions(tmp_path / "t.csv", TableOptions(rating="stars"), ())
