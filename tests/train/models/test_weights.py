"""Ratings as weights, by hand, and every reason for which they cannot be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from infer.errors import InputError
from infer.histories.histories import Histories
from train.data.dataset import Data
from train.models.registry import build
from train.models.weights import check_weights, level_weights, rating_weights
from train.presets import configuration


def data(*ratings: float) -> Data:
    """One user, who gave each item its rating."""
    count = len(ratings)
    items = np.arange(1, count + 1, dtype=np.int32)
    histories = Histories(pl.Series([7]), items, np.array([0, count]), levels=items.astype(np.int64))
    user, item = torch.ones(count, dtype=torch.int64), torch.arange(1, count + 1)
    rated = (user, item, torch.tensor(ratings, dtype=torch.float32))
    levels = sorted(set(ratings))
    return Data("d.csv", "", items.tolist(), [7], rated, rated, levels, histories, np.array([0]), Path())


def test_a_weight_is_the_rating_over_the_mean() -> None:
    assert level_weights([1.0, 3.0, 5.0]).tolist() == [1.0, np.float32(1 / 3), 1.0, np.float32(5 / 3)]
    assert level_weights([]).tolist() == [1.0]
    # Of rows, not of distinct ratings: (1 + 1 + 4) / 3.
    assert rating_weights(data(1.0, 1.0, 4.0)).tolist() == [0.5, 0.5, 2.0]
    check_weights(data(0.5, 5.0))


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        ((-9.0, -6.0, -3.0, 3.0), "d.csv has the rating -9; the weights of --ratings=weight are above 0: "),
        ((0.0, 1.0), "has the rating 0; the weights of .* with --least-rating, .* with --event-weights"),
        ((1e-30, 1e30), "has ratings from 1e-30 to 1e\\+30, too far apart for --ratings=weight"),
        ((1.0, 1e39), "too far apart"),
    ],
)
def test_ratings_that_cannot_be_weights_are_refused(ratings: tuple[float, ...], message: str) -> None:
    given = data(*ratings)
    for kind, changes in (("mf", {}), ("bert", {}), ("hybrid", {})):
        with pytest.raises(InputError, match=message):
            build(kind, given, configuration(kind, ratings="weight", **changes))
    assert build("mf", given, configuration("mf"))
    assert build("bert", given, configuration("bert", ratings="embedding"))


def test_rows_without_a_rating_cannot_be_weighed() -> None:
    given = data(1.0, 2.0, 3.0)
    given = replace(given, ratings=tuple(column[:2] for column in given.ratings))
    with pytest.raises(InputError, match="has 1 of 3 rows to train on without a rating, by which --ratings=weight"):
        check_weights(given)


def test_without_ratings_nothing_can_be_weighed_by_them() -> None:
    given = replace(data(1.0, 2.0), ratings=None, rating_levels=[])
    for kind in ("mf", "bert", "hybrid"):
        with pytest.raises(
            InputError, match=r"d\.csv has no ratings, by which --ratings=weight weighs: .*--rating-column"
        ):
            build(kind, given, configuration(kind, ratings="weight"))


def test_what_predicts_ratings_does_not_weigh_by_them() -> None:
    with pytest.raises(InputError, match="--ratings=weight is for --objective=implicit; --objective=ratings predicts"):
        build("mf", data(1.0, 2.0), configuration("mf", objective="ratings", ratings="weight"))


def test_ratings_whose_squares_are_beyond_single_precision_are_named() -> None:
    config = configuration("mf", objective="ratings")
    model, _ = build("mf", data(1.0, -2e15), config)
    with pytest.raises(InputError, match=r"d\.csv has a rating as large as 2e\+15, whose square is beyond"):
        model.training_batches(data(1.0, -2e15), torch.Generator())
    assert list(model.training_batches(data(1.0, -1e14), torch.Generator()))
