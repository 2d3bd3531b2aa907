"""What a graph takes and gives: names and types of inputs and outputs, and lists that are lists.

In: an open session, or what it gave. Out: nothing, or InputError. The only definition: `export` writes graphs
with these names, `infer.model.session` feeds those that a file declares.

    user (batch,), or window and levels (batch, length); seen (batch, width), k (1,), candidates (n,),
    own_candidates (batch, m), boosted (b,)    all int64;  boosts (b, 2) float32
    -> items (batch, k) int64, scores (batch, k) float32
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnxruntime as ort

from infer.errors import InputError
from infer.histories.vocabulary import PAD
from infer.model.metadata import LEFT_OUT, Metadata

# Scores of padding and seen items inside the graph. Finite, because minus infinity has been seen to
# return arbitrary items from TopK on GPUs; the scorer drops every entry at or below it.
DROPPED = -3.0e38
# The largest score that says of an item only how often it occurs: where a model of neighbours knows nothing better.
SAYS_NOTHING = 1e-20


USER_INPUT, WINDOW_INPUT, LEVELS_INPUT, SEEN_INPUT, K_INPUT = "user", "window", "levels", "seen", "k"
CANDIDATES_INPUT, OWN_INPUT, BOOSTED_INPUT, BOOSTS_INPUT = "candidates", "own_candidates", "boosted", "boosts"
# Inputs without a row for each user.
FOR_ALL = {K_INPUT, CANDIDATES_INPUT, BOOSTED_INPUT, BOOSTS_INPUT}
# A constant of the graph, (1,) int64: with 1 instead of 0 it scores also who has no known item.
NOBODY = "nobody"
ITEMS_OUTPUT, SCORES_OUTPUT = "items", "scores"
# Of every graph, beside what its model reads.
COMMON = {SEEN_INPUT: 2, K_INPUT: 1, CANDIDATES_INPUT: 1, OWN_INPUT: 2, BOOSTED_INPUT: 1, BOOSTS_INPUT: 2}
RANKS = {USER_INPUT: 1, WINDOW_INPUT: 2, LEVELS_INPUT: 2, **COMMON}
FLOATS = {BOOSTS_INPUT}
OUTPUTS = {ITEMS_OUTPUT: "tensor(int64)", SCORES_OUTPUT: "tensor(float)"}
LONGEST_WINDOW = 2**16


def check_signature(path: Path, session: ort.InferenceSession, metadata: Metadata) -> None:
    """Raises InputError unless the scorer can feed the graph, and the metadata say what it needs for that."""
    inputs = {i.name: i for i in session.get_inputs()}
    outputs = {o.name: o.type for o in session.get_outputs()}
    if K_INPUT not in inputs and {SEEN_INPUT} <= set(inputs) <= set(RANKS):
        raise InputError(
            f"{path} lists a fixed number of items and takes no rules, for other servers (--fixed-k): give the file "
            "that was exported without it"
        )
    if set(inputs) - set(RANKS) or not set(COMMON) <= set(inputs) or set(outputs) != set(OUTPUTS):
        raise InputError(
            f"{path} takes {_shown(inputs)} and gives {_shown(outputs)}; "
            f"expected inputs among {', '.join(sorted(RANKS))} and outputs items, scores"
        )
    for name, given in inputs.items():
        kind = "tensor(float)" if name in FLOATS else "tensor(int64)"
        if given.type != kind or len(given.shape) != RANKS[name]:
            raise InputError(f"{path} takes {name} as {given.type} {given.shape[:8]}: export it again")
    if outputs != OUTPUTS:
        raise InputError(f"{path} gives {outputs}; expected {OUTPUTS}")
    if WINDOW_INPUT in inputs and not 1 <= metadata.window <= LONGEST_WINDOW:
        raise InputError(f"{path} states windows of {metadata.window} items; expected 1 to {LONGEST_WINDOW}")
    if LEVELS_INPUT in inputs and not metadata.rating_levels:
        raise InputError(f"{path} takes rating levels but states none: export it again")
    if USER_INPUT in inputs and not metadata.user_ids:
        if metadata.user_ids_are == LEFT_OUT:
            raise InputError(
                f"{path} was exported with --users=drop, so that users can be scored by their index alone, and not by "
                "this project: give a file with their ids"
            )
        raise InputError(f"{path} takes users but lists none: export it again")


def check_lists(path: Path, items: np.ndarray, scores: np.ndarray, rows: int, k: int, known: int) -> None:
    """Raises InputError unless every row has k different items of the catalogue, or as many as there are.

    items, scores: what a graph gave; entries with a score of DROPPED or less are no recommendation and may be
    anything.  known: size of the catalogue.
    """
    if items.shape != (rows, min(k, known + 1)) or scores.shape != items.shape:
        raise InputError(f"{path} gives items {items.shape} and scores {scores.shape} for {rows} users and k = {k}")
    listed = scores > DROPPED
    found = items[listed]
    if ((found <= PAD) | (found > known)).any():
        raise InputError(f"{path} lists an item that is none of its {known}")
    if rows == 1:  # of one list quicker
        twice = len(set(found.tolist())) < len(found)
    else:
        different = np.sort(np.where(listed, items, -1 - np.arange(items.shape[1])), axis=1)
        twice = bool((different[:, 1:] == different[:, :-1]).any())
    if twice:
        raise InputError(f"{path} lists an item twice for one user")


def by_row(name: str) -> bool:
    """Whether an input has a row for each user."""
    return name in (USER_INPUT, WINDOW_INPUT, LEVELS_INPUT, SEEN_INPUT, OWN_INPUT)


def _shown(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))[:200]
