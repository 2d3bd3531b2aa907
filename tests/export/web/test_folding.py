"""Matrix factorisation asked by a history: the closed form, worked out by hand, and who cannot be solved."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from export.web.folding import LONGEST, FoldedIn, folded
from infer.errors import InputError
from infer.model.session import open_model
from infer.model.vectors import item_vectors
from infer.scoring.closed_form import shares


def test_one_dimension_worked_out_by_hand() -> None:
    # z = 1/2 and 1, c = 5. After item 1: x = 5 * 1/2 / (1 + 4 * 1/4) = 5/4. After both: 5 * 3/2 / (1 + 4 * 5/4) = 5/4.
    model = FoldedIn(torch.tensor([[0.0], [0.5], [1.0]]), confidence=5.0, steps=4)
    scores = model(torch.tensor([[0, 1], [1, 2], [0, 0]]))
    np.testing.assert_allclose(scores, [[0, 0.625, 1.25], [0, 0.625, 1.25], [0, 0, 0]], rtol=1e-6)


def test_scores_are_those_of_the_normal_equations(models: Path) -> None:
    model = open_model(models / "mf.onnx", threads=1)
    vectors = item_vectors(model).astype(np.float64)
    confidence, penalty = (model.metadata.config[name] for name in ("confidence", "regularization"))
    history = np.array([3, 8, 1, 20])
    own = vectors[history - 1]
    left = vectors.T @ vectors + penalty * np.eye(vectors.shape[1]) + (confidence - 1) * own.T @ own
    expected = vectors @ np.linalg.solve(left, confidence * own.sum(0))
    solved = folded(model)
    assert solved.window == LONGEST and solved.user_count == 0
    with torch.no_grad():
        found = solved(torch.from_numpy(history[None]))[0].numpy()
    assert found[0] == 0
    np.testing.assert_allclose(found[1:], expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    # The same as the parts that reasons of a user are told by.
    squares = vectors.T @ vectors + penalty * np.eye(vectors.shape[1])
    np.testing.assert_allclose(shares(vectors, own, squares, confidence).sum(0), expected, rtol=1e-9)


def test_models_of_ratings_are_refused_with_the_way_out(artifacts: Path) -> None:
    with pytest.raises(InputError, match=r"mf.onnx cannot be asked by a history: .* --objective=implicit"):
        folded(open_model(artifacts / "mf.onnx", threads=1))


def test_vectors_without_a_penalty_that_are_longer_than_there_are_items_are_refused(models: Path, monkeypatch) -> None:
    model = open_model(models / "mf.onnx", threads=1)
    unsolved = replace(model, metadata=replace(model.metadata, config=model.metadata.config | {"regularization": 0.0}))
    monkeypatch.setattr("export.web.folding.item_vectors", lambda model: np.tile(np.eye(4, 8), (2, 1)))
    with pytest.raises(InputError, match="from which no user's can be solved: train it with more --regularization"):
        folded(unsolved)
