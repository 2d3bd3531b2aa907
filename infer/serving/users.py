"""Published lists by user: what `python -m infer.batch` wrote, in memory.

In: an output of the batch scorer. Out: one user's rows.

    UserLists(Path("hybrid.topk.parquet")).of("101", k=10)

Memory holds all rows, about 30 bytes each with ids that are numbers; a publication stays whole while the next ones
come and go.
"""

from pathlib import Path

import polars as pl

from infer.delivery.published import Published, publications_of
from infer.tables.columns import USER


class UserLists:
    """One publication. version: its number.  users: how many have a list."""

    def __init__(self, path: Path) -> None:
        """Raises InputError if nothing is published there, or it is damaged."""
        published = Published(path)
        self.version = published.name
        rows = pl.concat([published.empty, *published.parts()]).sort(USER, maintain_order=True)
        self._rows = rows.drop(USER)
        lengths = rows.group_by(USER, maintain_order=True).len()
        self._users = lengths[USER].set_sorted()
        self._ends = lengths["len"].cum_sum().to_numpy()

    @property
    def users(self) -> int:
        """How many have a list."""
        return len(self._users)

    def of(self, user: str, k: int) -> pl.DataFrame | None:
        """(rank, item, score, ...) of one user, at most k rows, best first; None if there is no list.

        user: the id as text; a whole number as it is written in full, `7` and not `007`.
        """
        asked: int | str = user
        if self._users.dtype.is_integer():
            number = pl.Series([user]).cast(self._users.dtype, strict=False)[0]
            if number is None or str(number) != user:
                return None
            asked = number
        if not len(self._users):
            return None
        place = int(self._users.search_sorted(asked))
        if place == len(self._users) or self._users[place] != asked:
            return None
        begin = int(self._ends[place - 1]) if place else 0
        return self._rows[begin : min(begin + k, int(self._ends[place]))]


def stamp_of_lists(path: Path) -> tuple[str, int]:
    """What changes with every publication that readers find: its number, and when its manifest was written."""
    return publications_of(path).stamp
