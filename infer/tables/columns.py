"""The names of columns that every stage shares, and how a file's own names are found.

In: the column names of a file, and those that its user stated. Out: which of them holds what, under the shared names.

    find(["userId", "movieId", "timestamp"], Path("ratings.csv"), TableOptions(), needed=(USER, ITEM), optional=())
"""

from pathlib import Path

from infer.errors import InputError
from infer.formats.layout import shown
from infer.tables.options import TableOptions

USER, ITEM, TIMESTAMP, RATING, SPLIT = "user", "item", "timestamp", "rating", "split"
RANK, SCORE, TITLE, GENRES = "rank", "score", "title", "genres"
TRAIN, VALIDATION, TEST = "train", "validation", "test"

# Of the `split` column too: history for the test item, but neither trained on nor measured.
TEST_HISTORY = "test-history"

# ... and history of a user who is held out whole: for each of their held-out items, and never trained on.
HISTORY = "history"

# In the file metadata of interactions.parquet: which data set, and how items were held out.
DATASET_KEY, PROTOCOL_KEY = "dataset", "protocol"

# ... and that the rows are ordered by (user, timestamp, item), no pair twice (`infer.tables.tidy`).
TIDY_KEY = "tidy"
INTERACTIONS_FILE, ITEMS_FILE = "interactions.parquet", "items.parquet"


GUESSES = {
    USER: ("user", "userId", "user_id", "UserID"),
    ITEM: ("item", "movieId", "item_id", "MovieID", "itemId"),
    TIMESTAMP: ("timestamp", "Timestamp", "time"),
    RATING: ("rating", "Rating"),
    TITLE: ("title", "Title", "name"),
    GENRES: ("genres", "Genres", "genre"),
}


def find(
    found: list[str], path: Path, options: TableOptions, needed: tuple[str, ...], optional: tuple[str, ...]
) -> dict[str, str]:
    """Which of the file's columns holds what: {shared name: the file's name}.

    Raises InputError if a column that is needed, or was stated, is not there.
    """
    names = {}
    for target in (*needed, *optional):
        stated = getattr(options, target)
        if stated is not None and stated not in found:
            raise InputError(f"{path} has no column '{stated}'; its columns: {shown(found)}")
        source = stated or next((g for g in GUESSES[target] if g in found), None)
        if source is not None:
            names[target] = source
        elif target in needed:
            raise InputError(
                f"{path} has no {target} column; its columns: {shown(found)}; name it with --{target}-column"
            )
    return names
