"""Training on a CUDA device: every kind trains, resumes, blends and is exported. Skipped, with the reason, without one.

`tests/train/test_devices.py` has the same runs on an emulated device, where the weights are those of the CPU exactly.
Here dropout draws other numbers and products are rounded otherwise.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from export.exporter import export
from tests.helpers.trainings import CASES, ENCODER, kept
from train import trainer
from train.loop.loop import fit
from train.presets import configuration

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason=f"PyTorch {torch.__version__} finds no CUDA device here"
)
SOLVED = {name for name, (kind, preset, _) in CASES.items() if kind not in ("bert", "hybrid") and preset != "paper"}


@pytest.fixture
def folder(artifacts: Path, tmp_path: Path) -> Path:
    """A copy of the prepared data and the trained MF."""
    for name in ("interactions.parquet", "items.parquet", "mf.pt"):
        shutil.copy(artifacts / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", CASES)
def test_a_run_is_resumed_on_the_gpu_and_its_export_equals_it(case: str, folder: Path, monkeypatch) -> None:
    kind, preset, options = CASES[case]
    config = replace(configuration(kind, preset, artifacts=folder, **options), device="cuda")

    def stopping(*arguments, **given):
        yield next(fit(*arguments, **given))
        raise KeyboardInterrupt

    if case not in SOLVED:
        monkeypatch.setattr(trainer, "fit", stopping)
        with pytest.raises(KeyboardInterrupt):
            trainer.train(kind, config, "there")
        monkeypatch.setattr(trainer, "fit", fit)
    run = trainer.train(kind, config, "there")
    assert all(value.is_cuda for value in run.model.state_dict().values())
    assert all(record.train_loss is None or record.train_loss > 0 for record in run.records)
    assert all(bool(value.isfinite().all()) for value in kept(folder, "there").values() if value.is_floating_point())
    _, metadata = export("there", folder)  # raises if the graph's scores are not PyTorch's
    assert metadata.kind == kind


@pytest.mark.parametrize("case", sorted(SOLVED))
def test_what_is_solved_has_the_scores_of_the_cpu(case: str, folder: Path) -> None:
    kind, preset, options = CASES[case]
    config = configuration(kind, preset, artifacts=folder, **options)
    here, there = trainer.train(kind, config, "here"), trainer.train(kind, replace(config, device="cuda"), "there")
    for name, value in here.model.state_dict().items():
        torch.testing.assert_close(there.model.state_dict()[name].cpu(), value, rtol=1e-3, atol=1e-3, msg=name)


def test_a_blend_is_fitted_on_the_gpu(folder: Path) -> None:
    for name in ("ease", "bert"):
        options = ENCODER if name == "bert" else {}
        trainer.train(name, replace(configuration(name, artifacts=folder, **options), device="cuda"))
    run = trainer.train("best", configuration("best", artifacts=folder, members="ease,bert", device="cuda"), "there")
    assert run.best_record.validation_ndcg_at_10 and all(v.is_cuda for v in run.model.state_dict().values())
