"""Folders named key=value: their values are columns without types, the same above every file."""

from pathlib import Path, PurePath

import polars as pl
import pytest

from infer.errors import InputError
from infer.formats.folders import files_of
from infer.formats.hive import values_of
from infer.formats.places import read_place
from infer.formats.probe import probe
from infer.system.fingerprints import fingerprint, sha256
from infer.tables.interactions import read_interactions, scan_interactions
from infer.tables.options import TableOptions
from tests.helpers import nights

ONE = pl.DataFrame({"item": [2], "timestamp": [3]})


def write(folder: Path, name: str, table: pl.DataFrame = ONE) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    table.write_parquet(folder / name)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("user=7/day=a%2Fb", "user=8/day=__HIVE_DEFAULT_PARTITION__", "user=007/day=2024-01-02"):
        write(tmp_path / "t", f"{name}/part-0.parquet")
        (tmp_path / "t" / name / "_SUCCESS").touch()
    return tmp_path / "t"


def test_values_are_decoded_texts_and_null_where_there_is_none(folder: Path) -> None:
    table = read_place(folder)
    assert table.columns == ["item", "timestamp", "user", "day"]
    assert table.rows() == [(2, 3, "007", "2024-01-02"), (2, 3, "7", "a/b"), (2, 3, "8", None)]
    assert values_of(PurePath("a%20b=c=d/e=/f.parquet")) == {"a b": "c=d", "e": None}


def test_values_are_untyped_and_may_be_any_column(folder: Path) -> None:
    assert scan_interactions(folder).untyped == {"user"}
    assert scan_interactions(folder, TableOptions(rating="day")).untyped == {"user", "rating"}
    assert read_interactions(folder).interactions["user"].to_list() == ["007", "7", "8"]


def test_the_keys_are_the_same_above_every_file(folder: Path) -> None:
    with pytest.raises(InputError, match=r"user=9/part-0\.parquet lies under the keys user, user=007/.* user, day;"):
        read_interactions(write(folder, "user=9/part-0.parquet"))


def test_a_key_twice_or_in_the_file_too_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lies under the keys day, day"):
        files_of(write(tmp_path / "a", "day=1/day=2/x.parquet"))
    with pytest.raises(InputError, match=r"x\.parquet has a column item, which its folder's name also gives"):
        read_place(write(tmp_path / "b", "item=1/x.parquet"))


def test_a_folder_of_another_name_below_is_refused(folder: Path) -> None:
    (folder / "user=7" / "_temporary").mkdir()
    with pytest.raises(InputError, match="holds the folder _temporary: a writer has not finished"):
        read_interactions(folder)


def test_names_of_folders_are_part_of_the_checksum(folder: Path) -> None:
    def both() -> tuple:
        return sha256(folder, files_of(folder)), fingerprint(folder, files_of(folder))

    before = both()
    (folder / "user=7").rename(folder / "user=6")
    assert both()[0] != before[0]
    moved = both()
    write(folder, "user=9/day=1/part-0.parquet")
    assert both()[0] != moved[0] and both()[1] != moved[1]
    probe(folder)


def test_partitions_are_scored_as_one_file(tmp_path: Path) -> None:
    nights.write_night(tmp_path)
    nights.score(tmp_path, "--production")
    expected = nights.lists(tmp_path)
    table = pl.read_parquet(tmp_path / "interactions.parquet")
    for (half,), rows in table.group_by(pl.col("timestamp") % 2):
        write(tmp_path / "halves", f"half={half}/part-0.parquet", rows)
    nights.score(tmp_path, "--production", f"--interactions={tmp_path / 'halves'}")
    assert nights.lists(tmp_path).equals(expected)
