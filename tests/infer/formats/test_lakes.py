"""Delta and Iceberg tables: the rows of the latest version, and nothing else that lies beside them."""

import sys
from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.formats.folders import files_of
from infer.formats.places import open_files, read_place
from infer.formats.probe import probe
from infer.system.fingerprints import fingerprint, sha256
from infer.tables.interactions import read_interactions
from tests.helpers import iceberg, nights

TABLE = pl.DataFrame({"user": [1, 2], "item": ["a", "007"], "timestamp": [5, 6]})


@pytest.fixture
def delta(tmp_path: Path) -> Path:
    """Two rows in the latest version, of two partitions; four more lie in files of an earlier one."""
    pytest.importorskip("deltalake", reason="deltalake is not installed")
    folder = tmp_path / "lake"
    rows = TABLE.with_columns(day=pl.Series(["x y", None]))
    partitioned = {"partition_by": ["day"]}
    pl.concat([rows, rows]).write_delta(folder, delta_write_options=partitioned)
    rows.write_delta(folder, mode="overwrite", delta_write_options=partitioned)
    return folder


def both(folder: Path) -> tuple:
    return sha256(folder, files_of(folder)), fingerprint(folder, files_of(folder))


def test_delta_is_its_latest_version_alone(delta: Path) -> None:
    assert read_place(delta).sort("user").rows() == [(1, "a", 5, "x y"), (2, "007", 6, None)]
    (path, opened), *_ = open_files(delta)
    assert path == delta and opened.said == ["read as a Delta table, version 1"] and not opened.untyped
    assert len(list(delta.rglob("*.parquet"))) == 4
    assert [file.suffix for file in files_of(delta)] == [".json", ".json", ".parquet", ".parquet"]
    probe(delta)


def test_a_commit_changes_the_checksum_and_a_stray_file_does_not(delta: Path) -> None:
    before = both(delta)
    TABLE.write_parquet(delta / "stray.parquet")
    assert both(delta) == before
    TABLE.with_columns(day=pl.lit("z")).head(0).write_delta(delta, mode="append")
    assert both(delta)[0] != before[0] and both(delta)[1] != before[1]


def test_a_damaged_log_is_one_line(delta: Path) -> None:
    for file in (delta / "_delta_log").iterdir():
        file.write_text("{}")
    with pytest.raises(InputError, match=r"lake cannot be read: "):
        read_interactions(delta)


def test_delta_is_scored_as_a_file(delta: Path, tmp_path: Path) -> None:
    nights.write_night(tmp_path)
    nights.score(tmp_path, "--production")
    expected = nights.lists(tmp_path)
    pl.read_parquet(tmp_path / "interactions.parquet").write_delta(tmp_path / "night")
    nights.score(tmp_path, "--production", f"--interactions={tmp_path / 'night'}")
    assert nights.lists(tmp_path).equals(expected)


def test_iceberg_is_its_latest_version_alone(tmp_path: Path) -> None:
    table = iceberg.create(tmp_path / "t", TABLE)
    earlier = both(tmp_path / "t")
    table.append(TABLE.with_columns(user=pl.lit(3, pl.Int64)).to_arrow())
    table.delete("user = 1")
    assert read_place(tmp_path / "t").sort("user", "item").rows() == [(2, "007", 6), (3, "007", 6), (3, "a", 5)]
    assert both(tmp_path / "t")[0] != earlier[0] and both(tmp_path / "t")[1] != earlier[1]
    (path, opened), *_ = open_files(tmp_path / "t")
    assert path == tmp_path / "t" and "read as an Iceberg table, as 0000" in opened.said[0]
    probe(tmp_path / "t")


def test_an_iceberg_metadata_file_is_that_version(tmp_path: Path) -> None:
    table = iceberg.create(tmp_path / "t", TABLE)
    first = Path(table.metadata_location.removeprefix("file://"))
    table.append(TABLE.to_arrow())
    assert (read_place(first).height, read_place(tmp_path / "t").height) == (2, 4)


def test_two_latest_metadata_files_are_refused(tmp_path: Path) -> None:
    for name in ("00001-a", "00002-b", "00002-c"):
        (tmp_path / "metadata").mkdir(exist_ok=True)
        (tmp_path / "metadata" / f"{name}.metadata.json").write_text("{}")
    with pytest.raises(InputError, match=r"two latest versions, 00002-b\.metadata\.json and 00002-c\.metadata\.json"):
        read_place(tmp_path)
    (tmp_path / "metadata" / "x.metadata.json").write_text("{}")
    with pytest.raises(InputError, match=r"x\.metadata\.json has no number in its name: give the latest"):
        read_place(tmp_path)
    (tmp_path / "_delta_log").mkdir()
    with pytest.raises(InputError, match="it is a Delta and an Iceberg table"):
        read_place(tmp_path)


@pytest.mark.parametrize(
    ("sign", "library"), [("_delta_log/0.json", "deltalake"), ("metadata/v1.metadata.json", "pyiceberg")]
)
def test_without_its_library_the_extra_is_named(
    sign: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / sign).parent.mkdir()
    (tmp_path / sign).write_text("{}")
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InputError, match=r'not installed: pip install "hybrid-recommender-onnx\[lake\]"$'):
        read_place(tmp_path)
