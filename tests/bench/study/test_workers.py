"""What is told while trials are made: a trial can take hours, and a log must not look dead meanwhile."""

import logging
from pathlib import Path

import pytest

from bench.study import making
from bench.study.experiments import EXPERIMENTS
from bench.study.making import run_safely
from bench.study.trials import Trial

SCRATCH = next(experiment for experiment in EXPERIMENTS if experiment.name == "scratch")
TRAINING = logging.getLogger("train.trainer")


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(SCRATCH, "shop", "leave-one-out", 3, tmp_path, None, 0)


def work(trial: Trial) -> tuple[float, float]:
    for epoch in (1, 2):
        TRAINING.info("epoch %d", epoch)
    return 1.0, 0.5


def test_a_worker_tells_how_far_its_trial_is(trial: Trial, monkeypatch, capsys) -> None:
    monkeypatch.setattr(making, "EVERY", 0.0)
    assert run_safely(trial, work) == (1.0, 0.5)
    said = [f"{SCRATCH.title} seed 3 shop leave-one-out: epoch {epoch}\n" for epoch in (1, 2)]
    assert capsys.readouterr().err == "".join(said)
    TRAINING.info("of another")
    assert capsys.readouterr().err == "", "only within the trial"


def test_at_most_once_a_minute(trial: Trial, capsys) -> None:
    run_safely(trial, work)
    assert capsys.readouterr().err == ""
