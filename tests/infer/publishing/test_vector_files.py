"""Vectors as files: Parquet, NumPy and an index, with ids beside, over nothing that others wrote."""

from pathlib import Path

import faiss
import numpy as np
import polars as pl
import pytest

from infer.errors import InputError
from infer.publishing.vector_files import check_output, ids_beside, write_vectors
from infer.system.fingerprints import sha256
from infer.system.ownership import MARK

PARTS = [
    (pl.Series("item", ["a", "b"]), np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32)),
    (pl.Series("item", [], dtype=pl.String), np.zeros((0, 3), dtype=np.float32)),
    (pl.Series("item", ["c"]), np.array([[7, 8, 9]], dtype=np.float32)),
]


def test_parts_become_one_table(tmp_path: Path) -> None:
    path = tmp_path / "v.parquet"
    for _ in range(2):  # it may be replaced
        assert write_vectors(path, 3, PARTS) == 3
    found = pl.read_parquet(path)
    assert found.schema == {"item": pl.String, "vector": pl.Array(pl.Float32, 3)}
    assert found["item"].to_list() == ["a", "b", "c"] and found["vector"].to_list() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


@pytest.mark.parametrize("ending", ["npy", "faiss"])
def test_ids_stand_beside_and_say_to_which_file_they_belong(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"v.{ending}"
    assert write_vectors(path, 3, PARTS) == 3
    first = path.read_bytes()
    assert write_vectors(path, 3, PARTS) == 3 and path.read_bytes() == first
    beside = tmp_path / f"v.{ending}.ids.parquet"
    assert beside == ids_beside(path) and pl.read_parquet(beside)["item"].to_list() == ["a", "b", "c"]
    assert pl.read_parquet_metadata(beside)["vectors_sha256"] == sha256(path)
    if ending == "npy":
        assert np.load(path).tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    else:
        scores, rows = faiss.read_index(str(path)).search(np.array([[0, 0, 1]], dtype=np.float32), 2)
        assert rows.tolist() == [[2, 1]] and scores.tolist() == [[9, 6]]


def test_an_index_finds_nearly_all_that_brute_force_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    items = rng.normal(size=(3_000, 16)).astype(np.float32) * rng.lognormal(0, 0.3, (3_000, 1)).astype(np.float32)
    users = rng.normal(size=(200, 16)).astype(np.float32)
    write_vectors(tmp_path / "v.faiss", 16, [(pl.Series("item", range(3_000)), items)])
    best = np.argsort(-users @ items.T, axis=1)[:, :10]
    found = faiss.read_index(str(tmp_path / "v.faiss")).search(users, 10)[1]
    recall = np.mean([len(set(one) & set(other)) / 10 for one, other in zip(best, found, strict=True)])
    assert recall > 0.97


def test_a_table_of_ours_that_holds_no_vectors_stays(tmp_path: Path) -> None:
    items = tmp_path / "items.parquet"
    pl.DataFrame({"item": ["a"], "title": ["A"]}).write_parquet(items, metadata=dict(MARK))
    before = items.read_bytes()
    with pytest.raises(
        InputError, match=r"items\.parquet exists and holds no vectors, but item, title: choose another"
    ):
        check_output(items, [])
    assert items.read_bytes() == before
    write_vectors(tmp_path / "v.parquet", 3, PARTS)
    check_output(tmp_path / "v.parquet", [])


def test_what_others_wrote_stays(tmp_path: Path) -> None:
    foreign = tmp_path / "v.npy"
    foreign.write_bytes(b"mine")
    for write in (lambda: check_output(foreign, []), lambda: write_vectors(foreign, 3, PARTS)):
        with pytest.raises(InputError, match=r"v\.npy exists and was not written by this project: move it away"):
            write()
    assert foreign.read_bytes() == b"mine" and [file.name for file in tmp_path.iterdir()] == ["v.npy"]
    pl.DataFrame({"item": ["x"]}).write_parquet(tmp_path / "w.npy.ids.parquet")
    with pytest.raises(InputError, match=r"w\.npy\.ids\.parquet exists and was not written by this project"):
        check_output(tmp_path / "w.npy", [])
    with pytest.raises(InputError, match=r"expected a file that ends in \.parquet, \.npy, \.faiss"):
        check_output(tmp_path / "v.csv", [])
    (tmp_path / "d.npy").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*d\.npy: it is a folder"):
        check_output(tmp_path / "d.npy", [])


def test_parts_that_fail_leave_the_earlier_files(tmp_path: Path) -> None:
    def broken():
        yield PARTS[0]
        raise InputError("no more")

    for ending in ("npy", "parquet", "faiss"):
        write_vectors(tmp_path / f"v.{ending}", 3, PARTS)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    for ending in ("npy", "parquet", "faiss"):
        with pytest.raises(InputError, match="no more"):
            write_vectors(tmp_path / f"v.{ending}", 3, broken())
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("ending", ["npy", "parquet", "faiss"])
def test_no_parts_are_refused_in_a_line(tmp_path: Path, ending: str) -> None:
    with pytest.raises(InputError, match=f"nothing whose vectors .*v.{ending} could hold"):
        write_vectors(tmp_path / f"v.{ending}", 3, iter(()))
    assert not list(tmp_path.iterdir())
