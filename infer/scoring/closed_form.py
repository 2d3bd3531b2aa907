"""What each item of a history contributes to scores of implicit ALS, in closed form.

In: histories, item vectors and the two constants that training used. Out: contributions whose sum over a history is
the score that the solved user vector gives (Hu, Koren & Volinsky 2008, section 5):

    score of j = sum over the history's i of  y_j' W c_i y_i,   W = (Y'Y + sum of (c_i - 1) y_i y_i' + lambda I)^-1

A file's own user vectors are one half step of ALS older than its item vectors, and solved approximately: their scores
differ a little from this sum.

    contributions(task, own)
"""

from collections.abc import Iterator

import numpy as np

from infer.errors import InputError
from infer.histories.histories import Histories
from infer.model.vectors import item_vectors
from infer.scoring.occlusion import Contributions
from infer.scoring.task import Task

# What `metadata.config` calls the weight of what was rated, beside 1 of all others, and lambda.
CONFIDENCE, REGULARIZATION = "confidence", "regularization"
BLOCK = 2**18  # contributions in memory at once, but for a single user's


def contributions(task: Task, own: Histories) -> Iterator[Contributions]:
    """Contributions to the scores of each user's `own` items (ascending), a block of users at a time.

    Raises InputError if the file lacks the constants, or they and the vectors have no solution.
    """
    config = task.model.metadata.config
    confidence, penalty = config.get(CONFIDENCE), config.get(REGULARIZATION)
    if not isinstance(confidence, int | float) or not isinstance(penalty, int | float):
        raise InputError(f"{task.model.path} does not state {CONFIDENCE} and {REGULARIZATION}: export it again")
    vectors = item_vectors(task.model).astype(np.float64)
    squares = vectors.T @ vectors + penalty * np.eye(vectors.shape[1])
    histories, found, number = task.histories.distinct, list[tuple[np.ndarray, ...]](), 0
    for row in np.flatnonzero((own.lengths > 0) & (histories.lengths > 0)):
        seen = histories.items[histories.offsets[row] : histories.offsets[row + 1]]
        explained = own.items[own.offsets[row] : own.offsets[row + 1]]
        try:
            values = shares(vectors[explained - 1], vectors[seen - 1], squares, confidence).astype(np.float32)
        except np.linalg.LinAlgError:
            raise InputError(
                f"{task.model.path} has item vectors from which no user's can be solved: train it with more "
                "--regularization"
            ) from None
        place, item = np.indices(values.shape).reshape(2, -1)
        size = np.abs(values.sum(0))[item]
        found.append((np.full(values.size, row), seen[place], place, explained[item], values.ravel(), size))
        number += values.size
        if number > BLOCK:
            yield _joined(found)
            found, number = [], 0
    if found:
        yield _joined(found)


def _joined(found: list[tuple[np.ndarray, ...]]) -> Contributions:
    return Contributions(*(np.concatenate(column) for column in zip(*found, strict=True)))


def shares(wanted: np.ndarray, seen: np.ndarray, squares: np.ndarray, confidence: float) -> np.ndarray:
    """(history, items): what each item of a history adds to the score of each wanted one.

    wanted: (items, dim).  seen: (history, dim).  squares: (dim, dim) Y'Y + lambda I.
    """
    weighted = squares + (confidence - 1) * seen.T @ seen
    added: np.ndarray = confidence * seen @ np.linalg.solve(weighted, wanted.T)
    return added
