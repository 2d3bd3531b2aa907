"""The chain's weight: the rule by hand, what is found against scoring with that weight, and what becomes of it."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from export.exporter import export
from infer.model.session import open_model
from train.config import HybridConfig
from train.data.dataset import load
from train.loop import weighing
from train.loop.loop import fit
from train.loop.run import Run
from train.loop.validation import validate, validation_rows
from train.loop.weighing import WEIGHTS, best_weight, gains_by_weight
from train.models.registry import build, restore
from train.presets import configuration
from train.saved import checkpoint, earlier
from train.saved.earlier import Start
from train.trainer import train

SMALL = {"dim": 8, "feedforward": 8, "max_length": 6, "stride": 2, "epochs": 1, "negatives": 8, "chain": 3}


@pytest.mark.parametrize(
    ("by_weight", "expected"),
    [
        # All users alike, so that there is no error: the best, smoothed (2*2+3)/3, (2*3+2+3)/4, (2*3+3)/3.
        ({0.0: 1, 0.1: 2, 0.2: 3, 0.4: 3}, 0.4),
        # 7/3 by chance against a stretch, 6.5/4, 9/4, 3, 3; of 0.1 and 0.3 to 0.6, which are as good, 0.3 is nearest.
        ({0.0: 1, 0.1: 3.5, 0.2: 0, 0.3: 3, 0.4: 3, 0.6: 3}, 0.3),
        ({0.0: 1, 0.1: 2, 0.2: 2}, 0.2),
        ({0.0: 1, 0.1: 2, 0.2: 2, 0.9: 2}, 0.2),
        ({0.0: 2, 0.1: 2, 0.2: 2}, 0.0),
        ({0.0: 3, 0.1: 2, 0.2: 1}, 0.0),
    ],
)
def test_the_best_weight_by_hand(by_weight: dict[float, float], expected: float) -> None:
    assert best_weight({weight: np.full(9, float(value)) for weight, value in by_weight.items()}) == expected


def test_what_lies_within_a_standard_error_is_as_good() -> None:
    # Of 100 users, behind by 0.02 in the mean, by two of them (error 0.13), or by 0.1, all a little (error 0.05).
    best, one, all_ = np.ones(100), np.ones(100), np.ones(100) - 0.1 + 0.5 * np.tile([1, -1], 50)
    one[:2] = -9, 9
    worst = np.zeros(100)
    assert best_weight({0.0: worst, 0.2: one, 0.6: best}) == 0.2
    assert best_weight({0.0: worst, 0.1: all_, 0.6: best, 0.85: best}) == 0.6
    assert best_weight({0.0: one, 0.1: worst, 0.6: best, 0.85: best}) == 0.0, "what helps by chance is left out"
    assert best_weight({0.0: worst, 0.1: one, 0.6: best, 0.85: best}, 0.85) == 0.85, "of a continued model it stays"
    assert best_weight({0.0: worst, 0.1: worst, 0.6: best, 0.85: best}, 0.1) == 0.6, "unless another is better"


def test_each_weights_ndcg_is_that_of_a_model_with_this_weight(artifacts: Path) -> None:
    data = load(artifacts)
    model, _ = build("hybrid", data, configuration("hybrid", artifacts=artifacts, **SMALL))
    rows = validation_rows(data, model.config)
    gains = gains_by_weight(model, data, rows, torch.device("cpu"))
    found = {weight: gain.mean() for weight, gain in gains.items()}
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
    monkeypatch.setattr(weighing, "best_weight", lambda gains, earlier: best)
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
    assert torch.equal(run.model.sources.weight, before) and run.chosen == {"chain_weight": 0.3}
    assert "nothing is held out to find the chain's weight by: it is 0.3" in caplog.text
    content = {"provenance": {"config": asdict(config) | run.chosen}, "tried": run.tried}
    found = earlier.base(Start(Path("h.pt"), "", content), "hybrid")
    assert isinstance(found, HybridConfig) and found.chain_weight is None, "who goes on from it looks for another"
