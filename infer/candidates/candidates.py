"""The rules of one run, in the indexes of one model.

In: `CandidateOptions`, the ids that a model knows and its table of items. Out: a `Candidates`, which the scorer asks
for each user; and what it says of itself for the plan.

    resolve(CandidateOptions(only_items=Path("stock.csv")), vocabulary(ids, "item"), None, "hybrid.onnx")
"""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from infer.candidates.options import DROP, KEEP, SEEN, CandidateOptions
from infer.candidates.pairs import Pairs
from infer.candidates.reading import rows_of
from infer.candidates.where import items_where
from infer.errors import InputError
from infer.histories.vocabulary import PAD, index_of
from infer.model.choice import Boosts
from infer.tables.columns import ITEM, USER
from infer.tables.periods import seconds_of

# Where one in so many items at most is excluded, to drop them takes less time than to gather the weights of the others.
FEW = 20
WEIGHTS = {"multiply": ("weight", "multiply", "factor"), "add": ("add", "added")}


@dataclass(frozen=True)
class Candidates:
    """Which items may be recommended, to everyone and to each user.

    items: size of the catalogue.  allowed: (n,) ascending item indexes; None: all.  only, blocked: of each user; a user
    whom `only` does not name gets nothing.  boosts: of scores.  seen, within: what becomes of a user's own items,
    and within how many seconds they count; 0: always.  said: what was found in the rules.  determining: what a list
    follows from beside its user's history and pairs, as plain JSON values; by_user: the same of pairs.
    """

    items: int
    allowed: np.ndarray | None = None
    only: Pairs | None = None
    blocked: Pairs | None = None
    boosts: Boosts = field(default_factory=Boosts)
    seen: str = DROP
    within: float = 0.0
    said: tuple[str, ...] = ()
    determining: dict[str, Any] = field(default_factory=dict)
    by_user: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def mask(self) -> np.ndarray:
        """(items + 1,) bool: which may be recommended at all; padding may not."""
        found = np.zeros(self.items + 1, dtype=bool)
        found[1:] = self.allowed is None
        if self.allowed is not None:
            found[self.allowed] = True
        return found

    @cached_property
    def dropped(self) -> np.ndarray:
        """(n,) ascending indexes of the items that nobody gets, if they are few: all are scored then."""
        excluded = np.flatnonzero(~self.mask)[1:]
        return excluded if len(excluded) * FEW <= self.items else excluded[:0]

    @cached_property
    def scored(self) -> np.ndarray:
        """(n,) ascending indexes of the only items to score; none: all."""
        return np.zeros(0, dtype=np.int64) if self.allowed is None or len(self.dropped) else self.allowed


def resolve(
    options: CandidateOptions, vocabulary: pl.DataFrame, table: Path | None, model: str, seen: str = DROP
) -> Candidates:
    """Read the rules.

    vocabulary: (item, index) that the model knows.  table: its table of items, if there is one.  model: its name, for
    messages.  seen: what becomes of a user's own items where the options do not say.
    Raises InputError if a rule cannot be read, knows no item of the model, or leaves none.
    """
    seen, size = options.seen or seen, vocabulary.height
    if seen not in SEEN:
        raise InputError(f"--seen is one of {', '.join(SEEN)}; found {seen!r}")
    if options.seen_within is not None and seen == KEEP:
        raise InputError("--seen-within says what counts as seen; with --seen=keep nothing does: give drop or only")
    said: list[str] = []
    mask = np.ones(size + 1, dtype=bool)
    mask[PAD] = False
    determining: dict[str, Any] = {}
    for name, given in (("only_items", options.only_items), ("exclude_items", options.exclude_items)):
        if given is not None:
            listed = _listed(given, _option(name), vocabulary, model, said)
            mask &= listed if name == "only_items" else ~listed
    if options.items_where is not None:
        mask &= items_where(options.items_where, options.items or table, vocabulary, model, said)
    if not mask.any():
        raise InputError(f"the rules leave none of the {size} items of {model} to recommend")
    allowed = None if mask[1:].all() else np.flatnonzero(mask)
    if allowed is not None:
        said.append(f"{len(allowed):,} of {size:,} items may be recommended")
        determining["items"] = _digest(allowed)
    pairs = {}
    for name in ("only_pairs", "exclude_pairs"):
        given = getattr(options, name)
        pairs[name] = None if given is None else _pairs(given, _option(name), vocabulary, model, said)
    boosts = _boosts(options.boost, vocabulary, model, said)
    if len(boosts.items):
        determining["boosts"] = _digest(boosts.items, boosts.values)
    within = seconds_of(options.seen_within, "--seen-within")
    if seen != DROP or within:
        determining["seen"] = [seen, options.seen_within]
    by_user = {name: _digest(found.items, found.offsets) for name, found in pairs.items() if found is not None}
    return Candidates(
        size, allowed, pairs["only_pairs"], pairs["exclude_pairs"], boosts, seen, within, tuple(said), determining,
        by_user,
    )  # fmt: skip


def _listed(given: Any, option: str, vocabulary: pl.DataFrame, model: str, said: list[str]) -> np.ndarray:
    """(items + 1,) bool: which items a rule names."""
    table = rows_of(given, option, [ITEM])
    listed = np.zeros(vocabulary.height + 1, dtype=bool)
    listed[_known(table[ITEM].unique(maintain_order=True), option, given, vocabulary, model, said)] = True
    listed[PAD] = False
    return listed


def _known(
    ids: pl.Series, option: str, given: Any, vocabulary: pl.DataFrame, model: str, said: list[str]
) -> np.ndarray:
    """(n,) the index of each item; those that the model does not know are counted and named."""
    index = index_of(ids, vocabulary)
    unknown = ids.filter(pl.Series(index == PAD))
    source = f"{option}: {given}" if isinstance(given, Path) else option
    if len(unknown) == len(ids):
        raise InputError(f"{source} names no item of {model}: it has '{ids[0]}', the model '{vocabulary[ITEM][0]}'")
    if len(unknown):
        said.append(f"{source}: {model} does not know {len(unknown):,} of {len(ids):,} items, as '{unknown[0]}'")
    return index


def _pairs(given: Any, option: str, vocabulary: pl.DataFrame, model: str, said: list[str]) -> Pairs:
    table = rows_of(given, option, [USER, ITEM])
    _known(table[ITEM].unique(maintain_order=True), option, given, vocabulary, model, said)
    return Pairs.of(table, vocabulary)


def _boosts(given: Any, vocabulary: pl.DataFrame, model: str, said: list[str]) -> Boosts:
    if given is None:
        return Boosts()
    table = rows_of(given, "--boost", [ITEM], WEIGHTS)
    if not set(WEIGHTS) & set(table.columns):
        raise InputError("--boost takes a column weight, by which scores are multiplied, or add; found neither")
    twice = table[ITEM].is_duplicated()
    if twice.any():
        raise InputError(f"--boost names the item '{table[ITEM].filter(twice)[0]}' twice")
    factor = table["multiply"] if "multiply" in table.columns else pl.Series("multiply", [1.0] * table.height)
    added = table["add"] if "add" in table.columns else pl.Series("add", [0.0] * table.height)
    if not (factor > 0).all():
        raise InputError(f"--boost: a weight is above 0; found {factor.filter(factor <= 0)[0]:g} (--exclude-items)")
    index = _known(table[ITEM], "--boost", given, vocabulary, model, said)
    order = np.argsort(index, kind="stable")
    order = order[index[order] != PAD]
    values = np.stack([factor.to_numpy(), added.to_numpy()], 1).astype(np.float32)
    return Boosts(index[order].astype(np.int64), values[order])


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _digest(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
