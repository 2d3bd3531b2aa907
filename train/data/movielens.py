"""MovieLens in the layout of any of its releases.

In: the files of a release. Out: tidy ratings; titles and genres.
"""

from dataclasses import replace

import polars as pl

from infer.formats.layout import Layout
from infer.formats.opening import read_table, suffix_of
from infer.tables.columns import GENRES, ITEM, TITLE
from infer.tables.interactions import read_interactions
from infer.tables.items import items_table, read_items
from infer.tables.options import TableOptions
from infer.tables.tidy import Tidy
from train.data import sources

ML_100K_GENRES = [
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
]  # fmt: skip


def ratings(found: sources.Found, options: TableOptions = TableOptions()) -> Tidy:
    """MovieLens ratings in any release's layout; of the options those count that say which rows do."""
    options = replace(options, user=None, item=None, timestamp=None, rating=None, split=None, layout=Layout())
    if suffix_of(found.ratings) == ".inter":
        options = replace(
            options, user="user_id:token", item="item_id:token", timestamp="timestamp:float", rating="rating:float"
        )
    return read_interactions(found.ratings, options)


def items(found: sources.Found) -> pl.DataFrame:
    """MovieLens titles and genres in any release's layout."""
    path = found.items
    if suffix_of(path) == ".item" and path.name != "u.item":  # RecBole: the year stands in its own column
        table = read_table(path).select(
            pl.col("item_id:token").alias(ITEM),
            pl.concat_str("movie_title:token_seq", pl.format(" ({})", "release_year:token").fill_null("")).alias(TITLE),
            pl.col("class:token_seq").str.replace_all(" ", "|").alias(GENRES),
        )
    elif path.name == "u.item":
        columns = [ITEM, TITLE, "released", "video", "url", *ML_100K_GENRES]
        table = read_table(path, Layout(separator="|", header=",".join(columns), encoding="latin-1")).select(
            ITEM,
            TITLE,
            pl.concat_str(
                [pl.when(pl.col(g) == "1").then(pl.lit(g)) for g in ML_100K_GENRES], separator="|", ignore_nulls=True
            ).alias(GENRES),
        )
    else:
        return read_items(path)
    return items_table(table, str(path))
