"""Files that search few cells: the same model, whose short lists are the best of what is searched."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from export import apart
from export.carried import Carried
from export.cells import cells
from export.cells.probing import Probes
from export.cells.searching import in_order
from export.exporter import export
from export.graph import export_graph
from export.parity import check_parity
from infer.errors import InputError
from infer.model.golden import differences, stored
from infer.model.session import open_model
from infer.model.vectors import item_vectors, user_side
from infer.recommender import Recommender
from infer.scoring.job import open_job
from infer.scoring.task import prepare
from train.config import BertConfig
from train.models.bert import MiniBERT4Rec

USERS = [101, 104, 107]


@pytest.fixture
def folder(models: Path, tmp_path: Path, monkeypatch) -> Path:
    """A copy of the models, whose few items are in 16 cells."""
    monkeypatch.setattr(cells, "LARGEST", 2)
    for name in ("mf.pt", "mf.onnx", "hybrid.pt", "hybrid.onnx", "interactions.parquet", "items.parquet"):
        shutil.copy(models / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", ["mf", "hybrid"])
@pytest.mark.parametrize("chunk", [0, 5])
def test_a_file_lists_what_it_finds_with_the_models_own_scores(kind: str, chunk: int, folder: Path) -> None:
    path, metadata = export(kind, folder, largest_loss=1.0, carried=Carried(probes=1, chunk_items=chunk))
    assert path.name == f"{kind}.ivf.onnx" and metadata.probes == 1 and metadata.chunk == chunk
    assert metadata.precision == "fp32" and 0 < metadata.parity["overlap@10"] <= 1
    assert not differences(stored(path.read_bytes(), str(path)), open_model(path).session)
    exact, searched = (Recommender(file) for file in (folder / f"{kind}.onnx", path))
    table = folder / "interactions.parquet"
    every = exact.recommend(table, k=100, users=USERS)
    assert searched.recommend(table, k=100, users=USERS).equals(every), "a list of all items is one of all items"
    few = searched.recommend(table, k=2, users=USERS)
    known = few.join(every, on=["user", "item"], how="left", suffix="_exact")
    assert few.height == 2 * len(USERS)
    np.testing.assert_allclose(known["score"], known["score_exact"], atol=1e-5)


def test_on_every_device_a_list_is_asked_for_in_its_own_length(folder: Path, monkeypatch) -> None:
    """Of one item more, by which ties are told on GPUs, more cells may be searched."""
    path, _ = export("hybrid", folder, largest_loss=1.0, carried=Carried(probes=1))
    model, asked = open_model(path), []
    ask = type(model)._ask
    task = prepare(open_job(model, folder / "interactions.parquet", split=None))
    expected = model.top(task.histories, task.user_index, 2)

    def on_cpu(self, feeds: dict) -> Any:
        asked.append(int(feeds["k"][0]))
        object.__setattr__(self, "device", "cpu")
        try:
            return ask(self, feeds)
        finally:
            object.__setattr__(self, "device", "cuda")

    monkeypatch.setattr(type(model), "_ask", on_cpu)
    object.__setattr__(model, "device", "cuda")
    found = model.top(task.histories, task.user_index, 2)
    assert asked == [2] and all(np.array_equal(*sides) for sides in zip(found, expected, strict=True))


def test_vectors_are_those_of_the_file_that_scores_all_items(folder: Path) -> None:
    for chunk in (0, 5):
        path, _ = export("hybrid", folder, largest_loss=1.0, carried=Carried(probes=1, chunk_items=chunk))
        exact, searched = open_model(folder / "hybrid.onnx"), open_model(path)
        np.testing.assert_array_equal(item_vectors(searched), item_vectors(exact))
        task = prepare(open_job(exact, folder / "interactions.parquet", split=None))
        found, expected = (user_side(model).vectors(task.histories, task.user_index) for model in (searched, exact))
        np.testing.assert_allclose(found, expected, atol=1e-6)
        one, other = (Recommender(model.path).similar(1001, k=5) for model in (searched, exact))
        assert one.equals(other)


def test_the_weights_of_a_file_may_lie_beside_it(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(apart, "WEIGHTS", 0.0)
    monkeypatch.setattr(apart, "LEAST", 64)
    (folder / ".hybrid.ivf.onnx.exact.onnx").write_bytes(b"of a process that was killed while it compared")
    first, _ = export("hybrid", folder, largest_loss=1.0, carried=Carried(probes=1))
    assert len(list(folder.glob("hybrid.ivf.*.data"))) == 1 and not list(folder.glob(".*"))
    table, whole = folder / "interactions.parquet", Recommender(folder / "hybrid.onnx")
    expected = whole.recommend(table, k=100, users=USERS)
    assert Recommender(first).recommend(table, k=100, users=USERS).equals(expected)


def test_what_cannot_be_searched_is_refused(folder: Path, run) -> None:
    def refused(words: str, kind: str = "hybrid", **given: Any) -> None:
        before = sorted(folder.iterdir())
        precision = given.pop("precision", "fp32")
        with pytest.raises(InputError, match=words):
            export(kind, folder, precision, carried=replace(Carried(probes=1), **given))
        assert [path for path in sorted(folder.iterdir()) if path.name != "locks"] == [
            path for path in before if path.name != "locks"
        ]

    assert run("train", "markov", f"--artifacts={folder}").returncode == 0
    refused("--probes is for models whose scores are products of vectors", "markov")
    refused("in fp32, not in int8", precision="int8")
    refused("leave --fixed-k away", fixed_k=3)
    refused("--probes=2 of 16 cells.*give at most 1", probes=2)
    cells.LARGEST = 256  # the fixture puts back what was there
    refused("--probes=1 of 1 cells.*leave it away")
    cells.LARGEST = 2
    (folder / "interactions.parquet").unlink()
    refused(r"interactions\.parquet, by whose users --probes finds cells, is not there")


def test_what_loses_more_than_may_be_lost_is_not_written(folder: Path, monkeypatch) -> None:
    asked = []

    def check(exact: Path, searched: Path, table: Path, largest_loss: float) -> dict[str, float]:
        asked.append(
            (open_model(exact).metadata.probes, open_model(searched).metadata.probes, table.name, largest_loss)
        )
        raise InputError("too much is lost")

    monkeypatch.setattr("export.exporter.check_quality", check)
    with pytest.raises(InputError, match="too much is lost"):
        export("mf", folder, largest_loss=0.5, carried=Carried(probes=1))
    assert asked == [(0, 1, "interactions.parquet", 0.5)]
    assert not (folder / "mf.ivf.onnx").exists() and not list(folder.glob(".*"))


def test_weights_stand_in_the_order_of_cells_and_what_is_retired_behind_them() -> None:
    torch.manual_seed(0)
    model = MiniBERT4Rec(6, BertConfig(dim=4, heads=1, feedforward=4, max_length=3, chain=2, item_bias=True, layers=1))
    order = np.array([5, 1, 6, 2])
    state = {"model": model.state_dict(), "item_ids": list("abcdef"), "retired": [3, 4]}
    found = in_order(state, model, Probes(cells.Cells(order, np.zeros((2, 7), np.float32), 2), 1))
    assert found["retired"] == [5, 6] and found["item_ids"] == list("abcdef")
    rows = [0, 5, 1, 6, 2, 3, 4]
    for name in ("items.weight", "sources.weight", "successors.weight", "bias"):
        before, after = state["model"][name], found["model"][name]
        assert torch.equal(after[:7], before[rows]) and torch.equal(after[7:], before[7:])
    others = state["model"].keys() - set(model.item_rows)
    assert others and all(torch.equal(found["model"][name], state["model"][name]) for name in others)


@pytest.mark.parametrize("chunk", [0, 100])
def test_items_with_codes_are_searched_too(chunk: int, monkeypatch) -> None:
    monkeypatch.setattr(cells, "LARGEST", 32)
    torch.manual_seed(0)
    config = BertConfig(dim=4, heads=1, feedforward=4, max_length=3, codes=2, item_bias=True, layers=1)
    model, items = MiniBERT4Rec(700, config).eval(), 700
    model.items.codes[1:] = torch.randint(0, 256, model.items.codes[1:].shape)
    model.items.codes[:, 1] = 0  # there are 256 whole vectors
    model.items.whole.data.normal_()
    vectors, bias = model.output(slice(1, items + 1))
    whole = torch.cat([vectors, bias[:, None]], 1).detach().numpy()
    users = np.random.default_rng(0).normal(size=(50, 5)).astype(np.float32)
    probes = Probes(cells.cells_of(whole, users), 2)
    ordered = in_order({"model": model.state_dict(), "item_ids": list(range(items))}, model, probes)
    other = MiniBERT4Rec(items, config)
    other.load_state_dict(ordered["model"])
    proto = export_graph(other.eval(), items, chunk=chunk, probes=probes)
    assert check_parity(model, proto, items, 0, searched=True)["largest_score_difference"] < 1e-4
    # Vectors are put together from codes, and stored as such.
    assert not any(
        list(tensor.dims)[:1] == [items + 1] and len(tensor.dims) == 2 and tensor.dims[1] >= 4
        for tensor in proto.graph.initializer
    )
