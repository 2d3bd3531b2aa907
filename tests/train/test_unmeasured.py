"""Tables that hold little or nothing out go all the way: trained, exported and scored, and nothing is made up."""

import json
import math
from pathlib import Path

import polars as pl
import pytest

from infer.model.session import open_model
from tests.helpers.checkerboard import checkerboard
from train.saved import checkpoint

FAST = ("--epochs=2", "--dim=8", "--max-length=6", "--feedforward=8", "--negatives=8", "--chain=3")
KINDS = {
    "mf": ("--dim=8",),
    "mf-ratings": ("--objective=ratings", "--dim=8", "--epochs=2"),
    "bert": (*FAST, "--patience=1"),
    "hybrid": (*FAST, "--average=0", "--patience=0", "--ratings=weight"),
    "ease": (),
    "markov": (),
    "content": (),
}
MEASURES = ["validation_loss", "validation_hit_at_10", "validation_ndcg_at_10"]


@pytest.fixture(scope="module")
def folder(ratings_csv: Path, run, tmp_path_factory) -> Path:
    """The checkerboard with nothing held out, and every kind of model of it."""
    folder = tmp_path_factory.mktemp("unmeasured")
    items = f"--items={ratings_csv.with_name('items.csv')}"
    done = run("train.data", f"--dataset={ratings_csv}", items, f"--artifacts={folder}", "--split=none")
    assert done.returncode == 0, done.stderr
    for name, words in KINDS.items():
        done = run("train", name.partition("-")[0], f"--artifacts={folder}", f"--name={name}", *words)
        assert done.returncode == 0, done.stderr
        (folder / f"{name}.said").write_text(done.stdout)
    done = run("export", *KINDS, f"--artifacts={folder}")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_trained_exported_and_scored_without_measures(name: str, folder: Path, run) -> None:
    history = pl.read_parquet(folder / f"{name}.history.parquet")
    assert history.select(MEASURES).null_count().row(0) == (history.height,) * 3
    assert history.select(MEASURES).dtypes == [pl.Float64] * 3
    state = checkpoint.read(folder / f"{name}.pt", "")
    assert state["best"]["epoch"] == history.height and len(state["user_ids"]) == 40
    metadata = open_model(folder / f"{name}.onnx").metadata
    assert metadata.metrics == {"epoch": history.height, **dict.fromkeys(MEASURES)}
    assert "NaN" not in json.dumps([metadata.metrics, metadata.parity])
    # Every item is common here, so that content has no neighbours and all lists are the popular one.
    said = ["--max-popular=1"] if name == "content" else []
    done = run("infer.batch", f"--model={folder / name}.onnx", *said)
    assert done.returncode == 0, done.stderr
    lists = pl.read_parquet(folder / f"{name}.topk.parquet")
    assert lists["score"].is_finite().all() and lists["user"].n_unique() == 40
    assert not (folder / f"{name}.metrics.json").exists(), "nothing can be measured"


def test_what_is_kept_is_said_in_one_line(folder: Path) -> None:
    said = {name: (folder / f"{name}.said").read_text().splitlines() for name in KINDS}
    none = "nothing is held out for validation, so nothing is measured"
    assert f"{none}: all 2 epochs are trained whatever --patience 1, and the averaged weights are kept" in said["bert"]
    assert f"{none}: all 2 epochs are trained, and the last weights are kept" in said["hybrid"]
    assert none in said["ease"] and none in said["mf"]
    (line,) = (line for line in said["ease"] if line.startswith("epoch"))
    assert "hit@10      -    ndcg@10      -    " in line
    assert said["bert"][-1] == f"-> {folder / 'bert.pt'}"


def test_members_cannot_be_weighed_and_a_cheaper_file_is_written_only_if_any_loss_is_allowed(
    folder: Path, run, refused
) -> None:
    refused(run("train", "best", f"--artifacts={folder}", "--members=ease,markov"), "ratings.csv holds nothing out for")
    int8 = ("export", "mf", f"--artifacts={folder}", "--precision=int8")
    refused(run(*int8), "holds nothing out for validation, so its loss cannot be measured")
    assert not (folder / "mf.int8.onnx").exists()
    done = run(*int8, "--largest-loss=1")
    assert done.returncode == 0 and "; nothing is held out, so what NDCG@10 loses is not measured, " in done.stdout
    assert set(open_model(folder / "mf.int8.onnx").metadata.parity) >= {"overlap@10", "size"}


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([(user, user + n, n) for user in range(6) for n in range(2)], id="two interactions a user"),
        pytest.param([(1, item, item) for item in range(5)], id="one user, who is measured"),
        pytest.param([(1, item, item) for item in range(3)] + [(2, 0, 0), (3, 1, 1)], id="one user of three measured"),
    ],
)
def test_small_tables_work(rows: list[tuple], run, tmp_path: Path) -> None:
    table = pl.DataFrame(rows, schema=["user", "item", "timestamp"], orient="row")
    table.write_csv(tmp_path / "small.csv")
    done = run("train.data", f"--dataset={tmp_path / 'small.csv'}", f"--artifacts={tmp_path}")
    assert done.returncode == 0, done.stderr
    for kind, words in {"mf": ("--dim=4",), "bert": FAST, "hybrid": FAST, "markov": (), "ease": ()}.items():
        done = run("train", kind, f"--artifacts={tmp_path}", *words)
        assert done.returncode == 0, done.stderr
        losses = pl.read_parquet(tmp_path / f"{kind}.history.parquet").select(pl.col(pl.Float64)).row(-1)
        assert all(value is None or math.isfinite(value) for value in losses)
        if kind == "bert":  # the encoder of hybrid, whose graph is exported with it
            continue
        done = run("export", kind, f"--artifacts={tmp_path}")
        assert done.returncode == 0, done.stderr
        # Lists of so few items are those of popularity, which the gate holds back.
        done = run("infer.batch", f"--model={tmp_path / kind}.onnx", "--accept")
        assert done.returncode == 0, done.stderr


def test_users_who_are_held_out_whole_are_scored_by_what_reads_histories_and_cold_to_mf(run, tmp_path: Path) -> None:
    checkerboard().write_csv(tmp_path / "r.csv")
    words = ("--split=users", "--test-share=0.2", "--validation-share=0.1")
    done = run("train.data", f"--dataset={tmp_path / 'r.csv'}", f"--artifacts={tmp_path}", *words)
    assert done.returncode == 0, done.stderr
    table = pl.read_parquet(tmp_path / "interactions.parquet")
    trained = table.filter(pl.col("split") == "train")["user"].unique().to_list()
    assert len(trained) == 28
    found = {}
    for kind, options in {"mf": ("--dim=4",), "markov": ()}.items():
        for command in (("train", kind, *options), ("export", kind)):
            done = run(*command, f"--artifacts={tmp_path}")
            assert done.returncode == 0, done.stderr
        done = run("infer.batch", f"--model={tmp_path / kind}.onnx")
        assert done.returncode == 0, done.stderr
        history = pl.read_parquet(tmp_path / f"{kind}.history.parquet")
        found[kind] = history["validation_hit_at_10"][0]
    assert sorted(open_model(tmp_path / "mf.onnx").metadata.user_ids) == trained
    assert found["mf"] == 0 and found["markov"] > 0
