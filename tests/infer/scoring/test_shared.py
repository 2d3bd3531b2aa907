"""What machines that share the work do once: the checksum, the check and the sorting of the table."""

import os
import signal
import time
from pathlib import Path

import polars as pl
import pytest

from infer.errors import InputError
from infer.publishing.publications import Publications
from infer.scoring import counted as counted_module
from infer.scoring import shared
from infer.scoring import work as work_module
from infer.scoring.shared import check_once
from infer.sources import source
from tests.helpers.nights import lists, parts, score, work, write_night

DAY = 86_400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of 40 items, m.onnx, and the interactions of 30 users that it was trained on."""
    return write_night(tmp_path)


@pytest.fixture
def taken(monkeypatch) -> list[str]:
    """The tables whose checksum is taken from now on."""
    seen: list[str] = []
    real = shared.checked_sha256
    monkeypatch.setattr(
        shared, "checked_sha256", lambda table, trusted: seen.append(table.name) or real(table, trusted)
    )
    return seen


def aged(path: Path, seconds: int = DAY) -> Path:
    """As if it had been written so long ago."""
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def test_a_checksum_is_taken_once_for_as_long_as_the_table_is_as_it_was(folder: Path, taken: list[str]) -> None:
    table, check = aged(folder / "interactions.parquet"), check_once(Publications(folder / "l.parquet"))
    first = check(table, "")
    assert check(table, "") == first and len(taken) == 1
    # Another process, too.
    assert check_once(Publications(folder / "l.parquet"))(table, "") == first and len(taken) == 1
    pl.read_parquet(table).head(5).write_parquet(table)
    aged(table, 2 * DAY)
    assert check(table, "") != first and len(taken) == 2
    (folder / "l.publications" / "table.json").write_text("{")
    check(table, "")
    assert len(taken) == 3


def test_a_table_that_was_written_just_now_is_read_again(folder: Path, taken: list[str]) -> None:
    """Within a step of the clock of its file system it could be another, and look the same."""
    table, check = aged(folder / "interactions.parquet", 1), check_once(Publications(folder / "l.parquet"))
    check(table, "")
    check(table, "")
    assert len(taken) == 2


def test_shares_take_the_checksum_and_sort_once(folder: Path, taken: list[str], monkeypatch) -> None:
    rows = pl.read_parquet(folder / "interactions.parquet").sample(fraction=1, shuffle=True, seed=1)
    rows.write_parquet(folder / "t.parquet")
    aged(folder / "t.parquet")
    words = [f"--interactions={folder / 't.parquet'}"]
    score(folder, *words, f"--output={folder / 'once.topk.parquet'}")
    done: list[str] = []
    for name in ("sorted_by_user", "check"):
        real = getattr(source, name)
        monkeypatch.setattr(source, name, lambda *a, real=real, name=name: done.append(name) or real(*a))
    counted = counted_module.popularity_of
    monkeypatch.setattr(counted_module, "popularity_of", lambda *a: done.append("count") or counted(*a))
    for shard in ("1/3", "2/3", "3/3"):
        score(folder, *words, f"--shard={shard}")
    assert taken == ["t.parquet"] and sorted(done) == ["check", "count", "sorted_by_user"]
    assert parts(folder) == parts(folder, "once")


def test_a_terminated_run_keeps_its_work_and_goes_on(folder: Path, run, monkeypatch) -> None:
    real = work_module.score_part

    def terminated(*given):
        if given[2].number == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*given)

    words = ("infer.batch", f"--model={folder / 'm.onnx'}", "--part-users=4")
    monkeypatch.setattr(work_module, "score_part", terminated)
    done = run(*words)
    assert (done.returncode, done.stderr) == (143, "error: terminated\n")
    assert len(list((work(folder) / "publication" / "lists").iterdir())) == 3
    monkeypatch.undo()
    done = run(*words)
    assert done.returncode == 0 and "going on: 12 users were scored before" in done.stdout
    assert lists(folder).height == 300


def test_a_model_without_ratings_does_not_read_them(folder: Path) -> None:
    table = pl.read_parquet(folder / "interactions.parquet").with_columns(
        rating=pl.lit("never rated"), split=pl.lit("a")
    )
    table.write_parquet(folder / "t.parquet")
    words = [f"--interactions={folder / 't.parquet'}", f"--output={folder / 'other.topk.parquet'}"]
    with pytest.raises(InputError, match="row 1 has the split 'a'"):
        score(folder, *words, "--split-column=split")
    score(folder, *words, "--production")
    score(folder)
    assert lists(folder, "other").equals(lists(folder))
