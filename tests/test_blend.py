"""The blend: standardised scores, fitted weights, one complete file, members that do not fit."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from infer.errors import InputError
from train import __main__ as command
from train import checkpoint
from train.batches import load
from train.blend import Blend, names
from train.models import build, restore
from train.presets import configuration


@pytest.fixture(scope="module")
def folder(artifacts: Path, tmp_path_factory) -> Path:
    """Members trained on the checkerboard."""
    folder = tmp_path_factory.mktemp("blend")
    for name in ("interactions.parquet", "items.parquet", "mf.pt"):
        shutil.copy(artifacts / name, folder)
    for kind in ("ease", "markov"):
        command.train(kind, configuration(kind, artifacts=folder))
    command.train("hybrid", configuration("hybrid", artifacts=folder, dim=8, window=6, epochs=2))
    return folder


def blend(folder: Path, members: str = "ease,markov,hybrid") -> Blend:
    model, _ = build("best", load(folder), configuration("best", artifacts=folder, members=members))
    return model.eval()


@torch.no_grad()
def test_scores_are_standardised_weighed_and_summed(folder: Path) -> None:
    model = blend(folder)
    model.weights.copy_(torch.tensor([0.5, 0.0, 2.0]))
    window = torch.zeros(2, 50, dtype=torch.int64)
    window[:, -3:] = torch.tensor([[3, 4, 5], [0, 0, 9]])
    expected = 0
    for member, weight in ((model.members[0], 0.5), (model.members[2], 2.0)):
        scores = member(window[:, -member.window :])[:, 1:].numpy()
        unit = (scores - scores.mean(1, keepdims=True)) / scores.std(1, keepdims=True)
        expected = expected + weight * np.sign(unit) * np.log1p(np.abs(unit))
    np.testing.assert_allclose(model(window)[:, 1:].numpy(), expected, rtol=1e-4, atol=1e-5)
    assert not model(window)[:, 0].any()


def test_a_member_that_knows_the_answer_gets_the_weight(folder: Path) -> None:
    data = load(folder)

    class Oracle(torch.nn.Module):
        input_names, window, config = ("window",), 50, None

        def __init__(self, right: bool) -> None:
            super().__init__()
            self.right = right

        def forward(self, window: torch.Tensor) -> torch.Tensor:
            scores = torch.randn(len(window), 25, generator=torch.Generator().manual_seed(len(window) + self.right))
            if self.right:
                scores = scores.scatter(1, torch.from_numpy(data.targets)[self.rows][:, None], 2.0)
            return scores

    class Watched(Blend):
        def inputs(self, data, rows):
            self.members[0].rows = rows
            return super().inputs(data, rows)

    model = Watched([Oracle(True), Oracle(False)], 24, configuration("best", members="a,b"))
    model.solve(data)
    assert model.weights[0] > 3 * model.weights[1] > 0


def test_a_blend_is_complete_in_its_checkpoint_and_its_file(folder: Path, run) -> None:
    done = run("train", "best", f"--artifacts={folder}", "--members=ease,markov,hybrid")
    assert done.returncode == 0, done.stderr
    state = checkpoint.read(folder / "best.pt", "")
    window = torch.randint(1, 25, (3, 50), generator=torch.Generator().manual_seed(0))
    trained = blend(folder)
    trained.solve(load(folder))
    alone = folder / "alone"
    alone.mkdir()
    for name in ("interactions.parquet", "best.pt"):
        shutil.copy(folder / name, alone)
    with torch.no_grad():
        torch.testing.assert_close(restore(state)(window), trained(window))
    assert run("export", "best", f"--artifacts={alone}").returncode == 0
    assert run("infer.batch", f"--model={alone / 'best.onnx'}").returncode == 0
    assert pl.read_parquet(alone / "best.topk.parquet")["user"].n_unique() == 40


def test_members_that_do_not_fit_are_refused(folder: Path, run, refused) -> None:
    for members, message in {
        "": "--members is empty",
        "ease,ease": "different names separated by commas",
        "ease,nobody": "nobody.pt does not exist: train nobody first",
        "mf": "--members: mf reads user; only windows can be blended",
    }.items():
        refused(run("train", "best", f"--artifacts={folder}", f"--members={members}"), message)
    with pytest.raises(InputError, match="different names"):
        names(configuration("best", members=" , "))


def test_a_member_of_another_table_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "f")
    table = pl.read_parquet(folder / "interactions.parquet").head(300)
    table.write_parquet(tmp_path / "f" / "interactions.parquet")
    with pytest.raises(InputError, match="was trained on another table"):
        blend(tmp_path / "f")
