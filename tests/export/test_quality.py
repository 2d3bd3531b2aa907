"""What a cheaper precision loses: measured on validation items, in the first ten, up to the stated share."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from export.__main__ import ExportConfig
from export.quality import check_quality, stated_loss
from infer.errors import InputError
from infer.model.session import open_model
from tests.helpers.markov import write_model

ITEMS = list("abcdefghijklm")


def table(folder: Path, rows: list[tuple]) -> Path:
    path = folder / "interactions.parquet"
    pl.DataFrame(rows, schema=["user", "item", "timestamp", "split"], orient="row").write_parquet(path)
    return path


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """Two users who know a; all of b to m is in the table."""
    rows = [(user, "a", 1, "train") for user in "uv"]
    rows += [("u", "b", 2, "validation"), ("u", "c", 3, "test"), ("v", "b", 2, "validation"), ("v", "d", 3, "test")]
    return table(tmp_path, [*rows, *(("w", item, n, "train") for n, item in enumerate(ITEMS))])


def model(name: str, order: str, held: Path) -> Path:
    """A file that lists the items in this order to everyone."""
    scores = np.zeros(len(ITEMS) + 1)
    for rank, item in enumerate(order):
        scores[ITEMS.index(item) + 1] = 100 - rank
    return write_model(held.parent / f"{name}.onnx", ITEMS, np.tile(scores, (len(ITEMS) + 1, 1)), held)


def test_the_share_that_may_be_lost_is_lost_at_most(held: Path) -> None:
    # b, the validation item, falls from rank 1 to rank 3: NDCG 1 and 1 / log2(4).
    exact, other = model("exact", "bcdefghijklm", held), model("other", "cdbefghijklm", held)
    expected = {"ndcg@10_fp32": 1.0, "ndcg@10": 0.5, "overlap@10": 1.0}
    assert check_quality(exact, other, held, 0.5) == pytest.approx(expected)
    with pytest.raises(
        InputError, match=r"falls from 1\.0000 to 0\.5000, by more than --largest-loss 0\.499: the file"
    ):
        check_quality(exact, other, held, 0.499)
    assert check_quality(other, exact, held, 0.0)["ndcg@10"] == 1.0, "a gain is no loss"
    assert check_quality(exact, exact, held, 0.0)["overlap@10"] == 1.0
    assert ExportConfig().largest_loss == 0.02


def test_a_loss_that_may_be_chance_is_written(held: Path) -> None:
    rows = pl.read_parquet(held)
    third = pl.DataFrame([("x", "a", 1, "train"), ("x", "c", 2, "validation")], schema=rows.schema, orient="row")
    pl.concat([rows, third]).write_parquet(held)
    first, second, third = (model(name, f"{name}efghijklm", held) for name in ("bcd", "cbd", "dcb"))
    # Of ranks 1 and 2: u and v lose as much as x gains, a mean of 0.37 / 3 with a standard error of 0.25.
    lost = 1 - 1 / np.log2(3)
    found = check_quality(first, second, held, 0.0)
    assert found["ndcg@10_fp32"] - found["ndcg@10"] == pytest.approx(lost / 3)
    with pytest.raises(InputError, match="by more than --largest-loss 0"):
        check_quality(second, third, held, 0.0)  # nobody gains


def test_only_the_first_ten_count(held: Path) -> None:
    exact = model("exact", "cdefghijkblm", held)
    other = model("other", "cdefghijklbm", held)
    found = check_quality(exact, other, held, 1.0)
    assert found == pytest.approx({"ndcg@10_fp32": 1 / np.log2(11), "ndcg@10": 0.0, "overlap@10": 0.9})
    other = model("third", "mlbcdefghijk", held)
    assert check_quality(exact, other, held, 1.0)["overlap@10"] == pytest.approx(0.8)


def test_where_nobody_is_listed_an_item_no_share_of_the_same_is_told(held: Path, tmp_path: Path) -> None:
    exact = model("exact", "bcdefghijklm", held)
    (tmp_path / "full").mkdir()
    full = table(tmp_path / "full", [("w", item, n, "train") for n, item in enumerate(ITEMS)])
    found = check_quality(exact, exact, full, 1.0)
    assert found == {}
    said = replace(open_model(exact).metadata, precision="int8", parity=found | {"size": 0.5})
    assert stated_loss(said) == (
        "; nothing is held out, so what NDCG@10 loses is not measured, nobody is listed an item, 50% of the size"
    )
    parity = {"ndcg@10_fp32": 0.5, "ndcg@10": 0.25, "overlap@10": 0.9, "size": 0.5}
    assert stated_loss(replace(said, parity=parity)) == (
        "; NDCG@10 0.2500 against 0.5000 in fp32, 90.0% of the same items, 50% of the size"
    )


def test_a_table_that_holds_nothing_out_is_refused(held: Path, tmp_path: Path) -> None:
    exact = model("exact", "bcdefghijklm", held)
    (tmp_path / "plain").mkdir()
    plain = tmp_path / "plain" / "interactions.parquet"
    pl.read_parquet(held).drop("split").write_parquet(plain)
    unvalidated = tmp_path / "plain" / "unvalidated.parquet"
    pl.read_parquet(held).filter(pl.col("split") != "validation").write_parquet(unvalidated)
    # Of whole histories ten items are left to u and v in the one table, and eleven in the other: l and m change places.
    for path, overlap in ((plain, 1.0), (unvalidated, 0.9)):
        with pytest.raises(InputError, match=r"holds nothing out for validation, .*--largest-loss=1 writes the file"):
            check_quality(exact, exact, path, 0.99)
        other = model("other", "mbcdefghijkl", held)
        assert check_quality(exact, other, path, 1.0) == pytest.approx({"overlap@10": overlap})
    with pytest.raises(InputError, match=r"none\.parquet, on which its loss is measured, is not"):
        check_quality(exact, exact, tmp_path / "none.parquet", 1.0)


def test_of_many_users_some_are_compared(held: Path, monkeypatch) -> None:
    rows = pl.read_parquet(held)
    third = pl.DataFrame([("x", "a", 1, "train"), ("x", "c", 2, "validation")], schema=rows.schema, orient="row")
    pl.concat([rows, third]).write_parquet(held)
    exact, other = model("exact", "bcdefghijklm", held), model("other", "cbdefghijklm", held)
    every = check_quality(exact, other, held, 1.0)
    monkeypatch.setattr("export.quality.MOST_USERS", 1)
    one = check_quality(exact, other, held, 1.0)
    assert one == check_quality(exact, other, held, 1.0), "the same are drawn again"
    ranks = {1.0, 1 / np.log2(3), 0.5}  # of one user
    assert one != every and all(any(value == pytest.approx(rank) for rank in ranks) for value in one.values())
