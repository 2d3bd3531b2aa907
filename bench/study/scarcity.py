"""Does the start from iALS help more where there is less data? Fewer users, and shorter histories.

In: a data set. Out: its parts, each a split of its own in the study, and the table scarcity, a row a part and metric.

    python -m bench.study --curve --only=scratch,hybrid-ials

Users are drawn with a seed, and the samples are nested: the smaller lie within the larger. Every model is measured on
the test items of all users, also of those whom it was not trained on: their events are histories to score from alone,
and their validation items decide nothing. Cut histories are everyone's latest events before the held-out items. The
last row of either is the study itself.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from bench.study.datasets import DataSet, catalogue_of
from bench.study.experiments import LEAVE_ONE_OUT
from bench.study.statistics.differences import MEASURED, VERDICT, Ranks, same_seeds
from bench.study.statistics.significance import judged, paired
from infer.metrics.ranking import rank_metrics
from infer.tables.columns import HISTORY, SPLIT, TEST, TEST_HISTORY, TRAIN, USER, VALIDATION

USERS, LENGTHS = (150, 600, 1500, 3000), (5, 20, 50, 200)
MOST_SHARE = 0.8  # of the users in a part: what is nearly the whole says nothing new
SEED = 0
PAIR = ("hybrid-ials", "scratch")
METRICS = ("hit@10", "ndcg@10")
FAMILY = "scarcity"
PARTS = {"split": pl.String, "of": pl.String, "users": pl.Int64, "history": pl.Int64}
ROW = {
    **PARTS, "measured": pl.Int64, **dict.fromkeys(("family", "one", "other", "metric"), pl.String),
    "other_value": pl.Float64, **MEASURED, "validation": pl.Float64,
}  # fmt: skip
SCHEMA = ROW | VERDICT


@dataclass(frozen=True)
class Cell:
    """One part of a data set.

    of: which curve, `users` or `history`.  users: trained on.  history: most events of each before the held-out items;
    None: all.  last: whether it is the whole data set.
    """

    of: str
    users: int
    history: int | None
    last: bool

    @property
    def split(self) -> str:
        """The split's name in the study."""
        return (
            LEAVE_ONE_OUT if self.last else f"users-{self.users}" if self.of == "users" else f"history-{self.history}"
        )


def cells(interactions: pl.DataFrame) -> list[Cell]:
    """The parts of a table that are smaller than it, smallest first, and the whole at the end of either curve."""
    users = held_out(interactions).len()
    longest = interactions.filter(pl.col(SPLIT) == TRAIN).group_by(USER).len()["len"].max() or 0
    sizes = [Cell("users", n, None, False) for n in USERS if n <= MOST_SHARE * users]
    lengths = [Cell("history", users, n, False) for n in LENGTHS if n < longest]  # type: ignore[operator]
    whole = [Cell(of, users, None, True) for of, some in (("users", sizes), ("history", lengths)) if some]
    return [*sizes, *lengths, *whole]


def held_out(interactions: pl.DataFrame) -> pl.Series:
    """Ids of the users with a test item, ascending."""
    return interactions.filter(pl.col(SPLIT) == TEST)[USER].unique().sort()


def sample(interactions: pl.DataFrame, size: int) -> pl.Series:
    """`size` of the users with a test item; a smaller sample lies within a larger one."""
    users = held_out(interactions)
    return users.gather(np.random.default_rng(SEED).permutation(len(users))[:size]).sort()


def part(interactions: pl.DataFrame, cell: Cell) -> pl.DataFrame:
    """The rows of a part, in their order. interactions: (user, item, timestamp[, rating], split), oldest first."""
    if cell.of == "history":
        newer = pl.col(SPLIT).eq(TRAIN).cum_sum(reverse=True).over(USER)
        return interactions.filter((pl.col(SPLIT) != TRAIN) | (newer <= cell.history))
    trained = pl.col(USER).is_in(sample(interactions, cell.users).implode())
    known = pl.col(SPLIT).replace({TRAIN: HISTORY, VALIDATION: TEST_HISTORY})
    return interactions.with_columns(pl.when(trained).then(SPLIT).otherwise(known).alias(SPLIT))


def write_part(data: DataSet, cell: Cell, folder: Path) -> None:
    """Write a part as a data set of its own."""
    what = f"{cell.users:,} users" if cell.of == "users" else f"the latest {cell.history} events of each user"
    rows = part(pl.read_parquet(data.path), cell)
    data.write(folder, rows, f"leave-one-out, {what} of {data.name}", **catalogue_of(data))


def scarcity(found: list[Cell], test: Ranks, validation: Ranks) -> pl.DataFrame:
    """A row a part and metric: the metric of the first of PAIR minus that of the second, over the same users.

    other_value: the second's metric.  measured: users.  validation: the difference on validation items, of the users
    trained on.  Empty without trials of both.
    """
    rows = []
    for cell in found:
        ranks = [same_seeds(tables, cell.split, *PAIR) for tables in (test, validation)]
        if not ranks[0][0]:
            continue
        names = {
            "split": cell.split, "of": cell.of, "users": cell.users, "history": cell.history, "family": FAMILY,
            "one": PAIR[0], "other": PAIR[1],
        }  # fmt: skip
        for metric in METRICS:
            difference = vars(paired(*ranks[0], metric))
            other = np.mean([_mean(table, metric) for table in ranks[0][1]])
            earlier = np.mean([
                _mean(a, metric) - _mean(b, metric) for a, b in zip(*ranks[1], strict=True)
            ])  # fmt: skip
            more = {"measured": difference["users"], "other_value": float(other), "validation": float(earlier)}
            rows.append(difference | more | names)
    return judged(pl.DataFrame([{name: row[name] for name in ROW} for row in rows], schema=ROW))


def _mean(table: pl.DataFrame, metric: str) -> float:
    k = int(metric.partition("@")[2])
    return float(table.select(rank_metrics(k)[metric].cast(pl.Float64).mean()).item())
