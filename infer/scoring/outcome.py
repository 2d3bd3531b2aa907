"""What a run of the batch scorer did.

In: where its lists are. Out: what there is to say of them, read from the manifest.

    score_table(job, folder, settings).rows
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from infer.publishing.publication import Publication
from infer.scoring.totals import Totals, totals_of


@dataclass(frozen=True)
class Outcome:
    """What a run did.

    already: whether the same lists had been published before.  parts, ready: how many parts of the table there are,
    and have lists.  resumed: users scored by an earlier, stopped run.  own: users of the parts that this run made.
    publication: the published lists, None if other shares are not done.
    """

    folder: Path
    already: bool = False
    parts: int = 0
    ready: int = 0
    resumed: int = 0
    own: int = 0
    publication: Publication | None = None

    @property
    def manifest(self) -> dict[str, Any]:
        """That of the published lists."""
        assert self.publication is not None, "asked only of what was published"
        return self.publication.manifest

    @property
    def totals(self) -> Totals:
        """Users by what became of them."""
        return totals_of(self.manifest["parts"])

    @property
    def rows(self) -> int:
        """Recommendations."""
        return int(self.manifest["figures"]["rows"])

    @property
    def scored(self) -> int:
        """Users who got new lists."""
        return sum(part["scored"] for part in self.manifest["parts"])

    @property
    def metrics(self) -> dict[str, pl.DataFrame] | None:
        """name -> (metric, value, low, high), None if nothing is held out."""
        found = None if self.publication is None else self.publication.metrics
        if found is None:
            return None
        schema = {"metric": pl.String, "value": float, "low": float, "high": float}
        return {
            name: pl.DataFrame([{"metric": metric, **row} for metric, row in table.items()], schema=schema)
            for name, table in found["metrics"].items()
        }
