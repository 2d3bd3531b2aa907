"""The figures beyond accuracy of a whole table: from what its parts were told to tables and the manifest.

In: what `infer.scoring.beyond.measure` gave of each part, one after the other. Out: (metric, value, low, high) of each
kind of lists, and plain JSON values for the manifest. Memory holds a number for each item, group and kind of lists.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from infer.metrics.popularity import gini, popularity_lift
from infer.metrics.sums import Sums
from infer.scoring.beyond import BEYOND, STEPS, Beyond, popularity_steps, unpacked
from infer.scoring.totals import MODEL

SCHEMA = {"metric": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64}


class BeyondTotals:
    """Sums over parts.

    beyond: what is measured; None: nothing.  name: of the model.  items: in the catalogue.  k: list length, at most.
    """

    def __init__(self, beyond: Beyond | None, name: str, items: int, k: int) -> None:
        self.beyond, self.name, self.items, self.k = beyond or Beyond(), name, items, k
        self.histories, self.complete = 0, True
        self.users = np.zeros(self.beyond.number, dtype=np.int64)
        self.counts: dict[str, np.ndarray] = {}
        self.sums: dict[str, dict[str, Sums]] = {}

    def take(self, numbers: dict[str, Any]) -> dict[str, Any]:
        """Add a part's figures; returns its other numbers, so that those of many parts can be held together."""
        told = numbers.get(BEYOND)
        self.complete = self.complete and told is not None
        if told is not None:
            self.histories = told["histories"]
            self.users += np.array(told["users"])
            for key, found in told["lists"].items():
                self._add(self.name if key == MODEL else key, found)
        return {key: value for key, value in numbers.items() if key != BEYOND}

    def _add(self, name: str, found: dict[str, Any]) -> None:
        counts = unpacked(found["counts"]).reshape(self.beyond.number, self.items)
        self.counts[name] = self.counts[name] + counts if name in self.counts else counts
        sums = {metric: Sums(**values) for metric, values in found["sums"].items()}
        earlier = self.sums.get(name)
        self.sums[name] = sums if earlier is None else {m: earlier[m] + sums[m] for m in sums}

    def tables(self) -> dict[str, pl.DataFrame]:
        """(metric, value, low, high) of each kind of lists, of all users together."""
        return {name: self._table(name, None) for name in self.sums} if self.complete else {}

    def added(self, metrics: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        """Tables of metrics, each with the figures of the same lists that it does not have."""
        mine = self.tables()
        return {
            name: pl.concat([table, mine[name].filter(~pl.col("metric").is_in(table["metric"].implode()))])
            if name in mine
            else table
            for name, table in metrics.items()
        }

    def as_json(self, said: Sequence[str] = ()) -> dict[str, Any] | None:
        """For the manifest: k, said, lists -> metric -> value, low, high; with groups also their column, the users in
        each, and lists -> group -> metric. None if nothing was measured."""
        if not self.sums or not self.complete:  # of parts that an earlier version scored nothing was measured
            return None
        found: dict[str, Any] = {"k": self.k, "said": [*said, *self.said()]}
        found |= {"lists": {name: _json(table) for name, table in self.tables().items()}}
        groups = self.beyond.groups
        if groups is not None:
            users = dict(zip(groups.names, self.users.tolist(), strict=True))
            found["groups"] = {
                "column": groups.column,
                "users": {name: number for name, number in users.items() if number},
                "lists": {
                    name: {group: _json(table) for group, table in self._by_group(name).items()} for name in self.sums
                },
            }
        return found

    def said(self) -> list[str]:
        """What there is to say of users and groups that do not meet."""
        groups = self.beyond.groups
        if groups is None:
            return []
        known, unknown = int(self.users[:-1].sum()), int(self.users[-1])
        lines = list(groups.said)
        if unknown:
            lines.append(f"{groups.path.name} says no {groups.column} of {unknown:,} users: group {groups.names[-1]}")
        if groups.table.height > known:
            lines.append(f"{groups.table.height - known:,} users of {groups.path.name} are not among those scored")
        return lines

    def _by_group(self, name: str) -> dict[str, pl.DataFrame]:
        names = () if self.beyond.groups is None or name not in self.sums else self.beyond.groups.names
        return {group: self._table(name, n) for n, group in enumerate(names) if self.users[n]}

    def _table(self, name: str, group: int | None) -> pl.DataFrame:
        """group: its number; None: everybody."""
        counts = self.counts[name].sum(0) if group is None else self.counts[name][group]
        sums = {m: s.together for m, s in self.sums[name].items()} if group is None else self.sums[name]
        n, histories = group or 0, popularity_steps(self.histories)
        rows: list[tuple[str, float | None, float | None, float | None]] = [
            ("coverage", np.count_nonzero(counts) / max(1, self.items), None, None),
            ("gini", gini(counts), None, None),
            ("novelty", *sums["novelty"].interval(n, STEPS["novelty"])),
            ("avg_rec_popularity", *sums["popularity"].interval(n, histories)),
            ("history_popularity", *sums["history_popularity"].interval(n, histories)),
        ]
        means = (sums[m].mean(n, histories) for m in ("list_popularity", "history_popularity"))
        rows.append(("popularity_lift", popularity_lift(*means), None, None))
        for metric in ("serendipity", "intra_list_diversity", "calibration_kl"):
            if metric in sums:
                rows.append((metric, *sums[metric].interval(n, STEPS[metric])))
        named = [(f"{metric}@{self.k}", *values) for metric, *values in rows if values[0] is not None]
        return pl.DataFrame(named, schema=SCHEMA, orient="row")


def _json(table: pl.DataFrame) -> dict[str, dict[str, float | None]]:
    return {row.pop("metric"): row for row in table.to_dicts()}
