"""Numbers: a user's list depends on that user alone, ties have one order, the same command gives the same bytes."""

import contextlib
import io
import shutil
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.exporter import export
from infer import batch
from infer.model import ties
from infer.model.choice import Choice
from infer.model.session import open_model
from infer.model.signature import DROPPED
from infer.scoring.lists import model_lists
from infer.scoring.options import ScoringConfig
from infer.scoring.task import Task, prepare
from infer.tables.columns import USER
from tests.helpers.checkerboard import checkerboard
from train import trainer
from train.presets import configuration

USERS, K = 40, 7
KINDS = ("mf", "bert", "hybrid", "hybrid.int8", "hybrid.fp16", "ease", "markov", "best")


@pytest.fixture(scope="module")
def folder(artifacts: Path, tmp_path_factory) -> Path:
    """Every kind of model in every precision, on the checkerboard."""
    folder = shutil.copytree(artifacts, tmp_path_factory.mktemp("numbers") / "a")
    for kind in ("ease", "markov"):
        trainer.train(kind, configuration(kind, artifacts=folder))
    trainer.train("best", configuration("best", artifacts=folder, members="ease,markov,hybrid"))
    for kind in ("ease", "markov", "best"):
        export(kind, folder)
    for precision in ("int8", "fp16"):
        export("hybrid", folder, precision, largest_loss=1.0)
    return folder


@pytest.fixture(scope="module")
def tasks(folder: Path) -> dict[tuple[str, int], Task]:
    """All users of every model, opened with one thread and with two."""
    return {
        (kind, threads): prepare(ScoringConfig(model=folder / f"{kind}.onnx", threads=threads).job())
        for kind in KINDS
        for threads in (1, 2)
    }


@pytest.mark.processor
@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    threads=st.sampled_from([1, 2]),
    size=st.integers(1, 50),
    users=st.lists(st.integers(0, USERS - 1), min_size=1, unique=True),
)
def test_lists_depend_on_no_batch_order_company_or_thread(tasks, kind, threads, size, users) -> None:
    """To the last bit of every score, which depends on the processor: it decides how ONNX Runtime cuts a product into
    blocks, and a row must be summed alike in all of them."""
    whole = model_lists(tasks[kind, 1], K, 256)
    part = model_lists(tasks[kind, threads].take(np.array(users)), K, size)
    order = part.select(pl.col(USER).unique(maintain_order=True))
    expected = order.join(whole, on=USER, how="left", maintain_order="left")
    assert part.equals(expected.select(part.columns))


def written(folder: Path, table: Path, output: Path, *words: str) -> dict[str, bytes]:
    """The files of lists that the command writes."""
    given = [f"--model={folder / 'hybrid.onnx'}", f"--interactions={table}", f"--output={output}", *words]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        batch.main(given)
    return {path.name: path.read_bytes() for path in sorted(output.iterdir())}


@pytest.mark.processor
def test_the_same_lists_are_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    """Whatever the batches and threads, and however the rows of the table stand; on any processor, which decides how
    a product is cut into blocks."""
    table = checkerboard()
    tables = [tmp_path / f"rows-{seed}.csv" for seed in range(4)]
    for seed, path in enumerate(tables):
        (table if seed == 0 else table.sample(fraction=1, shuffle=True, seed=seed)).write_csv(path)
    options = ([], ["--batch-size=1"], ["--batch-size=3", "--threads=1"], ["--threads=2", "--batch-size=7"])
    found = [
        written(folder, path, tmp_path / f"{number}.parquet", *words)
        for number, (path, words) in enumerate(zip(tables, options, strict=True))
    ]
    contents = [[pl.read_parquet(content) for content in one.values()] for one in found]
    assert all(a.equals(b) for one in contents[1:] for a, b in zip(one, contents[0], strict=True))
    again = [written(folder, tables[0], tmp_path / f"again-{n}.parquet", *words) for n, words in enumerate(options)]
    assert all(one == found[0] for one in again)


def at_random_among_equals(scores: np.ndarray, seed: int):
    """The best n of (users, items + 1) scores as a device may give them: equal scores in any order, and any of
    them left out."""

    def ask(number: int, rows: np.ndarray) -> ties.Found:
        chance = np.random.default_rng(seed + number).random(scores.shape)
        items = np.lexsort((chance, -scores), axis=-1)[rows, :number]
        return items, np.take_along_axis(scores[rows], items, axis=1)

    return ask


@settings(max_examples=200, deadline=None)
@given(data=st.data(), users=st.integers(1, 4), items=st.integers(1, 60), k=st.integers(1, 70))
def test_equal_scores_are_ordered_by_item_whatever_the_device_does(data, users, items, k) -> None:
    drawn = data.draw(st.lists(st.integers(0, 3), min_size=users * (items + 1), max_size=users * (items + 1)))
    scores = np.array(drawn, dtype=np.float32).reshape(users, -1)
    scores[:, 0] = DROPPED
    scores[scores == 3] = DROPPED
    with mock.patch.object(ties, "LARGEST", data.draw(st.integers(1, 200))):
        found, values = ties.best(at_random_among_equals(scores, data.draw(st.integers(0, 99))), users, k, items)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    listed = values > DROPPED
    assert np.array_equal(values, np.take_along_axis(scores, expected, axis=1))
    assert np.array_equal(found[listed], expected[listed])


def test_nobody_is_asked_for_more_than_the_catalogue_has() -> None:
    asked = []

    def ask(number: int, rows: np.ndarray) -> ties.Found:
        asked.append(number)
        return np.arange(1, 5)[None, :number], np.ones((1, min(number, 4)), dtype=np.float32)

    assert ties.best(ask, 1, 3, most=4)[0].tolist() == [[1, 2, 3]] and asked == [4]
    # Nor further, where the k-th is no recommendation at all.
    seen = np.full((1, 3), DROPPED, dtype=np.float32)
    ties.best(lambda number, rows: asked.append(number) or (np.arange(1, 4)[None], seen), 1, 2, most=100)
    assert asked.pop() == 3 and asked == [4]
    assert ties.best(ask, 1, 2, most=4)[0].tolist() == [[1, 2]] and asked == [4, 3, 24]


def test_only_those_are_asked_for_again_whose_lists_end_among_equals(monkeypatch) -> None:
    scores = np.tile(np.arange(100, 0, -1, dtype=np.float32), (5, 1))
    scores[[1, 4]] = 1.0
    scores[:, 0] = DROPPED
    asked, ask = [], at_random_among_equals(scores, 0)
    monkeypatch.setattr(ties, "LARGEST", 99)
    found, _ = ties.best(lambda number, rows: asked.append((number, rows.tolist())) or ask(number, rows), 5, 3, 99)
    assert found.tolist() == [[1, 2, 3]] * 5
    assert asked == [(4, [0, 1, 2, 3, 4]), (32, [1, 4]), (256, [1]), (256, [4])]


def test_a_model_on_another_device_asks_until_its_ties_are_complete(folder: Path, monkeypatch) -> None:
    model = open_model(folder / "hybrid.onnx")
    asked = []

    def ask(self, feeds: dict) -> ties.Found:
        asked.append((int(feeds["k"][0]), feeds["window"].flatten().tolist(), len(feeds["candidates"])))
        scores = np.r_[DROPPED, np.ones(24)][None].astype(np.float32) * np.where(feeds["window"] == 2, 1, 0)
        scores[feeds["window"].flatten() == 1] = np.r_[DROPPED, np.arange(24, 0, -1)]
        return at_random_among_equals(scores, 0)(asked[-1][0], np.arange(len(scores)))

    monkeypatch.setattr(type(model), "_ask", ask)
    object.__setattr__(model, "device", "cuda")
    choice = Choice(np.array([[0], [0]]), candidates=np.array([5, 6, 7]))
    items, _ = model.run({"window": np.array([[1], [2]]), **choice.inputs, "k": np.array([3])})
    # Again for those alone whose list ends among equal scores, under the same rules.
    assert items.tolist() == [[1, 2, 3]] * 2 and asked == [(4, [1, 2], 3), (32, [2], 3)]
