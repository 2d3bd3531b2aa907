"""Where seen items are kept, a target that was bought before can be found; else it is a miss, as in lists."""

import json
from pathlib import Path

import polars as pl
import pytest
import torch

from infer.tables.columns import RULES_KEY
from train.data.dataset import load
from train.data.prepare import DataConfig, prepare
from train.loop.validation import target_ranks

# Each buys milk (1) again and again; of b the last but one is new (4).
ROWS = [("a", i, t) for t, i in enumerate([1, 2, 1, 3, 1, 2])] + [("b", i, t) for t, i in enumerate([1, 2, 1, 4, 1])]


def prepared(folder: Path, **options: str) -> Path:
    table = folder / "shop.csv"
    pl.DataFrame(ROWS, schema=["user", "item", "timestamp"], orient="row").write_csv(table)
    prepare(DataConfig(dataset=str(table), artifacts=folder, repeats="keep", **options))
    return folder


@pytest.mark.parametrize(("seen", "ranks"), [("keep", [1, 4]), ("drop", [15, 2])])
def test_the_rank_of_a_target_that_was_bought_before(tmp_path: Path, seen: str, ranks: list[int]) -> None:
    data = load(prepared(tmp_path, seen=seen))
    assert data.item_ids == [1, 2, 3, 4] and data.targets.tolist() == [1, 4]
    # 1 before 2, 3 and 4. Of a 1, 2 and 3 are seen, and of b 1 and 2: where these are dropped, 4 comes after 3, and 1
    # is in no list, however long.
    scores = torch.tensor([[9.0, 4, 3, 2, 1]]).repeat(2, 1)
    found = target_ranks(scores, data, torch.tensor([0, 1])).tolist()
    assert found == ranks


def test_the_choice_is_a_rule_that_travels_with_the_table_and_needs_repeats(tmp_path: Path, run, refused) -> None:
    folder = prepared(tmp_path, seen="keep")
    rules = json.loads(pl.read_parquet_metadata(folder / "interactions.parquet")[RULES_KEY])
    assert rules == {"repeats": "keep", "seen": "keep"} == load(folder).rules
    prepared(tmp_path, seen="drop")
    assert load(folder).rules == {"repeats": "keep"}
    done = run("train.data", f"--dataset={folder / 'shop.csv'}", "--seen=keep", f"--artifacts={folder}")
    refused(done, "--seen=keep needs --repeats=keep")
    assert load(folder).rules == {"repeats": "keep"}, "nothing was lost"
