"""Lists for histories, as Spark's Python workers call it: `DataFrame.mapInArrow(lists_of(...), SCHEMA)`.

This module is sent to the workers (`--py-files`, or `addPyFile`), so that its cache is theirs: Spark forks them, and
a session of ONNX Runtime that was made before a fork can hang after it. Each opens the model once, for as many
partitions as it gets.
"""

from collections.abc import Callable, Iterator
from functools import cache

import polars as pl
import pyarrow as pa

import infer

COLUMNS = ("user", "items")  # of the input: an id, and the ids of the items, oldest first
SCHEMA = "user bigint, rank int, item bigint, score float"  # for ids that are texts: `user string`, ...


@cache
def opened(path: str) -> infer.Recommender:
    """The model, once in each worker; one thread, since Spark starts a worker for each core."""
    return infer.load(path, threads=1)


def lists_of(model: str, k: int) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function of batches of histories that gives batches of lists; model: a path that all workers see."""

    def lists(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            histories = pl.from_arrow(batch).select(COLUMNS)
            # A row for each event, in the order of the list, which is all that the model needs of the time.
            events = histories.sort("user").explode("items").rename({"items": "item"}).drop_nulls("item")
            if events.is_empty():
                continue
            events = events.with_columns(timestamp=pl.int_range(pl.len()).over("user"))
            found = opened(model).score(events, k, split=None)
            yield from found.select("user", "rank", "item", "score").to_arrow().to_batches()

    return lists
