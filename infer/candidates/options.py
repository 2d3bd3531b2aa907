"""Which items may be recommended, where a user of a command says so.

In: options of a command, or arguments of `infer.Recommender`. Out: a `CandidateOptions`.

    python -m infer.batch --model hybrid.onnx --only-items stock.csv --exclude-pairs returned.csv
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from infer.cli import option
from infer.tables.config import ItemTableConfig

DROP, KEEP, ONLY = "drop", "keep", "only"
SEEN = (DROP, KEEP, ONLY)


@dataclass(frozen=True)
class CandidateOptions:
    """Which items may be recommended.

    only_items, exclude_items: a file, address or data frame of items, or their ids.  items_where: SQL that is true of
    the items that may be, of the columns of the table of items.  only_pairs, exclude_pairs: a file, address or data
    frame of users and items.  boost: one of items with a column `weight` (or `multiply`) or `add`, or {item: weight}.
    seen: what becomes of a user's own items: dropped, kept, or alone recommended; None: as the model was trained.
    seen_within: only what was seen within such a time counts as seen, `90d`.  items: the table of items; None: the one
    beside the model.
    """

    only_items: Path | Sequence[int | str] | Any | None = None
    exclude_items: Path | Sequence[int | str] | Any | None = None
    items_where: str | None = None
    only_pairs: Path | Any | None = None
    exclude_pairs: Path | Any | None = None
    boost: Path | Mapping[int | str, float] | Any | None = None
    seen: str | None = None
    seen_within: str | None = None
    items: Path | None = None


@dataclass(frozen=True, kw_only=True)
class CandidateConfig(ItemTableConfig):
    """Which items may be recommended."""

    GROUP: ClassVar[str] = "which items may be recommended"

    only_items: Path | None = option(None, "table of the only items that may be recommended", address=True)
    exclude_items: Path | None = option(None, "table of items that may not be", address=True)
    items_where: str | None = option(
        None, "SQL that is true of the items that may be: \"category = 'toys' and price < 20\""
    )
    only_pairs: Path | None = option(None, "table of users and items: for each user the only ones", address=True)
    exclude_pairs: Path | None = option(None, "table of users and items: for each user not these", address=True)
    boost: Path | None = option(
        None, "table of items whose scores are multiplied (column weight) or raised (column add)", address=True
    )
    seen: Literal["drop", "keep", "only"] | None = option(
        None, "items of the user's history: drop, keep, or recommend only those (default: as trained; drop)"
    )
    seen_within: str | None = option(None, "only what was seen within so long counts as seen: 12h, 90d, 4w")

    @property
    def candidate_options(self) -> CandidateOptions:
        """The same as the library takes it."""
        return CandidateOptions(
            only_items=self.only_items,
            exclude_items=self.exclude_items,
            items_where=self.items_where,
            only_pairs=self.only_pairs,
            exclude_pairs=self.exclude_pairs,
            boost=self.boost,
            seen=self.seen,
            seen_within=self.seen_within,
            items=self.items,
        )
