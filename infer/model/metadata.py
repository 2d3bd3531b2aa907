"""What a model file says of itself: its `metadata_props`, checked.

In: the properties of an ONNX file. Out: a `Metadata`. Both directions are here only, so the file that `export` writes
is the file that `infer` reads.

    python -c "import infer; print(infer.load('hybrid.onnx').metadata)"
"""

import hashlib
import json
import math
import typing
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from pathlib import PurePath
from typing import Any

from infer.errors import InputError
from infer.system.columns import printable
from infer.tables.rules import faulty

FORMAT = "7"
PREFIX = "recommender."
ID_TYPES: dict[str, type] = {"Int64": int, "String": str}
# How `infer.scoring.reasons` finds what each item of a history contributes to a score.
PADDING, DELETION, CLOSED_FORM, NONE = "padding", "deletion", "closed form", "none"
ATTRIBUTIONS = (PADDING, DELETION, CLOSED_FORM, NONE)
# What became of the ids of users, in a file that is asked by user.
KEPT, HASHED, LEFT_OUT = "kept", "hashed", "left out"
BIAS = "bias"  # the part of an item's vector that a 1 of the user's meets
KINDS = {kind.__name__: kind for kind in (str, int, dict)}


@dataclass(frozen=True)
class Metadata:
    """What a model file says of itself; stored as JSON texts under `recommender.*` keys.

    item_ids[i] is the item with index i + 1; user_ids likewise, empty if the model needs none.
    item_type and user_type, `Int64` or `String`, are those of the table that it was trained on.
    rules say which rows of a table count (`infer.tables.rules`), for training and for whatever is read for the model.
    window is the number of recent items in the input `window`, 0 if the model takes none.
    rating_levels are the ratings, ascending, that the input `levels` counts from 1; empty if none.
    precision is that of the arithmetic: fp32, fp16 or int8.
    attribution, one of ATTRIBUTIONS, says how the contribution of an item of the history is found: by padding in its
    place, by taking it out, in closed form (implicit ALS), or not at all.
    user_ids_are KEPT as in the table, HASHED (HMAC-SHA256 of each, in hexadecimal), or LEFT_OUT.
    retired are the indexes, ascending, of items that nobody may get: they keep the rows of an earlier model.
    vectors are the parts of an item's vector and how many numbers each has, in order; empty if scores are no products.
    chunk is how many items the graph scores at once, 0 if all.
    probes is how many cells of items a short list is searched in (`export.cells.cells`), 0 if in all items.
    """

    kind: str
    item_ids: list[int] | list[str]
    user_ids: list[int] | list[str]
    item_type: str
    user_type: str
    rules: dict[str, Any]
    window: int
    rating_levels: list[float]
    padding: str
    precision: str
    attribution: str
    vectors: dict[str, int]
    dataset: str
    dataset_checksum: str
    interactions: str
    items: str
    seed: int
    config: dict[str, Any]
    metrics: dict[str, float]
    parity: dict[str, float]
    versions: dict[str, str]
    user_ids_are: str = KEPT
    retired: list[int] = field(default_factory=list)
    chunk: int = 0
    probes: int = 0

    @property
    def training_checksum(self) -> str:
        """SHA-256, in hexadecimal, of what tells trained models apart: the same for all files of one in one precision,
        whatever else they hold (ids of users, golden vectors, a fixed k)."""
        told = [self.kind, self.dataset_checksum, self.seed, self.config, self.metrics, self.precision]
        told += [self.probes] if self.probes else []
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def to_properties(self) -> dict[str, str]:
        """The metadata_props of the file: one JSON text a field, and the format's version."""
        texts = {PREFIX + k: json.dumps(v, ensure_ascii=False) for k, v in asdict(self).items()}
        return {PREFIX + "format": FORMAT, **texts}

    @classmethod
    def from_properties(cls, properties: dict[str, str], source: str) -> "Metadata":
        """Read metadata_props; raises InputError if they are not this project's or not valid."""
        version = properties.get(PREFIX + "format")
        if version is None:
            raise InputError(
                f"{source} is an ONNX file without recommender metadata: expected one written by `python -m export`"
            )
        if version != FORMAT:
            raise InputError(f"{source} has metadata format {version}; this version reads {FORMAT}: export it again")
        try:
            # Which files of before do not state.
            stated = {PREFIX + "retired": "[]", PREFIX + "chunk": "0", PREFIX + "probes": "0"} | properties
            values = {f.name: json.loads(stated[PREFIX + f.name]) for f in fields(cls)}
        except (KeyError, ValueError, RecursionError) as error:
            raise InputError(f"{source} has damaged metadata ({str(error)[:80]}): export it again") from None
        metadata = cls(**values)
        metadata.check(source)
        return metadata

    def check(self, source: str, advice: str = "export it again") -> None:
        """Raise InputError if this is nothing that a file may say of itself."""
        for f in fields(self):
            wanted = getattr(typing.get_origin(f.type), "__name__", getattr(f.type, "__name__", ""))
            value = getattr(self, f.name)
            if wanted in KINDS and (type(value) is not KINDS[wanted] or printable(str(value)) != str(value)):
                raise InputError(f"{source} has damaged metadata ({f.name}): {advice}")
        for name, ids in (("item_ids", self.item_ids), ("user_ids", self.user_ids)):
            if not _are_ids(ids):
                raise InputError(f"{source} has damaged metadata ({name}): {advice}")
        for name, kind, ids in (
            ("item_type", self.item_type, self.item_ids),
            ("user_type", self.user_type, self.user_ids),
        ):
            if kind not in ID_TYPES or any(type(i) is not ID_TYPES[kind] for i in ids[:1]):
                raise InputError(f"{source} has damaged metadata ({name}): {advice}")
        rule = faulty(self.rules)
        if rule is not None:
            raise InputError(f"{source} has damaged metadata (rules, {rule}): {advice}")
        if self.attribution not in ATTRIBUTIONS:
            raise InputError(f"{source} has damaged metadata (attribution): {advice}")
        if self.user_ids_are not in (KEPT, HASHED, LEFT_OUT):
            raise InputError(f"{source} has damaged metadata (user_ids_are): {advice}")
        if any(type(size) is not int or size < 1 for size in self.vectors.values()):
            raise InputError(f"{source} has damaged metadata (vectors): {advice}")
        levels = self.rating_levels
        ascending = isinstance(levels, list) and all(type(r) in (int, float) and abs(r) < math.inf for r in levels)
        if not ascending or any(a >= b for a, b in pairwise(levels)):
            raise InputError(f"{source} has damaged metadata (rating_levels): {advice}")
        gone = self.retired
        if not isinstance(gone, list) or any(type(i) is not int or not 1 <= i <= len(self.item_ids) for i in gone):
            raise InputError(f"{source} has damaged metadata (retired): {advice}")
        for name, number in (("chunk", self.chunk), ("probes", self.probes)):
            if type(number) is not int or number < 0:
                raise InputError(f"{source} has damaged metadata ({name}): {advice}")
        for name in (self.interactions, self.items):
            if not name or PurePath(name).name != name:
                raise InputError(f"{source} names the table '{name}', which is not a file beside it")
        if not self.item_ids or self.window < 0:
            raise InputError(f"{source} has damaged metadata (no items): {advice}")


def id_type(ids: list[int] | list[str]) -> str:
    """What `item_type` and `user_type` say of these ids, of which there is at least one."""
    return next(name for name, kind in ID_TYPES.items() if type(ids[0]) is kind)


def _are_ids(ids: Any) -> bool:
    """Whether these are different 64-bit integers, or different texts that can be written."""
    if not isinstance(ids, list) or len({type(i) for i in ids}) > 1:
        return False
    kind = type(ids[0]) if ids else int
    if kind not in (int, str) or len(set(ids)) != len(ids):
        return False
    if kind is int:
        return all(-(2**63) <= i < 2**63 for i in ids)
    try:
        "".join(ids).encode()  # half of a surrogate pair cannot be
    except UnicodeEncodeError:
        return False
    return True
