"""Matrix factorization on the paper's small example: three users, three films, k = 2.

The shape of its Tables 3 to 5: a rating matrix with gaps, and U and V whose product fills them.
"""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from infer.errors import InputError
from infer.sequences import Histories
from train import mf
from train.batches import Data
from train.mf import MF, RatingBatch
from train.presets import configuration

U = [[1.0, 2.0], [2.0, 0.5], [0.0, 1.5]]
V = [[1.0, 2.0], [2.0, 1.0], [0.5, 1.0]]
# Row: user. Column: film. Each entry the dot product, e.g. 1 * 1 + 2 * 2 = 5.
PRODUCT = [[5.0, 4.0, 2.5], [3.0, 4.5, 1.5], [3.0, 1.5, 1.5]]
# Ratings of the same users and films; 0 is not rated.
RATINGS = [[5.0, 4.0, 0.0], [3.0, 0.0, 1.0], [0.0, 2.0, 1.0]]


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
    assert scores[:, 1:].tolist() == PRODUCT
    assert scores[:, 0].tolist() == [0, 0, 0]
    assert model(torch.tensor([0])).tolist() == [[0, 0, 0, 0]]


def test_rated_pairs_equal_the_matrix(model: MF) -> None:
    user, item = torch.tensor([1, 2, 3]), torch.tensor([3, 2, 1])
    assert with_tables(model).rate(user, item).tolist() == [2.5, 4.5, 3.0]


def test_the_loss_is_the_mean_squared_error(model: MF) -> None:
    # Errors at the six rated pairs: 0, 0, 0, 0.5, -0.5, 0.5; squares 0.75 in sum.
    assert with_tables(model).loss(observed()).item() == pytest.approx(0.75 / 6)


def test_training_reproduces_the_ratings_and_leaves_padding_alone(model: MF) -> None:
    batch = observed()
    optimizer = model.optimizer()
    assert isinstance(optimizer, torch.optim.Adam) and not isinstance(optimizer, torch.optim.AdamW)
    for _ in range(600):
        optimizer.zero_grad()
        loss = model.loss(batch)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.01
    assert torch.allclose(model.rate(batch.user, batch.item), batch.rating, atol=0.2)
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
    # Predictions 2.5 and 1.5 against 4 and 1: errors 1.5 and .5.
    assert model.validation_loss(scores, held, rows).item() == pytest.approx((1.5**2 + 0.5**2) / 2)


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


def test_implicit_als_is_solved_with_every_option_in_its_place(monkeypatch) -> None:
    given = []

    def solved(*values, **named) -> list[np.ndarray]:
        given.append((values, named))
        return [np.full((4, 2), n, np.float32) for n in (1, 2)]

    monkeypatch.setattr(mf.initial, "ials", solved)
    config = configuration("mf", dim=2, epochs=3, confidence=4.0, regularization=5.0, seed=6)
    model, source = MF(3, 3, config), data()
    model.solve(source)
    assert given == [((source, 2, 3, 4.0, 5.0, 6), {})]
    assert (model.users.weight == 1).all() and (model.items.weight == 2).all()


def test_an_epoch_has_the_training_ratings_in_batches_of_the_stated_size() -> None:
    ratings = (torch.tensor([1, 2, 3, 1, 2]), torch.tensor([1, 2, 3, 2, 1]), torch.arange(5.0))
    model = MF(3, 3, configuration("mf", "paper", dim=2, batch_size=2))
    made = list(model.training_batches(data(ratings), torch.Generator().manual_seed(0)))
    assert [len(batch) for batch in made] == [2, 2, 1]
    rows = {
        (u, i, r) for b in made for u, i, r in zip(b.user.tolist(), b.item.tolist(), b.rating.tolist(), strict=True)
    }
    assert rows == set(zip(*(column.tolist() for column in ratings), strict=True))
