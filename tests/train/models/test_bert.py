"""The sequence model: positions, padding, masks, heads, losses; and where the hybrid's vectors come from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from infer.errors import InputError
from infer.histories.histories import Histories
from train.config import BertConfig, HybridConfig
from train.data.dataset import Data
from train.models.bert import MiniBERT4Rec
from train.models.hybrid import start_from
from train.models.layers import sinusoidal
from train.models.masking import SequenceBatch
from train.presets import PRESETS, configuration, differences

MASK = 11
SMALL = {"dim": 8, "heads": 2, "feedforward": 16, "max_length": 6}


def windows(lengths: list[int], width: int = 6) -> torch.Tensor:
    """Left-padded rows of the items 1, 2, ..."""
    return torch.tensor([[0] * (width - n) + list(range(1, n + 1)) for n in lengths])


def made(preset: str = "paper", **options) -> MiniBERT4Rec:
    torch.manual_seed(0)
    return MiniBERT4Rec(10, configuration("bert", preset, **SMALL | options), levels=3).eval()


def batch(window: torch.Tensor, place: list[int], item: list[int], negatives: tuple = ()) -> SequenceBatch:
    weight = torch.ones(len(item))
    return SequenceBatch(
        window, torch.zeros_like(window), torch.tensor(place), torch.tensor(item), weight, torch.tensor(negatives)
    )


@torch.no_grad()
def disturbed(model: MiniBERT4Rec) -> MiniBERT4Rec:
    """The same with other weights: fresh ones have biases of 0 and norms of 1, which hide what ignores them."""
    for name, weight in model.named_parameters():
        if name.startswith("encoder"):
            weight += torch.randn(weight.shape) * 0.2
    return model


@torch.no_grad()
def test_without_positions_earlier_items_count_but_not_their_order() -> None:
    model = made()
    scores = model(torch.tensor([[0, 1, 2, 3, 4, 5], [0, 4, 3, 1, 2, 5], [0, 1, 2, 3, 5, 4], [0, 6, 2, 3, 4, 5]]))
    torch.testing.assert_close(scores[0], scores[1], atol=1e-5, rtol=0)
    for other in (2, 3):
        assert (scores[0] - scores[other]).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_with_positions_the_order_counts(positions: str) -> None:
    scores = made(positions=positions)(torch.tensor([[0, 1, 2, 3, 4, 5], [0, 4, 3, 1, 2, 5]]))
    assert (scores[0] - scores[1]).abs().max() > 1e-4


@torch.no_grad()
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("preset", PRESETS)
def test_the_last_position_alone_is_the_last_of_all_positions(preset: str, norm: str) -> None:
    model = disturbed(made(preset, norm=norm, layers=2))
    window = windows([3, 6, 1], model.length)
    torch.testing.assert_close(model.newest_state(window), model.states(window)[:, -1], atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("preset", PRESETS)
def test_a_window_without_its_padding_has_the_same_scores(preset: str) -> None:
    model = made(preset)
    window = windows([3, 2, 1], model.window)
    torch.testing.assert_close(model(window[:, -3:]), model(window), atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("preset", PRESETS)
def test_scores_do_not_depend_on_the_rest_of_the_batch_and_padding_is_finite(preset: str) -> None:
    model = made(preset)
    window = windows([3, 6, 1, 0])[:, -model.window :]
    together = model(window)
    assert torch.isfinite(together).all() and together.shape == (4, 11)
    for row in range(4):
        torch.testing.assert_close(model(window[row : row + 1])[0], together[row], atol=1e-5, rtol=0)


@torch.no_grad()
def test_padding_changes_nothing() -> None:
    model = made()
    short = model(windows([3], width=3))
    for other in (windows([3], width=6), windows([3], width=50)):
        torch.testing.assert_close(model(other), short, atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_causal_state_knows_nothing_of_what_comes_later() -> None:
    model = made("default", layers=2)
    states = model.states(torch.tensor([[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 9, 8]]))
    # The state of padding, at 0, means nothing and is read by nobody.
    torch.testing.assert_close(states[0, 1:4], states[1, 1:4], atol=1e-5, rtol=0)
    assert (states[0, 4] - states[1, 4]).abs().max() > 1e-3
    both_ways = made("bert4rec").states(torch.tensor([[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 9, 8]]))
    assert (both_ways[0, 1:4] - both_ways[1, 1:4]).abs().max() > 1e-4


def without_chain(model: MiniBERT4Rec) -> MiniBERT4Rec:
    """The same encoder and head alone."""
    plain = MiniBERT4Rec(10, replace(model.config, chain=0, chain_trained=False), levels=3).eval()
    plain.load_state_dict({n: w for n, w in model.state_dict().items() if n in plain.state_dict()})
    return plain


@torch.no_grad()
@pytest.mark.parametrize("head", ["tied", "separate"])
def test_a_chain_adds_what_recent_items_lead_to(head: str) -> None:
    model = made("default", chain=3, chain_trained=True, chain_decay=0.5, head=head)
    plain = without_chain(model)
    window = torch.tensor([[0, 0, 0, 2, 7, 4]])
    sources, successors = model.sources.weight, model.successors.weight[:MASK]
    chain = (0.25 * sources[2] + 0.5 * sources[7] + sources[4]) @ successors.T
    assert chain.abs().max() > 1e-3
    torch.testing.assert_close(model(window)[0], plain(window)[0] + chain, atol=1e-5, rtol=0)
    torch.testing.assert_close(model.newest_state(window), model.states(window)[:, -1], atol=1e-5, rtol=0)
    torch.testing.assert_close(model(window[:, 3:]), model(window), atol=1e-5, rtol=0)


def test_a_fixed_chain_joins_the_scores_but_not_the_training() -> None:
    torch.manual_seed(0)
    changes = {"chain": 3, "head": "tied", "dropout": 0.0, "input_dropout": 0.0, "loss": "softmax"}
    model = MiniBERT4Rec(10, configuration("hybrid", **SMALL | changes))
    plain, optimizer = without_chain(model), model.optimizer()
    own = batch(torch.tensor([[0, 0, 1, 2, 7, 4], [5, 6, 1, 2, 3, 4]]), [4, 11], [9, 8])
    loss = model.train().loss(own)
    torch.testing.assert_close(loss, plain.train().loss(own))
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    loss.backward()
    optimizer.step()
    changed = {name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])}
    assert "items.weight" in changed and not {"sources.weight", "successors.weight"} & changed
    model.load_state_dict(before)
    histories = Histories(pl.Series(["a", "b"]), np.array([1, 2, 7, 4, 9], np.int32), np.array([0, 3, 5]))
    data = Data("d", "", list(range(1, 11)), [], None, None, [], histories, np.array([8, 3]), Path())
    rows, scores = torch.tensor([0, 1]), []
    for one in (model.eval(), plain.eval()):
        scores.append(one(*one.inputs(data, rows)).detach())
    assert (scores[0] - scores[1]).abs().max() > 1e-3
    losses = [one.validation_loss(s, data, rows).item() for one, s in zip((model, plain), scores, strict=True)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_a_chain_has_at_most_the_rank_of_the_catalogue() -> None:
    assert MiniBERT4Rec(10, configuration("hybrid", chain=50)).sources.weight.shape == (12, 9)
    assert not hasattr(MiniBERT4Rec(1, configuration("hybrid", chain=50)), "sources")


@torch.no_grad()
def test_an_appended_mask_is_where_the_next_item_is_read() -> None:
    model = made("bert4rec")
    assert model.window == 5
    window = windows([3], width=5)
    with_mask = torch.cat([window, torch.tensor([[MASK]])], 1)
    torch.testing.assert_close(model(window), model.score(model.states(with_mask)[:, -1]))


@torch.no_grad()
def test_ratings_are_read_where_asked_for() -> None:
    model = made("default", ratings="embedding")
    assert model.input_names == ("window", "levels") and made("default").input_names == ("window",)
    window, levels = windows([4]), torch.tensor([[0, 0, 1, 2, 3, 1]])
    none = model(window, torch.zeros_like(levels))
    assert (model(window, levels) - none).abs().max() > 1e-4
    torch.testing.assert_close(none[:, 1:], MiniBERT4Rec.forward(model, window, levels * 0)[:, 1:])


def test_the_papers_loss_is_the_cross_entropy_at_the_masked_position() -> None:
    model = made()
    window = torch.tensor([[0, 0, 1, MASK, 3, 4]])
    logits = model.head(model.states(window)[0, 3])
    torch.testing.assert_close(model.loss(batch(window, [3], [2])), -torch.log_softmax(logits, 0)[2])


@pytest.mark.parametrize("loss", ["sampled", "gbce"])
@pytest.mark.parametrize("head", ["tied", "separate"])
def test_sampled_losses_see_the_scores_that_forward_gives(loss: str, head: str) -> None:
    model = made("default", loss=loss, head=head, chain=3, chain_trained=True)
    window, negatives = windows([6, 4]), ((5, 2, 2), (5, 2, 2) if loss == "sampled" else (9, 2, 1))
    found = model.loss(batch(window, [5, 11], [7, 2], negatives[0] if loss == "sampled" else negatives))
    scores = model(window)
    each = []
    for row, item in enumerate((7, 2)):
        own, others = scores[row, item], [n for n in negatives[row] if n != item]
        if loss == "sampled":
            terms = [own.exp(), *(scores[row, n].exp() / model.expected[n] for n in others)]
            each.append(sum(terms).log() - own)
        else:
            rate = 3 / 9
            beta = rate * (0.75 * (1 - 1 / rate) + 1 / rate)
            false = sum(torch.nn.functional.softplus(scores[row, n]) for n in others)
            each.append((beta * torch.nn.functional.softplus(-own) + false) / 4)
    torch.testing.assert_close(found, sum(each) / 2)


@torch.no_grad()
@pytest.mark.parametrize("own", [2, 30])  # fewer and more looked-up items than there are
@pytest.mark.parametrize("options", [{"head": "separate"}, {"chain": 3}, {"item_bias": False}, {"codes": 2}])
def test_states_score_items_of_their_own_as_among_all(own: int, options: dict) -> None:
    model, generator = made("default", **options), torch.Generator().manual_seed(0)
    states = torch.randn(2, model.config.dim + model.rank, generator=generator)
    items = torch.randint(1, MASK, (2, own), generator=generator)
    torch.testing.assert_close(model.score_own(states, items), model.score(states).gather(1, items))


def test_weights_of_targets_weigh_their_losses() -> None:
    model, window = made("default", loss="softmax"), windows([6, 4])
    both = batch(window, [5, 11], [7, 2])
    one, two = (model.loss(batch(window, [p], [i])) for p, i in ((5, 7), (11, 2)))
    weighted = replace(both, weight=torch.tensor([3.0, 1.0]))
    torch.testing.assert_close(model.loss(weighted), (3 * one + two) / 4)


def test_a_tied_head_shares_its_weights_and_starts_at_the_popularity() -> None:
    config = configuration("bert", "default", **SMALL)
    model = MiniBERT4Rec(10, config, counts=np.arange(11))
    assert not hasattr(model, "head") and model.bias.shape == (11,)
    # (count + 1) of padding and of the ten items: 1, 2, ..., 11.
    logarithms = np.log(np.arange(1, 12))
    np.testing.assert_allclose(model.bias.detach(), logarithms - logarithms.mean(), atol=1e-6)
    scores = model.eval()(windows([3]))[0]
    without = MiniBERT4Rec(10, replace(config, item_bias=False)).eval()
    without.load_state_dict({name: weight for name, weight in model.state_dict().items() if name != "bias"})
    torch.testing.assert_close(scores - without(windows([3]))[0], model.bias)
    assert not any("bias" == name for name, _ in made("sasrec").named_parameters())


@pytest.mark.parametrize("head", ["tied", "separate"])
def test_a_bias_for_each_item_can_be_left_out(head: str) -> None:
    with_bias, without = (made("default", head=head, item_bias=given) for given in (True, False))
    names = {name for name, _ in with_bias.named_parameters()} - {name for name, _ in without.named_parameters()}
    assert names == {"bias" if head == "tied" else "head.bias"}
    torch.testing.assert_close(without(windows([3])), without.score(without.states(windows([3]))[:, -1]))


def test_initial_tables_have_the_spread_that_is_asked_for() -> None:
    torch.manual_seed(0)
    options = {"dim": 16, "chain": 16, "chain_initial": "random", "chain_trained": True, "ratings": "embedding"}
    model = MiniBERT4Rec(400, configuration("bert", initial_std=0.3, max_length=60, **options), levels=300)
    for table, spread in (
        (model.items.weight[1:], 0.3),
        (model.sources.weight[1:], 0.3),
        (model.successors.weight[1:], 0.3),
        (model.levels.weight[1:], 0.02),
        (model.positions, 0.02),
    ):
        assert table.std().item() == pytest.approx(spread, rel=0.06)
        assert abs(table.mean().item()) < spread / 10
    for table in (model.items, model.sources, model.successors, model.levels):
        assert not table.weight[0].any()
    unscaled = MiniBERT4Rec(400, configuration("bert", initial_std=0.0, dim=16))
    assert unscaled.items.weight[1:].std().item() == pytest.approx(1, rel=0.06)


def test_options_of_the_optimizer_reach_it() -> None:
    (group,) = made("default", learning_rate=0.03, weight_decay=0.2, beta2=0.9).optimizer().param_groups
    assert (group["lr"], group["weight_decay"], group["betas"]) == (0.03, 0.2, (0.9, 0.9))


def test_expected_draws_are_the_negatives_times_each_items_chance() -> None:
    config = configuration("bert", **SMALL, negatives=6, negative_power=0.5)
    counts = np.array([99, 0, 3, 8, *[0] * 7])
    # Square roots of count + 1: 1, 2, 3 and seven ones, 13 in sum; padding is never drawn.
    expected = 6 * np.array([0, 1, 2, 3, *[1] * 7]) / 13
    np.testing.assert_allclose(MiniBERT4Rec(10, config, counts).expected, expected, rtol=1e-6)


@torch.no_grad()
def test_further_columns_have_a_score_of_zero() -> None:
    model = made("default")
    scores = model(windows([4]))
    model.extra_columns = 3
    wide = model(windows([4]))
    assert wide.shape == (1, 14) and not wide[:, 11:].any()
    torch.testing.assert_close(wide[:, :11], scores)


@torch.no_grad()
def test_the_validation_loss_is_the_cross_entropy_of_the_held_out_items() -> None:
    model = made("default")
    histories = Histories(pl.Series(["a", "b", "c"]), np.array([1, 2, 7, 4, 9, 3], np.int32), np.array([0, 3, 5, 6]))
    data = Data("d", "", list(range(1, 11)), [], None, None, [], histories, np.array([8, 3, 5]), Path())
    rows = torch.tensor([2, 0])
    (window,) = model.inputs(data, rows)
    assert window.tolist() == [[0, 0, 0, 0, 0, 3], [0, 0, 0, 1, 2, 7]]
    scores = model(window)
    scores[:, 0] = 50.0  # of padding, which is no item
    chance = scores[:, 1:].softmax(1)
    expected = -(chance[0, 4].log() + chance[1, 7].log()) / 2
    torch.testing.assert_close(model.validation_loss(scores, data, rows), expected)
    assert (scores[:, 0] == 50.0).all(), "the scores are left as they were"


def test_the_default_of_paper_is_the_papers() -> None:
    config = configuration("bert", "paper")
    model = MiniBERT4Rec(20, config)
    layer = model.encoder.layers[0]
    assert layer.activation is torch.relu and not layer.norm_first and model.encoder.norm is None
    assert model.head.weight.shape == (21, 32) and model.items.weight.shape == (22, 32)
    assert not any("position" in name for name, _ in model.named_parameters())
    assert isinstance(model.optimizer(), torch.optim.AdamW) and config.epochs == 20 and config.masking == "one"
    assert configuration("hybrid", "paper").initial == "mf" and configuration("mf", "paper").epochs == 30


def test_presets_are_differences_from_the_defaults() -> None:
    assert differences(configuration("bert", "default")) == {}
    assert set(differences(configuration("hybrid", "gsasrec"))) <= set(PRESETS["gsasrec"]["hybrid"])
    for preset in PRESETS:
        for kind in ("mf", "bert", "hybrid"):
            configuration(kind, preset).check()


def test_sinusoidal_positions_are_vaswanis() -> None:
    table = sinusoidal(3, 4)
    expected = [[np.sin(p), np.cos(p), np.sin(p / 100), np.cos(p / 100)] for p in range(3)]
    np.testing.assert_allclose(table.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(sinusoidal(3, 3).numpy()[:, :2], np.array(expected)[:, :2], atol=1e-6)
    model, plain = made("default", positions="sinusoidal"), made("default", positions="none")
    rows = windows([6])
    added = model.embedded(rows) - plain.embedded(rows)
    torch.testing.assert_close(added[0], sinusoidal(6, 8))


VECTORS = torch.arange(44.0).reshape(11, 4)


def hybrid(**options) -> MiniBERT4Rec:
    torch.manual_seed(0)
    config = configuration("hybrid", "paper", dim=4, heads=2, feedforward=8, max_length=6, **options)
    model = MiniBERT4Rec(10, config)
    start_from(model, VECTORS, np.ones(11))
    return model


def test_item_vectors_start_from_mf_and_are_perturbed_or_rescaled() -> None:
    assert torch.equal(hybrid(perturbation=0.0).items.weight[1:11], VECTORS[1:])
    noise = hybrid(perturbation=0.5).items.weight[1:11] - VECTORS[1:]
    assert 0.3 < noise.std().item() < 0.7
    scaled = hybrid(perturbation=0.0, initial_std=0.1).items.weight[1:11]
    assert scaled.std().item() == pytest.approx(0.1) and torch.allclose(scaled / scaled[0, 0], VECTORS[1:] / 4)
    assert not hybrid().items.weight[0].any(), "padding stays zero"
    torch.manual_seed(0)
    fresh = MiniBERT4Rec(10, hybrid().config)
    torch.manual_seed(0)
    vectors = torch.randn(11, 4)
    start_from(fresh, vectors, np.ones(11))
    assert not torch.equal(fresh.items.weight[10], vectors[10]), "disturbed to the last item"
    torch.manual_seed(1)
    many = MiniBERT4Rec(1000, replace(hybrid().config, perturbation=0.5))
    start_from(many, torch.zeros(1001, 4), np.ones(1001))
    own = many.items.weight[1:1001]
    assert own.std().item() == pytest.approx(0.5, rel=0.05) and abs(own.mean().item()) < 0.05


def test_item_vectors_stay_fixed_for_the_first_epochs_and_are_trained_afterwards() -> None:
    model = hybrid(frozen_epochs=2).train()
    optimizer, start = model.optimizer(), model.items.weight.detach().clone()
    for epoch in (1, 2, 3):
        model.start_epoch(epoch)
        head = model.head.weight.detach().clone()
        optimizer.zero_grad()
        model.loss(batch(torch.tensor([[1, 2, MASK, 4, 5, 6]]), [2], [3])).backward()
        optimizer.step()
        assert not torch.equal(model.head.weight, head)
        assert torch.equal(model.items.weight, start) == (epoch <= 2)


REFUSED = {
    "--recency-decay 0.5 weighs, .* cannot work with causal, which hides none": {"recency_decay": 0.5},
    "--chain scores what follows an item; --masking cloze .* give --chain=0": {"chain": 2, "masking": "cloze"},
    "--chain-decay 0.0 is not above 0": {"chain": 2, "chain_trained": True, "chain_decay": 0.0},
    "--chain-initial random adds meaningless scores": {"chain": 2, "chain_initial": "random"},
    "--chain-trained and --chain-initial do nothing without --chain": {"chain_trained": True},
    ".* do nothing without --chain: give its rank": {"chain_initial": "random", "chain": 0},
    "--frozen-epochs with --initial random would hold meaningless": {"frozen_epochs": 1},
    "--perturbation disturbs given vectors": {"perturbation": 0.1},
    "--append-mask needs a mask token, which --masking causal never trains": {"append_mask": True},
    "--mask-ratio 0.2 is a share up to 1 for --masking cloze or recency, not one": {
        "masking": "one",
        "mask_ratio": 0.2,
    },
    "--span-length is for --masking span": {"span_length": 2.0},
    "--dim 30 is not a multiple of --heads 4": {"dim": 30, "heads": 4},
    "--dropout 1.0 is not below 1": {"dropout": 1.0},
    "--calibration 1.5 is above 1": {"calibration": 1.5},
}


@pytest.mark.parametrize("reason", REFUSED)
def test_options_that_cannot_work_together_are_refused_with_the_reason(reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        MiniBERT4Rec(10, BertConfig(artifacts=Path("none"), **REFUSED[reason]))
    assert isinstance(HybridConfig(frozen_epochs=1).check(), type(None))


def stepped(gradients: list[float], **options) -> list[float]:
    """A weight of 2 after each of the steps with these gradients."""
    model = made("default", **options)
    optimizer, found = model.optimizer(), []
    with torch.no_grad():
        model.items.weight.fill_(2.0)
    for gradient in gradients:
        optimizer.zero_grad()
        (model.items.weight.sum() * gradient).backward()
        optimizer.step()
        assert len(model.items.weight.unique()) == 1
        found.append(model.items.weight[1, 0].item())
    return found


def test_a_step_of_adamw_by_hand() -> None:
    # The first step is the rate times the sign of the gradient; decay takes rate times decay of the weight.
    assert stepped([3.0], learning_rate=0.25, weight_decay=0.0) == pytest.approx([2 - 0.25])
    assert stepped([3.0], learning_rate=0.25, weight_decay=0.4) == pytest.approx([2 * (1 - 0.1) - 0.25])
    assert stepped([-3.0], learning_rate=0.5, weight_decay=0.0) == pytest.approx([2.5])
    for beta2 in (0.5, 0.9):
        mean = (0.9 * 0.1 * 1 + 0.1 * 3) / (1 - 0.9**2)
        square = (beta2 * (1 - beta2) * 1 + (1 - beta2) * 9) / (1 - beta2**2)
        found = stepped([1.0, 3.0], learning_rate=0.25, weight_decay=0.0, beta2=beta2)
        assert found == pytest.approx([1.75, 1.75 - 0.25 * mean / square**0.5])


def test_input_dropout_drops_its_share_of_what_is_embedded_and_scales_the_rest() -> None:
    model, window = made("default", input_dropout=0.25, dropout=0.0), windows([6] * 400)
    whole = model.embedded(window)
    dropped = model.train().embedded(window)
    kept = dropped != 0
    assert (~kept).float().mean().item() == pytest.approx(0.25, abs=0.01)
    torch.testing.assert_close(dropped[kept], whole[kept] / 0.75)
    with torch.no_grad():
        assert torch.equal(model.eval().states(window), model.states(window))


@torch.no_grad()
@pytest.mark.parametrize("name", ["dropout", "input_dropout"])
def test_each_dropout_alone_disturbs_training_but_not_evaluation(name: str) -> None:
    none = {"dropout": 0.0, "input_dropout": 0.0}
    window = windows([6, 4])
    model = made("default", **none | {name: 0.5})
    quiet = made("default", **none)
    real = (window != 0)[:, :, None]  # in training nothing is computed of padding
    torch.testing.assert_close(quiet.train().states(window), quiet.eval().states(window) * real, atol=1e-5, rtol=0)
    torch.testing.assert_close(model.states(window), quiet.states(window), atol=1e-5, rtol=0)
    model.train()
    assert (model.states(window) - model.states(window)).abs().max() > 0.1


def test_the_encoder_has_the_stated_shape() -> None:
    model = made(
        "default", block="transformer", layers=3, heads=4, feedforward=24, dropout=0.3, activation="relu", norm="post"
    )
    assert len(model.encoder.layers) == 3
    for layer in model.encoder.layers:
        assert layer.self_attn.num_heads == 4 and layer.self_attn.embed_dim == 8
        assert layer.linear1.out_features == layer.linear2.in_features == 24
        dropped = {round(0.3 * 65536)}
        assert {layer.dropout.dropped, layer.dropout1.dropped, layer.dropout2.dropped} == dropped
        assert layer.self_attn.dropout == 0.3
        assert layer.activation(torch.tensor([-1.0, 2.0])).tolist() == [0, 2] and not layer.norm_first
    other = made("default", block="transformer", activation="gelu", norm="pre")
    # 2 times the share of the normal distribution below 2.
    assert other.encoder.layers[0].activation(torch.tensor([2.0])).item() == pytest.approx(2 * 0.97725, abs=1e-4)
    assert other.encoder.layers[0].norm_first and other.encoder.norm is not None


def test_vectors_start_with_the_stated_deviations_and_padding_at_zero() -> None:
    torch.manual_seed(0)
    options = {"dim": 16, "max_length": 500, "ratings": "embedding", "head": "separate"}
    model = MiniBERT4Rec(3000, configuration("hybrid", chain=4, chain_trained=True, **options), levels=500)
    tables = {"items": 0.1, "levels": 0.02, "sources": 0.1, "successors": 0.1}
    for name, deviation in tables.items():
        weight = getattr(model, name).weight.detach()
        assert weight[1:].std().item() == pytest.approx(deviation, rel=0.03) and not weight[0].any()
    assert model.positions.std().item() == pytest.approx(0.02, rel=0.03)
    plain = MiniBERT4Rec(3000, configuration("bert", "paper"))
    assert plain.items.weight[1:].std().item() == pytest.approx(1.0, rel=0.02)
    assert MiniBERT4Rec(3000, configuration("bert", initial_std=0.3)).items.weight[1:].std().item() == pytest.approx(
        0.3, rel=0.02
    )
    # Without a scale of their own, random vectors keep PyTorch's.
    assert MiniBERT4Rec(3000, configuration("bert", initial_std=0.0)).items.weight[1:].std().item() == pytest.approx(
        1.0, rel=0.02
    )


def test_given_vectors_are_disturbed_with_the_stated_deviation() -> None:
    torch.manual_seed(0)
    config = configuration("hybrid", "paper", dim=16, perturbation=0.2)
    model, vectors = MiniBERT4Rec(3000, config), torch.randn(3001, 16)
    mask = model.items.weight[3001].detach().clone()
    start_from(model, vectors, np.ones(3001))
    noise = (model.items.weight[1:3001] - vectors[1:]).detach()
    assert noise.std().item() == pytest.approx(0.2, rel=0.02) and noise.mean().item() == pytest.approx(0, abs=0.005)
    assert torch.equal(model.items.weight[3001], mask) and not model.items.weight[0].any()


def test_the_bias_starts_at_the_centred_logarithm_of_the_popularity() -> None:
    counts = np.array([0, 3, 0, 7])
    model = MiniBERT4Rec(3, configuration("bert", **SMALL), counts=counts)
    logs = np.log(counts + 1.0)
    np.testing.assert_allclose(model.bias.detach().numpy(), logs - logs.mean(), atol=1e-6)


def test_negatives_are_expected_as_often_as_they_are_drawn() -> None:
    counts = np.array([0, 3, 0, 8])
    # Square roots of 4, 1 and 9 are 2, 1 and 3 of 6.
    model = MiniBERT4Rec(3, configuration("bert", negatives=12, negative_power=0.5, **SMALL), counts=counts)
    torch.testing.assert_close(model.expected, torch.tensor([0.0, 4, 2, 6]))
    assert "expected" not in model.state_dict()


def test_an_epoch_of_sequences_follows_the_configuration() -> None:
    histories = Histories(pl.Series(range(5)), np.arange(1, 11, dtype=np.int32), np.arange(0, 12, 2))
    data = Data("d", "", list(range(1, 11)), list(range(5)), None, None, [], histories, np.zeros(5), Path())
    model = made("paper", batch_size=2)
    found = list(model.training_batches(data, torch.Generator().manual_seed(0)))
    assert [len(b.window) for b in found] == [2, 2, 1] and all((b.window == MASK).sum(1).eq(1).all() for b in found)


def test_a_separate_head_has_a_bias_only_where_asked_for() -> None:
    assert made("default", head="separate", item_bias=False).head.bias is None
    assert made("default", head="separate", item_bias=True).head.bias.shape == (11,)


def test_only_a_trained_chain_is_trained() -> None:
    for trained in (True, False):
        model = made("default", chain=3, chain_trained=trained)
        assert model.sources.weight.requires_grad == model.successors.weight.requires_grad == trained


def test_the_validation_loss_is_the_cross_entropy_over_the_items_without_padding() -> None:
    histories = Histories(pl.Series(["a", "b"]), np.array([1, 2], np.int32), np.array([0, 1, 2]))
    data = Data("d", "", list(range(1, 11)), [], None, None, [], histories, np.array([8, 3]), Path())
    scores = torch.randn(2, 11, generator=torch.Generator().manual_seed(0))
    before = scores.clone()
    logs = torch.log_softmax(scores[:, 1:], 1)
    found = made("sasrec").validation_loss(scores, data, torch.tensor([0, 1]))
    torch.testing.assert_close(found, -(logs[0, 7] + logs[1, 2]) / 2)
    assert torch.equal(scores, before), "the given scores stay as they are"
