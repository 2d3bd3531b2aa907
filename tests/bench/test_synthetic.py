"""Synthetic interactions: sizes, order, seeds, and the structure that a model can find."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bench.synthetic import SyntheticConfig, generate, shape

SMALL = {"users": 300, "items": 400, "interactions": 12_000}


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return generate(SyntheticConfig(**SMALL))


def test_it_has_the_size_asked_for_and_is_tidy(table: pl.DataFrame) -> None:
    assert abs(table.height - 12_000) < 0.03 * 12_000
    assert table["user"].to_numpy().tolist() == sorted(table["user"]) and table["user"].unique().len() == 300
    assert table["item"].min() >= 1 and table["item"].max() <= 400
    assert not table.select("user", "item").is_duplicated().any()
    assert table.equals(table.sort("user", "timestamp", "item"))
    assert table["rating"].is_in([n / 2 for n in range(1, 11)]).all()


def test_every_user_has_as_many_rows_as_planned(table: pl.DataFrame) -> None:
    lengths = shape(SyntheticConfig(**SMALL)).lengths
    assert table.group_by("user").len().sort("user")["len"].to_list() == lengths.tolist()
    assert lengths.min() >= 20


def test_items_are_long_tailed_and_seconds_are_shared(table: pl.DataFrame) -> None:
    counts = np.sort(table.group_by("item").len()["len"].to_numpy())[::-1]
    assert counts[:40].sum() > 0.2 * table.height  # a tenth of the items, more than a fifth of the rows
    shared = table.select(pl.struct("user", "timestamp").is_duplicated().mean()).item()
    assert 0.2 < shared < 0.8


@pytest.mark.parametrize("follow", [0.0, 0.5, 1.0])
def test_the_next_item_follows_in_the_share_that_was_asked_for(follow: float) -> None:
    config = SyntheticConfig(users=200, items=5_000, interactions=6_000, follow=follow)
    successor = shape(config).successor()
    rows = generate(config).with_columns(pl.struct("user", "timestamp").is_duplicated().alias("tied"))
    rows = rows.with_columns(pl.col("item", "tied").shift().over("user").name.suffix("_before"))
    # Rows that share a second are ordered by item, so only neighbours without such company tell.
    rows = rows.filter(~pl.col("tied") & ~pl.col("tied_before"))
    right = successor[rows["item_before"].to_numpy() - 1] == rows["item"].to_numpy() - 1
    assert abs(right.mean() - follow) < 0.05


def test_the_seed_alone_decides(table: pl.DataFrame) -> None:
    assert table.equals(generate(SyntheticConfig(**SMALL)))
    assert not table.equals(generate(SyntheticConfig(**SMALL, seed=1)))


def test_text_ids_name_the_same_rows(table: pl.DataFrame) -> None:
    texts = generate(SyntheticConfig(**SMALL, ids="texts"))
    numbers = texts.with_columns(pl.col("user", "item").str.slice(1).cast(pl.Int64))
    assert numbers.sort("user", "timestamp", "item").equals(table)


def test_the_command_writes_the_table_that_the_scorer_reads(tmp_path: Path, run, refused) -> None:
    target = tmp_path / "s.parquet"
    done = run("bench.synthetic", "--users=50", "--items=100", "--interactions=2000", f"--output={target}")
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(target).columns == ["user", "item", "timestamp", "rating"]
    refused(run("bench.synthetic", "--follow=1.5", f"--output={tmp_path / 'x.parquet'}"), "--follow 1.5 is above 1")
    assert not (tmp_path / "x.parquet").exists()


def test_it_replaces_no_table_of_real_events(tmp_path: Path, artifacts: Path, run, refused) -> None:
    shop = tmp_path / "interactions.parquet"
    shutil.copy(artifacts / "interactions.parquet", shop)
    before = shop.read_bytes()
    refused(run("bench.synthetic", f"--output={shop}"), "exists and is no synthetic table, but ratings.csv")
    assert shop.read_bytes() == before
