"""What each item of a history contributes to scores, by scoring the history without it.

In: histories and the items whose scores are to be told apart. Out: contributions, score(with) - score(without), by the
graph of the file alone (Zeiler & Fergus 2014 call it occlusion; Li, Monroe & Jurafsky 2016 erasure).

    contributions(task, rows, own, padding=True)

With padding in its place all other items keep their places: where scores are sums over places, the difference is
exactly what the item adds. Taken out, older items move up one place, as if the user had never met it, and an item that
no longer fitted into the window comes in: what a model needs that has never seen a gap.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from infer.histories.histories import Histories
from infer.histories.vocabulary import PAD
from infer.histories.windows import level_windows, listed, windows
from infer.model.choice import Choice
from infer.model.signature import DROPPED, K_INPUT, LEVELS_INPUT, USER_INPUT, WINDOW_INPUT
from infer.scoring.lists import LARGEST_SCORES
from infer.scoring.task import Task

ROWS = 256  # histories scored together, at most
BLOCK = 4_096  # histories whose scores are in memory at once, but for a single user's


@dataclass(frozen=True)
class Contributions:
    """Flat: row: (n,) which user.  because: (n,) index of an item of the history.  place: (n,) where it stands, larger
    is newer.  item: (n,) index of the item scored.  value: (n,) float32 what the former adds to the latter's score.
    size: (n,) float32 of the score itself, without its sign."""

    row: np.ndarray
    because: np.ndarray
    place: np.ndarray
    item: np.ndarray
    value: np.ndarray
    size: np.ndarray


def contributions(task: Task, own: Histories, padding: bool) -> Iterator[Contributions]:
    """Contributions to the scores of each user's `own` items, a block of users at a time.

    own: of each user of the task the items to explain, ascending; users without any are left out.  padding: whether
    padding takes an item's place, or it is taken out.
    """
    lengths = task.model.window_lengths(task.histories.lengths)
    asked = np.flatnonzero((own.lengths > 0) & (task.histories.lengths > 0))
    for length in np.unique(lengths[asked]):
        users = asked[lengths[asked] == length]
        most = np.minimum(task.histories.lengths[users], length) + 1
        block = np.cumsum(most) // BLOCK
        for number in np.unique(block):
            yield _of_block(task, users[block == number], own, int(length), padding)


def _of_block(task: Task, users: np.ndarray, own: Histories, length: int, padding: bool) -> Contributions:
    histories = task.histories.take(users)
    latest = windows(histories, length)
    row, column = np.nonzero(latest)
    counts = np.bincount(row, minlength=len(users))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    items = latest[row, column].astype(np.int32)
    distinct = Histories(histories.users, items, offsets, repeats=histories.repeats).distinct
    # Each user's whole history first, then without each of its items.
    sizes = distinct.lengths + 1
    user = np.repeat(np.arange(len(users)), sizes)
    firsts = np.cumsum(sizes) - sizes
    dropped = np.zeros(len(user), dtype=np.int64)
    without = np.ones(len(user), dtype=bool)
    without[firsts] = False
    dropped[without] = distinct.flat
    explained = listed(own.take(users), 8)  # (users, m), padding before them
    scores = _scores(task, histories, task.user_index[users], user, dropped, explained, length, padding)
    values = scores[firsts][user] - scores
    at, place = np.nonzero(without[:, None] & (explained[user] != PAD))
    return Contributions(
        users[user[at]],
        dropped[at],
        at,
        explained[user[at], place],
        values[at, place],
        np.abs(scores[firsts][user[at], place]),
    )


def _scores(
    task: Task,
    histories: Histories,
    user_index: np.ndarray,
    user: np.ndarray,
    dropped: np.ndarray,
    explained: np.ndarray,
    length: int,
    padding: bool,
) -> np.ndarray:
    """(rows, m) the scores of `explained[user]` after each history without its `dropped` item."""
    # Whatever is taken out, of an item that stands there more often than a window is long none but these are read.
    histories = histories.latest_of_each(length) if histories.repeats and not padding else histories
    pairs = np.repeat(np.arange(len(histories)), histories.lengths) * 2**32 + histories.flat
    spare = 0 if padding else int(np.unique(pairs, return_counts=True)[1].max())
    items, levels = windows(histories, length + spare), level_windows(histories, length + spare)
    most = max(1, min(ROWS, LARGEST_SCORES // task.model.scored_at_once(explained.shape[1])))
    scores = np.zeros((len(user), explained.shape[1]), dtype=np.float32)
    for start in range(0, len(user), most):
        rows = slice(start, start + most)
        own = explained[user[rows]]
        kept = items[user[rows]] != dropped[rows, None]
        window, rated = np.where(kept, items[user[rows]], PAD), np.where(kept, levels[user[rows]], PAD)
        if not padding:
            order = np.argsort(kept, axis=1, kind="stable")  # what is taken out comes first
            window, rated = (np.take_along_axis(v, order, 1)[:, -length:] for v in (window, rated))
        candidates = np.unique(own[own != PAD])
        choice = Choice(np.zeros((len(own), 1), dtype=np.int64), candidates, own)
        given = choice.inputs | {
            WINDOW_INPUT: window,
            LEVELS_INPUT: rated,
            USER_INPUT: user_index[user[rows]].astype(np.int64),
            K_INPUT: np.array([own.shape[1]], dtype=np.int64),
        }
        # Without its only item a history is empty, which is scored all the same.
        model = task.model if (window != PAD).any(1).all() else task.model.everybody
        found, values = model.run({name: given[name] for name in model.inputs})
        # In the order of `explained`: ascending items, behind what is no item.
        order = np.argsort(np.where(values > DROPPED, found, PAD), axis=1, kind="stable")
        width = min(own.shape[1], values.shape[1])
        scores[rows, -width:] = np.take_along_axis(values, order, 1)[:, -width:]
    return scores
