"""Weights by lists: gains by hand, steps that are more than chance, members without whom lists are as good."""

import numpy as np
import pytest
import torch

from train.models.ranking import clearly, gains, searched


def test_gains_by_hand() -> None:
    scores = torch.tensor([[0.0, 3, 2, 1], [0, 1, 1, 1], [0, 9, 2, 1], [0, 9, 2, 1], [0, 1, 2, 3]])
    blocked = torch.zeros(5, 4, dtype=torch.bool)
    blocked[:, 0] = True
    blocked[2, 1] = blocked[3, 2] = True
    # Second; third of equal ones; first, since what is better is blocked; blocked itself; nothing held out.
    found = gains(scores, blocked, torch.tensor([2, 3, 2, 2, 0]))
    assert found == pytest.approx([1 / np.log2(3), 1 / 2, 1, 0, 0])


def test_the_eleventh_place_gains_nothing() -> None:
    scores = torch.arange(13.0).flip(0)[None]
    blocked = torch.zeros(1, 13, dtype=torch.bool)
    assert gains(scores, blocked, torch.tensor([9]))[0] == pytest.approx(1 / np.log2(11))
    assert gains(scores, blocked, torch.tensor([10]))[0] == 0


def test_a_clear_gain_is_more_than_a_standard_error() -> None:
    assert clearly(np.full(4, 0.1)) and not clearly(np.zeros(4)) and not clearly(np.array([1.0, -0.9, 0, 0]))
    # Mean 0.5 and error 0.25; mean 0.25 and error 0.217; mean 0.1 and error 0.229.
    assert clearly(np.array([1.0, 0, 1, 0])) and clearly(np.array([1.0, 0, 0, 0]))
    assert not clearly(np.array([0.8, 0, 0, -0.4]))


def test_weights_go_where_lists_are_best_and_useless_members_go() -> None:
    def best_at_four(weights: torch.Tensor) -> np.ndarray:
        return np.full(9, -abs(np.log(float(weights[0]) / 4)))  # whatever the second weight

    found = searched(best_at_four, torch.tensor([1.0, 1.0]))
    assert found[0] == pytest.approx(4, rel=0.1) and found[1] == 0
    assert searched(best_at_four, torch.tensor([1.0, 1.0]), always=(1,))[1] == 1
    given = torch.tensor([1.0, 1.0])
    assert searched(lambda weights: np.zeros(9), given).count_nonzero() == 1 and given.tolist() == [1, 1]


def test_what_few_users_gain_by_chance_changes_no_weight() -> None:
    def chance(weights: torch.Tensor) -> np.ndarray:
        up = float(weights[0]) > 1
        return np.array([0.9, -0.8, 0.5, -0.5] if up else [0.0] * 4) * float(weights[1] > 0) + float(weights[1] > 0)

    assert searched(chance, torch.tensor([1.0, 1.0])).tolist() in ([1.0, 1.0], [0.0, 1.0])
