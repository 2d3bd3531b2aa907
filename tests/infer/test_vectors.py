"""The command of vectors: of items, and of a table's users part by part."""

from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import infer
from infer import vectors
from infer.errors import InputError
from infer.model.session import Model
from infer.sources import source
from tests.helpers.networks import write_network, write_product
from train.config import MFConfig
from train.models.bert import MiniBERT4Rec
from train.models.mf import MF
from train.presets import configuration

ROWS = [("x", 3, 1), ("x", 1, 2), ("y", 9, 1), ("z", 77, 1), *(("w", item, item) for item in range(2, 9))]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    small = {"dim": 8, "heads": 2, "feedforward": 16, "max_length": 5, "chain": 4}
    return write_network(tmp_path / "h.onnx", MiniBERT4Rec(9, configuration("hybrid", **small)).eval(), 9)


def test_users_of_a_table_times_items_are_its_scores(model: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    table = pl.DataFrame(ROWS, schema=["user", "item", "timestamp"], orient="row")
    table.write_csv(tmp_path / "t.csv")
    words = [f"--model={model}", "--of=users", f"--interactions={tmp_path / 't.csv'}"]
    vectors.main([*words, f"--output={tmp_path / 'u.parquet'}"])
    vectors.main([f"--model={model}", f"--output={tmp_path / 'i.npy'}"])
    assert capsys.readouterr().out.splitlines() == [
        f"h.onnx: 3 users, 13 numbers each (items 8, chain 4, bias 1) -> {tmp_path / 'u.parquet'}",
        f"h.onnx: 9 items, 13 numbers each (items 8, chain 4, bias 1) -> {tmp_path / 'i.npy'}, "
        f"ids in {tmp_path / 'i.npy.ids.parquet'}",
    ]
    users, items = pl.read_parquet(tmp_path / "u.parquet"), np.load(tmp_path / "i.npy")
    assert users["user"].to_list() == ["w", "x", "y"], "z has no item that the model knows"
    assert pl.read_parquet(tmp_path / "i.npy.ids.parquet")["item"].to_list() == list(range(1, 10))
    place = {user: row for row, user in enumerate(users["user"])}
    scores = users["vector"].to_numpy() @ items.T
    lists = infer.load(model).score(table, k=9)
    mine = [scores[place[user], item - 1] for user, item in lists.select("user", "item").rows()]
    np.testing.assert_allclose(mine, lists["score"].to_numpy(), rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(vectors, "open_source", partial(source.open_source, part_users=1))
    for batch in (1, 2):
        output = tmp_path / f"u{batch}.parquet"
        vectors.main([*words, f"--output={output}", f"--batch-size={batch}"])
        assert pl.read_parquet(output).equals(users)


def test_items_that_nobody_may_get_are_said(model: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    known = vectors.open_model
    monkeypatch.setattr(vectors, "open_model", lambda *given: retiring(known(*given)))
    vectors.main([f"--model={model}", f"--output={tmp_path / 'v.parquet'}"])
    assert capsys.readouterr().out.endswith("v.parquet; 2 of them are retired, and nobody may get them\n")


def retiring(model: Model) -> Model:
    model.metadata.retired[:] = [1, 3]
    return model


def test_mf_gives_the_users_that_it_knows(tmp_path: Path) -> None:
    model = MF(2, 3, MFConfig(dim=2))
    path = write_network(tmp_path / "m.onnx", model, 3)
    pl.DataFrame({"user": [2, 3], "item": [1, 1], "timestamp": [1, 1]}).write_csv(tmp_path / "t.csv")
    words = [f"--model={path}", "--of=users", f"--output={tmp_path / 'u.npy'}"]
    vectors.main([*words, f"--interactions={tmp_path / 't.csv'}"])
    np.testing.assert_array_equal(np.load(tmp_path / "u.npy"), model.users.weight.detach()[[2]])
    vectors.main(words)
    assert pl.read_parquet(tmp_path / "u.npy.ids.parquet")["user"].to_list() == [1, 2]


def test_what_makes_no_sense_is_refused_in_a_line(tmp_path: Path) -> None:
    model = write_product(tmp_path / "p.onnx", np.ones((3, 2)), np.ones((4, 2)), {"items": 2})
    for words, message in (
        (["--of=users", f"--output={tmp_path / 'u.faiss'}"], "an index is of items, in which users' vectors look"),
        ([f"--output={tmp_path / 'v.npy'}", "--interactions=t.csv"], "--interactions says whose histories --of=users"),
        ([f"--output={tmp_path / 'v.npy'}", "--user-column=u"], "--user-column says whose histories --of=users"),
        ([f"--output={tmp_path / 'v.npy'}", "--order=rows"], "--order says whose histories --of=users reads, or how"),
        ([f"--output={tmp_path / 'v.npy'}", "--batch-size=3"], "--batch-size does nothing with --of=items"),
        ([f"--output={tmp_path / 'v.txt'}"], "expected a file that ends in .parquet, .npy, .faiss"),
    ):
        with pytest.raises(InputError, match=message):
            vectors.main([f"--model={model}", *words])
