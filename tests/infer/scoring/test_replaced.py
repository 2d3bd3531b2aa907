"""A model or a table that changes while it is scored: lists are of exactly one of each, or of the earlier run."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import infer
from bench.synthetic import SyntheticConfig, generate
from infer import batch
from infer.errors import InputError
from infer.model.session import open_model
from infer.scoring import job, run, task, work
from infer.sources.source import Source
from infer.system.fingerprints import sha256
from infer.tables.columns import TIDY_KEY
from tests.helpers.markov import write_model

ITEMS = list(range(1, 41))


def write_table(path: Path, seed: int) -> None:
    table = generate(SyntheticConfig(users=30, items=40, interactions=300, seed=seed)).drop("rating")
    table.write_parquet(path, metadata={TIDY_KEY: "1"})


def write_scores(path: Path, table: Path, seed: int) -> None:
    write_model(path, ITEMS, np.random.default_rng(seed).normal(size=(41, 41)), table)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two models and two tables, of which m.onnx and t.parquet are to be scored."""
    for name, seed in (("t", 0), ("other", 1)):
        write_table(tmp_path / f"{name}.parquet", seed)
    for name, seed in (("m", 0), ("other", 1)):
        write_scores(tmp_path / f"{name}.onnx", tmp_path / "t.parquet", seed)
    return tmp_path


def score(folder: Path, *words: str) -> pl.DataFrame:
    table = f"--interactions={folder / 't.parquet'}"
    batch.main([f"--model={folder / 'm.onnx'}", table, "--part-users=4", *words])
    return pl.read_parquet(folder / "m.topk.parquet")


def rename(new: Path, old: Path) -> None:
    new.replace(old)


def overwrite(new: Path, old: Path) -> None:
    old.write_bytes(new.read_bytes())


def at_call(monkeypatch: pytest.MonkeyPatch, place: object, name: str, number: int, act: Callable[[], None]) -> None:
    """Let something happen just before a function is called for the n-th time."""
    real, calls = getattr(place, name), []

    def acting(*args, **kwargs):
        calls.append(1)
        if len(calls) == number:
            act()
        return real(*args, **kwargs)

    monkeypatch.setattr(place, name, acting)


@pytest.mark.parametrize("change", [rename, overwrite])
@pytest.mark.parametrize(
    ("place", "name", "number"), [(job, "names_in", 1), (run, "plan_of", 1), (work, "score_part", 3)]
)
def test_a_model_replaced_in_the_middle_does_not_mix(
    folder: Path, change: Callable, place: object, name: str, number: int, monkeypatch
) -> None:
    expected, checksum = score(folder), sha256(folder / "m.onnx")
    at_call(monkeypatch, place, name, number, lambda: change(folder / "other.onnx", folder / "m.onnx"))
    assert score(folder).equals(expected)
    monkeypatch.undo()
    manifest = json.loads((folder / "m.topk.json").read_text())
    assert manifest["plan"]["model"] == checksum != sha256(folder / "m.onnx")
    assert not score(folder).equals(expected)


@pytest.mark.parametrize("change", [rename, overwrite])
@pytest.mark.parametrize(("place", "name", "number"), [(run, "plan_of", 1), (Source, "read", 3), (run, "_describe", 1)])
def test_a_table_replaced_in_the_middle_stops_the_run(
    folder: Path, change: Callable, place: object, name: str, number: int, monkeypatch
) -> None:
    earlier = score(folder, "--k=3")
    at_call(monkeypatch, place, name, number, lambda: change(folder / "other.parquet", folder / "t.parquet"))
    with pytest.raises(InputError, match=r"t\.parquet was changed while it was scored: run again"):
        score(folder)
    assert pl.read_parquet(folder / "m.topk.parquet").equals(earlier)
    monkeypatch.undo()
    found = score(folder)
    batch.main(
        [f"--model={folder / 'm.onnx'}", f"--interactions={folder / 't.parquet'}", f"--output={folder}/n.parquet"]
    )
    assert (
        found.equals(pl.read_parquet(folder / "n.parquet")) and not (folder / "m.topk.publications" / "work").exists()
    )


@pytest.mark.parametrize("change", [rename, overwrite])
def test_a_table_scored_in_python_and_replaced_meanwhile_is_refused(
    folder: Path, change: Callable, monkeypatch
) -> None:
    model = infer.load(folder / "m.onnx")
    at_call(monkeypatch, Source, "read", 1, lambda: change(folder / "other.parquet", folder / "t.parquet"))
    with pytest.raises(InputError, match=r"t\.parquet was changed while it was scored"):
        model.score(folder / "t.parquet", split=None)


@pytest.mark.parametrize("change", [rename, overwrite])
def test_a_table_replaced_before_it_is_evaluated_is_refused(folder: Path, change: Callable, monkeypatch) -> None:
    at_call(monkeypatch, task, "read_interactions", 1, lambda: change(folder / "other.parquet", folder / "t.parquet"))
    found = job.open_job(open_model(folder / "m.onnx"), folder / "t.parquet", split=None)
    with pytest.raises(InputError, match=r"t\.parquet was changed while it was scored"):
        task.prepare(found)


def test_no_share_keeps_a_part_of_a_table_that_was_replaced_meanwhile(folder: Path, monkeypatch) -> None:
    def other() -> None:
        rename(folder / "other.parquet", folder / "t.parquet")

    at_call(monkeypatch, Source, "read", 2, other)
    with pytest.raises(InputError, match=r"t\.parquet was changed while it was scored"):
        batch.main([f"--model={folder / 'm.onnx'}", f"--interactions={folder / 't.parquet'}", "--part-users=4",
                    "--shard=1/2"])  # fmt: skip
    assert [path.name for path in (folder / "m.topk.publications" / "work" / "publication" / "lists").iterdir()] == [
        "part-00000.parquet"
    ]
