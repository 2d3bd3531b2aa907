"""Processes that start in the same instant on one output: shares of one run, and runs that exclude each other.

`-m long` starts many more.
"""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.helpers import faults
from tests.helpers.nights import lists, parts, score, store, work, write_night


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The model and its table."""
    (tmp_path / "shop").mkdir()
    return write_night(tmp_path / "shop")


def together(folder: Path, runs: Sequence[Sequence[str]]) -> list[faults.Done]:
    """Start them all at once, each in a process of its own."""
    words = [f"--model={folder / 'm.onnx'}", "--part-users=4"]
    logs = [folder.parent / f"log{number}" for number in range(len(runs))]
    with ThreadPoolExecutor(len(runs)) as pool:
        jobs = [
            pool.submit(faults.run, "infer.batch", [*words, *own], log) for own, log in zip(runs, logs, strict=True)
        ]
        return [job.result() for job in jobs]


def check_shares(folder: Path, rounds: int) -> None:
    """So many times: all shares end well, one publishes, and the bytes are those of one process."""
    score(folder, f"--output={folder / 'once.topk.parquet'}")
    expected = parts(folder, "once")
    for number in range(rounds):
        shutil.rmtree(store(folder), ignore_errors=True)
        of = 2 + number % 3
        done = together(folder, [[f"--shard={n}/{of}"] for n in range(1, of + 1)])
        assert [d.status for d in done] == [0] * of, [d.errors for d in done]
        assert parts(folder) == expected and not work(folder).exists()
        assert sum("publication 000001" in d.text for d in done) == 1
        assert all("nothing to do" in d.text or "parts are there" in d.text or "publication" in d.text for d in done)


def test_shares_that_start_together_end_well(folder: Path) -> None:
    check_shares(folder, 9)


@pytest.mark.long
def test_shares_that_start_together_end_well_forty_times(folder: Path) -> None:
    check_shares(folder, 40)


def check_rivals(folder: Path, rounds: int) -> None:
    """So many times: of two different runs one is refused or both are done one after the other; nothing is mixed."""
    made = {}
    for k in (3, 4):
        score(folder, f"--k={k}", f"--output={folder / f'k{k}.topk.parquet'}")
        made[k] = parts(folder, f"k{k}")
    for number in range(rounds):
        words = [["--k=3"], ["--k=4"], ["--k=4", "--restart"], ["--k=3", "--restart"]][: 2 + number % 3]
        done = together(folder, words)
        assert all(d.status in (0, 2) and len(d.errors) == (d.status > 0) for d in done), [d.errors for d in done]
        assert all("another process is working" in d.errors[0] for d in done if d.status)
        assert any(d.status == 0 for d in done)
        k = lists(folder)["rank"].max()
        assert parts(folder) == made[k] and not work(folder).exists()


def test_runs_that_exclude_each_other_do_not_disturb_each_other(folder: Path) -> None:
    check_rivals(folder, 3)


@pytest.mark.long
def test_runs_that_exclude_each_other_do_not_disturb_each_other_forty_times(folder: Path) -> None:
    check_rivals(folder, 40)
