"""Runs on a Ray cluster whose workers are lost again and again, in simulated time: they end."""

from collections import Counter
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

if find_spec("ray") is None:
    pytest.skip("the extra `ray` is not installed", allow_module_level=True)

# Ray reads when it is imported whether clusters ask for a token, as those of other tests in this process do.
with pytest.MonkeyPatch.context() as patch:
    patch.setenv("RAY_AUTH_MODE", "token")
    from infer.cluster import engine, pool
from infer.cluster.options import Cluster
from infer.cluster.pool import Lost
from infer.cluster.queue import Queue
from infer.cluster.worker import About, Opened, Scored
from infer.errors import InputError

STEP, DAY = 30.0, 86_400.0  # seconds
SCORED = Scored(0, "part-00000", {}, 1.0, 1.0, 1)


class Workers:
    """A pool whose one call after the other is answered as `answers` says, each after STEP seconds.

    answers: of a worker's number and what it is asked.
    """

    def __init__(self, answers: Callable[[int, str], Any]) -> None:
        self.answers, self.now, self.started = answers, 0.0, 0
        self.calls: list[tuple[int, str]] = []

    def start(self) -> None:
        self.started += 1
        self.ask(self.started, "about")

    def ask(self, worker: int, method: str, *given: Any) -> None:
        self.calls.append((worker, method))

    def events(self, seconds: float) -> Iterator[tuple[int, Any]]:
        self.now += STEP
        assert self.now < DAY, "it does not end"
        if self.calls:
            worker, method = self.calls.pop(0)
            yield worker, self.answers(worker, method)


@pytest.fixture
def told(monkeypatch) -> Callable[..., float]:
    """Score two parts with such workers; returns how many seconds it took."""

    def call(answers: Callable[[int, str], Any]) -> float:
        workers = Workers(answers)
        run = engine._Run.__new__(engine._Run)
        run.work = SimpleNamespace(job=SimpleNamespace(model=SimpleNamespace(path=Path("m.onnx"))))
        run.parts = {number: SimpleNamespace(number=number, users=4) for number in range(2)}
        run.queue, run.pool, run.sent, run.device = Queue(list(run.parts)), workers, None, "cpu"
        run.names, run.free, run.opened, run.lost, run.nodes = {}, set(), 0, 0, set()
        run.seconds, run.peak = Counter(), 0
        monkeypatch.setattr(run, "_adopt", lambda: None)
        monkeypatch.setattr(engine, "check_same", lambda *given: None)
        monkeypatch.setattr(engine, "Head", lambda: SimpleNamespace(gone_for=lambda: 0.0, cut_off=lambda every: False))
        monkeypatch.setattr(engine, "time", SimpleNamespace(monotonic=lambda: workers.now))
        workers.start()
        run.told()
        return workers.now

    return call


ANSWERS = {"about": About("a", "1", {}), "open": Opened(1), "score": SCORED}


@pytest.mark.parametrize("dies", ["about", "open"])
def test_workers_that_die_before_they_score_end_the_run_though_one_had_opened_the_model(told, dies: str) -> None:
    def answers(worker: int, method: str) -> Any:
        if worker == 1:
            return Lost() if method == "score" else ANSWERS[method]
        return Lost() if method == dies else ANSWERS[method]

    with pytest.raises(InputError, match=r"^\d+ workers were lost within 6\d\d s and none has opened m.onnx") as raised:
        told(answers)
    assert str(raised.value).endswith(engine.STAYS)


def test_workers_that_open_the_model_and_die_end_the_run(told) -> None:
    with pytest.raises(InputError, match="3 workers were lost with part 0"):
        told(lambda worker, method: Lost() if method == "score" else ANSWERS[method])


def test_losses_for_a_while_end_nothing(told) -> None:
    found = told(lambda worker, method: Lost() if 2 <= worker < 18 and method == "open" else ANSWERS[method])
    assert found < engine.MOST_SECONDS


def test_workers_of_no_stated_memory_are_placed_by_their_cores(monkeypatch) -> None:
    monkeypatch.setattr(pool, "all_nodes", lambda: [{"Alive": True, "Resources": {"CPU": 4.0}}])
    assert pool.room(Cluster(cores=2, memory=0), 0, "m.onnx") == 2
    with pytest.raises(InputError, match="--worker-cores 5: no node of the cluster has more than 4"):
        pool.room(Cluster(cores=5, memory=0), 0, "m.onnx")
