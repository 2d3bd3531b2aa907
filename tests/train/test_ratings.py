"""Ratings from the table to the graph: levels, windows of them, and a model that reads them."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from infer.histories.histories import build_histories, rating_level
from infer.histories.vocabulary import vocabulary
from infer.histories.windows import level_windows, windows
from infer.model.session import open_model
from infer.model.signature import COMMON
from infer.tables.columns import ITEM
from train.data.dataset import load
from train.models.registry import restore
from train.saved import checkpoint


def test_a_rating_becomes_the_number_of_the_nearest_level() -> None:
    ratings = np.array([0.0, 1.0, 1.4, 1.6, 2.9, 3.6, 9.0, np.nan])
    assert rating_level(ratings, [1.0, 2.0, 4.0]).tolist() == [1, 1, 1, 2, 2, 3, 3, 0]
    assert rating_level(np.array([1.5, 3.0]), [1.0, 2.0, 4.0]).tolist() == [1, 2], "halfway is the lower one"
    assert rating_level(ratings, [3.0]).tolist() == [1] * 7 + [0], "one level alone is the nearest to all"


def test_levels_stand_where_their_items_do() -> None:
    table = pl.DataFrame(
        {"user": [1, 1, 1, 2], "item": [7, 8, 9, 9], "timestamp": [3, 1, 2, 1], "rating": [1.0, 2, 5, None]}
    )
    found = build_histories(table, vocabulary([7, 9], ITEM), rating_levels=[1.0, 5.0])
    assert windows(found, 3).tolist() == [[0, 2, 1], [0, 0, 2]]
    assert level_windows(found, 3).tolist() == [[0, 2, 1], [0, 0, 0]]
    assert level_windows(found.take(np.array([1, 0])), 2).tolist() == [[0, 0], [2, 1]]
    assert level_windows(found.rows(1, 2), 2).tolist() == [[0, 0]]
    without = build_histories(table.drop("rating"), vocabulary([7, 9], ITEM), rating_levels=[1.0, 5.0])
    assert not level_windows(without, 3).any()


@pytest.fixture(scope="module")
def folder(artifacts: Path, run, tmp_path_factory) -> Path:
    """A model that reads ratings, exported."""
    folder = tmp_path_factory.mktemp("rated")
    for name in ("interactions.parquet", "items.parquet"):
        shutil.copy(artifacts / name, folder)
    options = ("--ratings=embedding", "--epochs=3", "--max-length=8", "--dim=16")
    assert run("train", "hybrid", f"--artifacts={folder}", "--name=rated", *options).returncode == 0
    done = run("export", "rated", f"--artifacts={folder}")
    assert done.returncode == 0, done.stderr
    return folder


def test_the_scorer_feeds_ratings_as_training_did(folder: Path) -> None:
    model = open_model(folder / "rated.onnx")
    data = load(folder)
    assert set(model.inputs) == {"window", "levels", *COMMON}
    assert model.metadata.rating_levels == data.rating_levels == sorted(set(data.rating_levels))
    expected = restore(checkpoint.read(folder / "rated.pt", ""))
    rows = torch.arange(5)
    with torch.no_grad():
        scores = expected(*expected.inputs(data, rows)).numpy()
    histories = data.histories.take(rows.numpy())
    items, found = model.top(histories, np.zeros(5), 3)
    np.testing.assert_allclose(np.take_along_axis(scores, items, 1), found, atol=1e-4)


def test_other_ratings_give_other_scores_and_none_are_allowed(folder: Path, run) -> None:
    table = pl.read_parquet(folder / "interactions.parquet").drop("split")
    lists = {}
    for name, ratings in (
        ("as", table),
        ("same", table.with_columns(rating=pl.lit(1.0))),
        ("none", table.drop("rating")),
    ):
        ratings.write_parquet(folder / f"{name}.table.parquet")
        words = (f"--interactions={folder / name}.table.parquet", f"--output={folder / name}.topk.parquet")
        done = run("infer.batch", f"--model={folder / 'rated.onnx'}", *words)
        assert done.returncode == 0, done.stderr
        lists[name] = pl.read_parquet(folder / f"{name}.topk.parquet")["score"]
    assert len(lists["as"]) == len(lists["none"]) and np.isfinite(lists["none"].to_numpy()).all()
    assert not lists["as"].equals(lists["same"]) and not lists["as"].equals(lists["none"])
