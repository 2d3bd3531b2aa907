"""The rules of one run, in the indexes of one model.

In: `CandidateOptions`, the ids that a model knows and its table of items. Out: a `Candidates`, which the scorer asks
for each user; and what it says of itself for the plan.

    resolve(CandidateOptions(only_items=Path("stock.csv")), vocabulary(ids, "item"), None, "hybrid.onnx")
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from infer.candidates.boosts import boosts_of
from infer.candidates.given import fetched, given
from infer.candidates.options import DROP, KEEP, ONLY, SEEN, CandidateOptions
from infer.candidates.pairs import Pairs
from infer.candidates.reading import known_items, rows_of, source_of
from infer.candidates.where import items_where
from infer.errors import InputError
from infer.histories.vocabulary import PAD
from infer.model.choice import Boosts
from infer.system.addresses import Address
from infer.tables.columns import ITEM, USER
from infer.tables.options import TableOptions
from infer.tables.periods import seconds_of

# Where one in so many items at most is excluded, to drop them takes less time than to gather the weights of the others.
FEW = 20
# And no more than so many: each is dropped for every user of a batch.
MOST_DROPPED = 2**13


@dataclass(frozen=True)
class Candidates:
    """Which items may be recommended, to everyone and to each user.

    items: size of the catalogue.  allowed: (n,) ascending item indexes; None: all.  only, blocked: of each user; a user
    whom `only` does not name gets nothing.  boosts: of scores.  seen, within: what becomes of a user's own items,
    and within how many seconds they count; 0: always.  said: what was found in the rules.  determining: what a list
    follows from beside its user's history and pairs, as plain JSON values; by_user: the same of pairs.  given: the
    rules as they were given, for readers.  files: that they were read from.
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
    given: dict[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()

    @property
    def protocol(self) -> str:
        """What a held-out item is ranked among, in words."""
        number = self.items if self.allowed is None else len(self.allowed)
        among = f"{number} items" if self.allowed is None else f"{number} of {self.items} items"
        times = f" of the last {self.given['seen_within']}" if "seen_within" in self.given else ""
        seen = {DROP: f"seen items{times} dropped", KEEP: "seen items kept", ONLY: f"only seen items{times}"}[self.seen]
        further = [words for words, rule in (
            ("only some items of each user", self.only),
            ("others excluded by user", self.blocked),
            ("scores boosted", len(self.boosts.items) or None),
        ) if rule is not None]  # fmt: skip
        return ", ".join([f"full ranking of {among}", seen, *further])

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
        return excluded if len(excluded) <= min(self.items // FEW, MOST_DROPPED) else excluded[:0]

    @cached_property
    def scored(self) -> np.ndarray:
        """(n,) ascending indexes of the only items to score; none: all."""
        return np.zeros(0, dtype=np.int64) if self.allowed is None or len(self.dropped) else self.allowed


def offered(size: int, retired: Sequence[int]) -> Candidates:
    """Without rules: all items of the catalogue but those that a model says nobody may get."""
    if not retired:
        return Candidates(size)
    mask = np.ones(size + 1, dtype=bool)
    mask[[PAD, *retired]] = False
    return Candidates(size, np.flatnonzero(mask))


def resolve(
    options: CandidateOptions,
    vocabulary: pl.DataFrame,
    table: Path | None,
    model: str,
    seen: str = DROP,
    retired: Sequence[int] = (),
    events: TableOptions = TableOptions(),
) -> Candidates:
    """Read the rules.

    vocabulary: (item, index) that the model knows.  table: its table of items, if there is one.  model: its name, for
    messages.  seen: what becomes of a user's own items where the options do not say.
    retired: indexes of items that nobody gets, whatever the options say.  events: how the table of interactions is
    read, whose names of columns count in the rules' files, too.
    Raises InputError if a rule cannot be read, knows no item of the model, or leaves none.
    """
    seen, size, options = options.seen or seen, vocabulary.height, fetched(options)
    if seen not in SEEN:
        raise InputError(f"--seen is one of {', '.join(SEEN)}; found {seen!r}")
    if options.seen_within is not None and seen == KEEP:
        raise InputError("--seen-within says what counts as seen; with --seen=keep nothing does: give drop or only")
    said: list[str] = []
    mask = np.ones(size + 1, dtype=bool)
    mask[[PAD, *retired]] = False
    determining: dict[str, Any] = {}
    for name, value in (("only_items", options.only_items), ("exclude_items", options.exclude_items)):
        if value is not None:
            listed = _listed(value, _option(name), vocabulary, model, said, events)
            mask &= listed if name == "only_items" else ~listed
    if options.items_where is not None:
        table = options.items or table
        mask &= items_where(options.items_where, table, vocabulary, model, said, events.item)
    if not mask.any():
        raise InputError(f"the rules leave none of the {size} items of {model} to recommend")
    allowed = None if mask[1:].all() else np.flatnonzero(mask)
    if allowed is not None:
        said.append(f"{len(allowed):,} of {size:,} items may be recommended")
        determining["items"] = _digest(_ids(vocabulary, allowed))
    pairs = {}
    for name in ("only_pairs", "exclude_pairs"):
        value = getattr(options, name)
        pairs[name] = None if value is None else _pairs(value, _option(name), vocabulary, model, said, events)
    boosts = boosts_of(options.boost, vocabulary, model, said, events)
    if len(boosts.items):
        determining["boosts"] = _digest(_ids(vocabulary, boosts.items), boosts.values.tobytes())
    within = seconds_of(options.seen_within, "--seen-within")
    if options.seen_within is not None and not within:
        raise InputError(
            f"--seen-within={options.seen_within} is no time at all; give hours, days or weeks, as 12h, 7d or 2w, or "
            "--seen=keep"
        )
    if seen != DROP or within:
        determining["seen"] = [seen, options.seen_within]
    by_user = {
        name: _digest(_text(found.users), _ids(vocabulary, found.items), found.offsets.tobytes())
        for name, found in pairs.items()
        if found is not None
    }
    told = given(options, seen, table)
    values = [getattr(options, f.name) for f in fields(options)]
    files = tuple(value for value in values if isinstance(value, Path) and not isinstance(value, Address))
    return Candidates(
        size, allowed, pairs["only_pairs"], pairs["exclude_pairs"], boosts, seen, within, tuple(said), determining,
        by_user, told, files,
    )  # fmt: skip


def _listed(
    given: Any, option: str, vocabulary: pl.DataFrame, model: str, said: list[str], events: TableOptions
) -> np.ndarray:
    """(items + 1,) bool: which items a rule names."""
    table = rows_of(given, option, [ITEM], events=events)
    listed = np.zeros(vocabulary.height + 1, dtype=bool)
    listed[known_items(table[ITEM].unique(maintain_order=True), option, given, vocabulary, model, said)] = True
    listed[PAD] = False
    return listed


def _pairs(
    given: Any, option: str, vocabulary: pl.DataFrame, model: str, said: list[str], events: TableOptions
) -> Pairs:
    table = rows_of(given, option, [USER, ITEM], events=events)
    known_items(table[ITEM].unique(maintain_order=True), option, given, vocabulary, model, said)
    return Pairs.of(table, vocabulary, source_of(given, option))


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _ids(vocabulary: pl.DataFrame, indexes: np.ndarray) -> bytes:
    return _text(vocabulary[ITEM].gather(indexes - 1))


def _text(ids: pl.Series) -> bytes:
    return "\n".join(ids.cast(pl.String)).encode()


def _digest(*pieces: bytes) -> str:
    """Of the ids, as a model that is trained again numbers its items otherwise."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(len(piece).to_bytes(8, "big") + piece)
    return digest.hexdigest()
