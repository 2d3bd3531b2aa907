"""One model of one workload, ready to be timed, and the check that its answers are right.

In: a kind, a device, a workload. Out: a `Case`: the open session, the users' histories, the PyTorch twin.

    open_case("mf", "cpu", MAIN, Path("/tmp/workload"))
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import floor
from bench.rates import Rates
from bench.records.records import about, ran_on
from bench.workloads.workload import Workload, model_file, network
from infer.errors import InputError
from infer.histories.histories import Histories
from infer.histories.vocabulary import PAD
from infer.histories.windows import seen, windows
from infer.model.session import Model, open_model
from infer.model.signature import DROPPED
from infer.scoring.job import open_job
from infer.scoring.task import Task, prepare
from train.config import TrainConfig

K = 10
BATCH = 256  # users scored at once, wherever sizes of batches are not what is compared
# Of scores; the export itself is checked to 1e-4, on the CPU. GPUs round products to ten bits by default.
TOLERANCE = {"cpu": 1e-3, "cuda": 3e-2}


@dataclass(frozen=True)
class Case:
    """An open model and whom it is to score.

    task: the users of the workload, histories cut at the test items.  twin: the same model in PyTorch, on `device`.
    """

    kind: str
    device: str
    workload: Workload
    task: Task
    twin: Any  # a network with its input_names, window and config

    @property
    def model(self) -> Model:
        """The open session."""
        return self.task.model

    @property
    def items(self) -> int:
        """Size of the catalogue, without padding."""
        return len(self.model.metadata.item_ids)

    @property
    def configs(self) -> list[TrainConfig]:
        """Of the model, or of the members of a blend."""
        return [member.config for member in getattr(self.twin, "members", [self.twin])]

    def batch(self, size: int, number: int = 0) -> np.ndarray:
        """(size,) rows of different users, drawn with the seed `number`, in ascending order."""
        rng = np.random.default_rng(number)
        return np.sort(rng.choice(len(self.task.histories), size, replace=False))

    def part(self, rows: np.ndarray) -> tuple[Histories, np.ndarray]:
        """Histories and user indexes of these rows."""
        return self.task.histories.take(rows), self.task.user_index[rows]

    def inputs(self, rows: np.ndarray) -> tuple[torch.Tensor, ...]:
        """What the twin takes for these rows: whole windows, on its device."""
        histories, users = self.part(rows)
        given = {"user": users.astype(np.int64), "window": windows(histories, self.twin.window)}
        return tuple(torch.from_numpy(given[name]).to(self.device) for name in self.twin.input_names)

    def about(self, part: str, **more: Any) -> dict[str, Any]:
        """A record of this case; raises InputError if the session is not on the device asked for."""
        device = ran_on(self.model)
        if device != self.device:
            raise InputError(f"{self.kind} was asked to run on {self.device} and ran on {device}")
        sizes = {"items": self.items, "window": self.workload.window, "k": K, "users": len(self.task.histories)}
        members = {"members": list(self.workload.members)} if self.kind == "best" else {}
        return about(part, self.kind, self.device, ran_on=device, **(sizes | members | more))

    def floor(self, rows: np.ndarray, seconds: float, rates: Rates) -> dict[str, Any]:
        """The floor of scoring these rows, and how many times as long the measured `seconds` are."""
        to_do = floor.work(self.configs, self.task.histories.lengths[rows], self.items)
        least = floor.at(to_do, rates.peak, rates.head, rates.bandwidth)
        return {
            "floor_work": to_do,
            "head_width": floor.head_width(self.configs[-1]),
            "floor_seconds": least.head_seconds,
            "times_floor": seconds / least.seconds,
            "rates": {"peak": rates.peak, "head": rates.head, "bandwidth": rates.bandwidth},
        }

    def check(self, rows: np.ndarray, items: np.ndarray, scores: np.ndarray) -> None:
        """Raise AssertionError unless these are the best K unseen items by the twin's own scores.

        items, scores: (users, K).  Items whose scores are equal within the tolerance may be exchanged.
        """
        histories, _ = self.part(rows)
        with torch.no_grad():
            expected = self.twin(*self.inputs(rows)).cpu().numpy().astype(np.float64)
        check_lists(expected, seen(histories), items, scores, TOLERANCE[self.device])


def check_lists(
    expected: np.ndarray, drop: np.ndarray, items: np.ndarray, scores: np.ndarray, tolerance: float
) -> None:
    """Raise AssertionError unless the lists hold the best unseen items by `expected` scores, which are overwritten.

    expected: (users, items + 1).  drop: (users, width) seen items, padded.  items, scores: (users, k), best first.
    """
    np.put_along_axis(expected, drop, DROPPED, axis=1)
    expected[:, PAD] = DROPPED
    ordered = np.sort(items, axis=1)
    assert (ordered[:, 1:] != ordered[:, :-1]).all(), "an item stands twice in a list"
    listed = np.take_along_axis(expected, items, axis=1)
    assert (listed > DROPPED).all(), "a list holds a seen item"
    best = -np.sort(-expected, axis=1)[:, : items.shape[1]]
    scale = tolerance * np.maximum(1.0, np.abs(best))
    assert (np.abs(listed - best) <= scale).all(), "a list misses a better item"
    assert (np.abs(scores - listed) <= scale).all(), "a score differs from PyTorch's"


def open_case(kind: str, device: str, workload: Workload, folder: Path) -> Case:
    """Train and export if need be, then open; the twin is put on the device."""
    path = model_file(workload, folder, kind)
    task = prepare(open_job(open_model(path, device)))
    return Case(kind, device, workload, task, network(path).to(device))


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99, in seconds."""
    return {f"p{share}": float(np.percentile(seconds, share)) for share in (50, 95, 99)}
