"""The names of columns that every stage shares, and how a file's own names are found.

In: the column names of a file, and those that its user stated. Out: which of them holds what, under the shared names.

    find(["userId", "movieId", "timestamp"], Path("ratings.csv"), TableOptions(), needed=(USER, ITEM), optional=())
"""

import re
from collections.abc import Collection
from pathlib import Path

from infer.errors import InputError
from infer.formats.layout import shown
from infer.tables.options import TableOptions

USER, ITEM, TIMESTAMP, RATING, SPLIT = "user", "item", "timestamp", "rating", "split"
ROW = "row"  # the number of a row in its file, from 0, where rows were left out before
RANK, SCORE, TITLE, GENRES = "rank", "score", "title", "genres"
BECAUSE = "because"  # of lists: which items of the history raised the score
SOURCE = "source"  # of lists, where some are not the model's: who made each
TRAIN, VALIDATION, TEST = "train", "validation", "test"

# Of the `split` column too: history for the test item, but neither trained on nor measured.
TEST_HISTORY = "test-history"

# ... and history of a user who is held out whole: for each of their held-out items, and never trained on.
HISTORY = "history"

# In the file metadata of interactions.parquet: which data set, and how items were held out.
DATASET_KEY, PROTOCOL_KEY, RULES_KEY = "dataset", "protocol", "rules"

# ... and that the rows are ordered by (user, timestamp, item), no pair twice (`infer.tables.tidy`).
TIDY_KEY = "tidy"
INTERACTIONS_FILE, ITEMS_FILE = "interactions.parquet", "items.parquet"


# In the order in which they are sought; capitals, blanks and `_`, `-` or `.` between words do not matter.
GUESSES = {
    USER: ("user", "user id", "customer", "customer id", "visitor id", "reviewer id", "member id", "client id"),
    ITEM: (
        "item", "item id", "movie id", "product", "product id", "article id", "sku", "parent asin", "asin", "isbn",
        "track id", "song id", "artist id", "book id", "news id",
    ),
    TIMESTAMP: ("timestamp", "time", "datetime", "event time", "event timestamp", "unix review time", "date"),
    RATING: ("rating", "stars", "book rating", "overall"),
    TITLE: ("title", "name", "product name"),
    GENRES: ("genres", "genre"),
}  # fmt: skip
COMMON = ("user", "userid", "item", "itemid", "movieid", "timestamp", "rating", "title", "genres")


def find(
    found: list[str], path: Path, options: TableOptions, needed: tuple[str, ...], optional: tuple[str, ...]
) -> dict[str, str]:
    """Which of the file's columns holds what: {shared name: the file's name}.

    Raises InputError if a column that is needed, or was stated, is not there, or is there twice, or would be two of
    user, item and timestamp.
    """
    names = {}
    for target in (*needed, *optional):
        stated = getattr(options, target)
        if stated is not None and stated not in found:
            raise InputError(f"{path} has no column '{stated}'; its columns: {shown(found)}")
        source = stated or guessed(found, target)
        if source is not None:
            names[target] = source
        elif target in needed:
            raise InputError(
                f"{path} has no {target} column; its columns: {shown(found)}; name it with --{target}-column"
                + (" (or --order=rows if it is oldest first, --order=none)" if target == TIMESTAMP else "")
            )
    check_once(found, list(names.values()), path)
    for first, other in ((USER, ITEM), (USER, TIMESTAMP), (ITEM, TIMESTAMP)):
        if first in names and names[first] == names.get(other):
            raise InputError(
                f"{path}: the column '{names[first]}' is taken as {first} and as {other}; "
                f"name another with --{first}-column or --{other}-column"
            )
    return names


def guessed(found: list[str], target: str) -> str | None:
    """The first of a file's columns with a usual name; None if there is none."""
    plain = [_plain(name) for name in found]
    return next((found[plain.index(_plain(g))] for g in GUESSES[target] if _plain(g) in plain), None)


def own_name(found: list[str], target: str, stated: str | None = None) -> str | None:
    """What a table beside that of interactions calls a column; None if it has none.

    stated: what the table of interactions calls it, which counts where this one has such a column, too; not in a table
    of items of ours, where a further column may be called so.
    """
    if found[:3] == [ITEM, TITLE, GENRES]:
        stated = None
    return next((name for name in (stated, target) if name in found), None) or guessed(found, target)


def check_once(found: list[str], used: list[str], path: Path | str) -> None:
    """Raises InputError if a column that is used stands twice."""
    for name in used:
        if found.count(name) > 1:
            raise InputError(f"{path} names the column '{name}' twice: give each a name of its own")


def unused(name: str, found: Collection[str]) -> str:
    """The name, with `_` behind it while a column is called so."""
    while name in found:
        name += "_"
    return name


def told(names: dict[str, str]) -> str:
    """What is said of columns that were found by less common names; empty if none was."""
    found = [f"{target} '{source}'" for target, source in names.items() if _plain(source) not in COMMON]
    return f"columns taken: {', '.join(found)} (--{{user,item,timestamp,rating}}-column name others)" if found else ""


def _plain(name: str) -> str:
    return re.sub(r"[\s_.\-]+", "", name).lower()
