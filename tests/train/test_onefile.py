"""A model that no file could hold is refused before it is solved for or trained."""

import shutil
from pathlib import Path

import pytest
import torch

from infer.errors import InputError
from infer.model import modelfile
from train import trainer
from train.data.dataset import load
from train.kinds import KINDS
from train.models.registry import unsolved
from train.onefile import refuse_beforehand, refuse_too_large, weight_bytes
from train.presets import configuration
from train.sizing import sized_for


@pytest.fixture
def folder(artifacts: Path, tmp_path: Path) -> Path:
    for name in ("interactions.parquet", "items.parquet", "mf.pt", "bert.pt", "hybrid.pt"):
        shutil.copy(artifacts / name, tmp_path)
    return tmp_path


def test_shared_weights_count_once() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(3, 2))
    model[1].weight = model[0].weight
    model.register_buffer("places", torch.zeros(5, dtype=torch.int64))
    assert weight_bytes(model) == 4 * (6 + 2 + 2) + 8 * 5


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "best"])
def test_every_kind_is_judged_by_its_shapes_alone(kind: str, folder: Path, monkeypatch) -> None:
    data = load(folder)
    config = sized_for(configuration(kind, artifacts=folder), data)
    exact, state = weight_bytes(unsolved(kind, data, config)), torch.get_rng_state()
    monkeypatch.setattr(modelfile, "LARGEST_FILE", exact)
    refuse_beforehand(kind, data, config)
    monkeypatch.setattr(modelfile, "LARGEST_FILE", exact - 1)
    width = "neighbours" if kind in ("knn", "markov", "ease", "content") else "dim"
    with pytest.raises(
        InputError, match=rf"{kind} has .* GB of weights, .*: take a smaller --{width} .*or fewer items"
    ):
        refuse_beforehand(kind, data, config)
    assert torch.equal(torch.get_rng_state(), state), "no random number is taken"


def test_nothing_is_solved_or_trained_and_nothing_lost(folder: Path, monkeypatch) -> None:
    before = (folder / "mf.pt").read_bytes()
    monkeypatch.setattr(modelfile, "LARGEST_FILE", 1_000)
    monkeypatch.setattr(trainer, "build", None)
    for kind in ("mf", "hybrid", "ease"):
        with pytest.raises(InputError, match="an ONNX file holds"):
            trainer.train(kind, configuration(kind, artifacts=folder))
    assert (folder / "mf.pt").read_bytes() == before and not (folder / "ease.pt").exists()


def test_a_search_begins_with_it(folder: Path, run, refused, monkeypatch) -> None:
    monkeypatch.setattr(modelfile, "LARGEST_FILE", 1_000)
    refused(
        run("train.tune", "bert", "--trials=1", f"--artifacts={folder}"), "an ONNX file holds 0.0 GB: take a smaller"
    )


def test_a_blend_is_judged_when_its_members_are_there(folder: Path, monkeypatch) -> None:
    config = configuration("best", artifacts=folder, members="bert,hybrid")
    refuse_beforehand("best", load(folder), config)
    monkeypatch.setattr(modelfile, "LARGEST_FILE", 1_000)
    with pytest.raises(InputError, match=r"best has .* GB of weights"):
        trainer.train("best", config)
    assert not (folder / "best.pt").exists()


def test_sizes_are_said_in_gigabytes(monkeypatch) -> None:
    with torch.device("meta"):
        model = torch.nn.Embedding(20_000_000, 64)
    with pytest.raises(InputError, match=r"bert has 5\.1 GB of weights, and an ONNX file holds 2\.1 GB: take fewer"):
        refuse_too_large(model, "bert")
