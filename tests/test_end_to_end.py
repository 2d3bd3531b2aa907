"""The real commands, as a newcomer types them, from ratings to lists and metrics."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from tests.helpers.checkerboard import ROOT
from tests.helpers.documents import recipe


@pytest.fixture(scope="module")
def made(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `just train-all` leaves, to be changed."""
    return shutil.copytree(films, tmp_path_factory.mktemp("project") / "clone", symlinks=True)


def test_one_command_makes_three_models_lists_and_metrics(made: Path) -> None:
    for kind in ("mf", "bert", "hybrid"):
        for suffix in (".onnx", ".topk.parquet", ".metrics.json", ".history.parquet"):
            assert (made / "artifacts" / f"{kind}{suffix}").exists()
    printed = (made / "train-all.txt").read_text()
    last = printed[printed.rindex("ml-latest-small: 150 users") :]
    header = last.splitlines()[1].split()
    assert header == ["random", "popularity", "bert", "hybrid", "mf"]
    assert [line.split()[0] for line in last.splitlines()[2:4]] == ["hit@10", "ndcg@10"]


def test_lists_cover_every_user_and_hold_nothing_they_have_seen(made: Path) -> None:
    table = pl.read_parquet(made / "artifacts" / "interactions.parquet")
    seen = table.filter(pl.col("split") != "test")
    for kind in ("mf", "bert", "hybrid"):
        lists = pl.read_parquet(made / "artifacts" / f"{kind}.topk.parquet")
        assert lists.columns == ["user", "rank", "item", "score"]
        assert lists.group_by("user").len()["len"].to_list() == [10] * 150
        assert lists.join(seen, on=["user", "item"]).is_empty()
        assert lists.select("user", "item").is_duplicated().sum() == 0


def test_the_readme_command_works_as_typed_and_twice_gives_the_same_bytes(made: Path, typed) -> None:
    lists = made / "artifacts" / "hybrid.topk.parquet"
    first = {part.name: part.read_bytes() for part in lists.iterdir()}
    lists.unlink()
    done = typed("infer.batch", "--model", "hybrid.onnx", cwd=made)
    assert done.returncode == 0, done.stderr
    assert list(first) == ["part-00000.parquet"]
    assert {part.name: part.read_bytes() for part in lists.iterdir()} == first


def test_matrix_factorization_learns_the_checkerboard(artifacts: Path, run, tmp_path: Path) -> None:
    # Even users love even items, so their best unseen items are even, and the other way round.
    output = tmp_path / "lists.parquet"
    assert run("infer.batch", f"--model={artifacts / 'mf.onnx'}", "--k=3", f"--output={output}").returncode == 0
    lists = pl.read_parquet(output)
    right = lists.select(((pl.col("user") - 101) % 2 == (pl.col("item") - 1001) % 2).mean()).item()
    assert right > 0.9


def test_scoring_imports_no_torch(made: Path) -> None:
    script = (
        "import runpy, sys\n"
        "for name in ('infer.batch', 'infer.evaluate', 'infer.recommend', 'infer.compare'):\n"
        "    sys.argv = {'infer.batch': ['b', '--model=hybrid.onnx'],\n"
        "        'infer.evaluate': ['e', '--model=hybrid.onnx', '--negatives=3'],\n"
        "        'infer.recommend': ['r', '--model=hybrid.onnx', '--user=101'], 'infer.compare': ['c']}[name]\n"
        "    try:\n"
        "        runpy.run_module(name, run_name='__main__')\n"
        "    except SystemExit as done:\n"
        "        assert done.code == 0, done.code\n"
        "loaded = {name.split('.')[0] for name in sys.modules} & {'torch', 'onnxscript', 'scipy', 'train', 'export'}\n"
        "print('LOADED', sorted(loaded))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=made,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_a_recommendation_shows_films_genres_scores_and_the_held_out_item(artifacts: Path, run) -> None:
    done = run("infer.recommend", f"--model={artifacts / 'hybrid.onnx'}", "--user=101", "--k=3")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("user 101, the latest of ")
    shown = lines[lines.index("") + 2 :]
    assert shown[0].startswith("hybrid.onnx     1 ") and len([line for line in shown if "Film 10" in line]) == 3
    assert all("War" in line or "Comedy|Drama" in line for line in shown if "Film 10" in line)
    table = pl.read_parquet(artifacts / "interactions.parquet")
    held = table.filter((pl.col("user") == 101) & (pl.col("split") == "test"))["item"][0]
    [told] = [line for line in lines if line.startswith("held out: ")]
    assert told.startswith(f"held out: Film {held} (1999)") and "rank" in told


def test_new_interactions_are_scored_whole(artifacts: Path, run, tmp_path: Path) -> None:
    table = tmp_path / "tonight.csv"
    table.write_text("person,film,when\nnew,1001,1\nnew,1003,2\nother,9999,3\n")
    columns = ["--user-column=person", "--item-column=film", "--timestamp-column=when"]
    output = tmp_path / "lists.parquet"
    words = [f"--model={artifacts / 'bert.onnx'}", f"--interactions={table}", f"--output={output}", *columns]
    done = run("infer.batch", *words)
    assert done.returncode == 0, done.stderr
    assert "left out: 1 of 2 users" in done.stdout and "1 interactions with items" in done.stdout
    assert "no metrics" in done.stdout
    lists = pl.read_parquet(output)
    assert lists["user"].unique().to_list() == ["new"] and not {1001, 1003} & set(lists["item"])


def test_a_recipe_hands_its_options_to_the_stages_that_have_them(tmp_path: Path) -> None:
    told = recipe(["just", "artifacts=a", "seed=1", "train-all", "preset=paper", "dataset=ml-1m"], tmp_path)
    assert [words[2:] for words in told[:5]] == [
        ["train.data", "--artifacts=a", "dataset=ml-1m"],
        ["train", "mf", "--artifacts=a", "--seed=1", "preset=paper"],
        ["train", "bert", "--artifacts=a", "--seed=1", "preset=paper"],
        ["train", "hybrid", "--artifacts=a", "--seed=1", "preset=paper"],
        ["export", "--artifacts=a"],
    ]


def test_on_real_ratings_the_numbers_are_those_of_the_field(request, run, tmp_path: Path) -> None:
    """Of the paper's models, the hybrid after a few epochs."""
    data = request.config.getoption("--data-dir")
    if not data:
        pytest.skip("no --data-dir or $RECOMMENDER_DATA with ml-latest-small")
    for words in (
        ("train.data", "--dataset=ml-latest-small"),
        ("train", "mf", "--preset=paper"),
        ("train", "hybrid", "--preset=paper", "--epochs=5"),
        ("export", "hybrid"),
    ):
        done = run(*words, f"--artifacts={tmp_path}", RECOMMENDER_DATA=data)
        assert done.returncode == 0, done.stderr
    assert run("infer.batch", f"--model={tmp_path / 'hybrid.onnx'}").returncode == 0
    metrics = json.loads((tmp_path / "hybrid.metrics.json").read_text())["metrics"]
    # Popularity is a fixed fact of the data set and the protocol; the models vary by seed and machine.
    assert metrics["popularity"]["hit@10"]["value"] == pytest.approx(26 / 610)
    assert metrics["random"]["hit@10"]["value"] < 0.01
    assert 0.005 < metrics["hybrid"]["hit@10"]["value"] < 0.06
    history = pl.read_parquet(tmp_path / "mf.history.parquet")
    assert history["train_loss"].is_sorted(descending=True) and history["validation_loss"][-1] < 1.6
