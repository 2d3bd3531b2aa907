"""Matrix factorisation asked by a history: the user's vector is solved in the graph, from the item vectors alone.

In: an open `mf` file of weighted ALS. Out: a model that takes `window` instead of `user` and holds nothing of users.

    score of j = z_j' x,   x = (I + (c - 1) sum z_i z_i')^-1 c sum z_i,   z = L^-1 y,   L L' = Y'Y + lambda I

over the items i of the history: the half step of ALS that makes a user's vector (Hu, Koren & Volinsky 2008, equation
4), in coordinates in which what all histories share is the unit matrix. ONNX has no solver: conjugate gradients
(Hestenes & Stiefel 1952), whose steps are products, come to the solution in as many steps as the history has items, and
to the digits of float32 in fewer.
"""

import numpy as np
import torch
from torch import Tensor

from infer.errors import InputError
from infer.histories.vocabulary import PAD
from infer.model.metadata import CLOSED_FORM, DELETION
from infer.model.session import Model
from infer.model.vectors import item_vectors
from infer.scoring.closed_form import CONFIDENCE, REGULARIZATION
from infer.scoring.closed_form import shares as shares_of
from train.models.base import ScoringModel

LONGEST = 200  # items of a history
STEPS = (8, 16, 24, 32, 48, 64)
CLOSE = 1e-5  # to the exact solution, as a share of the largest score
HISTORIES, SEED = 32, 0
LEAST = 1e-30


class FoldedIn(ScoringModel):
    """The scores of all items after a window. vectors: (items + 1, dim) z, of which row 0 is zeros.  confidence: c.
    steps: of conjugate gradients."""

    window = LONGEST
    any_length = True
    appends_columns = True
    attribution = DELETION

    def __init__(self, vectors: Tensor, confidence: float, steps: int) -> None:
        super().__init__()
        self.items = torch.nn.Embedding.from_pretrained(vectors, padding_idx=PAD)
        self.confidence, self.steps = confidence, steps

    @property
    def vectors(self) -> dict[str, int]:
        """All numbers are one part."""
        return {"items": self.items.weight.shape[1]}

    def forward(self, window: Tensor) -> Tensor:
        """Scores of every item: (batch, length) item indexes to (batch, items + 1)."""
        own = self.items(window)  # (batch, length, dim), zeros for padding
        solved = torch.zeros_like(own[:, 0])  # (batch, dim)
        residual = self.confidence * own.sum(1)
        direction, size = residual, (residual * residual).sum(-1, keepdim=True)
        for _ in range(self.steps):
            met = own @ direction[:, :, None]  # (batch, length, 1)
            image = direction + (self.confidence - 1) * (own * met).sum(1)
            # Once solved, 0 is divided by next to nothing, and nothing moves any more.
            step = size / (direction * image).sum(-1, keepdim=True).clamp(min=LEAST)
            solved = solved + step * direction
            residual = residual - step * image
            left = (residual * residual).sum(-1, keepdim=True)
            direction = residual + left / size.clamp(min=LEAST) * direction
            size = left
        return solved @ torch.nn.functional.pad(self.items.weight, (0, 0, 0, self.extra_columns)).T


def folded(model: Model) -> FoldedIn:
    """The model of an open file of `mf`; raises InputError if it needs ratings, which a history of items has not."""
    metadata, name = model.metadata, model.path.name
    confidence, penalty = (metadata.config.get(key) for key in (CONFIDENCE, REGULARIZATION))
    solvable = metadata.attribution == CLOSED_FORM
    if not (solvable and isinstance(confidence, int | float) and isinstance(penalty, int | float)):
        raise InputError(
            f"{name} cannot be asked by a history: it knows users by their ratings; train mf with "
            "--objective=implicit (the default), or give another model"
        )
    vectors = item_vectors(model).astype(np.float64)
    unsolved = f"{name} has item vectors from which no user's can be solved: train it with more --regularization"
    try:
        lower = np.linalg.cholesky(vectors.T @ vectors + penalty * np.eye(vectors.shape[1]))
    except np.linalg.LinAlgError:  # without a penalty, of fewer items than a vector has numbers
        raise InputError(unsolved) from None
    unit = np.linalg.solve(lower, vectors.T).T
    table = torch.from_numpy(np.concatenate([np.zeros((1, unit.shape[1])), unit]).astype(np.float32))
    for steps in STEPS:
        found = FoldedIn(table, float(confidence), steps).eval()
        if _error(found, vectors, float(penalty)) <= CLOSE:
            return found
    raise InputError(unsolved)


def _error(model: FoldedIn, vectors: np.ndarray, penalty: float) -> float:
    """How far scores of drawn histories are from the closed form in float64, as a share of the largest."""
    rng, squares = np.random.default_rng(SEED), vectors.T @ vectors + penalty * np.eye(vectors.shape[1])
    largest = 0.0
    # Popular items have the longest vectors, and histories of these the worst condition.
    loud = np.argsort(-np.linalg.norm(vectors, axis=1))[:LONGEST]
    drawn = [rng.choice(len(vectors), rng.integers(1, min(LONGEST, len(vectors)) + 1), False) for _ in range(HISTORIES)]
    for history in (loud, *drawn):
        exact = shares_of(vectors, vectors[history], squares, model.confidence).sum(0)
        with torch.no_grad():
            found = model(torch.from_numpy(history[None] + 1))[0, 1:].numpy()
        largest = max(largest, float(np.abs(found - exact).max() / np.abs(exact).max()))
    return largest
