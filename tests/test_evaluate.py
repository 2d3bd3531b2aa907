"""Evaluation under every protocol: ranks against the lists, negatives that fit, cohorts by hand, bad input."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from infer.cohorts import cohort, cohort_metrics
from infer.metrics import wilson


@pytest.fixture(scope="module")
def folder(artifacts: Path, run, tmp_path_factory) -> Path:
    """Two models evaluated, the second with the negatives of the first."""
    folder = tmp_path_factory.mktemp("evaluated")
    for name in ("interactions.parquet", "mf.onnx", "hybrid.onnx"):
        shutil.copy(artifacts / name, folder)
    done = run("infer.evaluate", f"--model={folder / 'hybrid.onnx'}", "--negatives=3")
    assert done.returncode == 0, done.stderr
    words = (f"--model={folder / 'mf.onnx'}", f"--negatives-file={folder / 'hybrid.negatives.parquet'}")
    assert run("infer.evaluate", *words).returncode == 0
    return folder


def test_the_full_rank_is_the_place_in_the_list(folder: Path, run) -> None:
    ranks = pl.read_parquet(folder / "hybrid.ranks.parquet")
    output = folder / "all.topk.parquet"
    words = (f"--model={folder / 'hybrid.onnx'}", "--k=99", f"--output={output}", "--batch-size=7")
    assert run("infer.batch", *words).returncode == 0
    lists = pl.read_parquet(output)
    joined = ranks.join(lists, on=["user", "item"], how="left", suffix="_list")
    assert joined["rank_list"].null_count() == 0 and (joined["rank"] == joined["rank_list"]).all()


def test_ranks_among_negatives_follow_from_the_lists(folder: Path) -> None:
    ranks = pl.read_parquet(folder / "hybrid.ranks.parquet")
    negatives = pl.read_parquet(folder / "hybrid.negatives.parquet")
    lists = pl.read_parquet(folder / "all.topk.parquet") if (folder / "all.topk.parquet").exists() else None
    if lists is None:
        pytest.fail("the test above writes the lists")
    placed = negatives.join(lists, on=["user", "item"]).join(ranks, on="user")
    ahead = placed.group_by("user", "protocol").agg((pl.col("rank") < pl.col("rank_right")).sum() + 1)
    for protocol in ("uniform", "popularity"):
        mine = ahead.filter(pl.col("protocol") == protocol).sort("user")["rank"]
        assert mine.to_list() == ranks.sort("user")[f"rank_{protocol}"].to_list()


def test_counts_and_lengths_are_those_of_the_histories(folder: Path) -> None:
    table = pl.read_parquet(folder / "interactions.parquet").filter(pl.col("split") != "test")
    ranks = pl.read_parquet(folder / "hybrid.ranks.parquet")
    counts = dict(table.group_by("item").len().iter_rows())
    lengths = dict(table.group_by("user").len().iter_rows())
    assert ranks["target_count"].to_list() == [counts.get(item, 0) for item in ranks["item"]]
    assert ranks["history_length"].to_list() == [lengths[user] for user in ranks["user"]]


def test_the_report_says_everything(folder: Path) -> None:
    report = json.loads((folder / "mf.evaluation.json").read_text())
    ranks = pl.read_parquet(folder / "mf.ranks.parquet")
    assert report["protocols"]["full"]["hit@10"]["value"] == pytest.approx((ranks["rank"] <= 10).mean())
    assert report["protocols"]["uniform"]["mrr"]["value"] == pytest.approx((1 / ranks["rank_uniform"]).mean())
    assert report["protocols"]["uniform"]["hit@5"]["value"] == 1.0, "three negatives and the target"
    assert report["negatives"] == {"uniform": 3, "popularity": 3}
    assert report["protocol"].startswith("leave-one-out, ties in time ordered by item id; test items")
    assert not (folder / "mf.negatives.parquet").exists(), "those of the first model are used"


def test_cohorts_by_hand() -> None:
    names = pl.DataFrame({"target_count": [0, 1, 5, 6, 20, 21]}).select(cohort("target_count"))
    assert names.to_series().to_list() == ["0", "1-5", "1-5", "6-20", "6-20", ">20"]
    ranks = pl.DataFrame(
        {"rank": [1, None, 50], "target_count": [0, 0, 30], "history_length": [3, 90, 300]},
        schema_overrides={"rank": pl.Int64},
    )
    found = cohort_metrics(ranks)
    row = found.row(by_predicate=(pl.col("cohort") == "0") & (pl.col("metric") == "hit@10"), named=True)
    low, high = wilson(0.5, 2)
    assert row == {
        "by": "target_count",
        "cohort": "0",
        "users": 2,
        "metric": "hit@10",
        "value": 0.5,
        "low": low,
        "high": high,
    }
    assert found.filter(pl.col("cohort") == ">20", pl.col("metric") == "hit@100")["value"].to_list() == [1.0]
    assert found.filter(pl.col("by") == "history_length")["cohort"].unique(maintain_order=True).to_list() == [
        "0-5",
        "71-170",
        ">170",
    ]


def test_negatives_that_do_not_fit_are_refused(folder: Path, run, refused, tmp_path: Path) -> None:
    whole = pl.read_parquet(folder / "hybrid.negatives.parquet")
    table = pl.read_parquet(folder / "interactions.parquet")
    seen = table.filter(pl.col("split") == "train").group_by("user").agg(pl.col("item").first())
    damaged = {
        "user.parquet": (whole.filter(pl.col("user") != whole["user"][0]), "other users or items"),
        "item.parquet": (whole.with_columns(item=pl.lit(7, dtype=pl.Int64)), "other users or items"),
        "seen.parquet": (whole.drop("item").join(seen, on="user").select(whole.columns), "are seen items or repeat"),
        "text.parquet": (whole.cast({"user": pl.String}), "other ids than"),
        "column.parquet": (whole.rename({"item": "film"}), "holds no negatives"),
    }
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    for name, (content, message) in damaged.items():
        content.write_parquet(tmp_path / name)
        words = (f"--model={folder / 'hybrid.onnx'}", f"--negatives-file={tmp_path / name}")
        refused(run("infer.evaluate", *words), message)
    refused(run("infer.evaluate", f"--model={folder / 'hybrid.onnx'}", "--negatives=99"), "--negatives 99: only")
    table.drop("split").write_parquet(tmp_path / "plain.parquet")
    words = (f"--model={folder / 'hybrid.onnx'}", f"--interactions={tmp_path / 'plain.parquet'}")
    refused(run("infer.evaluate", *words), "carries no held-out items")
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} == before


def test_evaluating_again_gives_the_same_bytes_and_another_seed_others(folder: Path, run) -> None:
    names = ("hybrid.ranks.parquet", "hybrid.negatives.parquet", "hybrid.evaluation.json")
    before = [(folder / name).read_bytes() for name in names]
    assert run("infer.evaluate", f"--model={folder / 'hybrid.onnx'}", "--negatives=3").returncode == 0
    assert [(folder / name).read_bytes() for name in names] == before
    assert run("infer.evaluate", f"--model={folder / 'hybrid.onnx'}", "--negatives=3", "--seed=1").returncode == 0
    assert (folder / "hybrid.negatives.parquet").read_bytes() != before[1]


def test_a_user_the_model_does_not_know_is_a_miss(folder: Path, run, tmp_path: Path) -> None:
    table = pl.read_parquet(folder / "interactions.parquet")
    stranger = table.filter(pl.col("user") == table["user"][0]).with_columns(user=pl.lit(7, dtype=pl.Int64))
    pl.concat([table, stranger]).write_parquet(tmp_path / "t.parquet")
    shutil.copy(folder / "mf.onnx", tmp_path)
    words = (f"--model={tmp_path / 'mf.onnx'}", f"--interactions={tmp_path / 't.parquet'}", "--negatives=3")
    assert run("infer.evaluate", *words).returncode == 0
    ranks = pl.read_parquet(tmp_path / "mf.ranks.parquet").filter(pl.col("user") == 7)
    assert ranks.select("rank", "rank_uniform", "rank_popularity").row(0) == (None, None, None)
    assert np.isfinite(ranks["target_count"][0])
