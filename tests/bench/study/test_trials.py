"""One trial of the study: what its marker says, which markers are of it, and what an interruption leaves."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from bench.study.caveats import caveats
from bench.study.datasets import DataSet
from bench.study.experiments import EXPERIMENTS
from bench.study.kept import keep, restore
from bench.study.making import make
from bench.study.statistics.costs import costs
from bench.study.statistics.tables import collect
from bench.study.study import Plan
from bench.study.trials import Trial, finished, prepare_folder, read_marker
from infer.errors import InputError
from infer.system.fingerprints import sha256
from train import messages
from train.saved import checkpoint

E = {experiment.name: experiment for experiment in EXPERIMENTS}


@pytest.fixture
def scratch(artifacts: Path, tmp_path: Path) -> Trial:
    prepare_folder(tmp_path / "seed0", artifacts)
    return Trial(E["scratch"], "shop", "leave-one-out", 0, tmp_path / "seed0", 3, 3)


def interrupt(trial: Trial, after: int, monkeypatch) -> None:
    """Make it, and stop after so many epochs."""
    told = []

    def line(record) -> str:
        told.append(record)
        if len(told) == after:
            raise KeyboardInterrupt
        return ""

    with monkeypatch.context() as patched:
        patched.setattr(messages, "line", line)
        with pytest.raises(KeyboardInterrupt):
            make(trial)


def mark(trial: Trial, **more) -> dict:
    """A marker as a finished trial has it."""
    content = {"provenance": trial.provenance(), "weights": "w", "seconds": 2.0} | more
    trial.marker.write_text(json.dumps(content))
    return content


def test_seconds_of_a_resumed_trial_are_not_those_of_its_end(scratch: Trial, monkeypatch) -> None:
    interrupt(scratch, 2, monkeypatch)
    make(scratch)
    marker = read_marker(scratch.marker)
    assert pl.read_parquet(scratch.file("history.parquet")).height == 3 and marker["seconds"] is None
    assert finished(scratch) and costs([scratch])["seconds"].to_list() == [None]
    assert "1 trials were interrupted and resumed" in _notes([scratch])[0]
    scratch.marker.unlink()
    make(scratch)
    assert read_marker(scratch.marker)["seconds"] > 0 and marker["machine"].endswith("cores")
    assert _notes([scratch]) == []


@pytest.mark.parametrize("epochs", [1, 4])
def test_an_interrupted_trial_of_another_length_is_not_gone_on_with(scratch: Trial, epochs: int, monkeypatch) -> None:
    interrupt(scratch, 2, monkeypatch)
    other = replace(scratch, epochs=epochs)
    make(other)
    assert pl.read_parquet(other.file("history.parquet")).height == epochs
    assert read_marker(other.marker)["seconds"] > 0, "none of it is of the earlier one"


def test_a_trial_goes_on_from_another_ones_model(scratch: Trial, monkeypatch) -> None:
    codes = replace(scratch, experiment=E["codes-16"], epochs=2)
    make(scratch)
    interrupt(codes, 2, monkeypatch)  # after the model as it is, and one epoch
    make(codes)
    assert finished(codes) and read_marker(codes.marker)["seconds"] is None, "it was resumed"
    assert list(codes.provenance()["parents"]) == ["scratch"]
    history = pl.read_parquet(codes.file("history.parquet"))
    assert history["epoch"].to_list() == [0, 1, 2] and history["train_loss"][0] is None
    content = checkpoint.read(codes.file("pt"), "")
    config = content["provenance"]["config"]
    assert (config["codes"], config["seed"], config["epochs"]) == (16, 0, 2)
    assert content["provenance"]["start"]["checksum"] == sha256(scratch.file("pt"))
    whole, coded = (path.file("onnx").stat().st_size for path in (scratch, codes))
    assert whole != coded
    make(replace(scratch, seed=1))
    assert not finished(codes), "that is of another model"


def test_a_model_is_refitted_on_validation_items_and_measured_on_the_same_test_items(
    scratch: Trial, artifacts: Path, tmp_path: Path
) -> None:
    members = {"members": "scratch,markov"}
    blend = replace(scratch, experiment=replace(E["best"], changes=members))
    markov = replace(scratch, experiment=E["markov"])
    again = [replace(scratch, experiment=E[f"{name}-refit"]) for name in ("scratch", "markov")]
    both = replace(E["best-refit"], changes={"members": "scratch-refit,markov-refit"})
    trials = [scratch, markov, blend, *again, replace(scratch, experiment=both)]
    for trial in trials:
        make(trial)
        assert finished(trial), trial.name
    assert not list(scratch.folder.glob("*.refit"))
    for one, other in ((scratch, again[0]), (markov, again[1]), (blend, trials[-1])):
        first, second = (pl.read_parquet(trial.file("ranks.parquet")) for trial in (one, other))
        assert first.drop("rank", "^rank_.*$").equals(second.drop("rank", "^rank_.*$")), "the same items are measured"
        assert not first["rank"].equals(second["rank"])
        assert not other.file("validation.ranks.parquet").exists()
    stored = [checkpoint.read(trial.file("pt"), "") for trial in (scratch, again[0], blend, trials[-1])]
    assert len(stored[1]["history"]) == stored[0]["best"]["epoch"]
    kept = checkpoint.read(again[0].file("pt"), "")["model"]
    assert stored[3]["model"]["weights"].equal(stored[2]["model"]["weights"])
    assert any(stored[3]["model"][f"members.0.{name}"].equal(kept[name]) for name in ("items.weight",))

    data = DataSet("shop", artifacts)
    tables = collect(Plan([data], trials, {}, [], {}), pl.DataFrame(), data.measured[0])
    test = pl.col("experiment").str.ends_with("-refit")
    summary = tables["summary"].filter(pl.col("protocol") == "full", pl.col("metric") == "ndcg@10")
    assert summary.filter(test)["optimism"].null_count() == 3 and summary.filter(~test)["optimism"].null_count() == 0
    found = tables["differences"].filter(pl.col("family") == "on everything")
    assert found["one"].unique().sort().to_list() == ["best-refit", "markov-refit", "scratch-refit"]
    assert not tables["history"].filter(test).height and not tables["newcomers"].filter(test).height

    # A record, which tells data by their folder's name, gives them back without weights.
    keep(trials, tmp_path / "record")
    folder = tmp_path / "elsewhere" / tmp_path.parent.name / tmp_path.name / "seed0"
    elsewhere = [replace(trial, folder=folder) for trial in trials]
    prepare_folder(elsewhere[0].folder, artifacts)
    restore(elsewhere, tmp_path / "record")
    assert [finished(trial) for trial in elsewhere] == [True] * len(trials)
    ranks = [trial.file("ranks.parquet").read_bytes() for trial in (trials[-1], elsewhere[-1])]
    assert pl.read_parquet(ranks[0])["rank"].equals(pl.read_parquet(ranks[1])["rank"])


def test_a_trial_that_reads_items_is_of_these_items(artifacts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "seed0"
    prepare_folder(folder, artifacts)
    hybrid, plain = (Trial(E[name], "shop", "leave-one-out", 0, folder, None, 3) for name in ("hybrid", "markov"))
    said = mark(hybrid)["provenance"]
    mark(plain)
    assert finished(hybrid) and finished(plain)
    items = pl.read_parquet(folder / "items.parquet").with_columns(title=pl.lit("another"))
    items.write_parquet(folder / "items.parquet")
    assert not finished(hybrid) and finished(plain), "which reads none"
    # A marker of before, which does not say it, is taken for the trial's, and the page says so.
    hybrid.marker.write_text(json.dumps({"provenance": {k: v for k, v in said.items() if k != "items"}}))
    assert finished(hybrid)
    table = pl.read_parquet(folder / "interactions.parquet")
    table.write_parquet(folder / "interactions.parquet", metadata={"dataset": "shop"})
    (note,) = _notes([hybrid, plain])
    assert note == "1 trials of an earlier version do not say of which items.parquet they are"
    # Interactions that say of which items they are leave nothing open.
    table.write_parquet(folder / "interactions.parquet", metadata={"catalogue": "a checksum"})
    assert _notes([hybrid, plain]) == []


def test_seconds_of_several_machines_are_told(artifacts: Path, tmp_path: Path) -> None:
    prepare_folder(tmp_path / "seed0", artifacts)
    trials = [Trial(E[name], "shop", "leave-one-out", 0, tmp_path / "seed0", 1, 3) for name in ("markov", "knn")]
    for trial, machine in zip(trials, ("Abacus, 2 cores", "Difference Engine, 4 cores"), strict=True):
        mark(trial, machine=machine)
    (note,) = _notes(trials)
    assert note.endswith(": 1 trials on Abacus, 2 cores; 1 trials on Difference Engine, 4 cores")
    mark(trials[1], machine="Abacus, 2 cores")
    assert _notes(trials) == []
    mark(trials[1])
    assert "1 trials on a machine that is not named" in _notes(trials)[0]


def test_the_films_of_a_user_whose_id_has_a_comma(artifacts: Path, tmp_path: Path) -> None:
    folder = tmp_path / "seed0"
    prepare_folder(folder, artifacts)
    about = pl.read_parquet_metadata(folder / "interactions.parquet")
    table = pl.read_parquet(folder / "interactions.parquet").with_columns(pl.format("{},b", "user").alias("user"))
    table.write_parquet(folder / "interactions.parquet", metadata={key: about[key] for key in about if key[0] != "A"})
    trial = Trial(E["scratch"], "shop", "leave-one-out", 0, folder, 1, 3)
    make(trial)
    speeds = pl.DataFrame(schema={"loss": pl.String, "round": pl.Int64, "seconds_per_epoch": pl.Float64})
    user = DataSet("shop", folder).measured[0]
    assert user.endswith(",b")
    tables = collect(Plan([DataSet("shop", folder)], [trial], {}, [], {}), speeds, user)
    assert tables["top"]["user"].unique().to_list() == [user]


def test_an_interrupted_training_that_cannot_be_read_is_named(scratch: Trial) -> None:
    scratch.file("partial.pt").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"scratch\.partial\.pt is damaged"):
        make(scratch)


def _notes(trials: list[Trial]) -> list[str]:
    data = DataSet("shop", trials[0].folder)
    found = caveats(Plan([data], trials, {}, [], {}))
    assert {name for name, _ in found} <= {"shop"}
    return [note for _, note in found]
