"""Lists that are published as they stand in a test, without a model.

In: frames of lists, one a part. Out: an output as `python -m infer.batch` leaves it.
"""

from pathlib import Path

import polars as pl

from infer.publishing.output import Output, part_of
from infer.publishing.publication import Publication
from infer.publishing.publications import Publications
from infer.publishing.recovery import STORE
from infer.sources.cutting import Part

# Two users in the first part, one in the second; user 9 has one item only.
PARTS = (
    pl.DataFrame(
        {"user": [1, 1, 2, 2], "rank": [1, 2, 1, 2], "item": [30, 10, 20, 10], "score": [2.5, 1.0, 0.5, 0.5]},
        schema_overrides={"rank": pl.Int32, "score": pl.Float32},
    ),
    pl.DataFrame(
        {"user": [9], "rank": [1], "item": [30], "score": [-1.25]},
        schema_overrides={"rank": pl.Int32, "score": pl.Float32},
    ),
)


def publish(output: Path, *parts: pl.DataFrame, run: int = 0) -> Publication:
    """Publish parts of lists; another run: other lists of the same output."""
    plan = {"model": "m", "users": None, "base": None, "options": {"k": 2, "split": None}, "run": run}
    made = Output(Publications(output), plan)
    with made.share((0, 1), restart=False):
        told = []
        for number, lists in enumerate(parts):
            ids = lists["user"]
            numbers = {"scored": ids.n_unique(), "first": ids.min(), "last": ids.max(), "rows": lists.height}
            made.write(number, lists, lists.select("user").unique(), numbers)
            told.append(part_of(Part(number, 0, ids.n_unique(), 0, lists.height), numbers))
        listed = pl.concat([part["user"].cast(pl.String) for part in parts]).n_unique() if parts else 0
        figures = {"k": 2, "listed": listed, "rows": sum(part.height for part in parts)}
        figures |= dict.fromkeys(("users", "interactions", "left_out", "unknown", "coverage", "popular"), 0)
        figures |= dict.fromkeys(("score_min", "score_max"))
        about = {"plan": plan, "digest": made.digest, "model": "m.onnx", "beyond": None}
        made.describe(about | {"figures": figures, "parts": told})
        with made.locked(STORE):
            return made.publish(keep=3)
