"""Inputs that show what a file does, of which golden vectors are made: a few users, one alone, rules, nobody.

In: the names that a graph takes, and windows of three users, real or drawn. Out: named inputs of the graph.

    cases(["window", "seen", "k"], base, metadata, users=0)
"""

from pathlib import Path

import numpy as np
import polars as pl

from infer.histories.vocabulary import PAD
from infer.histories.windows import level_windows, seen, windows
from infer.model.choice import Choice
from infer.model.metadata import Metadata
from infer.model.session import Model
from infer.model.signature import (
    BOOSTED_INPUT,
    BOOSTS_INPUT,
    CANDIDATES_INPUT,
    K_INPUT,
    LEVELS_INPUT,
    OWN_INPUT,
    SEEN_INPUT,
    USER_INPUT,
    WINDOW_INPUT,
    by_row,
)
from infer.scoring.job import open_job
from infer.scoring.task import prepare
from infer.tables.columns import USER

K, USERS, ROWS = 10, 3, 20_000
REAL, DRAWN = "histories of three users of the training table, without their ids", "items drawn at random"
OLDER = 2  # items before a window that is longer than the model reads

Feeds = dict[str, np.ndarray]


def of_users(model: Model, table: Path, folder: Path) -> Feeds | None:
    """What the scorer feeds for three users with short, middling and long histories; None if it can score no three.

    table: of which the first rows are read.  folder: for a table of these users.
    """
    rows = pl.scan_parquet(table, glob=False).head(ROWS).collect()
    # The last user's rows may go on; the others' are whole where the table is in order of users, as ours are.
    rows, few = rows.filter(pl.col(USER) != pl.col(USER).last()), folder / "few.parquet"
    if rows.is_empty():
        return None
    # What the table says of itself: that its rows are those that count, for one.
    about = {name: said for name, said in pl.read_parquet_metadata(table).items() if name != "ARROW:schema"}
    rows.write_parquet(few, metadata=about)
    task = prepare(open_job(model, few, split=None))
    usable = np.flatnonzero(task.personalisable)
    if len(usable) < USERS:
        return None
    ordered = usable[np.argsort(task.histories.lengths[usable], kind="stable")]
    chosen = ordered[[len(ordered) // 10, len(ordered) // 2, len(ordered) * 9 // 10]]
    histories, length = task.histories.take(chosen), model.metadata.window
    given = {
        USER_INPUT: task.user_index[chosen].astype(np.int64),
        WINDOW_INPUT: windows(histories, length),
        LEVELS_INPUT: level_windows(histories, length),
    }
    return {name: value for name, value in given.items() if name in model.inputs} | {SEEN_INPUT: seen(histories, 1)}


def drawn(metadata: Metadata, users: int, levels: int) -> tuple[Feeds, str]:
    """Three windows of items drawn at random, always the same, an empty place before the second and third."""
    rng, items = np.random.default_rng(0), len(metadata.item_ids)
    length = max(1, metadata.window)
    window = rng.integers(1, items + 1, (USERS, length))
    for row, filled in enumerate((length, -(-length // 2), 1)):
        window[row, : length - filled] = PAD
    given = {
        USER_INPUT: np.array([1, (users + 1) // 2, users]),
        WINDOW_INPUT: window,
        LEVELS_INPUT: np.where(window == PAD, PAD, rng.integers(0, levels + 1, window.shape)),
    }
    return given | {SEEN_INPUT: window}, DRAWN


def cases(names: list[str], base: Feeds, metadata: Metadata, users: int) -> dict[str, Feeds]:
    """Inputs by the name of the case, in an order that begins with the plainest.

    names: what the graph takes.  base: windows of some users.  users: the largest user index.
    """
    items = len(metadata.item_ids)
    plain = base | Choice(base[SEEN_INPUT]).inputs | {K_INPUT: np.array([min(K, items)])}
    plain = {name: plain[name] for name in names}
    found = {"three users": plain, "the first user alone": _alone(plain)}
    if WINDOW_INPUT in names:
        older = {name: np.pad(plain[name], ((0, 0), (OLDER, 0)), constant_values=1) for name in _windows(plain)}
        found["older items than the model reads"] = plain | older
    found["nobody, and what is no index"] = _nobody(plain, items, users)
    if CANDIDATES_INPUT in names:
        some = np.arange(1, items + 1, max(1, items // 50), dtype=np.int64)
        rows = len(plain[SEEN_INPUT])
        own = np.where(np.arange(3) < np.arange(3, 3 - rows, -1)[:, None], some[:3] if len(some) > 2 else some[:1], PAD)
        boosts = np.array([[2, 0], [1, 0.5]], dtype=np.float32)[: min(2, items)]
        found["some candidates"] = plain | {CANDIDATES_INPUT: some}
        found["candidates of each user"] = plain | {OWN_INPUT: own}
        found["boosts"] = plain | {BOOSTED_INPUT: np.arange(1, len(boosts) + 1), BOOSTS_INPUT: boosts}
    return found


def _windows(feeds: Feeds) -> list[str]:
    return [name for name in (WINDOW_INPUT, LEVELS_INPUT) if name in feeds]


def _alone(plain: Feeds) -> Feeds:
    """The first row, its window no longer than the history."""
    first = {name: value[:1] if by_row(name) else value for name, value in plain.items()}
    if WINDOW_INPUT not in first:
        return first
    length = max(1, int((first[WINDOW_INPUT] != PAD).sum()))
    return first | {name: first[name][:, -length:] for name in _windows(first)}


def _nobody(plain: Feeds, items: int, users: int) -> Feeds:
    """Rows without a known item, or of users who are none, and what is seen by them."""
    wrong = np.array([[PAD, PAD], [-1, items + 1]])
    given = {
        USER_INPUT: np.array([PAD, users + 1]),
        WINDOW_INPUT: wrong,
        LEVELS_INPUT: np.zeros_like(wrong),
        SEEN_INPUT: wrong,
        OWN_INPUT: np.zeros((2, 0), dtype=np.int64),
    }
    return plain | {name: value for name, value in given.items() if name in plain}
