"""What the page says of items: titles, categories, which are popular, and the words of the shop.

In: the open models of a folder and a table of items. Out: plain JSON values.

    catalogue(models, Path("movies.csv"), "auto")
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from infer.formats.opening import Opened
from infer.formats.places import located_items
from infer.model.metadata import Metadata
from infer.model.session import Model
from infer.scoring.shown import titles
from infer.system.fingerprints import sha256
from infer.tables.columns import GENRES, ITEM, TITLE, USER
from infer.tables.items import open_items
from infer.tables.labels import NO_LABEL
from infer.tables.rules import keeps_seen

FILMS, ITEMS = "films", "items"
WORDS = {
    FILMS: {
        "one": "film", "a": "a film", "many": "films", "chosen": "watched", "category": "Genre", "every": "All genres",
        "title": "What to watch next",
    },
    ITEMS: {
        "one": "item", "a": "an item", "many": "items", "chosen": "chose", "category": "Category",
        "every": "All categories", "title": "What to choose next",
    },
}  # fmt: skip
OF_FILMS = ("movie", "film")
MOVIELENS = "ml-"
POPULAR = 200


@dataclass(frozen=True)
class Catalogue:
    """ids: of all items, as texts, in the order in which the page counts them.  values: what the page reads, by name.
    places: of each model, the place of each of its items; None: one and the same.  missing: what is to be said if there
    are no titles."""

    ids: list[str]
    values: dict[str, Any]
    places: list[list[int] | None]
    missing: str


def catalogue(models: list[Model], items: Path | None, words: str) -> Catalogue:
    """The items of all models.

    items: the table of titles and categories; None: the one beside the first model.  words: "films", "items" or "auto".
    Raises InputError if the table cannot be read, or knows no item of the model.
    """
    known = [list(map(str, model.metadata.item_ids)) for model in models]
    ids = list(dict.fromkeys(item for each in known for item in each))
    place = {item: number for number, item in enumerate(ids)}
    kind = pl.Int64 if models[0].metadata.item_type == "Int64" else pl.String
    table, missing = titles(models[0], items, kind())
    rows = pl.DataFrame({ITEM: ids}).join(
        table.with_columns(pl.col(ITEM).cast(pl.String)).unique(ITEM, keep="first"), on=ITEM, how="left",
        maintain_order="left",
    )  # fmt: skip
    labels = [_labels(text) for text in rows[GENRES].to_list()]
    names = sorted({label for each in labels for label in each}, key=lambda name: (name.casefold(), name))
    number = {name: index for index, name in enumerate(names)}
    chosen = words if words != "auto" else FILMS if _says_films(models[0], items) else ITEMS
    said = dict(WORDS[chosen])
    return Catalogue(
        ids,
        {
            "ids": ids,
            "titles": rows[TITLE].to_list(),
            "categories": names,
            "of": [[number[label] for label in each] for each in labels],
            "popular": [place[item] for item in popular(models[0]) if item in place],
            "words": said,
        },
        [None if each == ids else [place[item] for item in each] for each in known],
        missing,
    )


def several_tables(models: list[Model]) -> str:
    """What is to be said of models that were not trained on one table; empty if they were."""
    if len({model.metadata.dataset_checksum for model in models}) == 1:
        return ""
    told = ", ".join(f"{model.path.name} on {model.metadata.dataset}" for model in models)
    return f"trained on several tables: {told}; items with the same id are one item on the page"


def popular(model: Model) -> list[str]:
    """The ids of the items that most users of the training table have, most first; none without that table.

    Only their order leaves the table.
    """
    table = model.path.parent / model.metadata.interactions
    if not table.is_file() or sha256(table) != model.metadata.dataset_checksum:
        return []
    rows = pl.scan_parquet(table, glob=False).group_by(ITEM).agg(pl.col(USER).n_unique().alias("len"))
    first = rows.sort("len", ITEM, descending=[True, False]).head(POPULAR).collect()
    return first[ITEM].cast(pl.String).to_list()


def repeats(metadata: Metadata) -> bool:
    """Whether the model's lists are to hold what is in the history."""
    return keeps_seen(metadata.rules)


def _labels(text: str | None) -> list[str]:
    found = dict.fromkeys(label.strip() for label in (text or "").split("|"))
    return [label for label in found if label not in NO_LABEL]


def _says_films(model: Model, items: Path | None) -> bool:
    """Whether the table of items, or the data set, calls them films."""
    path = items or model.path.parent / model.metadata.items
    names = [model.metadata.dataset, path.name]
    if items is not None:
        opened: Opened
        opened, _ = open_items(located_items(path))
        names += opened.names
    return any(word in name.lower() for name in names for word in OF_FILMS) or names[0].startswith(MOVIELENS)
