"""Recommend to one person: films, genres and scores, and the item that was held out.

In: a model, a user id and the titles beside the model. Out: a table on screen (the paper's Table 6).

    python -m infer.recommend --model hybrid.onnx --user 1
"""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from infer.cli import option, parse, printable, run
from infer.errors import InputError
from infer.formats.places import located_items
from infer.formats.probe import probe
from infer.model.session import Model
from infer.scoring.fallback import NONE
from infer.scoring.lists import model_lists
from infer.scoring.options import FallbackConfig, ScoringConfig
from infer.scoring.reasons import reasons
from infer.scoring.single import fallback_list, user_or_nobody
from infer.scoring.task import Task, prepare, select_users
from infer.tables.columns import BECAUSE, GENRES, ITEM, RANK, SCORE, TITLE, USER
from infer.tables.items import find_items


@dataclass(frozen=True, kw_only=True)
class RecommendConfig(FallbackConfig, ScoringConfig):
    """Options of `python -m infer.recommend`."""

    user: str = option(MISSING, "the user's id")
    k: int = option(5, "items to show", minimum=1)
    reasons: int = option(0, "items of the history to name with each, that raised its score most", minimum=0)
    whole_history: bool = option(False, "recommend from the whole history, hold nothing out")


def main(argv: Sequence[str]) -> None:
    """Parse, score one user, print."""
    config = parse(RecommendConfig, argv, __doc__)
    whole = prepare(config.job(measure=not config.whole_history))
    if str(whole.notes):
        print(f"{whole.table}: {whole.notes}")
    asked = config.fallback_options
    popular = asked.kind != NONE
    task = user_or_nobody(whole, config.user) if popular else select_users(whole, [config.user], "--user")
    k, made = len(task.model.metadata.item_ids), task.model.path.name
    lists = model_lists(task, k, batch_size=1)
    if popular and lists.is_empty():
        why = f"{made} has nothing left for the user" if task.personalisable.all() else f"{made} does not know the user"
        lists, made = fallback_list(whole.job, task, asked, k), f"{asked.kind} items, as {why}"
    if lists.is_empty():
        why = "the rules leave nothing" if task.personalisable.all() else "it knows none of its items"
        raise InputError(f"{task.model.path.name} cannot recommend to user {config.user}: {why}")
    known = titles(task.model, config.items, lists.schema[ITEM])
    print(f"{made} ({task.model.metadata.dataset}) for user {config.user}:")
    shown = lists.head(config.k)
    because = because_of(task, shown, config.reasons, known) if config.reasons and task.personalisable.all() else {}
    for row in shown.join(known, on=ITEM, how="left", maintain_order="left").iter_rows(named=True):
        score = "" if row[SCORE] is None else f"  {row[SCORE]:.4f}"
        print(f"{row[RANK]:>3}. {named(row)}{score}{because.get(row[RANK], '')}")
    if task.targets is not None and not task.targets.is_empty():
        held = task.targets.select(USER, ITEM).join(lists, on=[USER, ITEM], how="left")
        row = held.join(known, on=ITEM, how="left").row(0, named=True)
        among = "allowed" if task.job.candidates.given else "unseen"
        missing = "excluded by the rules" if task.excluded else "unknown to the model"
        place = f"rank {row[RANK]} of {lists.height} {among} items" if row[RANK] else missing
        print(f"held out: {named(row)}  ({place})")


def because_of(task: Task, lists: pl.DataFrame, number: int, known: pl.DataFrame) -> dict[int, str]:
    """For each rank the titles of the items that raised its score most, as text to put behind it."""
    told = reasons(task, lists, number).select(RANK, pl.col(BECAUSE).alias(ITEM))
    found: dict[int, list[str]] = {}
    for row in told.join(known, on=ITEM, how="left", maintain_order="left").iter_rows(named=True):
        found.setdefault(row[RANK], []).append(printable(row[TITLE] or f"item {row[ITEM]}"))
    return {rank: f"  because of {', '.join(names)}" for rank, names in found.items()}


def titles(model: Model, stated: Path | None, ids: pl.DataType) -> pl.DataFrame:
    """(item, title, genres) from the stated table or the one beside the model, if there is one; an item without
    genres is shown with its first column of categories."""
    path = stated or model.path.parent / model.metadata.items
    if stated is None and not path.is_file():
        print(f"no titles: {path} is not there; name a table with --items")
        return pl.DataFrame(schema={ITEM: ids, TITLE: pl.String, GENRES: pl.String})
    path = located_items(path)
    probe(path)
    table = find_items(path).table if stated else pl.read_parquet(path, glob=False)
    if table.columns[:3] != [ITEM, TITLE, GENRES]:
        raise InputError(f"{path} is not the table of items that `python -m train.data` wrote: name one with --items")
    if table.schema[ITEM] != ids and ids != pl.String and not table.is_empty():
        raise InputError(f"{path} has {table.schema[ITEM]} as item ids; the interactions have {ids}")
    known = model.metadata.item_ids
    if stated and not set(known).intersection(table[ITEM].cast(ids)):
        raise InputError(f"{path} knows no item of the model: it has {table[ITEM][0]!r}, the model {known[0]!r}")
    lists = [pl.col(name).list.join("|") for name, dtype in table.schema.items() if isinstance(dtype, pl.List)]
    genres = pl.coalesce(GENRES, *lists).cast(pl.String) if lists else pl.col(GENRES)
    return table.select(pl.col(ITEM).cast(ids), TITLE, genres.alias(GENRES))


def named(row: dict[str, Any]) -> str:
    """An item by its title and genres, as far as they are known."""
    title = row[TITLE] or f"item {row[ITEM]}"
    return printable(f"{title} [{row[GENRES]}]" if row[GENRES] else title)


if __name__ == "__main__":
    raise SystemExit(run(main))
