"""The contract of a model: what a small one must say, and what it gets from the base."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor

from export.graph import export_graph
from export.parity import check_parity
from infer.histories.histories import Histories
from train.config import BestConfig, LinearConfig
from train.data.dataset import Data
from train.kinds import KINDS
from train.loop.loop import fit
from train.loop.run import Run
from train.models.base import ScoringModel
from train.models.registry import build
from train.presets import configuration


@pytest.fixture
def data() -> Data:
    """Three users with the histories 1 2, 2 3 and 2, whose validation items are 3, 1 and none, and four items."""
    found = Histories(pl.Series([7, 8, 9]), np.array([1, 2, 2, 3, 2], np.int32), np.array([0, 2, 4, 5]))
    targets = np.array([3, 1, 0])
    return Data("d", "", [1, 2, 3, 4], [7, 8, 9], None, None, [1.0, 5.0], found, targets, Path())


class Popularity(ScoringModel):
    """Everybody gets the same scores: how often an item occurs in training."""

    window, closed_form = 2, True

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("counts", torch.zeros(5))

    def solve(self, data: Data) -> None:
        self.counts.copy_(torch.from_numpy(data.counts))

    def forward(self, window: Tensor) -> Tensor:
        return self.counts + 0.0 * window[:, -1:]


def test_a_model_that_says_how_it_scores_and_is_solved_is_trained_measured_and_exported(data: Data) -> None:
    run = Run(Popularity(), None)
    (record,) = fit(run, data, LinearConfig())
    assert run.model.counts.tolist() == [0, 1, 3, 1, 0]
    # The first user has seen 1 and 2 and finds 3 first of 3 and 4; the second 1 first of 1 and 4.
    assert (record.validation_hit_at_10, record.validation_ndcg_at_10) == (1, 1)
    assert record.train_loss is record.validation_loss is None
    parity = check_parity(run.model.eval(), export_graph(run.model, 4), 4, 3)
    assert parity["largest_score_difference"] == 0


def test_by_default_a_model_reads_the_latest_items_and_has_none_of_the_abilities(data: Data) -> None:
    model = Popularity()
    (window,) = model.inputs(data, torch.tensor([2, 0]))
    assert window.tolist() == [[0, 2], [1, 2]] and window.dtype == torch.int64
    assert (
        model.input_names == ("window",) and model.validation_loss(torch.zeros(1, 5), data, torch.tensor([0])) is None
    )
    assert model.start_epoch(1) is None
    assert not (model.any_length or model.appends_columns or model.extra_columns or model.level_count)
    assert not (model.from_content or model.provenances or ScoringModel.closed_form or ScoringModel.window)


def test_what_a_model_does_not_say_is_named_when_it_is_needed(data: Data) -> None:
    for ask, lacking in (
        (lambda model: model(torch.zeros(1, 2)), "Silent does not say how it scores"),
        (lambda model: model.solve(data), "Silent is not solved in closed form"),
        (lambda model: model.training_batches(data, torch.Generator()), "Silent has no batches"),
        (lambda model: model.loss(None), "Silent has no loss"),
        (lambda model: model.optimizer(), "Silent has no optimizer"),
    ):
        with pytest.raises(NotImplementedError, match=lacking):
            ask(type("Silent", (ScoringModel,), {})())


def test_every_kind_is_a_scoring_model_with_the_abilities_that_its_export_relies_on(data: Data) -> None:
    made = {
        kind: build(kind, data, configuration(kind))[0]
        for kind, entry in KINDS.items()
        if entry.config is not BestConfig and kind != "hybrid"
    }
    assert all(isinstance(model, ScoringModel) for model in made.values())
    found = {kind: (m.closed_form, m.appends_columns, m.any_length, m.from_content) for kind, m in made.items()}
    linear = (True, False, True, False)
    assert found == {
        "mf": (True, True, False, False),
        "bert": (False, True, True, False),
        "knn": linear,
        "markov": linear,
        "ease": linear,
        "content": (True, False, True, True),
    }
    assert not build("mf", data, configuration("mf", objective="ratings"))[0].closed_form
    rated, _ = build("bert", data, configuration("bert", ratings="embedding"))
    assert rated.level_count == 2 and made["bert"].level_count == 0


def test_of_the_rows_that_are_asked_for_the_data_give_windows_what_was_seen_and_targets(data: Data) -> None:
    rows = torch.tensor([1, 2])
    assert data.windows(rows, 1).tolist() == [[3], [2]]
    assert data.target(rows).tolist() == [1, 0]
    assert [set(row) - {0} for row in data.seen(rows).tolist()] == [{2, 3}, {2}]
    levels = replace(data, histories=replace(data.histories, levels=np.array([1, 2, 2, 1, 1], np.int32)))
    assert levels.level_windows(rows, 3).tolist() == [[0, 2, 1], [0, 0, 1]]
    assert data.measured_rows(2, 0).tolist() == [0, 1] and len(data.measured_rows(1, 0)) == 1
