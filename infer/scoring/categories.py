"""Which category of a table of items each user has most of.

In: a table of items and rows of interactions. Out: (item, category), and each user's most frequent category.

    categories_of(job, items_file(job, None))

A user's rows count also where the model does not know their items: it is such users who need a category.
"""

from pathlib import Path

import polars as pl

from infer.errors import InputError
from infer.formats.places import located_items
from infer.formats.probe import probe
from infer.scoring.job import Job
from infer.tables.columns import GENRES, ITEM, TITLE, USER
from infer.tables.ids import in_type
from infer.tables.items import find_items
from infer.tables.labels import is_label

CATEGORY, WEIGHT = "category", "weight"


def items_file(job: Job, stated: Path | None) -> Path:
    """The stated table of items, or the one beside the model; raises InputError if that is not there."""
    path = stated or job.model.path.parent / job.model.metadata.items
    if stated is None and not path.is_file():
        raise InputError(f"{path} is not there, which --fallback=category-popular needs: name a table with --items")
    return located_items(path)


def categories_of(job: Job, path: Path, stated: bool) -> pl.DataFrame:
    """(item, category) of every item of the table, known to the model or not; an item may have several.

    Genres are categories or, without any, the first column of categories is.  stated: whether the table may be of any
    form, or is the one beside the model.
    Raises InputError if there are no categories, or none of an item that the model knows.
    """
    probe(path)
    table = find_items(path, item=job.options.item).table if stated else pl.read_parquet(path, glob=False)
    if table.columns[:3] != [ITEM, TITLE, GENRES]:
        raise InputError(f"{path} is not the table of items that `python -m train.data` wrote: name one with --items")
    columns = [name for name, dtype in table.schema.items() if dtype == pl.List(pl.String)]
    if table[GENRES].null_count() < table.height:
        lists = pl.col(GENRES).str.split("|")
    elif columns:
        lists = pl.col(columns[0])
    else:
        raise InputError(f"{path} has no genres and no column of categories, which --fallback=category-popular needs")
    found = (
        table.select(in_type(table[ITEM], job.items.schema[ITEM]), lists.alias(CATEGORY))
        .explode(CATEGORY)
        .with_columns(pl.col(CATEGORY).str.strip_chars())
        .filter(pl.col(ITEM).is_not_null() & is_label(CATEGORY))
        .unique(maintain_order=True)
    )
    if found.join(job.items, on=ITEM, how="semi").is_empty():
        known = job.items[ITEM][0]
        raise InputError(f"{path} gives no category of an item of the model, which knows items such as {known!r}")
    return found


def members(categories: pl.DataFrame, items: pl.DataFrame, counts: pl.Series) -> pl.DataFrame:
    """(category, weight, index): the items of each category that occur, and how often they do together.

    categories: (item, category).  items: (item, index).  counts: how often the item with index 1, 2, ... occurs.
    """
    known = categories.join(items, on=ITEM, how="inner", maintain_order="left")
    weighed = known.with_columns(counts.gather(known["index"] - 1).alias(WEIGHT))
    occurring = weighed.filter(pl.col(WEIGHT) > 0)
    return occurring.group_by(CATEGORY, maintain_order=True).agg(pl.col(WEIGHT).sum(), "index")


def favourites(rows: pl.DataFrame, categories: pl.DataFrame, weights: pl.DataFrame) -> pl.DataFrame:
    """(user, category): what each user has most rows of; of equal ones the more popular, then the first by name.

    rows: (user, item).  categories: (item, category).  weights: (category, weight); others do not count. Users
    without a category are not there.
    """
    return (
        rows.select(USER, ITEM)
        .join(categories, on=ITEM)
        .join(weights.select(CATEGORY, WEIGHT), on=CATEGORY)
        .group_by(USER, CATEGORY)
        .agg(pl.len().alias("rows"), pl.col(WEIGHT).first())
        .sort(USER, "rows", WEIGHT, CATEGORY, descending=[False, True, True, False])
        .group_by(USER, maintain_order=True)
        .agg(pl.col(CATEGORY).first())
    )
