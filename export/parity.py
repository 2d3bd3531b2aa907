"""Prove that an ONNX file gives what PyTorch gives, before it is written.

In: a model and its file's bytes. Out: the largest differences; or InputError, and no file.
Checked on odd batch sizes with empty, short and full histories: names, shapes, every score (k
equal to the whole catalogue), the top-k up to ties, windows of other lengths, indexes that are none, and that nobody
gets a list without a known item.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch

from export.sessions import check_model, session_of
from infer.errors import InputError
from infer.histories.vocabulary import PAD
from infer.model.choice import Choice
from infer.model.modelfile import with_everybody
from infer.model.signature import (
    DROPPED,
    ITEMS_OUTPUT,
    K_INPUT,
    LEVELS_INPUT,
    SCORES_OUTPUT,
    SEEN_INPUT,
    USER_INPUT,
    WINDOW_INPUT,
)
from train.models.base import ScoringModel

TOLERANCE = 1e-4
BATCHES = (1, 3, 17, 64)
MOST_SCORES = 2**26  # of a batch: larger ones of large catalogues are left out
K = 10
OUTPUTS = [ITEMS_OUTPUT, SCORES_OUTPUT]


def check_parity(
    model: ScoringModel,
    proto: onnx.ModelProto,
    items: int,
    users: int,
    exact: bool = True,
    seed: int = 0,
    folder: Path | None = None,
    retired: Sequence[int] = (),
    searched: bool = False,
) -> dict[str, float]:
    """Largest absolute score difference, over how many users; raises InputError beyond 1e-4.

    items, users: sizes without padding, from which random inputs are drawn.  exact: False for a graph
    in another precision: its difference is measured, but only its shapes and what it lists are judged.  folder: of the
    graph's data file, if it has one.  retired: items that the graph never lists.  searched:
    whether short lists may miss some of the best, whose loss is measured elsewhere: then it is judged what they hold.
    """
    check_model(proto)
    session, given = (session_of(graph, folder) for graph in (with_everybody(proto), proto))
    rng = np.random.default_rng(seed)
    tolerance = TOLERANCE if exact else np.inf
    largest, batches = 0.0, [size for size in BATCHES if size <= max(MOST_SCORES // (items + 1), BATCHES[1])]
    for batch in batches:
        inputs = random_inputs(rng, model, batch, items, users)
        if model.window:
            largest = max(largest, _compare_lengths(session, model, inputs, batch, tolerance, retired))
        drop = random_windows(rng, batch, int(rng.integers(1, 2 * K)), items)
        with torch.no_grad():
            expected = model(*map(torch.from_numpy, inputs.values())).numpy().astype(np.float64)
        np.put_along_axis(expected, drop, DROPPED, axis=1)
        expected[:, [PAD, *retired]] = DROPPED
        feeds = {**inputs, **Choice(drop).inputs}
        largest = max(largest, _compare_all(session, feeds, expected, tolerance))
        compare = _compare_listed if searched else _compare_top
        compare(session, feeds, expected, min(K, items + 1), tolerance)
        _check_strange(given, feeds, items, users)
        for choice, ruled, times in _ruled(rng, drop, expected, items):
            given_rules = {**inputs, **choice.inputs}
            largest = max(largest, _compare_all(session, given_rules, ruled, times * tolerance) / times)
            compare(session, given_rules, ruled, min(K, items + 1), times * tolerance)
    stated = {"tolerance": TOLERANCE} if exact else {}
    return {"largest_score_difference": largest, **stated, "users": sum(batches)}


def _ruled(
    rng: np.random.Generator, drop: np.ndarray, expected: np.ndarray, items: int
) -> Iterator[tuple[Choice, np.ndarray, int]]:
    """Some candidates, for everyone, of each user, and with a boost; the scores that are expected then, and how many
    times as far they may be from these."""
    rows, every = np.arange(len(drop))[:, None], np.arange(1, items + 1)
    some = np.sort(rng.choice(every, -(-items // 2), replace=False))
    left = np.isin(np.arange(items + 1), some)
    yield Choice(drop, some), np.where(left, expected, DROPPED), 1
    own = np.sort(rng.choice(every, (len(drop), min(items, 3)), shuffle=False), axis=1) if items > 0 else drop[:, :0]
    own[:, 1:] = np.where(own[:, 1:] == own[:, :-1], PAD, own[:, 1:])
    mine = np.zeros(expected.shape, dtype=bool)
    mine[rows, own] = True
    mine[:, PAD] = False
    yield Choice(drop, own=own), np.where(mine, expected, DROPPED), 1
    boosts = np.array([[2, 1]], dtype=np.float32)
    lifted = np.where(expected < 0, expected / 2, expected * 2) + 1
    boosted = np.where((np.arange(items + 1) == some[0]) & (expected > DROPPED), lifted, expected)
    yield Choice(drop, boosted=some[:1], boosts=boosts), boosted, 2


def _compare_all(session: ort.InferenceSession, feeds: dict, expected: np.ndarray, tolerance: float) -> float:
    """Every score, through a list as long as the catalogue, also of rows without an item."""
    width = expected.shape[1]
    found_items, scores = session.run(OUTPUTS, {**feeds, K_INPUT: np.array([width + 5])})
    if found_items.shape != expected.shape or scores.shape != expected.shape:
        raise InputError(f"the exported graph gives {found_items.shape} for k above {width}; expected {expected.shape}")
    listed = ~(scores <= DROPPED)  # also what is no number
    wanted = np.where(expected > DROPPED, np.arange(width), PAD)
    if not np.array_equal(listed.sum(1), (wanted != PAD).sum(1)):
        raise InputError("the exported graph drops other items than those seen; the file was not written")
    if not np.array_equal(np.sort(np.where(listed, found_items, PAD), axis=1), np.sort(wanted, axis=1)):
        raise InputError("the exported graph repeats or omits items; the file was not written")
    if found_items[~listed].any():
        raise InputError("the exported graph names items that it does not list; the file was not written")
    difference = np.abs(scores - np.take_along_axis(expected, found_items, axis=1))
    largest = float(difference[listed].max(initial=0.0))
    if not largest <= tolerance:
        raise InputError(
            f"the exported graph differs from PyTorch by {largest:.2e}, above {tolerance:.0e}; the file was not written"
        )
    return largest


def _compare_top(session: ort.InferenceSession, feeds: dict, expected: np.ndarray, k: int, tolerance: float) -> None:
    """The first k, allowing exchanges between items whose scores are equal within the tolerance."""
    found_items, _ = session.run(OUTPUTS, {**feeds, K_INPUT: np.array([k])})
    best = -np.sort(-expected, axis=1)[:, :k]
    if not np.all(np.abs(np.take_along_axis(expected, found_items, axis=1) - best) <= tolerance):
        raise InputError(f"the exported graph's top {k} is not PyTorch's; the file was not written")


def _compare_listed(session: ort.InferenceSession, feeds: dict, expected: np.ndarray, k: int, tolerance: float) -> None:
    """The first k, which need not be the best, but have their scores, best first, and are as many as there can be."""
    found, scores = session.run(OUTPUTS, {**feeds, K_INPUT: np.array([k])})
    own = np.take_along_axis(expected, found, axis=1)
    listed = scores > DROPPED
    wrong = np.abs(scores - own)[listed].max(initial=0.0)
    falls = np.all(scores[:, 1:] <= scores[:, :-1])
    twice = any(len(np.unique(row[there])) < there.sum() for row, there in zip(found, listed, strict=True))
    whole = np.array_equal(listed.sum(1), np.minimum((expected > DROPPED).sum(1), k))
    if not wrong <= tolerance or not falls or twice or not whole:
        raise InputError(f"the exported graph's first {k} are not what PyTorch scores so; the file was not written")


def _compare_lengths(
    session: ort.InferenceSession,
    model: ScoringModel,
    inputs: dict,
    batch: int,
    tolerance: float,
    retired: Sequence[int],
) -> float:
    """Largest difference between a window's scores and those of the same items in one half as long, and in one with
    older items before them.

    Without an item a window has no meaning, and its scores may depend on its length: none is empty.
    """
    half = model.window // 2 or 1
    short = {name: window[:, -half:].copy() for name, window in inputs.items()}
    short[WINDOW_INPUT][:, -1] = np.maximum(short[WINDOW_INPUT][:, -1], 1)
    whole = {name: np.pad(window, ((0, 0), (model.window - half, 0))) for name, window in short.items()}
    long = {name: np.pad(window, ((0, 0), (3, 0)), constant_values=1) for name, window in whole.items()}
    with torch.no_grad():
        expected = model(*map(torch.from_numpy, whole.values())).numpy().astype(np.float64)
    expected[:, [PAD, *retired]] = DROPPED
    nothing = Choice(np.full((batch, 1), PAD)).inputs
    return max(_compare_all(session, {**given, **nothing}, expected, tolerance) for given in (short, long))


def _check_strange(session: ort.InferenceSession, feeds: dict, items: int, users: int) -> None:
    """Indexes that are none give the lists of padding, and nobody else's row gives a list."""
    largest = {USER_INPUT: users, WINDOW_INPUT: items, SEEN_INPUT: items}
    padded, strange, nobody = dict(feeds), dict(feeds), dict(feeds)
    for name in largest.keys() & feeds.keys():
        values = feeds[name]
        wrong = np.where(np.arange(values.size).reshape(values.shape) % 2, -1, largest[name] + 1)
        strange[name] = np.where(values == PAD, wrong, values)
        padded[name] = np.where(values == PAD, PAD, values)
        if name != SEEN_INPUT:
            nobody[name] = wrong
    k = {K_INPUT: np.array([min(K, items + 1)])}
    lists = [session.run(OUTPUTS, given | k) for given in (padded, strange, nobody)]
    if not all(np.array_equal(one, other) for one, other in zip(*lists[:2], strict=True)):
        raise InputError("the exported graph reads indexes that are none; the file was not written")
    if lists[2][0].any() or (lists[2][1] > DROPPED).any():
        raise InputError("the exported graph gives a list to nobody; the file was not written")


def check_fixed(
    model: ScoringModel,
    whole: onnx.ModelProto,
    fixed: onnx.ModelProto,
    items: int,
    users: int,
    k: int,
    folder: Path | None = None,
) -> None:
    """Raise InputError unless a graph of a fixed number lists what the whole one lists for this k, to the last bit."""
    sessions = [session_of(proto, folder) for proto in (whole, fixed)]
    rng = np.random.default_rng(0)
    for batch in BATCHES:
        inputs = random_inputs(rng, model, batch, items, users)
        drop = random_windows(rng, batch, int(rng.integers(1, 2 * K)), items)
        expected = sessions[0].run(OUTPUTS, {**inputs, **Choice(drop).inputs, K_INPUT: np.array([k])})
        found = sessions[1].run(OUTPUTS, {**inputs, SEEN_INPUT: drop})
        if not all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True)):
            raise InputError(
                f"the exported graph of {k} items lists others than the whole one; the file was not written"
            )


def random_inputs(
    rng: np.random.Generator, model: ScoringModel, batch: int, items: int, users: int
) -> dict[str, np.ndarray]:
    """Whatever the model reads, by input name and in its order."""
    window = random_windows(rng, batch, model.window, items) if model.window else np.zeros((batch, 0), np.int64)
    inputs: dict[str, np.ndarray] = {}
    for name in model.input_names:
        if name == USER_INPUT:
            inputs[name] = rng.integers(0, users + 1, batch)
        elif name == LEVELS_INPUT:
            inputs[name] = np.where(window == PAD, PAD, rng.integers(0, model.level_count + 1, window.shape))
        else:
            inputs[name] = window
    return inputs


def random_windows(rng: np.random.Generator, batch: int, length: int, items: int) -> np.ndarray:
    """(batch, length) left-padded random items; the first rows are empty, one item and full."""
    filled = rng.integers(0, length + 1, batch)
    filled[: min(batch, 3)] = [length, 0, 1][: min(batch, 3)]
    values = rng.integers(1, items + 1, (batch, length))
    return np.where(np.arange(length) >= length - filled[:, None], values, PAD)
