"""An earlier model's weights in a new one's rows: what moves where, and where new items stand, worked out by hand."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import nn

from infer.errors import InputError
from train.models.carried import align, carry, fold_in, places, shift


def test_ids_are_found_where_they_stood_also_as_texts() -> None:
    assert places([3, 5, 9], [9, 3]).tolist() == [0, 2, 0, 1]
    assert places(["3", "b"], [9, 3]).tolist() == [0, 2, 0]
    assert places([], [9]).tolist() == [0]


class Two(nn.Module):
    def __init__(self, rows: int, width: int, other: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.full((rows, width), 7.0))
        self.other = nn.Parameter(torch.zeros(other))


def test_rows_move_by_item_new_ones_stay_and_all_else_is_equal() -> None:
    earlier = {"table": torch.tensor([[0.0, 0], [1, 2], [3, 4]]), "other": torch.tensor([5.0])}
    model = Two(4, 2, 1)
    carry(model, earlier, {"table": np.array([0, 2, 0, 1])})
    assert model.table.tolist() == [[0, 0], [3, 4], [7, 7], [1, 2]] and model.other.tolist() == [5]
    wider = Two(3, 3, 1)
    carry(wider, earlier, {"table": np.array([0, 2, 0])})
    assert wider.table.tolist() == [[0, 0, 0], [3, 4, 0], [7, 7, 7]], "a dimension that it had not is 0"
    with pytest.raises(InputError, match=r"the earlier model's other is \(1,\); expected \(2,\)"):
        carry(Two(3, 2, 2), earlier, {"table": np.array([0, 1, 2])})


def test_new_vectors_are_turned_and_stretched_as_the_kept_ones_were() -> None:
    # The kept ones were turned by a quarter and trebled: (1, 0) -> (0, 3), (0, 1) -> (-3, 0). The last are retired.
    table = torch.tensor([[0.0, 0], [0, 3], [9, 9], [-3, 0], [9, 9], [5, 5], [6, 7], [8, 8]])
    vectors = torch.tensor([[0.0, 0], [1, 0], [0.6, 0.8], [0, 1], [0, 0], [0, 0], [0, 0], [0, 0]])
    new, kept = np.isin(np.arange(8), [2, 4]), np.isin(np.arange(8), [1, 3])
    align(table, vectors, new, kept)
    expected = [[0.0, 0], [0, 3], [-2.4, 1.8], [-3, 0], [0, 0], [5, 5], [6, 7], [8, 8]]
    torch.testing.assert_close(table, torch.tensor(expected))


def test_new_biases_stand_to_fresh_ones_as_the_kept_ones_do() -> None:
    bias, fresh = torch.tensor([0.0, 1.0, 9.0, 4.0, 8.0]), torch.tensor([0.0, 0.5, 0.25, 0.5, -8.0])
    shift(bias, fresh, np.arange(5) == 2, np.isin(np.arange(5), [1, 3]))
    assert bias.tolist() == [0, 1, 2.25, 4, 8], "moved by the mean of 0.5 and 3.5, whatever the retired one is"


def test_what_is_folded_into_a_chain_is_what_its_factors_would_be() -> None:
    # Of rank one, u v' with u = (1, 2, 3) and v = (1, 1, 2); the third item is new, and the factors have other scales.
    u, v = np.array([1.0, 2, 3]), np.array([1.0, 1, 2])
    sources = torch.tensor([[0.0], [10], [20], [99]])
    successors = torch.tensor([[0.0], [0.5], [0.5], [99]])
    fold_in(sources, successors, sp.csr_matrix(np.outer(u, v)), np.array([False, False, False, True]))
    torch.testing.assert_close(sources, torch.tensor([[0.0], [10], [20], [30]]))
    torch.testing.assert_close(successors, torch.tensor([[0.0], [0.5], [0.5], [1]]))
    nothing = torch.zeros(4, 1)
    fold_in(nothing, nothing.clone(), sp.csr_matrix((3, 3)), np.array([False, False, False, True]))
    assert not nothing.any() and torch.isfinite(nothing).all()
