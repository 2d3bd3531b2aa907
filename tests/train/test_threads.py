"""The number of threads: from given times, by a real trial, as asked; and that no result depends on the trial."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
import torch
from threadpoolctl import threadpool_info

from infer.errors import InputError
from train import threads, trainer
from train.config import BertConfig, BestConfig, LinearConfig, MFConfig, TrainConfig
from train.data.dataset import load
from train.loop.loop import fit
from train.models import initial
from train.models.registry import unsolved
from train.pools import limited, solving
from train.presets import configuration
from train.saved import checkpoint
from train.sizing import sized_for
from train.threads import before_loading, candidates, choice, choose, timed
from train.tune.search import Search, search

TINY = {"dim": 8, "heads": 1, "feedforward": 8, "max_length": 4, "epochs": 2, "batch_size": 8, "patience": 0}


@pytest.fixture
def folder(artifacts: Path, tmp_path: Path) -> Path:
    shutil.copy(artifacts / "interactions.parquet", tmp_path)
    return tmp_path


@pytest.fixture
def two_threads(monkeypatch) -> Iterator[None]:
    """PyTorch on two threads, and a trial of two rounds."""
    monkeypatch.setattr(threads, "ROUNDS", 2)
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({1: [9.0, 10.0, 10.0], 2: [99.0, 8.4, 8.4]}, 2),  # the first step of each starts threads
        ({1: [9.0, 10.0, 10.0], 2: [1.0, 8.6, 8.6]}, 1),  # not by 15%
        ({1: [9.0, 10.0, 10.0], 2: [9.0, 5.0, 40.0]}, 1),  # a busy machine: one step waited for a core
        ({1: [10.0], 2: [6.0]}, 2),  # long steps, of which there was time for one
        ({1: [0.0, 8.0], 2: [0.0, 8.0], 4: [0.0, 4.0], 8: [0.0, 3.9]}, 4),  # two are no better, eight hardly
    ],
)
def test_more_threads_are_taken_if_they_are_worth_it(seconds: dict[int, list[float]], expected: int) -> None:
    assert choose(seconds) == expected


def test_candidates_double() -> None:
    assert [candidates(most) for most in (1, 2, 6, 8)] == [[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8]]


def test_numbers_take_turns_until_the_time_is_over(monkeypatch) -> None:
    used, now = [], [0.0]
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    monkeypatch.setattr(threads, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def call(seconds: float) -> None:
        now[0] += seconds * used[-1]

    assert timed(call, [0.125, 0.25], [1, 2]) == {1: [0.125, 0.25, 0.125, 0.25], 2: [0.25, 0.5, 0.25, 0.5]}
    assert used == [1, 2, 2, 1, 1, 2, 2, 1], "1.5 s are over after 2.25, in the fourth round"
    now[0], used[:] = 0.0, []
    assert len(timed(call, [0.0], [1, 2])[1]) == threads.ROUNDS


def test_solvers_have_all_threads_where_steps_have_fewer(two_threads) -> None:
    with limited(1, 2):
        assert torch.get_num_threads() == 1
        with solving() as most:
            assert most == torch.get_num_threads() == 2
        assert torch.get_num_threads() == 1
        with limited(1), solving() as most:
            assert most == 1, "a number that was asked for holds for both"
    with solving() as most:
        assert most == 2, "nothing is limited"


def test_a_trial_leaves_solvers_what_there_is(folder: Path, two_threads, monkeypatch) -> None:
    monkeypatch.setattr(threads, "choose", lambda seconds: 1)
    used = []
    monkeypatch.setattr(initial, "solving", lambda: noted(used))
    config = configuration("hybrid", artifacts=folder, **TINY)
    for manner in (trainer.Manner(), trainer.Manner(threads=1)):
        trainer.train("hybrid", config, f"of{len(used)}", manner=manner)
    assert used == [2, 1]
    for asked in (0, 1):
        list(search(Search("hybrid", "default", f"tuned{asked}", config, {}, threads=asked), 1))
    assert used == [2, 1, 2, 1], "nor does a search"


@contextmanager
def noted(used: list[int]) -> Iterator[int]:
    with solving() as most:
        used.append(most)
        yield most


def test_nothing_is_tried_where_there_is_nothing_to_choose(folder: Path, two_threads, monkeypatch) -> None:
    monkeypatch.setattr(threads, "_trial", lambda *_: pytest.fail("tried"))
    data, steps = load(folder), BertConfig()
    assert choice(3, "bert", data, steps).threads == 3
    with pytest.raises(InputError, match="--threads is at most 4096; found 4294967296"):
        choice(2**32, "bert", data, steps)
    assert choice(0, "bert", data, replace(steps, device="cuda")).threads == 2
    solved: dict[str, TrainConfig] = {"mf": MFConfig(), "ease": LinearConfig(), "best": BestConfig()}
    assert all(choice(0, kind, data, config) == threads.Choice(2) for kind, config in solved.items())
    torch.set_num_threads(1)
    assert choice(0, "bert", data, steps) == threads.Choice(1)


@pytest.mark.parametrize("kind", ["mf", "bert", "hybrid"])
@pytest.mark.parametrize("preset", ["paper", "default"])
def test_who_has_steps_is_known_without_the_model(kind: str, preset: str, folder: Path) -> None:
    data = load(folder)
    config = sized_for(configuration(kind, preset, artifacts=folder), data)
    assert unsolved(kind, data, config).closed_form == (not config.has_steps)


@pytest.mark.parametrize(("kind", "preset"), [("mf", "paper"), ("hybrid", "default")])
def test_a_trial_leaves_no_trace(kind: str, preset: str, folder: Path, two_threads, monkeypatch, capsys) -> None:
    changes = TINY | {"dropout": 0.2} if kind == "hybrid" else {"epochs": 2, "batch_size": 8}
    config = configuration(kind, preset, artifacts=folder, **changes)
    given = trainer.train(kind, config, "given", manner=trainer.Manner(threads=1))
    assert " thread" not in capsys.readouterr().out
    monkeypatch.setattr(threads, "choose", lambda seconds: min(seconds))
    drawn = torch.random.get_rng_state()
    data = load(folder)
    assert choice(0, kind, data, sized_for(config, data)).threads == 1
    assert torch.equal(torch.random.get_rng_state(), drawn) and torch.get_num_threads() == 2
    tried = trainer.train(kind, config, "tried")
    assert capsys.readouterr().out.splitlines()[0].startswith("1 thread: a step took ")
    models = [checkpoint.read(folder / f"{name}.pt", "")["model"] for name in ("given", "tried")]
    assert all(torch.equal(one, models[1][name]) for name, one in models[0].items())
    assert [replace(record, seconds=0) for record in tried.records] == [replace(r, seconds=0) for r in given.records]


def test_a_run_goes_on_with_another_number_and_says_both(folder: Path, monkeypatch, capsys) -> None:
    config = configuration("bert", artifacts=folder, **TINY)

    def stopping(*arguments):
        yield next(fit(*arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "fit", stopping)
    with pytest.raises(KeyboardInterrupt):
        trainer.train("bert", config, manner=trainer.Manner(threads=1))
    monkeypatch.setattr(trainer, "fit", fit)
    trainer.train("bert", config, manner=trainer.Manner(threads=2))
    assert "resuming after epoch 1" in capsys.readouterr().out and torch.get_num_threads() == 1
    assert pl.read_parquet(folder / "bert.history.parquet")["threads"].to_list() == [1, 2]
    assert "threads" not in checkpoint.read(folder / "bert.pt", "")["provenance"]["config"]


def test_one_number_bounds_every_pool() -> None:
    def pools() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before = pools()
    with limited(2):
        assert torch.get_num_threads() == 2
        assert pools() == [min(2, number) for number in before], "never more than the environment allows"
    assert torch.get_num_threads() == 1 and pools() == before


@pytest.mark.parametrize(
    ("words", "loaded", "expected"),
    [
        (["bert", "--threads=3"], [], {"OMP_WAIT_POLICY": "PASSIVE", "POLARS_MAX_THREADS": "3"}),
        (["tune", "bert", "--threads", "03"], ["torch"], {"POLARS_MAX_THREADS": "3"}),
        (["bert", "--threads=3"], ["polars"], {"OMP_WAIT_POLICY": "PASSIVE"}),
        (["bert", "--threads=0"], [], {"OMP_WAIT_POLICY": "PASSIVE"}),
        (["bert", "--threads=many"], ["torch"], {}),
        (["bert", "--threads"], ["torch"], {}),
    ],
)
def test_what_libraries_read_when_they_are_loaded_is_set_before(words, loaded, expected, monkeypatch) -> None:
    environment: dict[str, str] = {}
    monkeypatch.setattr(threads, "os", SimpleNamespace(environ=environment))
    monkeypatch.setattr(threads, "sys", SimpleNamespace(modules=loaded))
    before_loading(words)
    assert environment == expected
    environment |= {"OMP_WAIT_POLICY": "ACTIVE", "POLARS_MAX_THREADS": "7"}
    before_loading(words)
    assert environment == {"OMP_WAIT_POLICY": "ACTIVE", "POLARS_MAX_THREADS": "7"}, "the caller's own stays"


def test_the_command_tries_and_says_what_it_chose(folder: Path, typed) -> None:
    """In a process of its own with two threads, whatever else this machine does."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    done = typed("train", "bert", f"--artifacts={folder}", *words, OMP_NUM_THREADS="2", MKL_NUM_THREADS="2")
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()[0]
    chosen = pl.read_parquet(folder / "bert.history.parquet")["threads"].unique().to_list()
    assert chosen in ([1], [2]) and said.startswith(f"{chosen[0]} thread")
    assert " ms with 1, " in said and said.endswith(" ms with 2 (--threads gives another number)")
