"""HSTU: by hand, at the last position alone, with padding, and with what comes later."""

import numpy as np
import pytest
import torch

from train.models.hstu import HSTU, HSTULayer


def layer(causal: bool = True, dim: int = 8, length: int = 6) -> HSTULayer:
    torch.manual_seed(0)
    made = HSTULayer(dim, 2, length, 0.0, causal)
    with torch.no_grad():
        made.bias.normal_()
    return made.eval()


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


def normed(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


@torch.no_grad()
@pytest.mark.parametrize("causal", [True, False])
def test_a_layer_is_the_papers_equations(causal: bool) -> None:
    made, length, size = layer(causal), 5, 4
    x = torch.randn(1, length, 8)
    weights = {name: value.numpy() for name, value in made.state_dict().items()}
    u, q, v, k = np.split(
        silu(normed(x[0].numpy()) @ weights["projection.weight"].T + weights["projection.bias"]), 4, 1
    )
    found = np.zeros((length, 8))
    for head in range(2):
        part = slice(head * size, (head + 1) * size)
        for i in range(length):
            for j in range(i + 1 if causal else length):
                # The bias of i - j, those of what comes later from the end.
                weight = silu(q[i, part] @ k[j, part] + weights["bias"][head, i - j]) / 6
                found[i, part] += weight * v[j, part]
    expected = x[0].numpy() + (normed(found) * u) @ weights["output.weight"].T + weights["output.bias"]
    np.testing.assert_allclose(made(x, torch.ones(1, length, dtype=torch.bool))[0].numpy(), expected, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("length", [1, 4, 6])
def test_the_newest_state_is_the_last_of_all(causal: bool, length: int) -> None:
    torch.manual_seed(1)
    model = HSTU(8, 2, 6, 0.0, causal, 2).eval()
    hidden, real = torch.randn(3, length, 8), torch.arange(length) >= torch.tensor([[0], [length - 1], [length // 2]])
    torch.testing.assert_close(model.newest(hidden, real), model(hidden, real)[:, -1], atol=1e-6, rtol=0)


@torch.no_grad()
def test_padding_says_nothing_and_a_row_of_it_stays_finite() -> None:
    made = layer()
    hidden = torch.randn(1, 6, 8)
    real = torch.tensor([[False, False, False, True, True, True]])
    torch.testing.assert_close(made(hidden, real)[:, 3:], made(hidden[:, 3:], real[:, 3:]), atol=1e-6, rtol=0)
    assert made(hidden, torch.zeros(1, 6, dtype=torch.bool)).isfinite().all()


@torch.no_grad()
def test_only_without_a_direction_does_what_comes_later_matter() -> None:
    hidden, real = torch.randn(1, 6, 8), torch.ones(1, 6, dtype=torch.bool)
    other = hidden.clone()
    other[:, -1] += torch.randn(8)
    for causal in (True, False):
        made = layer(causal)
        same = torch.equal(made(hidden, real)[:, :-1], made(other, real)[:, :-1])
        assert same == causal
