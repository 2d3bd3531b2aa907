"""Vectors cut out of a graph: their products are its scores."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import polars as pl
import pytest
import torch

from infer.errors import InputError
from infer.histories.histories import Histories
from infer.model import modelfile
from infer.model.choice import Choice
from infer.model.metadata import Metadata
from infer.model.session import Model, open_model
from infer.model.vectors import cut, item_vectors, user_side
from tests.helpers.markov import ITEMS, NEXT, write_model
from tests.helpers.networks import write_network, write_product
from train.config import MFConfig
from train.models.bert import MiniBERT4Rec
from train.models.mf import MF
from train.presets import configuration

# Of a short history, one beyond the window, one of one item.
HISTORIES = Histories(
    pl.Series("user", [1, 2, 3]), np.array([3, 1, 9, 8, 7, 6, 5, 4, 2], np.int32), np.array([0, 2, 8, 9])
)
USERS = np.array([1, 2, 0])


def written(folder: Path, kind: str) -> Model:
    torch.manual_seed(2)
    if kind == "mf":
        model = MF(2, 9, MFConfig(dim=4, initial_std=1.0))
    else:
        small = {"dim": 8, "heads": 2, "feedforward": 16, "max_length": 5} | ({"chain": 4} if kind == "hybrid" else {})
        model = MiniBERT4Rec(9, configuration(kind, **small)).eval()
    return open_model(write_network(folder / f"{kind}.onnx", model, 9))


def product(path: Path) -> Model:
    return open_model(write_product(path, np.ones((3, 2)), np.arange(8).reshape(4, 2), {"items": 2}))


@pytest.mark.parametrize("kind", ["mf", "bert", "hybrid"])
def test_products_are_the_scores_of_the_graph(tmp_path: Path, kind: str) -> None:
    model = written(tmp_path, kind)
    items, users = item_vectors(model), user_side(model).vectors(HISTORIES, USERS)
    sizes = {"mf": {"items": 4}, "bert": {"items": 8, "bias": 1}, "hybrid": {"items": 8, "chain": 4, "bias": 1}}
    assert model.metadata.vectors == sizes[kind] and items.shape == (9, sum(sizes[kind].values()))
    nothing = Choice(np.zeros((3, 1), dtype=np.int64))
    found, scores = model.everybody.top(HISTORIES, USERS, 9, nothing)
    mine = np.take_along_axis(users @ items.T, found - 1, 1)
    np.testing.assert_allclose(mine, scores, rtol=1e-4, atol=1e-5)
    if kind != "mf":
        assert (users[:, -1] == 1).all(), "which meets the bias"
    alone = user_side(model).vectors(HISTORIES.rows(1, 2), USERS[1:2])
    np.testing.assert_array_equal(alone[0], users[1])


def test_files_without_vectors_are_refused(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("user,item,timestamp\n1,a,1\n")
    model = open_model(write_model(tmp_path / "m.onnx", ITEMS, NEXT, table))
    for take in (item_vectors, user_side):
        with pytest.raises(InputError, match="has no vectors: the scores of markov are no products of a user's and an"):
            take(model)
    small = replace(model, metadata=replace(model.metadata, precision="int8"))
    with pytest.raises(InputError, match="has its vectors in int8 steps only: give the file in fp32 or fp16"):
        item_vectors(small)
    claims = replace(model, metadata=replace(model.metadata, vectors={"items": 2}))
    for take in (item_vectors, user_side):
        with pytest.raises(InputError, match=r"states vectors of items \(2\), which its graph does not make"):
            take(claims)


def test_a_file_that_was_replaced_gives_no_vectors_of_another_model(tmp_path: Path) -> None:
    model = product(tmp_path / "p.onnx")
    shutil.move(write_product(tmp_path / "n.onnx", np.ones((3, 2)), np.ones((4, 2)), {"items": 2}), model.path)
    with pytest.raises(InputError, match=r"p\.onnx was replaced after it was opened: run again"):
        item_vectors(model)


def test_a_tensor_that_stands_in_the_file_needs_no_run(tmp_path: Path) -> None:
    model = product(tmp_path / "p.onnx")
    proto = onnx.load_model_from_string(modelfile.load(model.path)[0])
    assert cut(proto, "user_vectors").graph.input[0].name == "user" and cut(proto, "nothing") is None
    assert item_vectors(model).tolist() == [[2, 3], [4, 5], [6, 7]]
    assert item_vectors(model).dtype == np.float32


@pytest.mark.parametrize("broken", [{"attribution": "guess"}, {"vectors": {"items": 0}}, {"vectors": {"items": True}}])
def test_metadata_that_make_no_sense_are_refused(tmp_path: Path, broken: dict) -> None:
    model = product(tmp_path / "p.onnx")
    properties = Metadata(**{**vars(model.metadata), **broken}).to_properties()
    with pytest.raises(InputError, match=rf"has damaged metadata \({next(iter(broken))}\): export it again"):
        Metadata.from_properties(properties, "m.onnx")


def test_a_graph_that_cannot_be_changed_is_refused_in_a_line(tmp_path: Path, monkeypatch) -> None:
    model = product(tmp_path / "p.onnx")

    def broken(proto: onnx.ModelProto) -> onnx.ModelProto:
        proto.graph.node[0].input[0] = "nothing"
        return proto

    monkeypatch.setattr(modelfile, "with_everybody", broken)
    with pytest.raises(InputError, match=r"p\.onnx has a graph that cannot be cut or changed: "):
        model.everybody.session.run(None, {})
