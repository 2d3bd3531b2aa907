"""What is read from the prepared table: who is who, what is held out, which rating levels there are."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from infer.errors import InputError
from infer.system.fingerprints import sha256
from infer.tables.columns import DATASET_KEY, PROTOCOL_KEY
from train.data import dataset
from train.data.dataset import MOST_LEVELS, _levels, load
from train.models.mf import rating_batches

ROWS = [
    # user, item, timestamp, rating, split
    ("a", 30, 1, 2.0, "train"),
    ("a", 10, 2, 4.0, "train"),
    ("a", 20, 3, 5.0, "validation"),
    ("a", 40, 4, 1.0, "test"),
    ("b", 10, 1, 3.0, "train"),
    ("b", 40, 2, 3.5, "train"),
    ("c", 30, 1, 2.0, "train"),
    ("c", 10, 5, 0.5, "validation"),
    ("c", 50, 6, 4.5, "test"),
]


def written(folder: Path, rows: list[tuple] = ROWS, **changes) -> Path:
    table = pl.DataFrame(rows, schema=["user", "item", "timestamp", "rating", "split"], orient="row")
    table = table.with_columns(pl.col("timestamp").cast(pl.Float64)).select(pl.exclude(changes.get("without", [])))
    table.write_parquet(folder / "interactions.parquet", metadata={DATASET_KEY: "named"})
    return folder


def test_a_table_that_is_replaced_while_it_is_read_is_refused(tmp_path: Path, monkeypatch) -> None:
    read = dataset.read_interactions

    def then_replaced(*given: Any) -> Any:
        found = read(*given)
        (tmp_path / "new").mkdir()
        (written(tmp_path / "new", ROWS[1:]) / "interactions.parquet").replace(tmp_path / "interactions.parquet")
        return found

    monkeypatch.setattr(dataset, "read_interactions", then_replaced)
    with pytest.raises(InputError, match=f"the tables in {tmp_path} were written to while they were read: run again"):
        load(written(tmp_path))
    monkeypatch.undo()
    assert load(tmp_path).checksum == sha256(tmp_path / "interactions.parquet")


def test_everything_is_indexed_from_one_in_ascending_order_of_ids(tmp_path: Path) -> None:
    data = load(written(tmp_path))
    assert data.item_ids == [10, 20, 30, 40, 50] and data.user_ids == ["a", "b", "c"]
    assert data.histories.items.tolist() == [3, 1, 1, 4, 3] and data.histories.offsets.tolist() == [0, 2, 4, 5]
    assert data.targets.tolist() == [2, 0, 1] and data.targets.dtype == np.int64
    assert data.counts.tolist() == [0, 2, 0, 2, 1, 0], "of training alone"
    assert data.name == "named" and data.folder == tmp_path
    assert data.checksum == sha256(tmp_path / "interactions.parquet")


def test_what_is_held_out_is_not_trained_on(tmp_path: Path) -> None:
    data = load(written(tmp_path))
    triples = [list(zip(*(c.tolist() for c in part), strict=True)) for part in (data.ratings, data.validation_ratings)]
    assert triples[0] == [(1, 3, 2.0), (1, 1, 4.0), (2, 1, 3.0), (2, 4, 3.5), (3, 3, 2.0)]
    assert triples[1] == [(1, 2, 5.0), (3, 1, 0.5)]
    assert data.rating_levels == [2.0, 3.0, 3.5, 4.0], "held-out ratings are no levels"
    assert data.histories.levels.tolist() == [1, 4, 2, 3, 1]


def test_rows_without_a_rating_are_history_and_no_ratings(tmp_path: Path) -> None:
    some = [(*row[:3], None if row[1] in (10, 20) and row[3] > 1 else row[3], row[4]) for row in ROWS]
    data = load(written(tmp_path, some))
    triples = list(zip(*(column.tolist() for column in data.ratings), strict=True))
    assert triples == [(1, 3, 2.0), (2, 4, 3.5), (3, 3, 2.0)]
    assert [column.tolist() for column in data.validation_ratings] == [[3], [1], [0.5]]
    assert data.rating_levels == [2.0, 3.5] and data.histories.levels.tolist() == [1, 0, 0, 2, 1]
    assert data.histories.items.tolist() == [3, 1, 1, 4, 3]
    none = load(written(tmp_path, [(*row[:3], None, row[4]) for row in ROWS]))
    assert none.ratings is None and none.rating_levels == [] and none.histories.levels is None


def test_a_table_without_ratings_has_none(tmp_path: Path) -> None:
    data = load(written(tmp_path, without=["rating"]))
    assert data.ratings is None and data.validation_ratings is None
    assert data.rating_levels == [] and data.histories.levels is None


def test_a_table_that_cannot_be_trained_on_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"does not exist: run `python -m train.data --artifacts={tmp_path}` first"):
        load(tmp_path)
    with pytest.raises(InputError, match=r"run `python -m train\.data --artifacts='my shop'` first"):  # can be pasted
        load(Path("my shop"))
    with pytest.raises(InputError, match="has no column split: write it with"):
        load(written(tmp_path, without=["split"]))
    with pytest.raises(InputError, match="has no items to train on: write it again"):
        load(written(tmp_path, [row for row in ROWS if row[-1] != "train"]))


def test_a_table_without_validation_items_measures_nobody(tmp_path: Path) -> None:
    data = load(written(tmp_path, [row for row in ROWS if row[-1] != "validation"]))
    assert not data.targets.any() and len(data.measured_rows(10, 0)) == 0
    assert all(len(column) == 0 for column in data.validation_ratings)


def test_a_table_that_says_that_nothing_is_held_out_is_trained_on_whole(tmp_path: Path) -> None:
    path = written(tmp_path, without=["split"]) / "interactions.parquet"
    pl.read_parquet(path).write_parquet(path, metadata={PROTOCOL_KEY: "nothing held out"})
    data = load(tmp_path)
    assert data.counts.tolist() == [0, 3, 1, 2, 2, 1] and not data.targets.any()
    assert len(data.ratings[0]) == 9 and data.name == "interactions.parquet"


def test_who_is_held_out_whole_is_read_in_validation_and_seen_by_training_never(tmp_path: Path) -> None:
    rows = [row for row in ROWS if row[0] != "b"]
    rows += [("b", 10, 1, 9.0, "history"), ("b", 40, 2, 3.5, "history"), ("b", 50, 3, 8.0, "validation")]
    data = load(written(tmp_path, rows))
    assert data.counts.tolist() == [0, 1, 0, 2, 0, 0] and data.rating_levels == [2.0, 4.0]
    assert data.histories.lengths.tolist() == [2, 0, 1] and data.known.lengths.tolist() == [2, 2, 1]
    assert sorted(data.ratings[2].tolist()) == [2, 2, 4]
    b = torch.tensor([1])
    assert data.windows(b, 3).tolist() == [[0, 1, 4]] and set(data.seen(b)[0].tolist()) == {0, 1, 4}
    assert data.level_windows(b, 3).tolist() == [[0, 2, 2]], "9 and 3.5 are nearest to 4"
    assert data.targets.tolist() == [2, 5, 1]
    assert data.trained.tolist() == [1, 0, 2] and data.trained_ids == ["a", "c"]
    whole = load(written(tmp_path))
    assert whole.context is None and whole.trained.tolist() == [1, 2, 3] and whole.trained_ids == ["a", "b", "c"]


def test_up_to_twenty_distinct_ratings_are_levels_and_more_are_cut_at_quantiles() -> None:
    assert MOST_LEVELS == 20
    few = pl.DataFrame({"rating": [*range(20), 3, 3, 0]})
    assert _levels(few) == [float(n) for n in range(20)]
    # Twenty quantiles of 0, 1, ..., 190 are 0, 10, ..., 190.
    many = pl.DataFrame({"rating": [float(n) for n in reversed(range(191))]})
    assert _levels(many) == [float(n) for n in range(0, 191, 10)]
    # Where most ratings are equal, so are most quantiles.
    crowded = pl.DataFrame({"rating": [5.0] * 970 + [float(n) for n in range(10, 40)]})
    found = _levels(crowded)
    assert found == sorted(set(found)) and found[0] == 5 and found[-1] == 39 and len(found) < 20


def test_an_epoch_of_ratings_holds_every_row_once_in_an_order_of_its_own() -> None:
    ratings = (torch.arange(1, 24), torch.arange(101, 124), torch.arange(23) / 2)
    orders = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(orders))
        made = list(rating_batches(ratings, 5, torch.Generator().manual_seed(seed)))
        assert [len(batch[0]) for batch in made] == [5, 5, 5, 5, 3]
        user, item, rating = (torch.cat(column) for column in zip(*made, strict=True))
        assert torch.equal(item, user + 100) and torch.equal(rating, (user - 1) / 2), "rows stay together"
        assert sorted(user.tolist()) == list(range(1, 24))
        orders.append(user.tolist())
    assert orders[0] == orders[1] != orders[2] and orders[0] != sorted(orders[0])
