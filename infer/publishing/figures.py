"""What published lists are like, by themselves and beside earlier ones.

In: publications. Out: figures as plain JSON values, which stand in the manifest; memory holds a part.

    python -m infer.compare --output artifacts/hybrid.topk.parquet
"""

from collections.abc import Iterator
from typing import Any

import polars as pl

from infer.publishing.publication import Publication
from infer.tables.columns import ITEM, RANK, SCORE, SOURCE, USER

# Of lists without any part; such as have reasons have more columns.
COLUMNS = {USER: pl.Int64, RANK: pl.Int32, ITEM: pl.Int64, SCORE: pl.Float32, SOURCE: pl.String}
TOTALS = ("users", "listed", "fallback", "emptied", "refilled", "rows", "interactions", "unknown", "popular")


def figures_of(
    publication: Publication, plan: dict[str, Any], parts: list[dict[str, Any]], items: int
) -> dict[str, Any]:
    """What lists are like by themselves.

    parts: what the manifest says of each.  items: in the catalogue.
    Returns users (in the table, or chosen), listed (users with a list), fallback (those whose list is not the model's),
    emptied (users whom the model knows, and nothing is left for), refilled (those of them with a fallback's list),
    rows, left_out (share of users), interactions, unknown (those with items that the model does not know), coverage
    (share of the catalogue in any list), popular (share of the model's lists equal to the popular one), score_min,
    score_max, ids (of users: what they are).
    """
    totals = {name: sum(part.get(name, 0) for part in parts) for name in TOTALS}
    listed, users = totals["listed"], totals["users"]
    lowest = [part["score_min"] for part in parts if part["score_min"] is not None]
    highest = [part["score_max"] for part in parts if part["score_max"] is not None]
    return totals | {
        "k": plan["options"]["k"],
        "left_out": (users - listed) / max(1, users),
        "coverage": len(_items(publication, parts, plan["options"]["k"])) / max(1, items),
        "popular": totals["popular"] / max(1, listed - totals["fallback"]),
        "score_min": min(lowest, default=None),
        "score_max": max(highest, default=None),
        "ids": next((_kind(part["first"]) for part in parts if part["first"] is not None), None),
    }


def compared(tonight: Publication, parts: list[dict[str, Any]], tonight_k: int, earlier: Publication) -> dict[str, Any]:
    """What lists are like beside earlier ones.

    Returns earlier (its number), users_again (users listed in both), users_new, users_gone, overlap (mean share of the
    items of a list that the same user's earlier list has, in as many first places as both have; None if no user is in
    both); and of the first places that both have, items, items_earlier (in any list), items_new, items_gone (in one and
    not in the other).
    """
    again, shared, new = 0, 0.0, 0
    for part in parts:
        lists = pl.read_parquet(tonight.lists(part), glob=False, columns=[USER, RANK, ITEM])
        if not lists.is_empty():
            both, overlap = _overlap(lists, earlier_lists(earlier, lists[USER][0], lists[USER][-1]))
            again, shared, new = again + both, shared + overlap, new + lists[USER].n_unique() - both
    k = min(tonight_k, earlier.manifest["figures"]["k"])
    mine, theirs = _items(tonight, parts, k), _items(earlier, earlier.manifest["parts"], k)
    if mine.dtype != theirs.dtype:
        mine, theirs = mine.cast(pl.String), theirs.cast(pl.String)
    common = mine.is_in(theirs.implode()).sum()
    return {
        "earlier": earlier.name,
        "users_again": again,
        "users_new": new,
        "users_gone": earlier.manifest["figures"]["listed"] - again,
        "overlap": shared / again if again else None,
        "items": len(mine),
        "items_earlier": len(theirs),
        "items_new": len(mine) - common,
        "items_gone": len(theirs) - common,
    }


def earlier_lists(earlier: Publication, first: Any, last: Any) -> pl.DataFrame:
    """The earlier lists (user, rank, item, score, and what else they have) of the users from `first` to `last`, if
    their ids have that type."""
    every = earlier.manifest["parts"]
    files = [earlier.lists(part) for part in parts_between(every, first, last)]
    parts = [
        pl.read_parquet(path, glob=False).filter(pl.col(USER).is_between(pl.lit(first), pl.lit(last))) for path in files
    ]
    if parts:
        return pl.concat(parts)
    return pl.read_parquet(earlier.lists(every[0]), glob=False, n_rows=0) if every else pl.DataFrame(schema=COLUMNS)


def _kind(user: int | str) -> str:
    return "texts" if isinstance(user, str) else "whole numbers"


def parts_between(parts: list[dict[str, Any]], first: Any, last: Any) -> Iterator[dict[str, Any]]:
    """The parts of a manifest that may hold users from `first` to `last`."""
    for part in parts:
        own = part["first"], part["last"]
        if own[0] is not None and isinstance(first, type(own[0])) and own[0] <= last and own[1] >= first:
            yield part


def _overlap(lists: pl.DataFrame, earlier: pl.DataFrame) -> tuple[int, float]:
    """How many users are in both, and the sum over them of the share of items in common."""
    if all(table.schema[USER].is_integer() for table in (lists, earlier)):
        lists, earlier = lists.cast({USER: pl.Int64}), earlier.cast({USER: pl.Int64})
    if earlier.is_empty() or earlier.schema[USER] != lists.schema[USER]:
        return 0, 0.0
    if earlier.schema[ITEM] != lists.schema[ITEM]:
        lists, earlier = lists.cast({ITEM: pl.String}), earlier.cast({ITEM: pl.String})
    longest = [table.group_by(USER).agg(pl.col(RANK).max().alias("places")) for table in (lists, earlier)]
    places = longest[0].join(longest[1], on=USER).select(USER, pl.min_horizontal("places", "places_right"))
    mine, theirs = (
        table.join(places, on=USER).filter(pl.col(RANK) <= pl.col("places")).select(USER, ITEM, "places")
        for table in (lists, earlier)
    )
    common = mine.join(theirs, on=[USER, ITEM], how="semi")
    return places.height, float((1 / common["places"]).sum())


def _items(publication: Publication, parts: list[dict[str, Any]], k: int) -> pl.Series:
    """Every item that is in the first k places of a list."""
    files = [publication.lists(part) for part in parts]
    if not files:
        return pl.Series(ITEM, [], dtype=pl.Int64)
    rows = pl.scan_parquet(files, glob=False).filter(pl.col(RANK) <= k)
    return rows.select(pl.col(ITEM).unique()).collect(engine="streaming")[ITEM]
