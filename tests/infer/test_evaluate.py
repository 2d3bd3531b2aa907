"""Evaluation under every protocol: ranks against the lists, negatives that fit, cohorts by hand, bad input."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from infer import evaluate
from infer.errors import InputError
from infer.evaluate import EvaluateConfig
from infer.metrics.cohorts import EDGES, METRICS, cohort, cohort_metrics
from infer.metrics.intervals import wilson
from infer.scoring import evaluation
from infer.scoring.task import prepare
from tests.helpers.checkerboard import HANGS, ROOT
from tests.helpers.markov import write_model

# Row: newest item (pad, a to f). Column: the item scored (pad, a to f).
NEXT = np.array(
    [
        [9, 0, 0, 0, 0, 0, 0],
        [9, 5, 4, 3, 2, 1, 0],
        [9, 0, 0, 1, 2, 3, 4],
        [9, 1, 2, 3, 4, 5, 6],
        [9, 0, 0, 0, 0, 0, 0],
        [9, 7, 7, 7, 7, 7, 7],
        [9, 0, 0, 0, 0, 0, 0],
    ]
)
SPLITS = ("train", "train", "validation", "test")


@pytest.fixture
def by_hand(tmp_path: Path) -> Path:
    """A model and its table: three users with a held-out item each in both splits; f is only ever a test item."""
    users = {"u1": "abcd", "u2": "beac", "u3": "dbaf"}
    rows = [(u, i, t, SPLITS[t]) for u, items in users.items() for t, i in enumerate(items)]
    table = tmp_path / "interactions.parquet"
    pl.DataFrame(rows, schema=["user", "item", "timestamp", "split"], orient="row").write_parquet(table)
    return write_model(tmp_path / "m.onnx", list("abcdef"), NEXT, table)


def evaluated(model: Path, **options) -> tuple[dict, pl.DataFrame]:
    config = EvaluateConfig(model=model, **{"negatives": 1, **options})
    given = config.negatives, config.negatives_file, config.seed, asdict(config)
    _, report = evaluation.evaluate_model(prepare(config.job()), *given)
    return report, pl.read_parquet(model.with_suffix(".ranks.parquet"))


def test_ranks_of_the_test_items_by_hand(by_hand: Path) -> None:
    # u1 reads a b c: f e d are left. u2 reads b e a: c d f. u3 reads d b a: c e f.
    report, ranks = evaluated(by_hand)
    assert ranks.columns[:3] == ["user", "item", "rank"]
    assert ranks.select("user", "item", "rank", "target_count", "history_length").rows() == [
        ("u1", "d", 3, 1, 3),
        ("u2", "c", 1, 1, 3),
        ("u3", "f", 3, 0, 3),
    ]
    # The one item that popularity can draw: e for u1, d for u2; c or e, both better than f, for u3.
    assert ranks["rank_popularity"].to_list() == ranks["rank_uniform"].to_list() == [2, 1, 2]
    full = report["protocols"]["full"]
    assert list(full) == [*(f"{name}@{k}" for k in (1, 5, 10, 100) for name in ("hit", "ndcg")), "mrr"]
    assert full["hit@1"]["value"] == pytest.approx(1 / 3) and full["hit@5"]["value"] == 1
    assert full["ndcg@5"]["value"] == pytest.approx(2 / 3) and full["mrr"]["value"] == pytest.approx(5 / 9)
    assert report["protocols"]["uniform"]["mrr"]["value"] == pytest.approx(2 / 3)
    assert "test items, full ranking of 6 items, seen items dropped" in report["protocol"]
    assert report["users_measured"] == 3 and report["options"]["negatives"] == 1
    saved = pl.read_parquet(by_hand.with_suffix(".negatives.parquet")).filter(pl.col("protocol") == "popularity")
    assert saved.rows()[:2] == [("popularity", "u1", "e"), ("popularity", "u2", "d")]


def test_ranks_of_the_validation_items_by_hand(by_hand: Path) -> None:
    # u1 reads a b: f e d c. u2 reads b e: a c d f tie. u3 reads d b: f e c a.
    report, ranks = evaluated(by_hand, split="validation")
    assert ranks.select("user", "item", "rank", "target_count", "history_length").rows() == [
        ("u1", "c", 4, 0, 2),
        ("u2", "a", 1, 1, 2),
        ("u3", "a", 4, 1, 2),
    ]
    assert "validation items" in report["protocol"]


def test_an_item_that_is_only_held_out_is_not_popular(by_hand: Path) -> None:
    with pytest.raises(InputError, match=r"--negatives 2: only 1 items can be drawn for user u1 \(popularity\)"):
        evaluated(by_hand, negatives=2)


def test_a_shop_of_few_items_is_measured_without_sampled_negatives(by_hand: Path, capsys) -> None:
    assert evaluate.main([f"--model={by_hand}"]) is None
    printed = capsys.readouterr().out
    said = "without 100 sampled negatives: only 2 items can be drawn for user u1 (uniform)"
    assert (
        f"measured among all items alone, {said}" in printed
        and "every unseen item" in printed
        and "uniform negatives" not in printed
    )
    report = json.loads(by_hand.with_suffix(".evaluation.json").read_text())
    assert list(report["protocols"]) == ["full"] and report["negatives"] == {} and not report["negatives_checksum"]
    assert "rank_uniform" not in pl.read_parquet(by_hand.with_suffix(".ranks.parquet")).columns
    assert not by_hand.with_suffix(".negatives.parquet").exists()
    with pytest.raises(InputError, match="--negatives 100: only 2 items"):
        evaluated(by_hand, negatives=100)
    strange = by_hand.with_suffix(".negatives.parquet")
    pl.DataFrame({"a": [1]}).write_parquet(strange)  # where nothing would be written
    evaluate.main([f"--model={by_hand}"])
    with pytest.raises(InputError, match=r"negatives\.parquet exists and was not written by this project"):
        evaluated(by_hand, negatives=1)
    assert pl.read_parquet(strange).columns == ["a"]


def test_saved_negatives_give_the_ranks_that_they_were_drawn_for(by_hand: Path) -> None:
    _, fresh = evaluated(by_hand, seed=3)
    saved = by_hand.with_suffix(".negatives.parquet").rename(by_hand.with_name("saved.parquet"))
    # The order of users in the file does not matter.
    pl.read_parquet(saved).reverse().write_parquet(saved)
    report, ranks = evaluated(by_hand, negatives_file=saved)
    assert ranks.equals(fresh) and report["negatives"] == {"uniform": 1, "popularity": 1}


def test_scores_are_held_for_a_bounded_number_of_users(by_hand: Path, monkeypatch) -> None:
    assert 4 * evaluation.BUDGET == 64_000_000, "bytes"
    _, whole = evaluated(by_hand)
    sizes, real = [], evaluation._all_scores

    def record(task, rows, personalisable) -> np.ndarray:
        sizes.append(len(rows))
        return real(task, rows, personalisable)

    monkeypatch.setattr(evaluation, "_all_scores", record)
    for budget, expected in ((20, [2, 1]), (6, [1, 1, 1])):
        monkeypatch.setattr(evaluation, "BUDGET", budget)  # a user has seven scores, with padding
        assert evaluated(by_hand)[1].equals(whole) and sizes == expected
        sizes.clear()


def test_a_broken_score_names_whom_it_is_of(by_hand: Path) -> None:
    table = by_hand.with_name("interactions.parquet")
    broken = np.abs(NEXT) + 1.0
    broken[3, 4] = -1  # of d after c, which u1 alone reads last
    write_model(by_hand, list("abcdef"), broken, table, operator="Log")
    with pytest.raises(InputError, match="gives user u1 a NaN or infinite score"):
        evaluated(by_hand)


def test_an_unknown_item_and_a_user_without_a_history_are_misses(by_hand: Path, capsys) -> None:
    table = by_hand.with_name("interactions.parquet")
    rows = pl.read_parquet(table)
    pl.concat([pl.DataFrame([("u0", "a", 0, "test")], rows.schema, orient="row"), rows]).write_parquet(table)
    write_model(by_hand, list("abcdeg"), NEXT, table)  # which does not know f, of u3
    report, ranks = evaluated(by_hand)
    assert ranks["user"].to_list() == ["u0", "u1", "u2", "u3"]
    assert ranks["rank"].is_null().to_list() == [True, False, False, True]
    assert ranks["rank_uniform"].is_null().to_list() == [True, False, False, True]
    assert ranks.select("target_count", "history_length").rows()[::3] == [(3, 0), (0, 3)]
    assert report["users_measured"] == 4 and report["protocols"]["full"]["hit@100"]["value"] == 0.5
    negatives = by_hand.with_suffix(".negatives.parquet")
    assert pl.read_parquet(negatives)["user"].unique().sort().to_list() == ["u1", "u2"]
    saved = negatives.rename(by_hand.with_name("saved.parquet"))
    assert evaluated(by_hand, negatives_file=saved)[1].equals(ranks)
    evaluate.main([f"--model={by_hand}", "--negatives=1"])
    told = "2 held-out items are misses: the model does not know them, or their user has no history"
    assert told in capsys.readouterr().out


def test_the_reciprocal_rank_has_no_cutoff_and_hits_have_theirs() -> None:
    found = evaluation._metrics(pl.DataFrame({"rank": [1, 6, 11, 101, 100_000, None]}))
    values = {name: row["value"] for name, row in found.items()}
    assert values["mrr"] == pytest.approx((1 + 1 / 6 + 1 / 11 + 1 / 101 + 1e-5) / 6)
    assert [values[f"hit@{k}"] for k in (1, 5, 10, 100)] == pytest.approx([1 / 6, 1 / 6, 2 / 6, 3 / 6])
    assert values["ndcg@10"] == pytest.approx((1 + 1 / np.log2(7)) / 6)


def test_the_table_on_screen_has_a_line_for_each_metric_and_cohort(by_hand: Path, capsys) -> None:
    evaluate.main([f"--model={by_hand}", "--negatives=1"])
    printed = capsys.readouterr().out
    lines = {line.split(" %")[0].strip(): line for line in printed.splitlines() if " %" in line}
    assert "m.onnx on by hand: 3 held-out test items, " in printed
    assert "every unseen item" in printed and "1 uniform negatives" in printed and "1 popularity negatives" in printed
    low, high = wilson(1 / 3, 3)
    assert f" 33.33 [{low * 100:.2f}, {high * 100:.2f}]" in lines["hit@1"]
    assert "target count 0" in printed and "history length 0-5" in printed


def test_the_report_comes_last_and_names_the_files_that_belong_to_it(by_hand: Path, monkeypatch) -> None:
    order, replace = [], Path.replace

    def seen(part: Path, target: Path) -> Path:
        order.append(target.name)
        return replace(part, target)

    monkeypatch.setattr(Path, "replace", seen)
    report, _ = evaluated(by_hand)
    assert order == ["m.negatives.parquet", "m.ranks.parquet", "m.evaluation.json"]
    sums = [
        hashlib.sha256(by_hand.with_suffix(f".{n}.parquet").read_bytes()).hexdigest() for n in ("negatives", "ranks")
    ]
    assert [report["negatives_checksum"], report["ranks_checksum"]] == sums
    order.clear()
    again, _ = evaluated(by_hand, negatives_file=by_hand.with_suffix(".negatives.parquet"))
    assert order == ["m.ranks.parquet", "m.evaluation.json"], "negatives that are given stay as they are"
    assert again["negatives_checksum"] == sums[0]


def test_a_report_names_its_own_ranks_though_another_evaluation_ends_at_once(by_hand: Path, monkeypatch) -> None:
    replace, ranks = Path.replace, by_hand.with_suffix(".ranks.parquet")

    def then_another(part: Path, target: Path) -> Path:
        done = replace(part, target)
        if target == ranks:
            monkeypatch.undo()
            evaluated(by_hand, negatives=0)
        return done

    monkeypatch.setattr(Path, "replace", then_another)
    report, _ = evaluated(by_hand)
    assert report == json.loads(by_hand.with_suffix(".evaluation.json").read_text())
    assert report["ranks_checksum"] != hashlib.sha256(ranks.read_bytes()).hexdigest(), "these are the other's"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_output_that_cannot_be_written_costs_no_file(by_hand: Path) -> None:
    # The first user has an item twice, so that there is something to say of the table, too.
    table = pl.read_parquet(by_hand.with_name("interactions.parquet"))
    doubled = by_hand.with_name("doubled.parquet")
    pl.concat([table, table.head(1)]).write_parquet(doubled)
    words = [
        "infer.evaluate",
        f"--model={by_hand}",
        f"--interactions={doubled}",
        "--negatives=1",
        "--split-column=split",
    ]
    with Path("/dev/full").open("w") as full:
        pipes = {"stdout": full, "stderr": subprocess.PIPE, "text": True, "timeout": HANGS}
        variables = os.environ | {"PYTHONUNBUFFERED": "1"}
        done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, env=variables, **pipes)
    assert (done.returncode, done.stderr) == (1, "error: cannot write to standard output: No space left on device\n")
    report = json.loads(by_hand.with_suffix(".evaluation.json").read_text())
    assert report["ranks_checksum"] == hashlib.sha256(by_hand.with_suffix(".ranks.parquet").read_bytes()).hexdigest()


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
    assert EDGES["history_length"] == (5, 20, 70, 170) and METRICS == (("hit", 10), ("ndcg", 10), ("hit", 100))
    lengths = pl.DataFrame({"history_length": [0, 5, 6, 20, 21, 70, 71, 170, 171]}).select(cohort("history_length"))
    assert lengths.to_series().to_list() == [
        *["0-5", "0-5", "6-20", "6-20", "21-70", "21-70", "71-170", "71-170", ">170"]
    ]
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
    assert run("infer.evaluate", *words, "--split-column=split").returncode == 0
    ranks = pl.read_parquet(tmp_path / "mf.ranks.parquet").filter(pl.col("user") == 7)
    assert ranks.select("rank", "rank_uniform", "rank_popularity").row(0) == (None, None, None)
    assert np.isfinite(ranks["target_count"][0])
