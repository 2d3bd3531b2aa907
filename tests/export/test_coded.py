"""Models whose item vectors are put together from shared parts: files hold codes, and list as with whole vectors."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto

from export.carried import Carried
from export.exporter import export
from export.graph import export_graph
from export.parity import OUTPUTS, check_parity
from infer.golden import main as golden
from infer.model.choice import Choice
from infer.model.session import open_model
from infer.model.signature import K_INPUT, WINDOW_INPUT
from infer.model.vectors import item_vectors
from tests.helpers.rounds import write
from train import trainer
from train.config import BertConfig
from train.models.bert import MiniBERT4Rec
from train.models.coded import NUMBER
from train.presets import configuration

ITEMS, DIM, PARTS = 1500, 16, 4  # more items than parts, of which there are 1,024


def made(codes: int) -> MiniBERT4Rec:
    torch.manual_seed(0)
    return MiniBERT4Rec(ITEMS, BertConfig(dim=DIM, heads=2, feedforward=16, max_length=6, codes=codes)).eval()


@torch.no_grad()
def both() -> tuple[MiniBERT4Rec, MiniBERT4Rec]:
    """A model with codes, and one with the same vectors as a whole."""
    coded, whole = made(PARTS), made(0)
    codes = np.random.default_rng(0).integers(0, 256, (ITEMS + 1, NUMBER + PARTS), np.uint8)
    codes[:, 1] = 0  # there are 256 whole vectors
    coded.items.codes[1:] = torch.from_numpy(codes)
    coded.items.whole += torch.randn(coded.items.whole.shape)
    kept = {name: weight for name, weight in coded.state_dict().items() if not name.startswith("items.")}
    whole.load_state_dict(kept | {"items.weight": coded.items(slice(0, ITEMS + 2))})
    return coded, whole


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_file_holds_a_byte_for_each_code_two_for_the_bias_and_no_vectors(precision: str) -> None:
    coded, _ = both()
    coded.spare()
    proto = export_graph(coded, ITEMS, precision)
    check_parity(coded, proto, ITEMS, 0, exact=precision == "fp32")
    assert [t.data_type for t in proto.graph.initializer if t.name == "items.whole"] == [TensorProto.FLOAT16]
    of_items = {tuple(t.dims): t.data_type for t in proto.graph.initializer if t.dims and t.dims[0] >= ITEMS}
    expected = {(ITEMS + 2, NUMBER + PARTS): TensorProto.UINT8, (ITEMS + 1,): TensorProto.FLOAT16}
    assert {shape[:1] if shape[1:] == (1,) else shape: kind for shape, kind in of_items.items()} == expected


def test_lists_are_those_of_the_same_vectors_as_a_whole_under_all_rules() -> None:
    sessions = [ort.InferenceSession(export_graph(model, ITEMS).SerializeToString()) for model in both()]
    rng = np.random.default_rng(1)
    window, seen = rng.integers(0, ITEMS + 1, (5, 6)), rng.integers(0, ITEMS + 1, (5, 9))
    boosted = np.array([3, 5])
    choices = [
        Choice(seen),
        Choice(seen, np.arange(1, ITEMS, 3)),
        Choice(seen, own=rng.integers(1, ITEMS, (5, 20))),
        Choice(seen, boosted=boosted, boosts=np.array([[2, 0], [1, 50]], np.float32)),
    ]
    for choice in choices:
        feeds = {WINDOW_INPUT: window, **choice.inputs, K_INPUT: np.array([10])}
        (items, scores), (expected, values) = (session.run(OUTPUTS, feeds) for session in sessions)
        assert np.array_equal(items, expected) and np.array_equal(scores, values)
    assert 5 in items[0], "the last choice lifts it above all"


def test_a_trained_model_is_exported_with_its_golden_vectors_and_its_vectors_are_read(tmp_path: Path, capsys) -> None:
    write(tmp_path, list(range(10, 20)))
    small = {"dim": 4, "max_length": 6, "feedforward": 8, "stride": 3, "epochs": 2, "codes": 2}
    run = trainer.train("bert", configuration("bert", artifacts=tmp_path, **small))
    path, metadata = export("bert", tmp_path)
    assert metadata.config["codes"] == 2 and metadata.vectors == {"items": 4, "bias": 1}
    golden([f"--model={path}"])
    model = run.model
    with torch.no_grad():
        model.spare()
        expected = torch.cat([model.items(slice(1, 11)), model.bias[1:, None]], 1).numpy()
    np.testing.assert_array_equal(item_vectors(open_model(path)), expected)
    path, metadata = export("bert", tmp_path, carried=Carried(chunk_items=4))
    assert metadata.chunk == 4
    np.testing.assert_array_equal(item_vectors(open_model(path)), expected)
