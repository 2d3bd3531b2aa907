"""Golden vectors: inputs of a model file with the lists that it must give, for any runtime to check itself against.

In: what the file gives for some inputs when it is exported. Out: plain JSON values, which the file carries as
`recommender.golden`; and what a runtime gives otherwise, in words.

    differences(stored(content, "hybrid.onnx"), session)   # [] if it gives the same lists

An expected score may be missed by the tolerance. An item must be the same where `certain` says so: where its score is
further than twice the tolerance from those of its neighbours in the list.
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from infer.errors import InputError, first_line
from infer.model.metadata import PREFIX
from infer.model.signature import BOOSTS_INPUT, DROPPED, ITEMS_OUTPUT, K_INPUT, SCORES_OUTPUT

KEY = PREFIX + "golden"
# Of the largest score: other runtimes sum in another order, and int8 may take a neighbouring step.
TOLERANCES = {"fp32": 1e-4, "fp16": 2e-2, "int8": 2e-2}

Feeds = dict[str, np.ndarray]
Lists = tuple[np.ndarray, np.ndarray]


def golden(
    ask: Callable[[Feeds], Lists], cases: dict[str, Feeds], precision: str, origin: str, last: bool = True
) -> dict[str, Any]:
    """Each case's inputs and lists.

    ask: what the file gives: items and scores (users, k).  origin: where the windows are from, in words.  last: whether
    one more item can be asked for, by which the last of a list is judged.
    """
    found = {}
    for name, feeds in cases.items():
        k = int(feeds[K_INPUT][0]) if last else None
        found[name] = ask(feeds | {K_INPUT: np.array([k + 1])}) if k is not None else ask(feeds)
    listed = [np.abs(scores[scores > DROPPED]).max(initial=1.0) for _, scores in found.values()]
    tolerance = TOLERANCES[precision] * max(map(float, listed))
    return {
        "origin": origin,
        "tolerance": tolerance,
        "rule": "every score is within tolerance of the expected one, and every item for which certain is true is the "
        "same",
        "cases": [
            {"name": name, "inputs": {key: _flat(value) for key, value in cases[name].items()}}
            | _expected(*found[name], tolerance, int(cases[name][K_INPUT][0]) if last else None)
            for name in cases
        ],
    }


def _flat(values: np.ndarray) -> dict[str, Any]:
    return {"shape": list(values.shape), "values": values.ravel().tolist()}


def _expected(items: np.ndarray, scores: np.ndarray, tolerance: float, k: int | None) -> dict[str, Any]:
    values = scores.astype(np.float64)
    gaps = np.abs(np.diff(values, axis=1)) > 2 * tolerance
    edge = np.ones((len(items), 1), dtype=bool)
    # Of a fixed number nobody knows what would come next.
    certain = np.concatenate([edge, gaps], 1) & np.concatenate([gaps, edge if k is not None else ~edge], 1)
    certain |= (values <= DROPPED) & (items == 0)
    return {"items": items[:, :k].tolist(), "scores": values[:, :k].tolist(), "certain": certain[:, :k].tolist()}


def stored(content: bytes, source: str) -> dict[str, Any]:
    """The golden vectors that a file carries; raises InputError if there are none."""
    proto = onnx.load_model_from_string(content)
    text = {entry.key: entry.value for entry in proto.metadata_props}.get(KEY)
    if text is None:
        raise InputError(f"{source} carries no golden vectors: export it again with this version")
    try:
        found: dict[str, Any] = json.loads(text)
        assert isinstance(found["tolerance"], float) and isinstance(found["cases"], list)
    except (ValueError, KeyError, TypeError, AssertionError, RecursionError):
        raise InputError(f"{source} has damaged golden vectors: export it again") from None
    return found


def differences(golden: dict[str, Any], session: ort.InferenceSession) -> list[str]:
    """What a session gives otherwise, a sentence a case; raises InputError if it fails on a case."""
    found = []
    for case in golden["cases"]:
        feeds = {name: array(name, given) for name, given in case["inputs"].items()}
        try:
            items, scores = session.run([ITEMS_OUTPUT, SCORES_OUTPUT], feeds)
        except Exception as error:  # ONNX Runtime raises one class per status, all derived from Exception
            raise InputError(f"the golden case '{case['name']}' fails: {first_line(error)}") from None
        wrong = difference(case, items, scores, golden["tolerance"])
        if wrong:
            found.append(f"{case['name']}: {wrong}")
    return found


def difference(case: dict[str, Any], items: np.ndarray, scores: np.ndarray, tolerance: float) -> str:
    """In which a list differs from the expected one; empty if it does not."""
    expected, wanted = np.array(case["scores"]), np.array(case["items"])
    if items.shape != wanted.shape or scores.shape != wanted.shape:
        return f"lists of {items.shape}, expected {wanted.shape}"
    far = ~(np.abs(scores.astype(np.float64) - expected) <= tolerance) & ~((scores <= DROPPED) & (expected <= DROPPED))
    if far.any():
        row, rank = np.argwhere(far)[0]
        return (
            f"row {row + 1}, rank {rank + 1}: score {scores[row, rank]:g}, expected {expected[row, rank]:g} "
            f"within {tolerance:g}"
        )
    other = np.array(case["certain"]) & (items != wanted)
    if other.any():
        row, rank = np.argwhere(other)[0]
        return f"row {row + 1}, rank {rank + 1}: item {items[row, rank]}, expected {wanted[row, rank]}"
    return ""


def array(name: str, given: dict[str, Any]) -> np.ndarray:
    """An input of a golden case."""
    return np.array(given["values"], dtype=np.float32 if name == BOOSTS_INPUT else np.int64).reshape(given["shape"])
