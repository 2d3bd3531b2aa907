"""Tables read a range of users at a time: the same rows as when read whole, however they are stored."""

import re
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infer.errors import InputError
from infer.formats.reading import collect
from infer.sources import cutting, sorting
from infer.sources.source import from_frame, open_source, select_users
from infer.tables.columns import TIDY_KEY
from infer.tables.interactions import read_interactions
from infer.tables.options import TableOptions
from infer.tables.tidy import tidy

ROWS = [
    (3, "b", 5),
    (3, "a", 5),
    (3, "b", 2),
    (1, "c", 9),
    (1, "a", 1),
    (2, "a", 7),
    (4, "d", 4),
]
TABLE = pl.DataFrame(ROWS, schema=["user", "item", "timestamp"], orient="row")
TIDY = [(1, "a", 1), (1, "c", 9), (2, "a", 7), (3, "a", 5), (3, "b", 5), (4, "d", 4)]


def read(path: Path, folder: Path, part_users: int = 2) -> list[list[tuple]]:
    folder.mkdir(exist_ok=True)
    source = open_source(path, TableOptions(), folder, part_users)
    return [source.read(shard).rows() for shard in source.parts]


def stored(table: pl.DataFrame, kind: str, folder: Path) -> Path:
    path = folder / {"text": "t.csv", "double": "t.dat"}.get(kind, "t.parquet")
    if kind == "text":
        table.write_csv(path)
    elif kind == "double":
        path.write_text("\n".join("::".join(map(str, row)) for row in [tuple(table.columns), *table.rows()]) + "\n")
    elif kind == "tidy":
        read_interactions(stored(table, "text", folder)).interactions.write_parquet(path, metadata={TIDY_KEY: "1"})
    else:
        (table.sort("user") if kind == "by user" else table).write_parquet(path)
    return path


@pytest.mark.parametrize("kind", ["text", "double", "unordered", "by user", "tidy"])
def test_shards_are_users_in_order_with_their_tidy_rows(kind: str, tmp_path: Path) -> None:
    found = read(stored(TABLE, kind, tmp_path), tmp_path / "work")
    assert found == [TIDY[:3], TIDY[3:]]


@pytest.mark.parametrize("kind", ["unordered", "by user", "tidy"])
def test_a_table_without_rows_is_refused(kind: str, tmp_path: Path) -> None:
    path = stored(TABLE, kind, tmp_path)
    pl.read_parquet(path).clear().write_parquet(path, metadata={TIDY_KEY: "1"} if kind == "tidy" else None)
    with pytest.raises(InputError, match=r"t\.parquet has no rows"):
        read(path, tmp_path / "work")


@pytest.mark.parametrize("kind", ["unordered", "tidy"])
def test_a_user_with_more_rows_than_a_shard_holds_is_not_cut(kind: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(cutting, "PART_ROWS", 2)
    monkeypatch.setattr(sorting, "ROWS", 2)
    monkeypatch.setattr(sorting, "SORTED_ROWS", 2)
    table = pl.DataFrame({"user": [1, 2, 2, 2, 2, 2, 3], "item": list("abcdefg"), "timestamp": range(7)})
    found = read(stored(table, kind, tmp_path), tmp_path / "work", 10)
    assert [[row[0] for row in part] for part in found] == [[1], [2] * 5, [3]]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 5)), min_size=1, max_size=60),
    st.sampled_from(["text", "unordered", "by user", "tidy"]),
    st.integers(1, 4),
    st.integers(1, 9),
)
def test_all_shards_together_are_the_whole_table(rows, kind, part_users, block) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "PART_ROWS", block)
        patch.setattr(sorting, "ROWS", block)
        patch.setattr(sorting, "SORTED_ROWS", 2 * block)
        table = pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row")
        path = stored(table, kind, Path(name))
        parts = read(path, Path(name) / "work", part_users)
        assert [row for part in parts for row in part] == read_interactions(path).interactions.rows()
        users = [{row[0] for row in part} for part in parts]
        assert all(len(part) <= part_users for part in users) and len(set.union(*users)) == sum(map(len, users))


def test_ids_of_a_later_part_decide_that_all_are_texts(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(cutting, "PART_ROWS", 2)
    monkeypatch.setattr(sorting, "ROWS", 2)
    (tmp_path / "t.csv").write_text("user,item,timestamp\n1,1,1\n2,2,2\n3,x,3\n")
    found = read(tmp_path / "t.csv", tmp_path / "work", 1)
    assert found == [[(1, "1", 1)], [(2, "2", 2)], [(3, "x", 3)]]


def test_a_damaged_row_is_named_by_its_number_in_the_file(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(cutting, "PART_ROWS", 2)
    monkeypatch.setattr(sorting, "ROWS", 2)
    (tmp_path / "t.csv").write_text("user,item,timestamp\n1,1,1\n2,2,2\n3,3,3\n4,4,later\n")
    with pytest.raises(InputError, match=r"t\.csv row 4 has the timestamp 'later'"):
        read(tmp_path / "t.csv", tmp_path / "work")


def test_a_table_that_says_it_is_tidy_but_is_not_is_refused(tmp_path: Path) -> None:
    TABLE.write_parquet(tmp_path / "t.parquet", metadata={TIDY_KEY: "1"})
    with pytest.raises(InputError, match="says that it is ordered by user, but is not"):
        read(tmp_path / "t.parquet", tmp_path / "work")
    holes = pl.DataFrame(TIDY, schema=["user", "item", "timestamp"], orient="row").with_columns(
        pl.when(pl.col("user") < 3).then("item").alias("item")
    )
    holes.write_parquet(tmp_path / "t.parquet", metadata={TIDY_KEY: "1"})
    with pytest.raises(InputError, match="rows without a user, item or timestamp"):
        read(tmp_path / "t.parquet", tmp_path / "work")


@pytest.mark.parametrize("kind", ["text", "unordered", "by user", "tidy"])
def test_chosen_users_have_the_tidy_rows_that_they_have_among_all(kind: str, tmp_path: Path) -> None:
    path = stored(TABLE, kind, tmp_path)
    (tmp_path / "work").mkdir()
    source = open_source(path, TableOptions(), tmp_path / "work", 2)
    chosen = select_users(source, "4,3")
    assert [chosen.read(shard).rows() for shard in chosen.parts] == [TIDY[3:]]
    assert chosen.notes == source.notes and chosen.users == 2
    with pytest.raises(InputError, match=r"--users: .* has no user '9'"):
        select_users(source, "3,9")


def test_a_tidy_table_of_other_types_is_brought_into_the_usual_ones(tmp_path: Path) -> None:
    table = pl.DataFrame(TIDY, schema=["user", "item", "timestamp"], orient="row")
    for change in (pl.col("user").cast(pl.Int32), pl.col("timestamp").cast(pl.String)):
        table.with_columns(change).write_parquet(tmp_path / "t.parquet", metadata={TIDY_KEY: "1"})
        assert read(tmp_path / "t.parquet", tmp_path / change.meta.output_name()) == [TIDY[:3], TIDY[3:]]
        source = open_source(tmp_path / "t.parquet", TableOptions(), tmp_path / change.meta.output_name(), 2)
        assert source.read(source.parts[0]).schema["user"] == pl.Int64


def test_rows_in_memory_are_a_source_too() -> None:
    tidied = tidy(pl.DataFrame(TIDY, schema=["user", "item", "timestamp"], orient="row"), "t")
    source = from_frame(Path("t"), tidied, TableOptions(), part_users=3)
    assert source.users == 4 and [source.read(shard).height for shard in source.parts] == [5, 1]
    with pytest.raises(ValueError, match="t: expected rows that are ordered by user"):
        from_frame(Path("t"), replace(tidied, interactions=tidied.interactions.reverse()), TableOptions())


def test_files_of_a_stopped_run_are_used_again(tmp_path: Path) -> None:
    path, folder = stored(TABLE, "text", tmp_path), tmp_path / "work"
    first = read(path, folder)
    times = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert [file.name for file in sorted(times)] == ["sorted-00000.parquet", "source.json"]
    assert read(path, folder) == first
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == times


def folder_of(tmp_path: Path, kind: str) -> Path:
    """A file for each row, in the order of the rows: alike, with other types in every second one, or of partitions."""
    folder = tmp_path / "table"
    for number, row in enumerate(TABLE.iter_slices(1)):
        place = folder / f"day={number}" if kind == "partitions" else folder
        place.mkdir(parents=True, exist_ok=True)
        typed = row.cast({"user": pl.Int32}) if kind == "unlike" and number % 2 else row
        typed.write_parquet(place / f"part-{number}[0].parquet")
    return folder


@pytest.mark.parametrize(("kind", "options", "copied"), [
    ("alike", TableOptions(), False),
    ("alike", TableOptions(where="timestamp > 0"), True),
    ("alike", TableOptions(order="rows"), False),
    ("unlike", TableOptions(), True),
    ("unlike", TableOptions(order="rows"), True),
    ("partitions", TableOptions(), True),
])  # fmt: skip
def test_a_slice_of_a_folder_asks_not_all_of_its_files(
    kind: str, options: TableOptions, copied: bool, tmp_path: Path, monkeypatch
) -> None:
    """Or a thousand files would take a thousand times as long for each of a thousand slices."""
    path, sliced = folder_of(tmp_path, kind), []
    expected = read_interactions(path, options)
    monkeypatch.setattr(sorting, "ROWS", 2)
    monkeypatch.setattr(
        sorting, "collect", lambda rows, path: sliced.append(rows.explain(optimized=False)) or collect(rows, path)
    )
    (tmp_path / "work").mkdir()
    source = open_source(path, options, tmp_path / "work", 2)
    assert pl.concat(source.read(part) for part in source.parts).equals(expected.interactions)
    assert source.notes.said == expected.notes.said and len(sliced) > 4
    assert all(plan.count("Parquet SCAN") == 1 for plan in sliced)
    assert any("text.parquet" in plan for plan in sliced) == copied
    assert not (tmp_path / "work" / "text.parquet").exists()


@pytest.mark.parametrize("kind", ["alike", "unlike", "partitions"])
def test_a_bad_row_of_a_folder_is_told_alike_however_it_is_read(kind: str, tmp_path: Path) -> None:
    path = folder_of(tmp_path, kind)
    worst = sorted(path.rglob("*.parquet"))[5]
    pl.read_parquet(worst, glob=False, hive_partitioning=False).with_columns(
        item=pl.lit(None, pl.String)
    ).write_parquet(worst)
    (tmp_path / "work").mkdir()
    for how in (lambda: read_interactions(path), lambda: open_source(path, TableOptions(), tmp_path / "work")):
        with pytest.raises(InputError, match=rf"table row 6 \(row 1 of .*{re.escape(worst.name)}\) has no item"):
            how()
    pl.read_parquet(worst, glob=False, hive_partitioning=False).drop("item").write_parquet(worst)
    with pytest.raises(InputError, match=worst.name.replace("[", r"\[")):
        open_source(path, TableOptions(), tmp_path / "work")
