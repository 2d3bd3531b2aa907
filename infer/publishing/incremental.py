"""Users who keep the lists of an earlier publication: those whose history is as it was, or who were not asked for.

In: the publication, and which users are to be scored. Out: its lists, user by user.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
import polars as pl

from infer.errors import InputError
from infer.publishing.figures import earlier_lists, parts_between
from infer.publishing.output import PLAN_KEY
from infer.publishing.publication import Publication
from infer.tables.columns import USER

HISTORY = "history"
# Options that a user's list follows from. Of the fallback that is the kind alone: such lists are made anew, and under
# --merge those of other users are meant to stay.
DETERMINING = ("k", "split", "rules", "fallback", "variety", "reasons")


class Earlier:
    """The lists of an earlier publication, for users who keep them."""

    def __init__(self, publication: Publication | None, plan: dict[str, Any], chosen: Collection[str] | None) -> None:
        """chosen: ids, as texts, of the only users who get new lists; None: those whose history has changed.

        Raises InputError if there is no earlier publication with the same model and options, or it is not complete.
        """
        option = "--only-changed" if chosen is None else "--merge"
        if publication is None:
            raise InputError(f"{option}: there are no earlier lists to keep; score everyone first")
        manifest = publication.manifest
        mine, theirs = _determining(plan), _determining(manifest["plan"])
        differing = next((key for key in mine if mine[key] != theirs[key]), None)
        if differing is not None:
            raise InputError(f"{option}: {publication.folder} differs in {differing}: score everyone again without it")
        for part in manifest["parts"]:
            for path in (publication.lists(part), publication.users(part)):
                if not path.is_file() or pl.read_parquet_metadata(path).get(PLAN_KEY) != manifest["digest"]:
                    raise InputError(f"{option}: {path} is missing or of another run; score everyone again without it")
        self.publication, self.parts, self.chosen = publication, manifest["parts"], chosen

    def unchanged(self, users: pl.DataFrame) -> tuple[np.ndarray, pl.DataFrame, pl.DataFrame]:
        """Which of consecutive users (user, history) keep their lists: (users,) bool, their lists, and all users with
        the digests of the histories that their lists follow from.

        Raises InputError if the users' ids are of another type than the earlier ones.
        """
        first, last = users[USER][0], users[USER][-1]
        types = {type(part["first"]) for part in self.parts if part["first"] is not None}
        if types and type(first) not in types:
            raise InputError(
                f"{self.publication.folder} has user ids that are {_kind(next(iter(types)))}, the table "
                f"{_kind(type(first))}: score everyone again without --only-changed or --merge"
            )
        files = [self.publication.users(part) for part in parts_between(self.parts, first, last)]
        ids = users.schema[USER]  # whole numbers of another width are the same
        known = pl.concat([users.clear(), *(pl.read_parquet(path, glob=False).cast({USER: ids}) for path in files)])
        joined = users.join(known, on=USER, how="left", maintain_order="left", suffix="_earlier")
        earlier = joined[f"{HISTORY}_earlier"]
        if self.chosen is None:
            kept = (earlier == joined[HISTORY]).fill_null(False)
            return kept.to_numpy(), self._lists(users, kept), users
        kept = ~users[USER].cast(pl.String).is_in(pl.Series(sorted(self.chosen), dtype=pl.String).implode())
        of_lists = pl.when(kept).then(earlier.fill_null(0)).otherwise(joined[HISTORY])
        return kept.to_numpy(), self._lists(users, kept), joined.select(USER, of_lists.alias(HISTORY))

    def _lists(self, users: pl.DataFrame, kept: pl.Series) -> pl.DataFrame:
        lists = earlier_lists(self.publication, users[USER][0], users[USER][-1]).cast({USER: users.schema[USER]})
        return lists.filter(pl.col(USER).is_in(users[USER].filter(kept).implode()))


def _determining(plan: dict[str, Any]) -> dict[str, Any]:
    """What of a plan a user's list follows from, beside the history."""
    return {"model": plan["model"], "options": [plan["options"].get(name) for name in DETERMINING]}


def _kind(python_type: type) -> str:
    return "texts" if python_type is str else "whole numbers"
