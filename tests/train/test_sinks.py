"""Curves in TensorBoard and MLflow: what their own libraries read of them, and what happens if they fail."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from infer.errors import InputError
from tests.helpers.rounds import write
from train import command
from train.loop.run import EpochRecord
from train.saved import checkpoint
from train.sinks import figures

WORDS = ["bert", "--dim=4", "--max-length=6", "--feedforward=8", "--epochs=3", "--patience=0"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, list(range(10, 20)))
    return tmp_path


def train(folder: Path, *words: str) -> list[dict]:
    command.main([*WORDS, f"--artifacts={folder}", *words])
    return checkpoint.read(folder / "bert.pt", "")["history"]


def test_tensorboard_reads_the_figures_of_every_epoch(folder: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    history = train(folder, f"--tensorboard={folder / 'runs'}")
    found = accumulator.EventAccumulator(str(folder / "runs" / "bert")).Reload()
    for name in ("train_loss", "validation_loss", "validation_ndcg_at_10"):
        read = [(event.step, event.value) for event in found.Scalars(name)]
        assert read == [(row["epoch"], pytest.approx(row[name])) for row in history], name


def test_mlflow_has_options_and_figures_and_how_the_run_ended(folder: Path, monkeypatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    address = f"sqlite:///{folder / 'runs.db'}"
    history = train(folder, f"--mlflow={address}")
    client = mlflow.MlflowClient(tracking_uri=address)

    def runs() -> list:
        names = [experiment.experiment_id for experiment in client.search_experiments()]
        return client.search_runs(names, order_by=["start_time ASC"])

    (run,) = runs()
    assert run.info.status == "FINISHED" and run.info.run_name == "bert"
    assert run.data.params["dim"] == "4" and run.data.params["batch_size"] != "0", "with all sizes"
    read = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "validation_loss")]
    assert read == [(row["epoch"], pytest.approx(row["validation_loss"])) for row in history]

    monkeypatch.setattr("train.trainer.messages.line", _interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(folder, "--seed=1", f"--mlflow={address}")
    assert [run.info.status for run in runs()] == ["FINISHED", "KILLED"]


def _interrupted(record: EpochRecord) -> str:
    raise KeyboardInterrupt


def test_a_sink_that_fails_later_is_told_once_and_training_goes_on(folder: Path, monkeypatch, capsys) -> None:
    module = pytest.importorskip("torch.utils.tensorboard")
    monkeypatch.setattr(module.SummaryWriter, "add_scalar", _full)
    assert len(train(folder, f"--tensorboard={folder / 'runs'}")) == 3
    assert capsys.readouterr().err.count("--tensorboard takes no more figures (no space left)") == 1


def _full(*given) -> None:
    raise OSError("no space left")


def test_a_server_that_fails_later_is_told_without_its_password(folder: Path, monkeypatch, capsys) -> None:
    mlflow = pytest.importorskip("mlflow")
    address = f"file://me:hush@{folder}/runs"

    def fail(*given, **named) -> None:
        raise OSError(f"no answer of {address}")

    client = SimpleNamespace(
        get_experiment_by_name=lambda name: SimpleNamespace(experiment_id="1"), log_batch=lambda run, *given, **named:
        fail() if given else None, set_terminated=fail,
        create_run=lambda *given, **named: SimpleNamespace(info=SimpleNamespace(run_id="1")),
    )  # fmt: skip
    monkeypatch.setattr(mlflow, "MlflowClient", lambda tracking_uri: client)
    assert len(train(folder, f"--mlflow={address}")) == 3
    errors = capsys.readouterr().err
    assert "takes no more figures" in errors and "does not learn that the run has ended" in errors
    assert "hush" not in errors


def test_what_cannot_begin_is_one_line(folder: Path, monkeypatch) -> None:
    (folder / "file").write_text("")
    pytest.importorskip("tensorboard")
    with pytest.raises(InputError, match=r"--tensorboard .*file/bert cannot be written"):
        train(folder, f"--tensorboard={folder / 'file'}")
    pytest.importorskip("mlflow")
    with pytest.raises(InputError, match="--mlflow nowhere://x cannot be used"):
        train(folder, "--mlflow=nowhere://x")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(InputError, match=r"--mlflow http://127\.0\.0\.1:9 cannot be used") as told:
        train(folder, "--mlflow=http://me:hu%21sh@127.0.0.1:9")
    assert "sh@" not in str(told.value) and "hu!" not in str(told.value)
    for name in ("torch.utils.tensorboard", "mlflow"):
        monkeypatch.setitem(sys.modules, name, None)
    for option, extra in ((f"--tensorboard={folder}", "tensorboard"), ("--mlflow=runs", "mlflow")):
        with pytest.raises(InputError, match=rf"needs its library: pip install '.*\[{extra}\]'"):
            train(folder, option)
    assert not (folder / "bert.pt").exists()


def test_figures_are_what_was_measured() -> None:
    record = EpochRecord(2, 1.5, None, 0.25, 0.125, 3.0, threads=2)
    expected = {"train_loss": 1.5, "validation_hit_at_10": 0.25, "validation_ndcg_at_10": 0.125, "seconds": 3.0}
    assert figures(record) == expected
