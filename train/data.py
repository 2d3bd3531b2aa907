"""Data sets by name or path to one tidy, split table of interactions and one of items.

In: a MovieLens name, or any CSV, TSV, `::`-separated or Parquet file. Out, in artifacts/:
interactions.parquet (user, item, timestamp, rating, split), ordered by (user, timestamp, item), and
items.parquet (item, title, genres).

    python -m train.data --dataset=ml-latest-small

Rules: `infer.tables` says what happens to repeated pairs, ties in time and ids; `train.splits` what is
held out, by default a user's last interaction as the test item and the one before it as the
validation item. The catalogue is every item of the table: one that occurs only as a held-out item
is a candidate that training never sees.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from infer.cli import option, parse, run
from infer.errors import InputError
from infer.files import replacing
from infer.probe import probe
from infer.schema import (
    DATASET_KEY,
    GENRES,
    INTERACTIONS_FILE,
    ITEM,
    ITEMS_FILE,
    PROTOCOL_KEY,
    RATING,
    SPLIT,
    TEST,
    TIDY_KEY,
    TIMESTAMP,
    TITLE,
    TRAIN,
    USER,
)
from infer.tables import Columns, read_interactions, read_items, read_table
from infer.tidy import Tidy, items_table, tidy
from train import sources, splits

ML_100K_GENRES = [
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Options of `python -m train.data`."""

    dataset: str | None = option(
        None,
        f"{', '.join(sources.SOURCES)}, or a file (default {sources.DEFAULT}; if that cannot be reached, "
        "MovieLens 100K from the package index)",
    )
    data_dir: Path | None = option(None, f"folder that holds the named set (or ${sources.DATA_DIR_VARIABLE})")
    cache_dir: Path | None = option(None, "where downloads are kept (default: the user's cache folder)")
    mirror: str | None = option(None, "URL of a folder with the archives, instead of GroupLens")
    items: Path | None = option(None, "table of titles and genres for a data set given as a file")
    user_column: str | None = option(None, "name of the user column")
    item_column: str | None = option(None, "name of the item column, in both tables")
    timestamp_column: str | None = option(None, "name of the timestamp column")
    rating_column: str | None = option(None, "name of the rating column")
    title_column: str | None = option(None, "name of the title column")
    genres_column: str | None = option(None, "name of the genres column")
    drop_bad_rows: bool = option(False, "leave rows out that cannot be used, and say how many; else they are refused")
    split: Literal["leave-one-out", "time"] = option("leave-one-out", "hold out last items, or what follows a moment")
    validation_share: float = option(0.1, "--split=time: share of interactions between the two moments", minimum=0)
    test_share: float = option(0.1, "--split=time: share of interactions after the second moment", minimum=0)
    ties: Literal["item", "random"] = option("item", "order of a user's interactions in the same second")
    tie_seed: int = option(0, "seed of --ties=random", minimum=0)
    artifacts: Path = option(Path("artifacts"), "folder to write to")

    @property
    def columns(self) -> Columns:
        """The stated column names."""
        return Columns(
            self.user_column,
            self.item_column,
            self.timestamp_column,
            self.rating_column,
            self.title_column,
            self.genres_column,
            self.drop_bad_rows,
        )


def load(config: DataConfig) -> tuple[str, Tidy, pl.DataFrame]:
    """Find and read a data set: its name, its tidy interactions, its items.

    Raises InputError if it is neither a known name nor a file, cannot be reached, or is damaged.
    Only the default falls back to another data set, and says so; a set asked for by name never does
    (ml-100k falls back to its own copy in the wheel).
    """
    name = config.dataset or sources.DEFAULT
    if name not in sources.SOURCES:
        path = Path(name)
        if not path.exists():
            raise InputError(f"--dataset {name} is neither a file nor one of {', '.join(sources.SOURCES)}")
        probe(path)
        return path.name, read_interactions(path, config.columns), _given_items(config)
    try:
        found = sources.locate(name, config.data_dir, config.cache_dir, config.mirror)
    except sources.Unreachable as error:
        if config.dataset not in (None, "ml-100k"):
            raise
        print(f"WARNING: {error}. Using MovieLens 100K from the {sources.RECBOLE} wheel INSTEAD.", file=sys.stderr)
        found = sources.from_package_index(config.cache_dir)
    return found.name, _ratings(found), _items(found)


def hold_out(interactions: pl.DataFrame, config: DataConfig) -> splits.Split:
    """Order ties, hold items out, and say how; interactions are ordered by (user, timestamp, item)."""
    ties = splits.BY_ITEM
    if config.ties == "random":
        interactions = splits.shuffle_ties(interactions, config.tie_seed)
        ties = f"ties in time ordered at random (seed {config.tie_seed})"
    if config.split == "time":
        found = splits.by_time(interactions, config.validation_share, config.test_share)
    else:
        found = splits.leave_one_out(interactions)
    return splits.Split(found.interactions, f"{found.protocol}, {ties}")


def main(words: list[str]) -> None:
    """Parse, load, split, write, print."""
    config = parse(DataConfig, words, __doc__)
    print(f"reading {config.dataset or sources.DEFAULT} ...", flush=True)
    name, found, items = load(config)
    made = hold_out(found.interactions.drop(SPLIT, strict=False), config)
    table = made.interactions
    held = table.filter(pl.col(SPLIT) == TEST)
    if held.is_empty():
        raise InputError(f"{name} has no user with three interactions: nothing can be held out")
    few = (
        "nothing to measure after or before the second moment"
        if config.split == "time"
        else "too few interactions (under 3)"
    )
    only_held = table.group_by(ITEM).agg((pl.col(SPLIT) != TRAIN).all().alias("held"))["held"].sum()
    users = table[USER].n_unique()
    target = config.artifacts / INTERACTIONS_FILE
    with replacing(target) as part, replacing(config.artifacts / ITEMS_FILE) as items_part:
        table.write_parquet(part, metadata={DATASET_KEY: name, PROTOCOL_KEY: made.protocol, TIDY_KEY: "1"})
        items.write_parquet(items_part)
    if str(found.notes):
        print(f"{name}: {found.notes}")
    print(f"{name}: {table.height:,} interactions of {users:,} users with {table[ITEM].n_unique():,} items -> {target}")
    print(
        f"{held.height:,} users are measured, "
        f"{users - held.height:,} have {few}; {only_held:,} items occur only as held-out items"
    )
    print(f"held out: {made.protocol}")


def _given_items(config: DataConfig) -> pl.DataFrame:
    if config.items is not None:
        probe(config.items)
        return read_items(config.items, config.columns)
    return pl.DataFrame(schema={ITEM: pl.Int64, TITLE: pl.String, GENRES: pl.String})


def _ratings(found: sources.Found) -> Tidy:
    """MovieLens ratings in any release's layout."""
    names = [USER, ITEM, RATING, TIMESTAMP]
    if found.ratings.name == "u.data":
        return tidy(read_table(found.ratings, "\t", names), str(found.ratings))
    if found.ratings.suffix == ".dat":
        return tidy(read_table(found.ratings, "::", names), str(found.ratings))
    if found.ratings.suffix == ".inter":
        columns = Columns("user_id:token", "item_id:token", "timestamp:float", "rating:float")
        return read_interactions(found.ratings, columns)
    return read_interactions(found.ratings)


def _items(found: sources.Found) -> pl.DataFrame:
    """MovieLens titles and genres in any release's layout."""
    path = found.items
    if path.suffix == ".item" and path.name != "u.item":  # RecBole: the year stands in its own column
        table = read_table(path).select(
            pl.col("item_id:token").alias(ITEM),
            pl.concat_str("movie_title:token_seq", pl.format(" ({})", "release_year:token").fill_null("")).alias(TITLE),
            pl.col("class:token_seq").str.replace_all(" ", "|").alias(GENRES),
        )
    elif path.name == "u.item":
        columns = [ITEM, TITLE, "released", "video", "url", *ML_100K_GENRES]
        table = read_table(path, "|", columns, encoding="latin-1").select(
            ITEM,
            TITLE,
            pl.concat_str(
                [pl.when(pl.col(g) == "1").then(pl.lit(g)) for g in ML_100K_GENRES], separator="|", ignore_nulls=True
            ).alias(GENRES),
        )
    elif path.suffix == ".dat":
        table = read_table(path, "::", [ITEM, TITLE, GENRES], encoding="latin-1")
    else:
        return read_items(path)
    return items_table(table, str(path))


if __name__ == "__main__":
    raise SystemExit(run(main))
