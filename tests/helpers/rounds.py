"""A tiny table to train on: users who go round the items.

In: a folder and items. Out: interactions.parquet there, as `train.data` splits it.
"""

from pathlib import Path

import polars as pl


def write(folder: Path, items: list[int], users: int = 12) -> None:
    """Users who go round the items, each from a place of its own."""
    rows = [
        (user, items[(user + step) % len(items)], 100 * user + step, split)
        for user in range(users)
        for step, split in enumerate(["train"] * 5 + ["validation", "test"])
    ]
    folder.mkdir(exist_ok=True)
    table = pl.DataFrame(rows, ["user", "item", "timestamp", "split"], orient="row").sort("user", "timestamp")
    table.write_parquet(folder / "interactions.parquet")
