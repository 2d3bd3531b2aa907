"""Initial weights, which of them decay, and the learning rate of a step, against values worked out by hand."""

import math

import pytest
import torch

from train.config import BertConfig
from train.models.bert import MiniBERT4Rec
from train.models.starting import groups, rate_share
from train.presets import configuration

SIZES = {"dim": 32, "heads": 2, "feedforward": 64, "max_length": 20}


def made(**options) -> MiniBERT4Rec:
    torch.manual_seed(0)
    return MiniBERT4Rec(500, BertConfig(**{"block": "transformer", "layers": 1} | SIZES | options))


def test_truncated_weights_end_at_two_deviations_and_biases_are_zero() -> None:
    model = made(initial_weights="truncated", initial_std=0.02, transform=True, norm="post", input_norm=True)
    for name, weight in model.named_parameters():
        if weight.dim() > 1:
            assert weight.abs().max() <= 0.04 + 1e-7, name
            # A normal distribution cut at two deviations has 0.88 of its deviation.
            assert weight.std().item() == pytest.approx(0.88 * 0.02, rel=0.1), name
        else:
            norm = "norm" in name or name == "transform.2.weight"
            assert (weight == (1.0 if norm and name.endswith("weight") else 0.0)).all(), name
    assert (model.items.weight[0] == 0).all()


def test_glorot_weights_end_where_its_equation_says() -> None:
    model = made(initial_weights="glorot", norm="query")
    for name, weight in model.named_parameters():
        if weight.dim() > 1:
            bound = math.sqrt(6 / sum(weight.shape))
            assert 0.9 * bound < weight.abs().max() <= bound, name
    assert (model.items.weight[0] == 0).all() and (model.bias == 0).all()
    assert not torch.equal(model.encoder.layers[0].linear1.weight, made(norm="query").encoder.layers[0].linear1.weight)


def test_normal_tables_are_as_wide_as_asked_and_the_rest_is_pytorchs() -> None:
    model = made(initial_weights="normal", initial_std=1.0, head="separate", item_bias=False)
    for weight in (model.items.weight[1:], model.positions, model.head.weight):
        assert weight.std().item() == pytest.approx(1.0, abs=0.05)
    assert (model.items.weight[0] == 0).all()
    assert torch.equal(model.encoder.layers[0].linear1.weight, made().encoder.layers[0].linear1.weight)


def test_biases_and_norms_do_not_decay_where_that_is_asked() -> None:
    model = made(decay_all=False, weight_decay=0.3, transform=True)
    decaying, fixed = groups(model, model.config)
    assert len(decaying["params"]) + len(fixed["params"]) == len(list(model.parameters()))
    assert all(w.dim() == 2 for w in decaying["params"]) and all(w.dim() == 1 for w in fixed["params"])
    assert [group["weight_decay"] for group in model.optimizer().param_groups] == [0.3, 0.0]
    assert len(groups(made(), BertConfig())) == 1


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_the_optimizer_is_the_one_that_is_named(name: str, kind: type) -> None:
    assert type(made(optimizer=name).optimizer()) is kind


@pytest.mark.parametrize(
    ("schedule", "warm_up", "expected"),
    [
        ("constant", 0, [1, 1, 1, 1, 1]),
        ("constant", 2, [1 / 2, 1, 1, 1, 1]),
        ("linear", 0, [1, 3 / 4, 1 / 2, 1 / 4, 0]),
        ("linear", 2, [1 / 2, 1, 1 / 2, 1 / 4, 0]),
        ("cosine", 0, [1, (1 + 0.5**0.5) / 2, 1 / 2, (1 - 0.5**0.5) / 2, 0]),
    ],
)
def test_the_share_of_the_learning_rate_at_each_step(schedule: str, warm_up: int, expected: list[float]) -> None:
    assert [rate_share(schedule, warm_up, step, 4) for step in range(5)] == pytest.approx(expected)


def test_items_are_scaled_by_the_root_of_dim_before_positions() -> None:
    window = torch.tensor([[0] * 18 + [1, 2]])
    plain, scaled = (made(scale_embeddings=given).eval() for given in (False, True))
    expected = plain.items(window) * 32**0.5 + plain.positions
    torch.testing.assert_close(scaled.embedded(window), expected)
    normed = made(input_norm=True).eval()
    assert normed.embedded(window).mean(2).abs().max() < 1e-6


def test_berts_head_transforms_what_is_scored() -> None:
    model = made(transform=True, item_bias=False).eval()
    window = torch.tensor([[0] * 18 + [1, 2]])
    with torch.no_grad():
        state = model.newest_state(window)
        assert state.mean().abs() < 1e-6, "the last thing is a layer norm"
        torch.testing.assert_close(model.states(window)[:, -1], state, atol=1e-5, rtol=0)
        torch.testing.assert_close(model(window), state @ model.items.weight[: model.mask].T)


def test_published_presets_neither_average_nor_clip_beyond_what_is_published() -> None:
    assert [configuration("bert", p).average for p in ("sasrec", "gsasrec", "bert4rec")] == [0.0] * 3
    assert [configuration("bert", p).clip for p in ("sasrec", "gsasrec", "bert4rec")] == [0.0, 0.0, 5.0]
