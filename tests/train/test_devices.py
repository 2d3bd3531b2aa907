"""Training on another device than the CPU: every model, loss, resumed run and blend keeps its tensors together."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.helpers.elsewhere import Elsewhere, elsewhere
from tests.helpers.trainings import CASES, ENCODER, kept
from train import trainer
from train.loop.loop import fit
from train.presets import configuration

# A module on fake tensors says so of each weight that it loads.
pytestmark = pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter:UserWarning")


@pytest.fixture
def folder(artifacts: Path, tmp_path: Path) -> Path:
    """A copy of the prepared data and the trained MF."""
    for name in ("interactions.parquet", "items.parquet", "mf.pt"):
        shutil.copy(artifacts / name, tmp_path)
    return tmp_path


def assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=0, msg=name)


@pytest.mark.parametrize("case", CASES)
def test_a_run_on_another_device_mixes_no_tensors_and_ends_with_the_same_weights(
    case: str, folder: Path, monkeypatch
) -> None:
    kind, preset, options = CASES[case]
    config = configuration(kind, preset, artifacts=folder, **options)
    trainer.train(kind, config, "here")

    def stopping(*arguments, **given):
        yield next(fit(*arguments, **given))
        raise KeyboardInterrupt

    with elsewhere():
        away = replace(config, device="cuda")
        if kind in ("bert", "hybrid") or preset == "paper":  # the others are solved in one step
            monkeypatch.setattr(trainer, "fit", stopping)
            with pytest.raises(KeyboardInterrupt):
                trainer.train(kind, away, "there")
            monkeypatch.setattr(trainer, "fit", fit)
        run = trainer.train(kind, away, "there")
        assert all(isinstance(value, Elsewhere) for value in run.model.state_dict().values())
    assert_equal(kept(folder, "here"), kept(folder, "there"))


@pytest.mark.parametrize("members", ["ease,content,hybrid", "markov,bert"])
def test_a_blend_on_another_device_weighs_its_members_there(members: str, folder: Path) -> None:
    for name in members.split(","):
        options = ENCODER if name in ("bert", "hybrid") else {}
        trainer.train(name, configuration(name, artifacts=folder, **options))
    config = configuration("best", artifacts=folder, members=members)
    trainer.train("best", config, "here")
    with elsewhere():
        run = trainer.train("best", replace(config, device="cuda"), "there")
        assert all(isinstance(value, Elsewhere) for value in run.model.state_dict().values())
    assert_equal(kept(folder, "here"), kept(folder, "there"))


def test_a_device_that_is_mixed_with_the_cpu_is_noticed() -> None:
    here, positions = torch.ones(3), torch.tensor([0, 2])
    with elsewhere():
        there = torch.ones(3, device="cuda") + here.to("cuda")
        assert there.sum().item() == 6 and there[positions].tolist() == [2, 2] and there.device.type == "cuda"
        with pytest.raises(RuntimeError, match="of the CPU and of another device"):
            _ = there + here
        with pytest.raises(RuntimeError, match="of the CPU and of another device"):
            here.scatter_(0, there.long(), 1.0)
        with pytest.raises(RuntimeError, match="numpy"):
            there.numpy()
        assert isinstance(there.cpu(), torch.Tensor) and not isinstance(there.cpu(), Elsewhere)
