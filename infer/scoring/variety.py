"""How lists are re-ranked, where a user asks for it: a limit for each category, diversity.

In: options of a command. Out: a `Reranking` of one model's items, and what the plan says of it.

    python -m infer.batch --model hybrid.onnx --most-per genres=2 --diversity=0.3
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from infer.cli import option
from infer.errors import InputError
from infer.metrics.categories import Categories
from infer.model.vectors import Directions
from infer.scoring.job import Job, files_in
from infer.scoring.numbering import numbered
from infer.scoring.reranking import Reranking
from infer.system.addresses import Address
from infer.system.fingerprints import fingerprint, sha256
from infer.tables.config import ItemTableConfig
from infer.tables.labels import labels_of

# Of a table of items, a column and the table's own name of items: its fingerprint, what was read, and what was said.
Kept = dict[tuple[str, str, str | None], tuple[tuple[int, ...], Categories, list[str]]]


@dataclass(frozen=True)
class VarietyOptions:
    """most_per: `category=2`, a column of the table of items and how many of a value a list holds at most.  diversity:
    from 0 to 1.  items: the table of items; None: the one beside the model."""

    most_per: str | None = None
    diversity: float = 0.0
    items: Path | None = None

    def plan(self, job: Job) -> dict[str, Any] | None:
        """What lists follow from, as plain JSON values; None if nothing is re-ranked.

        Raises InputError if a value cannot be used.
        """
        if not self._asked:
            return None
        found: dict[str, Any] = {"most_per": self.most_per, "diversity": self.diversity}
        if self.most_per is not None:
            table = self._table(job)
            found["items"] = sha256(table, files_in(table))
        return found

    def reranking(
        self, job: Job, directions: Directions | None = None, kept: Kept | None = None
    ) -> tuple[Reranking | None, list[str]]:
        """What re-ranks the lists of a job, and what was found in the table of items.

        directions: of the model's items, where they are read already.  kept: what was read for this model before, which
        a table that has not changed since is not read for again; gets what is read.
        Raises InputError if a value or the table cannot be used, or the model has no vectors for --diversity.
        """
        if not self._asked:
            return None, []
        said: list[str] = []
        most, categories, vectors = 0, None, None
        if self.most_per is not None:
            column, most = self._limit()
            categories, said = _categories(self._table(job), column, job, {} if kept is None else kept)
        if self.diversity:
            unit = (directions or Directions(job.model)).unit
            vectors = np.concatenate([np.zeros((1, unit.shape[1]), dtype=np.float32), unit])  # with padding
        return Reranking(most, self.diversity, categories, vectors, job.candidates.mask), said

    @property
    def _asked(self) -> bool:
        """Whether lists are re-ranked; raises InputError if --diversity cannot be used."""
        if not isinstance(self.diversity, int | float) or not 0 <= self.diversity <= 1:
            raise InputError(f"--diversity is from 0 to 1; found {self.diversity}")
        return self.most_per is not None or bool(self.diversity)

    def _limit(self) -> tuple[str, int]:
        text = self.most_per if isinstance(self.most_per, str) else ""
        column, equals, number = text.rpartition("=")
        if not equals or not column.strip() or not number.strip().isdecimal() or not int(number):
            raise InputError(f"--most-per is COLUMN=NUMBER, as genres=2; found '{self.most_per}'")
        return column.strip(), int(number)

    def _table(self, job: Job) -> Path:
        self._limit()
        path = self.items or job.model.path.parent / job.model.metadata.items
        if self.items is None and not path.exists():
            raise InputError(f"--most-per asks for a table of items, and {path} is not there: name one with --items")
        return path


@dataclass(frozen=True, kw_only=True)
class VarietyConfig(ItemTableConfig):
    """How varied lists are."""

    GROUP: ClassVar[str] = "how varied lists are"

    most_per: str | None = option(None, "most items of one category in a list: COLUMN=NUMBER, as genres=2")
    diversity: float = option(0.0, "how much unlike items count beside good ones (MMR), 0 to 1", minimum=0)

    @property
    def variety(self) -> VarietyOptions:
        """The same as the library takes it."""
        return VarietyOptions(self.most_per, self.diversity, self.items)


def _categories(table: Path, column: str, job: Job, kept: Kept) -> tuple[Categories, list[str]]:
    """Those of the model's items, by index, and what was found; from the table or what was kept of it."""
    key = (str(table), column, job.options.item)
    # What lies elsewhere does not tell whether it has changed.
    stamp = () if isinstance(table, Address) or not table.exists() else fingerprint(table, files_in(table))
    if stamp and key in kept and kept[key][0] == stamp:
        return kept[key][1:]
    found, said = numbered(labels_of(table, column, job.options.item), job.items), list[str]()
    if found is None:
        raise InputError(f"{table} knows no item of {job.model.path.name}, as --most-per needs")
    without = int((found.sizes[1:] == 0).sum())
    if without:
        said.append(f"{table}: {without:,} of {job.items.height:,} items have no category, of which there is no limit")
    if stamp:
        kept[key] = stamp, found, said
    return found, said
