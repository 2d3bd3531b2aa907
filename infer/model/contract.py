"""What a model file tells consumers that have only an ONNX runtime: its inputs, outputs and rules, as JSON.

In: the graph and its metadata. Out: a dict of plain values, which the file carries as `recommender.contract` and the
export writes beside it, with ids and titles, as NAME.contract.json. docs/model-file.md is the same for readers.

    python -c "import infer; print(infer.load('hybrid.onnx').metadata.user_ids_are)"
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import onnx
from onnx import GraphProto, TensorProto

from infer.histories.vocabulary import PAD
from infer.model.metadata import FORMAT, HASHED, KEPT, LEFT_OUT, PREFIX, Metadata
from infer.model.signature import (
    BOOSTED_INPUT,
    BOOSTS_INPUT,
    CANDIDATES_INPUT,
    DROPPED,
    ITEMS_OUTPUT,
    K_INPUT,
    LEVELS_INPUT,
    OWN_INPUT,
    SCORES_OUTPUT,
    SEEN_INPUT,
    USER_INPUT,
    WINDOW_INPUT,
)
from infer.system.project import PROJECT
from infer.tables.rules import KEEP, LATEST, keeps_seen

SCHEMA = 1  # of this JSON
LARGEST_NUMBER = 2**53 - 1  # that every reader of JSON keeps (RFC 7493); JavaScript rounds others
DTYPES = {TensorProto.INT64: "int64", TensorProto.FLOAT: "float32"}
MEANINGS = {
    WINDOW_INPUT: "each user's latest items as indexes, oldest first, newest last, padded on the left with 0",
    LEVELS_INPUT: "for each item of window the number, from 1, of the nearest of rating_levels; 0 for padding and for "
    "no rating; as long as window",
    USER_INPUT: "the user's index; 0 is nobody",
    SEEN_INPUT: "items never to be recommended, usually the whole history, as indexes in any order; pad with 0",
    K_INPUT: "how many items to return, at most the catalogue and one more",
    CANDIDATES_INPUT: "the only items that anybody gets; empty: all",
    OWN_INPUT: "the only items that each user gets, padded with 0; of width 0: all",
    BOOSTED_INPUT: "items whose scores change, each once; empty: none",
    BOOSTS_INPUT: "of each boosted item what its score is multiplied by (divided by if below 0), then what is added",
    ITEMS_OUTPUT: "item indexes, best first; 0 is no recommendation",
    SCORES_OUTPUT: "their scores, comparable within a user only; at most dropped.score: no recommendation",
}
# Shapes of what is fed without rules, for a batch of n users.
WITHOUT: dict[str, list[int | str]] = {
    CANDIDATES_INPUT: [0],
    OWN_INPUT: ["batch", 0],
    BOOSTED_INPUT: [0],
    BOOSTS_INPUT: [0, 2],
}
# What a history holds, by the table's rule for items that come again.
HISTORY = {
    LATEST: {"repeats": LATEST, "rule": "an item that comes again stands once, at its latest place"},
    KEEP: {"repeats": KEEP, "rule": "an item stands as often as it comes, each time at its place"},
}
SEEN = (
    "what is seen is what this input holds: the file knows no history; leave an item out and it may be recommended "
    "again"
)
SEEN_AGAIN = "feed padding alone: the model was trained to recommend also what a user has had (seen of table_rules)"
SCORED = {
    KEPT: "users of the training table, by their id (user_ids)",
    HASHED: "users of the training table, by HMAC-SHA256 of their id as text under the exporter's key, in hexadecimal "
    "(user_ids); a table for this project must hold these hashes as its users",
    LEFT_OUT: "users of the training table, by their index alone, which only its owner can tell from their id; this "
    "project refuses the file",
}


def sidecar_of(path: Path) -> Path:
    """Where the JSON beside a model file lies."""
    return path.with_suffix(".contract.json")


def sidecar(path: Path, content: bytes) -> str:
    """The JSON beside a model file of these bytes: all that it says to consumers, some of whom cannot read metadata."""
    proto = onnx.load_model_from_string(content)
    said = {entry.key.removeprefix(PREFIX): entry.value for entry in proto.metadata_props}
    found = json.loads(said["contract"]) | {"file": path.name, "sha256": hashlib.sha256(content).hexdigest()}
    lists = {
        name: json.loads(said[name]) for name in ("item_ids", "user_ids", "titles", "golden", "data") if name in said
    }
    for name in ("item_ids", "user_ids"):
        if any(isinstance(known, int) and abs(known) > LARGEST_NUMBER for known in lists.get(name, [])):
            lists[name] = list(map(str, lists[name]))
    return json.dumps(found | lists, ensure_ascii=False) + "\n"


def contract(graph: GraphProto, metadata: Metadata) -> dict[str, Any]:
    """Everything but ids, titles and golden vectors."""
    names = {value.name for value in graph.input}
    listed = graph.output[0].type.tensor_type.shape.dim[1]
    items = len(metadata.item_ids)
    return {
        "generator": PROJECT,
        "schema": SCHEMA,
        "format": FORMAT,
        "kind": metadata.kind,
        "precision": metadata.precision,
        "inputs": [_value(value) | _without(value.name) for value in graph.input],
        "outputs": [_value(value) for value in graph.output],
        "history": HISTORY[metadata.rules.get("repeats", LATEST)] if WINDOW_INPUT in names else None,
        "window": {
            "longest": metadata.window,
            "lengths": "any from 1 on, the same for all rows of a batch; of more than longest the newest count",
            "order": "oldest first, newest last",
            "padding": {"index": PAD, "side": "left"},
        }
        if WINDOW_INPUT in names
        else None,
        "rating_levels": metadata.rating_levels,
        "seen": SEEN_AGAIN if keeps_seen(metadata.rules) else SEEN,
        "k": {"fixed": listed.dim_value} if K_INPUT not in names else {"least": 1, "largest": items + 1},
        "dropped": {
            "score": DROPPED,
            "item": PAD,
            "rule": "skip entries with a score of at most this; their item is 0",
        },
        "equal_scores": "sort by index; which of several equal items fill the last places may differ between devices",
        "nobody": "a row without a known item, or of an unknown user, has no recommendation; an index that is no "
        "item's or user's counts as padding",
        "search": {
            "probes": metadata.probes,
            "rule": "with 0 probes lists are the best of all items; else short lists are the best of the items of so "
            "many cells, and may miss some of the best of all",
        },
        "retired": {
            "items": len(metadata.retired),
            "rule": "items that only keep their indexes; the graph lists none of them, whatever it is fed",
        },
        "ids": {
            "rule": "index i is item_ids[i - 1], or user_ids[i - 1]; 0 is padding; leave out items that are not listed",
            "items": items,
            "item_type": metadata.item_type,
            "users": len(metadata.user_ids),
            "user_type": metadata.user_type,
        },
        "personal_data": _personal(metadata, USER_INPUT in names),
        "table_rules": metadata.rules,
    }


def _value(value: Any) -> dict[str, Any]:
    tensor = value.type.tensor_type
    return {
        "name": value.name,
        "dtype": DTYPES[tensor.elem_type],
        "shape": [dim.dim_param or dim.dim_value for dim in tensor.shape.dim],
        "meaning": MEANINGS[value.name],
    }


def _without(name: str) -> dict[str, Any]:
    """What to feed where there is no such rule."""
    return {"shape_without_rules": WITHOUT[name]} if name in WITHOUT else {}


def _personal(metadata: Metadata, by_user: bool) -> dict[str, Any]:
    """What the file holds of people, and who can be scored by it."""
    if not by_user:
        return {"user_ids": "none", "user_vectors": False, "who_can_be_scored": "anybody, by a window of items"}
    return {
        "user_ids": metadata.user_ids_are,
        "user_vectors": True,
        "who_can_be_scored": SCORED[metadata.user_ids_are],
    }
