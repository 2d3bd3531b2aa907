"""Matrix factorization on the paper's worked example: three users, three films, k = 2.

Its Tables 3 to 5: a rating matrix with gaps, and a U and a V, whose product is far from the ratings.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from infer.errors import InputError
from infer.histories.histories import Histories
from train.data.dataset import Data
from train.models.initial import ials
from train.models.mf import MF, RatingBatch, build
from train.presets import configuration

U = [[0.68, 0.12], [0.75, 0.20], [0.30, 0.55]]
V = [[0.80, 0.10], [0.70, -0.20], [0.10, 0.90]]  # Toy Story, Jumanji, Grumpier Old Men
# Row: user. Column: film. Each entry the dot product, e.g. .68 * .80 + .12 * .10 = .556.
PRODUCT = [[0.556, 0.452, 0.176], [0.62, 0.485, 0.255], [0.295, 0.1, 0.525]]
# Ratings of the same users and films; 0 is not rated.
RATINGS = [[4.0, 5.0, 2.0], [5.0, 3.0, 0.0], [0.0, 2.0, 4.0]]


@pytest.fixture
def model() -> MF:
    torch.manual_seed(0)
    return MF(3, 3, configuration("mf", "paper", dim=2, learning_rate=0.05))


def with_tables(model: MF) -> MF:
    with torch.no_grad():
        model.users.weight[1:] = torch.tensor(U)
        model.items.weight[1:] = torch.tensor(V)
    return model


def observed() -> RatingBatch:
    pairs = [(u, i) for u in range(3) for i in range(3) if RATINGS[u][i]]
    users, items = (torch.tensor(column) + 1 for column in zip(*pairs, strict=True))
    return RatingBatch(users, items, torch.tensor([RATINGS[u][i] for u, i in pairs]))


def test_every_score_is_the_dot_product_and_padding_scores_zero(model: MF) -> None:
    scores = with_tables(model)(torch.tensor([1, 2, 3]))
    torch.testing.assert_close(scores[:, 1:], torch.tensor(PRODUCT))
    assert scores[:, 0].tolist() == [0, 0, 0]
    assert model(torch.tensor([0])).tolist() == [[0, 0, 0, 0]]


def test_rated_pairs_equal_the_matrix(model: MF) -> None:
    user, item = torch.tensor([1, 2, 3]), torch.tensor([3, 2, 1])
    torch.testing.assert_close(with_tables(model).rate(user, item), torch.tensor([0.176, 0.485, 0.295]))


def test_the_papers_own_vectors_are_far_from_its_ratings(model: MF) -> None:
    # The loss is the mean squared error at the seven rated pairs, whose errors are these.
    errors = np.array([3.444, 4.548, 1.824, 4.38, 2.515, 1.9, 3.475])
    loss = with_tables(model).loss(observed()).item()
    assert loss == pytest.approx((errors**2).mean()) and loss**0.5 == pytest.approx(3.318, abs=1e-3)


def test_training_reaches_the_ratings_and_leaves_padding_alone(model: MF) -> None:
    batch = observed()
    optimizer = model.optimizer()
    assert isinstance(optimizer, torch.optim.Adam) and not isinstance(optimizer, torch.optim.AdamW)
    for _ in range(300):
        optimizer.zero_grad()
        loss = model.loss(batch)
        loss.backward()
        optimizer.step()
    assert loss.item() ** 0.5 < 0.01
    torch.testing.assert_close(model.rate(batch.user, batch.item), batch.rating, atol=0.05, rtol=0)
    assert not model.users.weight[0].any() and not model.items.weight[0].any()


def test_the_tables_have_the_papers_shapes() -> None:
    config = configuration("mf", "paper")
    model = MF(610, 9724, config)
    assert tuple(model.users.weight.shape) == (611, 32) and tuple(model.items.weight.shape) == (9725, 32)
    assert config.epochs == 30 and not model.closed_form


def data(ratings: tuple | None = None) -> Data:
    """Users 1 and 3 hold the item 1, user 2 the items 2 and 3."""
    histories = Histories(pl.Series([1, 2, 3]), np.array([1, 2, 3, 1], np.int32), np.array([0, 1, 3, 4]))
    return Data("plain", "", [1, 2, 3], [1, 2, 3], ratings, ratings, [], histories, np.array([3, 1, 2]), Path())


def test_a_table_without_ratings_is_refused(model: MF) -> None:
    with pytest.raises(InputError, match="plain has no ratings, which mf with --objective ratings learns from"):
        model.training_batches(data(), torch.Generator())


def test_the_validation_loss_is_of_each_users_held_out_rating(model: MF) -> None:
    held = data((torch.tensor([1, 3]), torch.tensor([3, 2]), torch.tensor([4.0, 1.0])))
    rows = torch.tensor([0, 2])
    scores = with_tables(model)(rows + 1)
    # Predictions .176 and .1 against 4 and 1.
    assert model.validation_loss(scores, held, rows).item() == pytest.approx((3.824**2 + 0.9**2) / 2)


def test_a_held_out_item_without_a_rating_is_no_part_of_the_loss(model: MF) -> None:
    held = data((torch.tensor([3]), torch.tensor([2]), torch.tensor([1.0])))
    rows = torch.tensor([0, 2])
    scores = with_tables(model)(rows + 1)
    assert model.validation_loss(scores, held, rows).item() == pytest.approx(0.9**2)
    assert model.validation_loss(scores[:1], held, rows[:1]) is None


def test_the_implicit_objective_is_solved_and_groups_what_was_rated_together() -> None:
    torch.manual_seed(0)
    model = MF(3, 3, configuration("mf", dim=2, epochs=10, regularization=0.01))
    assert model.closed_form and model.validation_loss(torch.zeros(3, 4), data(), torch.arange(3)) is None
    model.solve(data())
    scores = model(torch.tensor([1, 2, 3]))[:, 1:]
    assert (scores > 0.5).tolist() == [[True, False, False], [False, True, True], [True, False, False]]


def test_vectors_start_with_the_stated_deviation_and_padding_at_zero() -> None:
    torch.manual_seed(0)
    model = MF(2000, 3000, configuration("mf", "paper", dim=16, initial_std=0.3))
    for table in (model.users, model.items):
        own = table.weight[1:].detach()
        assert own.std().item() == pytest.approx(0.3, rel=0.02) and own.mean().item() == pytest.approx(0, abs=0.01)
        assert not table.weight[0].any()


def test_adam_takes_the_stated_step_with_the_penalty_in_the_gradient() -> None:
    # The first step of Adam is the rate times the sign of the gradient, which is -1 + 1 * 2.
    torch.manual_seed(0)
    for decay, moved in ((0.0, 0.25), (1.0, -0.25)):
        model = MF(3, 3, configuration("mf", "paper", dim=2, learning_rate=0.25, weight_decay=decay))
        with torch.no_grad():
            model.items.weight.fill_(2.0)
        (-model.items.weight.sum()).backward()
        model.optimizer().step()
        torch.testing.assert_close(model.items.weight.detach(), torch.full((4, 2), 2.0 + moved))


def test_every_training_rating_is_read_once_in_batches(model: MF) -> None:
    model.config = replace(model.config, batch_size=3)
    batch = observed()
    one, same, other = (
        list(model.training_batches(data((batch.user, batch.item, batch.rating)), torch.Generator().manual_seed(seed)))
        for seed in (0, 0, 1)
    )
    assert [len(part) for part in one] == [3, 3, 1]
    rows = [
        [
            row
            for part in parts
            for row in zip(part.user.tolist(), part.item.tolist(), part.rating.tolist(), strict=True)
        ]
        for parts in (one, same, other)
    ]
    assert sorted(rows[0]) == sorted(zip(batch.user.tolist(), batch.item.tolist(), batch.rating.tolist(), strict=True))
    assert rows[0] == rows[1] != rows[2]


def test_further_columns_have_a_score_of_zero(model: MF) -> None:
    scores = with_tables(model)(torch.tensor([1, 2]))
    model.extra_columns = 3
    wide = model(torch.tensor([1, 2]))
    assert wide.shape == (2, 7) and torch.allclose(wide[:, :4], scores) and not wide[:, 4:].any()


def test_the_implicit_objective_is_implicit_als_with_the_configured_options() -> None:
    config = configuration("mf", dim=2, epochs=3, confidence=7.0, regularization=0.3, seed=5)
    model = MF(3, 3, config)
    model.solve(data())
    users, items = ials(data(), 2, 3, confidence=7.0, regularization=0.3, seed=5)
    np.testing.assert_allclose(model.users.weight.detach().numpy(), users, atol=1e-5)
    np.testing.assert_allclose(model.items.weight.detach().numpy(), items, atol=1e-5)
    assert np.abs(items[1:]).max() > 0.1, "there is something to compare"


def test_whom_training_does_not_see_has_no_vector() -> None:
    # User 2 is held out whole: users 1 and 3 have the vectors 1 and 2.
    known = Histories(pl.Series([1, 2, 3]), np.array([1, 2, 3, 1], np.int32), np.array([0, 1, 3, 4]))
    histories = Histories(pl.Series([1, 2, 3]), np.array([1, 1], np.int32), np.array([0, 1, 1, 2]))
    ratings = (torch.tensor([1, 3]), torch.tensor([1, 1]), torch.tensor([4.0, 5.0]))
    given = replace(data(ratings), histories=histories, context=known)
    model, _ = build(given, configuration("mf", dim=2))
    assert model.users.weight.shape == (3, 2)
    assert model.inputs(given, torch.arange(3))[0].tolist() == [1, 0, 2]
    model.solve(given)
    factors = ials(given, 2, model.config.epochs, model.config.confidence, model.config.regularization, 0)[0]
    np.testing.assert_array_equal(model.users.weight.detach().numpy(), factors[[0, 1, 3]])
    assert not model(torch.tensor([0])).any()
    learnt, _ = build(given, configuration("mf", "paper", dim=2))
    (batch,) = learnt.training_batches(given, torch.Generator().manual_seed(0))
    assert sorted(zip(batch.user.tolist(), batch.rating.tolist(), strict=True)) == [(1, 4.0), (2, 5.0)]
