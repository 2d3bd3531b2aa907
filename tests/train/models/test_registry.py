"""Every kind of model: built from the seed and the data, and the same again from its checkpoint."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from infer.errors import InputError
from infer.histories.histories import Histories
from infer.system.fingerprints import sha256
from train.data.dataset import Data
from train.models.blend import Blend
from train.models.chain import chain_factors
from train.models.hybrid import item_vectors
from train.models.registry import build, restore
from train.presets import configuration
from train.saved import checkpoint

SMALL = {"dim": 8, "heads": 2, "feedforward": 16, "max_length": 5, "chain": 0}
CONFIGS = {
    "mf": {"dim": 3, "epochs": 2},
    "bert": {**SMALL, "ratings": "embedding", "positions": "sinusoidal", "seed": 5},
    "hybrid": {**SMALL, "chain": 4},
    "knn": {"max_length": 7},
    "markov": {"max_length": 3, "neighbours": 4, "decay": 0.6},
    "ease": {"max_length": 4},
    "content": {"max_length": 6},
}


@pytest.fixture
def data(tmp_path: Path) -> Data:
    """13 users, 11 items with genres, 3 rating levels."""
    rng = np.random.default_rng(0)
    histories = [rng.permutation(11)[: rng.integers(2, 8)] + 1 for _ in range(13)]
    flat, offsets = np.concatenate(histories).astype(np.int32), np.cumsum([0, *map(len, histories)])
    levels = rng.integers(1, 4, len(flat)).astype(np.int32)
    genres = ["War", "Comedy", "War|Comedy", "Drama"] * 2 + ["Drama", "War", "Comedy"]
    table = pl.DataFrame({"item": [f"i{n:02}" for n in range(11)], "title": [""] * 11, "genres": genres})
    table.write_parquet(tmp_path / "items.parquet")
    found = Histories(pl.Series(range(13)), flat, offsets, levels)
    return Data(
        "d", "sum", table["item"].to_list(), list(range(13)), None, None, [1.0, 2.0, 5.0], found,
        rng.integers(1, 12, 13), tmp_path,
    )  # fmt: skip


def made(kind: str, data: Data, **changes) -> torch.nn.Module:
    model, parents = build(kind, data, configuration(kind, **CONFIGS[kind] | changes))
    assert parents == {}
    if model.closed_form:
        model.solve(data)
    return model.eval()


def state(kind: str, model: torch.nn.Module, data: Data) -> dict:
    return {
        "provenance": checkpoint.provenance(kind, model.config, data, {}),
        "item_ids": data.item_ids,
        "user_ids": data.user_ids,
        "rating_levels": data.rating_levels,
        "model": {name: weight.clone() for name, weight in model.state_dict().items()},
    }


def assert_same(model: torch.nn.Module, again: torch.nn.Module, data: Data) -> None:
    rows = torch.arange(13)
    assert type(again) is type(model) and not again.training
    with torch.no_grad():
        scores = model(*model.inputs(data, rows))
        assert scores.shape == (13, 12) and scores[:, 1:].std() > 0
        torch.testing.assert_close(again(*again.inputs(data, rows)), scores, rtol=0, atol=0)


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_kind_of_model_comes_back_from_its_checkpoint(kind: str, data: Data) -> None:
    model = made(kind, data)
    again = restore(state(kind, model, data))
    assert_same(model, again, data)
    changed = state(kind, model, data)
    changed["item_ids"] = changed["item_ids"][:-1]
    with pytest.raises(InputError, match=r"a checkpoint does not hold one model .*: train it again"):
        restore(changed)


def test_a_blend_comes_back_with_members_of_different_kinds(data: Data) -> None:
    kinds = ["markov", "content", "hybrid", "ease"]
    members = [made(kind, data) for kind in kinds]
    model = Blend(members, 11, configuration("best", members=",".join(kinds))).eval()
    model.weights.copy_(torch.tensor([0.5, 1.0, 2.0, 0.1]))
    model.unrated[3], model.newcomers[0] = True, -0.5
    kept = state("best", model, data)
    kept["members"] = [state(kind, member, data)["provenance"] for kind, member in zip(kinds, members, strict=True)]
    again = restore(kept)
    assert again.content == 1 and again.window == model.window == 6
    assert_same(model, again, data)


@pytest.mark.parametrize("kind", ["mf", "bert", "hybrid"])
def test_the_seed_decides_what_a_model_starts_from(kind: str, data: Data) -> None:
    changes = {"objective": "ratings"} if kind == "mf" else {}
    one, same, other = (made(kind, data, seed=seed, **changes).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.allclose(one["items.weight"], other["items.weight"])


def test_the_sequence_model_is_given_counts_levels_vectors_and_chain(data: Data) -> None:
    model = made("hybrid", data, ratings="embedding", initial="ials+ppmi", initial_std=0.2)
    assert model.levels.num_embeddings == 4
    counts = np.bincount(data.histories.items, minlength=12)
    logarithms = np.log(counts + 1)
    np.testing.assert_allclose(model.bias.detach(), logarithms - logarithms.mean(), atol=1e-5)
    vectors = item_vectors(data, model.config)[0][1:]
    torch.testing.assert_close(model.items.weight[1:12].detach(), vectors * (0.2 / vectors.std()))
    sources = chain_factors(data, model.config)[0]
    scale = model.sources.weight[:12].detach() / torch.where(sources != 0, sources, torch.nan)
    assert torch.allclose(scale[~scale.isnan()], scale[~scale.isnan()].mean(), rtol=1e-3)
    random = made("hybrid", data, initial="random", chain_initial="random", chain_trained=True)
    assert not np.allclose(np.abs(np.corrcoef(random.sources.weight[1:12].detach().T, sources[1:].T)[0, 4]), 1)
    assert random.items.weight[1:12].std().item() == pytest.approx(0.1, rel=0.3)


def test_vectors_of_a_trained_factorisation_are_taken_as_they_are(data: Data, tmp_path: Path) -> None:
    mf = made("mf", data)
    checkpoint.save(tmp_path / "rated.pt", state("mf", mf, data))
    config = configuration("hybrid", artifacts=tmp_path, initial="mf", mf="rated", dim=3, heads=1, chain=0)
    vectors, parents = item_vectors(data, config)
    assert torch.equal(vectors, mf.items.weight) and parents == {"rated.pt": sha256(tmp_path / "rated.pt")}
    model, named = build("hybrid", data, replace(config, initial_std=0.0))
    assert torch.equal(model.items.weight[1:12], mf.items.weight[1:]) and named == parents
    wrong = {
        r"are \(12, 3\); expected \(12, 4\): train mf on this table with the same --dim": (
            replace(config, dim=4),
            data,
        ),
        r"rated\.pt was trained on another table \(d\): run `python -m train mf .* --name=rated` first": (
            config,
            replace(data, checksum="other"),
        ),
        r"mf\.pt does not exist: run `python -m train mf --artifacts=\S+` first": (replace(config, mf="mf"), data),
        "--mf bert is a bert, not a matrix factorization": (replace(config, mf="bert"), data),
    }
    checkpoint.save(tmp_path / "bert.pt", state("bert", made("bert", data), data))
    for message, (options, source) in wrong.items():
        with pytest.raises(InputError, match=message):
            item_vectors(source, options)
