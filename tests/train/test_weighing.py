"""The chain's weight: the rule by hand, what is found against scoring with that weight, and what becomes of it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from export.exporter import export
from infer.model.session import open_model
from train import checkpoint, weighing
from train.data.dataset import load
from train.loop import fit
from train.models.registry import build, restore
from train.presets import configuration
from train.run import Run
from train.trainer import train
from train.validation import validate, validation_rows
from train.weighing import WEIGHTS, best_weight, ndcg_by_weight

SMALL = {"dim": 8, "feedforward": 8, "max_length": 6, "stride": 2, "epochs": 1, "negatives": 8, "chain": 3}


@pytest.mark.parametrize(
    ("by_weight", "expected"),
    [
        # Smoothed: (2*2+3)/3, (2*3+2+3)/4, (2*3+3)/3.
        ({0.0: 1, 0.1: 2, 0.2: 3, 0.3: 3}, 0.3),
        # One weight by chance against a stretch: 7/3, 6.5/4, 9/4, 3, 3; of equal ones the smallest.
        ({0.0: 1, 0.1: 3.5, 0.2: 0, 0.3: 3, 0.4: 3, 0.6: 3}, 0.4),
        ({0.0: 1, 0.1: 2, 0.2: 2}, 0.1),
        ({0.0: 2, 0.1: 2, 0.2: 2}, 0.0),
        ({0.0: 3, 0.1: 2, 0.2: 1}, 0.0),
    ],
)
def test_the_best_weight_by_hand(by_weight: dict[float, float], expected: float) -> None:
    assert best_weight(by_weight) == expected


def test_each_weights_ndcg_is_that_of_a_model_with_this_weight(artifacts: Path) -> None:
    data = load(artifacts)
    model, _ = build("hybrid", data, configuration("hybrid", artifacts=artifacts, **SMALL))
    rows = validation_rows(data, model.config)
    found = ndcg_by_weight(model, data, rows, torch.device("cpu"))
    assert tuple(found) == WEIGHTS and len(set(found.values())) > 1
    for weight in (0.0, 0.06, 1.2):
        config = configuration("hybrid", artifacts=artifacts, **SMALL | {"chain_weight": weight})
        other, _ = build("hybrid", data, config)
        assert validate(other, data, rows, torch.device("cpu"))[2] == pytest.approx(found[weight], abs=1e-3)


@pytest.mark.parametrize("best", [0.0, 0.6])
def test_the_weight_is_kept_and_exported_and_without_use_there_is_no_chain(
    best: float, artifacts: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    (tmp_path / "interactions.parquet").write_bytes((artifacts / "interactions.parquet").read_bytes())
    monkeypatch.setattr(weighing, "best_weight", lambda by_weight: best)
    run = train("hybrid", configuration("hybrid", artifacts=tmp_path, **SMALL))
    said = capsys.readouterr().out
    assert f"chain weight {best:g}, by NDCG@10 % of " in said and ("left out" in said) == (best == 0)
    state = checkpoint.read(tmp_path / "hybrid.pt", "")
    config = state["provenance"]["config"]
    assert (config["chain_weight"], config["chain"]) == (best, 3 if best else 0)
    assert any("sources" in name for name in state["model"]) == (best > 0)
    assert state["tried"]["chain_weight_ndcg_at_10"][f"{best:g}"] == pytest.approx(
        state["best"]["validation_ndcg_at_10"], abs=1e-6
    )
    data = load(tmp_path)
    inputs = run.model.inputs(data, torch.arange(5))
    with torch.no_grad():
        assert torch.equal(restore(state)(*inputs), run.model.eval()(*inputs))
    path, _ = export("hybrid", tmp_path, "fp32", 0.0)
    exported = open_model(path).metadata.config
    assert exported["chain_weight"] == best and len(exported["chain_weight_ndcg_at_10"]) == len(WEIGHTS)


@pytest.mark.parametrize("changes", [{"chain_weight": 0.3}, {"chain_trained": True}, {"chain": 0}])
def test_a_given_weight_a_trained_chain_and_none_are_left_alone(changes: dict, artifacts: Path) -> None:
    data = load(artifacts)
    config = configuration("hybrid", artifacts=artifacts, **SMALL | changes)
    model, _ = build("hybrid", data, config)
    run = Run(model, model.optimizer())
    list(fit(run, data, config))
    assert not run.chosen and not run.tried and not run.final


def test_without_validation_the_weight_is_the_one_of_training(artifacts: Path, caplog) -> None:
    data = load(artifacts)
    data = replace(data, targets=data.targets * 0)
    config = configuration("hybrid", artifacts=artifacts, **SMALL)
    model, _ = build("hybrid", data, config)
    before = model.sources.weight.clone()
    run = Run(model, model.optimizer())
    with caplog.at_level("INFO"):
        list(fit(run, data, config))
    assert torch.equal(run.model.sources.weight, before) and run.chosen == {"chain_weight": 0.15}
    assert "nothing is held out to find the chain's weight by: it is 0.15" in caplog.text
