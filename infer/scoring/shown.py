"""One user's lists on screen: the latest of the history, what was held out, and each model's items in columns.

In: `Recommended` of one model or several, and the titles and categories of items. Out: lines.

    python -m infer.recommend --model hybrid.onnx,mf.onnx --user 1
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from infer.errors import InputError
from infer.formats.places import located_items
from infer.formats.probe import probe
from infer.model.session import Model
from infer.scoring.beside import Recommended
from infer.system.columns import cut, lines, printable
from infer.tables.columns import BECAUSE, GENRES, ITEM, RANK, SCORE, TITLE
from infer.tables.items import find_items

HIT = "*"
HELD = 5  # held-out items that are named, at most


def screen(
    found: Sequence[Recommended], known: pl.DataFrame, user: str, history: int, most: int | None
) -> Iterator[str]:
    """The lines.

    found: of one user, at least one.  known: (item, title, genres).  history: so many of its latest items at most.
    most: places in a line; None: nothing is cut.
    """
    names = Names(known)
    task = found[0].task
    latest = task.job.items[ITEM].gather(task.histories.flat[::-1][:history].astype("int64") - 1)
    if len(latest):
        yield printable(f"user {user}, the latest of {len(task.histories.flat):,} items:")
        rows = list[tuple[str, ...]]([("", "Item", "Categories")])
        rows += [("", *names.both(item)) for item in latest.cast(pl.String)]
        yield from lines(rows, "<<<", most)
    for item in found[0].places[ITEM].head(HELD).cast(pl.String):
        yield _cut(f"held out: {names.named(item)}  ({_places(found, item)})", most)
    yield ""
    told = any(BECAUSE in each.lists.columns for each in found)
    header = ("Model", "Rank", "", "Item", "Categories", "Score", *(["Because of"] if told else []))
    rows, hit = list[tuple[str, ...]]([header]), False
    for each, label in zip(found, labels([each.task.model.path for each in found]), strict=True):
        held = set(each.places[ITEM].cast(pl.String))
        for row in each.lists.iter_rows(named=True):
            item, first = str(row[ITEM]), row[RANK] == 1
            hit |= item in held
            score = "" if row[SCORE] is None else f"{row[SCORE]:.4f}"
            because = ", ".join(names.title(str(other)) for other in row.get(BECAUSE, []))
            shown = (*names.both(item), score, *([because] if told else []))
            rows.append((label if first else "", str(row[RANK]), HIT if item in held else "", *shown))
    yield from lines(rows, "<><<<>" + "<" * told, most)
    if hit:
        yield f"{HIT} held out"
    for each in found:
        if each.fallback:
            why = "has nothing left for the user" if each.task.personalisable.all() else "does not know the user"
            yield f"{each.task.model.path.name} {why}: {each.fallback} items"


def labels(paths: Sequence[Path]) -> list[str]:
    """What models are called: by their files' names or, if two are the same, by their paths."""
    names = [path.name for path in paths]
    return [printable(name if names.count(name) == 1 else str(path)) for name, path in zip(names, paths, strict=True)]


def titles(model: Model, stated: Path | None, ids: pl.DataType, item: str | None = None) -> tuple[pl.DataFrame, str]:
    """(item, title, genres) from the stated table or the one beside the model, and what to say if there is none; an
    item without genres is shown with its first column of categories.  item: as of `infer.tables.items.find_items`."""
    path = stated or model.path.parent / model.metadata.items
    if stated is None and not path.is_file():
        empty = pl.DataFrame(schema={ITEM: ids, TITLE: pl.String, GENRES: pl.String})
        return empty, f"no titles: {path} is not there; name a table with --items"
    path = located_items(path)
    probe(path)
    table = find_items(path, item=item).table if stated else pl.read_parquet(path, glob=False)
    if table.columns[:3] != [ITEM, TITLE, GENRES]:
        raise InputError(f"{path} is not the table of items that `python -m train.data` wrote: name one with --items")
    if table.schema[ITEM] != ids and ids != pl.String and not table.is_empty():
        raise InputError(f"{path} has {table.schema[ITEM]} as item ids; the interactions have {ids}")
    known = model.metadata.item_ids
    if stated and not set(known).intersection(table[ITEM].cast(ids)):
        raise InputError(f"{path} knows no item of the model: it has {table[ITEM][0]!r}, the model {known[0]!r}")
    lists = [pl.col(name).list.join("|") for name, dtype in table.schema.items() if isinstance(dtype, pl.List)]
    genres = pl.coalesce(GENRES, *lists).cast(pl.String) if lists else pl.col(GENRES)
    title = pl.col(TITLE).cast(pl.String)
    title = pl.when(title.str.strip_chars() != "").then(title)  # a blank one is none
    return table.select(pl.col(ITEM).cast(ids), title.alias(TITLE), genres.alias(GENRES)), ""


class Names:
    """Titles and categories of items by their ids as texts."""

    def __init__(self, known: pl.DataFrame) -> None:
        self.known = {item: (title, genres) for item, title, genres in known.cast(pl.String).iter_rows()}

    def title(self, item: str) -> str:
        """The title, or `item 7`."""
        return printable(self.known.get(item, (None, None))[0] or f"item {item}")

    def both(self, item: str) -> tuple[str, str]:
        """Title and categories, which may be empty."""
        return self.title(item), printable(self.known.get(item, (None, None))[1] or "")

    def named(self, item: str) -> str:
        """`Title [categories]`."""
        title, categories = self.both(item)
        return f"{title} [{categories}]" if categories else title


def _places(found: Sequence[Recommended], item: str) -> str:
    """Where each model has a held-out item among all that the user may get."""
    told = []
    for each, label in zip(found, labels([each.task.model.path for each in found]), strict=True):
        place = each.places.filter(pl.col(ITEM).cast(pl.String) == item)[RANK]
        rank = place[0] if len(place) else None
        allowed = each.task.job.candidates.determining or each.task.job.candidates.by_user
        others = "items" if allowed or each.fallback else "unseen items"
        if rank is not None:
            where = f"rank {rank:,} of {each.size:,} {others}"
        else:
            where = "not among what may be recommended" if item in _ids(each) else "unknown to the model"
        told.append(where if len(found) == 1 else f"{label}: {where}")
    return "; ".join(told)


def _ids(each: Recommended) -> set[str]:
    return set(map(str, each.task.model.metadata.item_ids))


def _cut(line: str, most: int | None) -> str:
    return line if most is None else cut(line, most)
