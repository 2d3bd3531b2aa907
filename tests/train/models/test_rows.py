"""Updates of the rows that a step reads: as AdamW and a moving average of the whole table, at any lag."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from infer.errors import InputError
from tests.helpers.rounds import write
from train.config import BertConfig
from train.data.dataset import load
from train.loop.loop import train_step
from train.loop.run import Run
from train.models.registry import build
from train.models.rows import RowAdamW
from train.sizing import sized

OPTIONS = {"lr": 3e-3, "weight_decay": 0.1, "betas": (0.9, 0.98)}
DECAY = 0.99


def drawn(steps: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Rows of each step and their gradients; row 7 of 8 is read once in the middle, row 6 never."""
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randperm(6, generator=generator)[:2].sort().values for _ in range(steps)]
    rows[steps // 2] = torch.tensor([3, 7])
    return [(own, torch.randn(len(own), 3, generator=generator)) for own in rows]


def whole(steps: list) -> tuple[torch.Tensor, torch.Tensor]:
    """The table and its average by PyTorch's AdamW, which moves all rows at all steps."""
    table = nn.Parameter(torch.linspace(-1, 1, 24).view(8, 3))
    optimizer, average = torch.optim.AdamW([table], **OPTIONS), table.detach().clone()
    for rows, gradient in steps:
        table.grad = torch.zeros_like(table)
        table.grad[rows] = gradient * (rows != 0)[:, None]  # padding learns nothing
        optimizer.step()
        average.lerp_(table.detach(), 1 - DECAY)
    return table.detach(), average


def by_rows(steps: list, caught_up_after: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    table = nn.Parameter(torch.linspace(-1, 1, 24).view(8, 3))
    optimizer, average = RowAdamW([{"params": [table]}], [table], **OPTIONS), table.detach().clone()
    for number, (rows, gradient) in enumerate(steps):
        taken = optimizer.take(table, rows)
        (taken * gradient).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        optimizer.follow(table, average, DECAY)
        if number == caught_up_after:
            optimizer.catch_up()
    optimizer.catch_up()
    return table.detach(), average


@pytest.mark.parametrize("caught_up_after", [None, 120])
def test_rows_move_as_in_the_whole_table(caught_up_after: int | None) -> None:
    steps = drawn(300)
    expected, found = whole(steps), by_rows(steps, caught_up_after)
    start = torch.linspace(-1, 1, 24).view(8, 3)
    moved = (expected[0] - start).abs()
    assert moved.max() > 0.1  # or nothing would be compared
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=5e-3 * float(moved.max()))
    # A row that nobody reads only decays.
    torch.testing.assert_close(found[0][6], start[6] * (1 - 3e-4) ** 300)


def test_a_row_drifts_on_after_its_last_gradient() -> None:
    """The steps that are made up for are about seven times as large as the one with the gradient."""
    start = torch.ones(2, 1)
    table = nn.Parameter(start.clone())
    optimizer = RowAdamW([{"params": [table]}], [table], lr=1e-3, weight_decay=0.0, betas=(0.9, 0.98))
    for _ in range(1000):  # corrections are 1 from here on
        optimizer.step()
    (optimizer.take(table, torch.tensor([1])) * 5.0).sum().backward()
    optimizer.step()
    first = float(1 - table.detach()[1])
    for _ in range(200):
        optimizer.step()
    optimizer.catch_up()
    assert first == pytest.approx(1e-3 * 0.1 / 0.02**0.5, rel=1e-3)
    ratio = 0.9 / 0.98**0.5
    assert float(1 - table.detach()[1]) / first == pytest.approx(1 / (1 - ratio), rel=1e-2)


def test_a_model_trains_as_with_updates_of_all_rows(tmp_path: Path) -> None:
    write(tmp_path, list(range(10, 20)))
    data = load(tmp_path)
    config = BertConfig(dim=4, heads=1, max_length=6, feedforward=8, dropout=0.0, negatives=4, batch_size=3)
    losses, weights = [], []
    for chosen in ("off", "on"):
        own = replace(config, artifacts=tmp_path, sparse_updates=chosen)
        model = build("bert", data, own)[0].train()
        run = Run(model, model.optimizer())
        for epoch in range(4):
            for batch in model.training_batches(data, torch.Generator().manual_seed(epoch)):
                loss = train_step(model, run.optimizer, batch, own)
                run.follow(0.9)
        losses.append(float(loss))
        with run.averaged():
            weights.append(run.weights())
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    for name, weight in weights[0].items():
        if not name.endswith("in_proj_bias"):  # of keys it has no gradient but rounding
            torch.testing.assert_close(weights[1][name], weight, rtol=1e-3, atol=1e-3)


def test_a_resumed_run_goes_on_with_the_same_rows(tmp_path: Path) -> None:
    write(tmp_path, list(range(10, 20)))
    data = load(tmp_path)
    config = BertConfig(
        dim=4, heads=1, max_length=6, feedforward=8, dropout=0.0, negatives=2, batch_size=3, artifacts=tmp_path,
        sparse_updates="on",
    )  # fmt: skip

    def fresh() -> Run:
        model = build("bert", data, config)[0].train()
        return Run(model, model.optimizer())

    batches = list(fresh().model.training_batches(data, torch.Generator().manual_seed(0)))
    straight, stopped = fresh(), fresh()
    for number, batch in enumerate(batches):
        train_step(straight.model, straight.optimizer, batch, config)
        straight.follow(0.9)
        if number == 1:
            state = straight.state() | {"preparation_seconds": 0.0}
    stopped.load(state)
    for batch in batches[2:]:
        train_step(stopped.model, stopped.optimizer, batch, config)
        stopped.follow(0.9)
    for run in (straight, stopped):
        run.finish()
    assert all(torch.equal(weight, stopped.weights()[name]) for name, weight in straight.weights().items())


def test_large_catalogues_have_it_where_it_can_be_had() -> None:
    config = BertConfig()
    assert [sized(config, items=n).sparse_updates for n in (0, 49_999, 50_000)] == ["off", "off", "on"]
    assert sized(replace(config, loss="softmax"), items=10**6).sparse_updates == "off"
    assert sized(replace(config, sparse_updates="off"), items=10**6).sparse_updates == "off"
    for changes in ({"loss": "softmax"}, {"head": "separate"}, {"optimizer": "adam"}, {"frozen_epochs": 1}):
        with pytest.raises(InputError, match="--sparse-updates=on is for"):
            replace(config, sparse_updates="on", initial="ials", **changes).check()
