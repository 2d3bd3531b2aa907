"""A run in hand: finished as it is, extended by other epochs or patience, and what is said when it is stopped."""

from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from tests.helpers.interrupted import equal, interrupted, metrics, train
from tests.helpers.rounds import write
from train import command, messages
from train.loop import loop
from train.loop.run import EpochRecord
from train.models.registry import restore
from train.saved import checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, list(range(10, 20)))
    return tmp_path


@pytest.mark.parametrize("words", [("--epochs=7", "--patience=6"), ("--epochs=5", "--patience=2")])
def test_other_epochs_and_patience_go_on_with_an_interrupted_run(words, folder: Path, monkeypatch, capsys) -> None:
    interrupted(folder, monkeypatch, "--epochs=6", "--patience=6")
    found = train(folder, *words)
    assert "resuming after epoch 3" in capsys.readouterr().out
    expected = train(folder, *words, "--name=whole") and checkpoint.read(folder / "whole.pt", "")
    assert metrics(found) == metrics(expected) and equal(found["model"], expected["model"])
    assert found["provenance"] == expected["provenance"] and found["ended"] == expected["ended"]


def test_a_finished_run_is_extended_to_what_one_long_run_would_be(folder: Path, capsys) -> None:
    train(folder, "--epochs=3", "--patience=9")
    found = train(folder, "--epochs=6", "--patience=9")
    said = capsys.readouterr().out
    assert f"resuming after epoch 3 ({folder / 'bert.state.pt'}), --epochs=6 instead of 3" in said
    train(folder, "--epochs=6", "--patience=9", "--name=whole")
    expected = checkpoint.read(folder / "whole.pt", "")
    assert metrics(found) == metrics(expected) and equal(found["model"], expected["model"])
    assert pl.read_parquet(folder / "bert.history.parquet")["epoch"].to_list() == [1, 2, 3, 4, 5, 6]


def test_a_finished_run_with_nothing_left_to_train_can_still_be_extended(folder: Path, capsys) -> None:
    train(folder, "--epochs=3", "--patience=9")
    assert len(train(folder, "--epochs=3", "--patience=8")["history"]) == 3
    capsys.readouterr()
    found = train(folder, "--epochs=6", "--patience=9")
    assert "resuming after epoch 3" in capsys.readouterr().out
    expected = train(folder, "--epochs=6", "--patience=9", "--name=whole")
    assert metrics(found) == metrics(expected) and equal(found["model"], expected["model"])
    train(folder, "--epochs=6", "--patience=8", "--no-keep-state")
    assert not (folder / "bert.state.pt").exists()


def test_fewer_epochs_than_were_trained_are_trained_anew_or_refused(folder: Path, monkeypatch, capsys) -> None:
    train(folder, "--epochs=4", "--patience=0")
    found = train(folder, "--epochs=2", "--patience=0")
    assert "bert.state.pt has 4 epochs, more than --epochs=2: starting afresh" in capsys.readouterr().out
    expected = train(folder, "--epochs=2", "--patience=0", "--name=whole")
    assert metrics(found) == metrics(expected) and equal(found["model"], expected["model"])
    assert len(found["history"]) == 2
    interrupted(folder, monkeypatch, "--epochs=6", after=3)
    before = (folder / "bert.partial.pt").read_bytes()
    with pytest.raises(
        InputError, match=r"bert\.partial\.pt has 3 epochs already, more than --epochs=2: --finish keeps"
    ):
        train(folder, "--epochs=2")
    assert (folder / "bert.partial.pt").read_bytes() == before


def test_a_diverged_run_leaves_the_model_that_was_there(folder: Path, monkeypatch) -> None:
    train(folder, "--epochs=1")
    before = (folder / "bert.pt").read_bytes()
    monkeypatch.setattr(loop, "validate", lambda *given: (float("nan"), 0.0, 0.0))
    with pytest.raises(InputError, match="the validation loss of epoch 1 is nan: try a smaller --learning-rate"):
        train(folder, "--epochs=1", "--learning-rate=1e8")
    assert (folder / "bert.pt").read_bytes() == before and not (folder / "bert.partial.pt").exists()


def test_what_is_said_to_be_kept_is_what_was_written(folder: Path, monkeypatch, capsys) -> None:
    train(folder, "--epochs=1")  # bert.pt, which is read in any case
    line = messages.line

    def stopped(record: EpochRecord) -> str:
        if record.epoch == 2:
            raise KeyboardInterrupt
        return line(record)

    written = checkpoint.save

    def slow(path: Path, content: dict) -> None:
        if len(content["history"]) == 2:
            raise KeyboardInterrupt
        written(path, content)

    for module, name, patch, kept in ((messages, "line", stopped, 2), (checkpoint, "save", slow, 1)):
        with monkeypatch.context() as patched:
            patched.setattr(module, name, patch)
            with pytest.raises(KeyboardInterrupt):
                train(folder, "--epochs=4", f"--name=at{kept}")
        said = capsys.readouterr().out
        assert f"stopped in epoch {kept + 1}, whose steps are lost: the same command resumes after epoch {kept}" in said
        train(folder, "--epochs=4", f"--name=at{kept}")
        assert f"resuming after epoch {kept}" in capsys.readouterr().out


def test_a_finished_run_begins_anew_where_nothing_is_kept_or_more_than_its_length_changes(folder: Path, capsys) -> None:
    train(folder, "--epochs=2", "--no-keep-state")
    assert not (folder / "bert.state.pt").exists() and not (folder / "bert.partial.pt").exists()
    train(folder, "--epochs=3")
    train(folder, "--epochs=4", "--dropout=0.1")
    train(folder, "--epochs=4", "--dropout=0.1")
    said = capsys.readouterr().out
    assert "resuming" not in said and said.count("epoch   1") == 4


def test_patience_that_is_given_later_compares_from_there_and_one_that_is_taken_keeps_the_last(folder: Path) -> None:
    train(folder, "--epochs=3", "--patience=0")
    found = train(folder, "--epochs=5", "--patience=9")
    values = [r["validation_ndcg_at_10"] for r in found["history"]]
    assert found["best"]["epoch"] == 3 + max(range(3), key=lambda place: (values[2 + place], -place))
    last = train(folder, "--epochs=6", "--patience=0")
    assert last["best"]["epoch"] == 6


def test_the_epoch_that_others_are_compared_with_keeps_its_own_weights(folder: Path, monkeypatch) -> None:
    falling = iter(range(100, 0, -1))
    monkeypatch.setattr(loop, "validate", lambda *given: (1.0, 0.5, next(falling) / 100))
    words = ("--average=0.9", "--learning-rate=0.05")
    first = train(folder, "--epochs=3", "--patience=0", *words)
    found = train(folder, "--epochs=9", "--patience=2", *words)
    assert found["best"]["epoch"] == 3 and len(found["history"]) == 5
    assert equal(found["model"], first["model"])


def test_a_run_that_reads_the_table_of_items_does_not_go_on_with_another(folder: Path, monkeypatch, capsys) -> None:
    words = ("--initial=ials", "--epochs=6")
    for number, title in enumerate("abab"):
        titles = pl.DataFrame({"item": range(10, 20), "title": [f"{title} {n % 2}" for n in range(10)]})
        titles.with_columns(genres=pl.lit(None, pl.String)).write_parquet(folder / "items.parquet")
        if number == 2:
            words = ("--epochs=6",)  # from scratch no title is read
        if number % 2:
            train(folder, *words)
            said = capsys.readouterr().out
            assert ("other options or data: starting afresh" in said) == (number == 1), said
            assert ("resuming" in said) == (number == 3)
        else:
            interrupted(folder, monkeypatch, *words)


def test_finish_keeps_the_interrupted_run_as_it_is(folder: Path, monkeypatch, capsys) -> None:
    words = ("--epochs=9", "--patience=8")
    train(folder, "--epochs=1")
    interrupted(folder, monkeypatch, *words)
    state = checkpoint.read(folder / "bert.partial.pt", "")
    capsys.readouterr()
    found = train(folder, *words, "--finish")
    said = capsys.readouterr().out
    assert "ended since it was stopped after 3 epochs (--finish)" in said and "epoch   4" not in said
    assert found["ended"] == "finish" and len(found["history"]) == 3
    assert equal(found["model"], state["best"]), "the weights of its best epoch"
    assert restore(found) and not (folder / "bert.partial.pt").exists()
    going = train(folder, "--epochs=5", "--patience=8")
    assert len(going["history"]) == 5 and going["ended"] == "epochs", "it can be extended afterwards"


def test_there_must_be_an_interrupted_run_to_finish(folder: Path, monkeypatch) -> None:
    with pytest.raises(InputError, match=r"--finish finishes an interrupted run, and there is none: .*bert\.partial"):
        train(folder, "--finish")
    interrupted(folder, monkeypatch, "--epochs=9")
    with pytest.raises(InputError, match="is of a run with other options or data: give --finish with that run's own"):
        train(folder, "--dropout=0.1", "--finish")
    assert (folder / "bert.partial.pt").is_file() and not (folder / "bert.pt").exists()


def test_who_interrupts_is_told_what_is_lost_and_how_to_go_on(folder: Path, monkeypatch, capsys) -> None:
    interrupted(folder, monkeypatch, after=0)
    assert "before the first epoch was done: nothing is kept" in capsys.readouterr().out
    interrupted(folder, monkeypatch, after=2)
    said = capsys.readouterr().out
    assert "stopped in epoch 3, whose steps are lost: the same command resumes after epoch 2, and with --finish" in said


def test_how_a_run_ended_stands_in_its_checkpoint(folder: Path, monkeypatch) -> None:
    assert train(folder, "--epochs=2")["ended"] == "epochs"
    monkeypatch.setattr(loop, "validate", lambda *given: (None, 0.0, 0.0))
    assert train(folder, "--epochs=9", "--patience=2")["ended"] == "patience"
    command.main(["mf", f"--artifacts={folder}", "--dim=3"])
    assert checkpoint.read(folder / "mf.pt", "")["ended"] is None and not (folder / "mf.state.pt").exists()


def test_an_extended_schedule_says_that_its_rate_fell_as_for_fewer_epochs(folder: Path, capsys) -> None:
    train(folder, "--epochs=2", "--schedule=linear")
    train(folder, "--epochs=3", "--schedule=linear")
    assert "the learning rate of these epochs fell as for the earlier number" in capsys.readouterr().out
