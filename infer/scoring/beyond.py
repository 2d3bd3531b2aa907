"""What accuracy does not say of lists, part by part: coverage, Gini, novelty, popularity, diversity, calibration.

In: one task after another, with its lists. Out: plain JSON values that travel with a part; then, over all parts, a
table (metric, value, low, high) of each kind of lists, and one for each group of users. All sums are of whole numbers:
they depend neither on parts nor on batches. Memory holds a number for each item and group.

    measure(task, {"model": lists}, popularity, open_beyond(job.model, BeyondOptions()).of(job))

| metric | of each list | source |
|---|---|---|
| `coverage` | no list: share of the catalogue in any list | `CatalogCoverage` of RecTools, `Coverage` of RePlay |
| `gini` | no list: how unevenly items are recommended | `infer.metrics.popularity.gini` |
| `novelty` | mean self-information of its items, in bits | `infer.metrics.popularity.self_information` |
| `avg_rec_popularity` | mean number of histories that hold its items | `AvgRecPopularity` of RecTools |
| `history_popularity` | the same of the user's own history | Abdollahpouri et al. 2019 |
| `popularity_lift` | no list: how far the one is above the other | `infer.metrics.popularity.popularity_lift` |
| `serendipity` | surprise of the held-out item, if it is listed | `Serendipity` of RecTools |
| `intra_list_diversity` | mean categories in which two items differ | `infer.metrics.categories.hamming_diversity` |
| `calibration_kl` | divergence from the history's categories, in nats | `infer.metrics.categories.calibration` |

All are means over users with a list. The two popularities by which the lift is measured are of users who have a known
item in their history as well.
"""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from infer.histories.vocabulary import index_of
from infer.metrics.categories import Categories, calibration, hamming_diversity
from infer.metrics.popularity import popularity_probability, self_information, surprise
from infer.metrics.sums import BITS, DISTANCE, SHARE, Sums, divided, segment_sums, to_steps
from infer.scoring.popularity import Popularity
from infer.scoring.task import Task
from infer.tables.columns import ITEM, USER
from infer.tables.groups import UserGroups

BEYOND = "beyond"  # among the numbers of a part
# Steps to one of each figure; of those of popularity see `popularity_steps`.
STEPS = {
    "novelty": BITS,
    "serendipity": SHARE,
    "intra_list_diversity": DISTANCE,
    "calibration_kl": BITS,
}


@dataclass(frozen=True)
class Beyond:
    """What is measured beside accuracy: with which categories of items, if any, and for which groups of users."""

    categories: Categories | None = None
    groups: UserGroups | None = None

    @property
    def number(self) -> int:
        """Of groups; without any, everybody is in one."""
        return 1 if self.groups is None else len(self.groups.names)


def measure(task: Task, made: Mapping[str, pl.DataFrame], popularity: Popularity, beyond: Beyond) -> dict[str, Any]:
    """What the figures of some kinds of lists (user, rank, item) take, as plain JSON values.

    made: name -> lists, ordered by user and rank.  popularity: of the whole table.
    Returns histories (of the whole table), users (in each group), and of every name counts (`packed` recommendations by
    group and item) and `Sums` by name.
    """
    group = np.zeros(len(task.histories), dtype=np.int64)
    if beyond.groups is not None:
        group = beyond.groups.of(task.histories.users)
    values = _Values(task, popularity, beyond, group)
    return {
        "histories": popularity.users,
        "users": np.bincount(group, minlength=beyond.number).tolist(),
        "lists": {name: values.of(lists) for name, lists in made.items()},
    }


class _Values:
    """Values of the items and users of one task, for all kinds of lists."""

    def __init__(self, task: Task, popularity: Popularity, beyond: Beyond, group: np.ndarray) -> None:
        self.task, self.beyond, self.group = task, beyond, group
        self.items = task.job.items.height
        self.history = task.histories.distinct
        padded = np.concatenate([[0], popularity.counts])
        self.bits = to_steps(self_information(padded, popularity.users), BITS)
        self.counts = padded * popularity_steps(popularity.users)
        self.chance = np.concatenate([[0.0], popularity_probability(popularity.counts)])
        lengths = self.history.lengths
        totals = segment_sums(self.counts[self.history.items], self.history.offsets)
        self.known = lengths > 0
        self.taste = divided(totals, np.maximum(1, lengths))
        self.relevant: np.ndarray | None = None
        if task.targets is not None:
            rows = self.history.users.to_frame(USER).with_row_index("row")
            held = task.held_out.with_columns(pl.Series("index", index_of(task.held_out[ITEM], task.job.items)))
            pairs = held.filter(pl.col("index") > 0).join(rows, on=USER).select(pl.col("row", "index").cast(pl.Int64))
            self.relevant = np.unique(self._pair(pairs["row"].to_numpy(), pairs["index"].to_numpy()))

    def of(self, lists: pl.DataFrame) -> dict[str, Any]:
        """The counts and sums of some lists."""
        item = index_of(lists[ITEM], self.task.job.items)
        begins = np.flatnonzero((lists[USER] != lists[USER].shift()).fill_null(True).to_numpy())
        offsets = np.append(begins, len(item))
        row = np.flatnonzero(self.history.users.is_in(lists[USER].gather(begins).implode()).to_numpy())
        lengths, group = np.diff(offsets), self.group[row]
        popularity = divided(segment_sums(self.counts[item], offsets), lengths)
        known = self.known[row]
        found = {
            "novelty": (divided(segment_sums(self.bits[item], offsets), lengths), group),
            "popularity": (popularity, group),
            "list_popularity": (popularity[known], group[known]),  # beside that of the history
            "history_popularity": (self.taste[row][known], group[known]),
        }
        if self.relevant is not None:
            found["serendipity"] = self._serendipity(row, item, offsets, self.relevant), group
        categories = self.beyond.categories
        if categories is not None:
            own = self.history if len(row) == len(self.history) else self.history.take(row)
            for name, values in (
                ("intra_list_diversity", hamming_diversity(item, offsets, categories)),
                ("calibration_kl", calibration((own.items, own.offsets), (item, offsets), categories)),
            ):
                there = ~np.isnan(values)
                found[name] = to_steps(values[there], STEPS[name]), group[there]
        cells = np.repeat(group, lengths) * self.items + item - 1
        counts = np.bincount(cells, minlength=self.beyond.number * self.items)
        sums = {name: asdict(Sums.of(steps, of, self.beyond.number)) for name, (steps, of) in found.items()}
        return {"counts": packed(counts), "sums": sums}

    def _serendipity(self, row: np.ndarray, item: np.ndarray, offsets: np.ndarray, relevant: np.ndarray) -> np.ndarray:
        """(lists,) steps of serendipity. row: (lists,) of each list's user.  relevant: pairs of users and items."""
        lengths = np.diff(offsets)
        hit = np.flatnonzero(np.isin(self._pair(np.repeat(row, lengths), item), relevant))
        of = np.searchsorted(offsets, hit, side="right") - 1
        values = np.zeros(len(lengths))
        np.add.at(values, of, surprise(hit - offsets[of] + 1, self.chance[item[hit]], self.items) / lengths[of])
        return to_steps(values, SHARE)

    def _pair(self, row: np.ndarray, item: np.ndarray) -> np.ndarray:
        """(n,) one number for each user and item."""
        return np.asarray(row * (self.items + 1) + item)


def popularity_steps(histories: int) -> int:
    """Steps to one history, so that an item in all of them has at most 2^40."""
    return 1 << max(0, 40 - histories.bit_length())


def packed(counts: np.ndarray) -> str:
    """Whole numbers as compressed text: in as few bytes each as the largest takes, which the first byte says."""
    dtype = np.min_scalar_type(int(counts.max(initial=0)))
    return base64.b64encode(bytes([dtype.itemsize]) + zlib.compress(counts.astype(dtype).tobytes(), 1)).decode()


def unpacked(text: str) -> np.ndarray:
    """What `packed` was given."""
    data = base64.b64decode(text)
    return np.frombuffer(zlib.decompress(data[1:]), dtype=f"u{data[0]}").astype(np.uint32)
