"""What searches found and spent, in the study: which models it makes of them, and what it refuses."""

import json
from pathlib import Path
from subprocess import CompletedProcess

import polars as pl
import pytest

from bench.study.datasets import DataSet
from bench.study.experiments import EXPERIMENTS
from bench.study.page.answers import answers_effort
from bench.study.page.shown import effort
from bench.study.tuning import tuning, with_options
from infer.errors import InputError
from infer.tables.columns import INTERACTIONS_FILE

TUNED = [e for e in EXPERIMENTS if e.tuned]
QUICK = ("--seeds=1", "--workers=1", "--negatives=3")


@pytest.fixture(scope="module")
def searches(artifacts: Path, tmp_path_factory, run) -> Path:
    """Two searches on the checkerboard, of two and three trials."""
    folder = tmp_path_factory.mktemp("searches")
    for name in (INTERACTIONS_FILE, "items.parquet"):
        (folder / name).write_bytes((artifacts / name).read_bytes())
    for kind, trials in (("knn", 3), ("markov", 2)):
        done = run("train", "tune", kind, f"--trials={trials}", f"--artifacts={folder}", "--max-length=7")
        assert done.returncode == 0, done.stderr
    return folder


def test_tuned_models_have_what_the_search_found(searches: Path) -> None:
    found = with_options(TUNED, DataSet("x", searches), searches)
    assert [e.name for e in found] == ["knn-tuned", "markov-tuned"], "what was not tuned is left out"
    said = json.loads((searches / "knn.tuned.json").read_text())["options"]
    assert found[0].changes == said and said["max_length"] == 7
    assert with_options(TUNED, DataSet("x", searches), None) == []


def test_every_trial_is_told_and_whether_the_effort_is_the_same(searches: Path) -> None:
    found = with_options(TUNED, DataSet("x", searches), searches)
    table = tuning(found, searches)
    assert table.select("experiment", "trial").rows() == [
        *(("knn-tuned", n) for n in (1, 2, 3)),
        *(("markov-tuned", n) for n in (1, 2)),
    ]
    kept = pl.read_parquet(searches / "knn.trials.parquet")
    assert table["value"].to_list()[:3] == kept["validation_ndcg_at_10"].to_list()
    assert json.loads(table["options"][1]) == kept.select("decay", "neighbours").row(1, named=True)
    assert json.loads(table["given"][0]) == {"max_length": "7"}
    placed = {"tuning": table.with_columns(pl.lit("x").alias("data")), "differences": pl.DataFrame({"data": ["x"]})}
    told = answers_effort(placed)
    assert told[0] == (
        "The effort is not the same, so these models cannot be compared as tuned: trials are 2 for Markov, tuned; "
        "3 for item-kNN, tuned."
    )
    same = placed | {"tuning": placed["tuning"].filter(pl.col("trial") < 3)}
    assert answers_effort(same)[0].startswith("The effort is the same: 2 trials for each of 2 models, ")
    rows = effort(same)["rows"]
    assert [row[1:3] for row in rows] == [["2", "2 finished"]] * 2
    best = max(kept["validation_ndcg_at_10"][:2])
    assert rows[0][-1] == f"{100 * best:.2f}"
    assert answers_effort(placed | {"tuning": table.clear().with_columns(pl.lit("x").alias("data"))}) == []
    assert answers_effort({"differences": placed["differences"]}) == [], "a record from before"


def test_a_study_compares_what_was_tuned_and_refuses_what_was_not(
    searches: Path, artifacts: Path, tmp_path: Path, typed, refused
) -> None:
    def studied(output: str, *words: str) -> CompletedProcess:
        return typed("bench.study", f"--artifacts={artifacts}", f"--output={tmp_path / output}", *QUICK, *words)

    done = studied("s", "--only=knn,knn-tuned", f"--record={tmp_path / 'kept'}", f"--tuned={searches}")
    assert done.returncode == 0, done.stderr
    marker = next((tmp_path / "s").rglob("knn-tuned.trial.json"))
    said = json.loads((searches / "knn.tuned.json").read_text())["options"]
    config = json.loads(marker.read_text())["provenance"]["config"]
    assert {name: config[name] for name in said} == said
    assert pl.read_parquet(tmp_path / "kept" / "tuning.parquet").height == 3
    assert "Is the effort the same?" in (tmp_path / "s" / "study.html").read_text()
    refused(studied("t", "--only=knn-tuned"), "give its folder as --tuned")
    refused(studied("t", f"--tuned={tmp_path}"), "has no NAME.tuned.json")
    refused(studied("t", f"--tuned={searches},{searches}"), "one folder for each of --artifacts")
    assert not (tmp_path / "t").exists()


def test_a_search_on_other_data_is_refused(searches: Path, tmp_path: Path) -> None:
    table = pl.read_parquet(searches / INTERACTIONS_FILE)
    table.head(table.height - 1).write_parquet(tmp_path / INTERACTIONS_FILE)
    with pytest.raises(InputError, match="was found on other data"):
        with_options(TUNED, DataSet("x", tmp_path), searches)
    (tmp_path / "knn.tuned.json").write_text("{}")
    with pytest.raises(InputError, match=r"knn\.trials\.parquet does not exist"):
        with_options(TUNED, DataSet("x", searches), tmp_path)
