"""What no model file may hold is refused in a line, and nothing is written."""

import shutil
from pathlib import Path

import onnx
import pytest
import torch

from export import apart, limits
from export.exporter import export
from export.graph import branches
from infer.errors import InputError
from infer.model import modelfile


@pytest.fixture
def folder(artifacts: Path, tmp_path: Path) -> Path:
    return shutil.copytree(artifacts, tmp_path / "a")


def test_weights_up_to_the_largest_that_a_file_may_hold_are_let_through() -> None:
    model = torch.nn.Linear(2, 2)
    model.register_buffer("places", torch.tensor([2**60]))
    for value, refused in ((1e15, False), (-1e15, False), (1.1e15, True), (-1.1e15, True), (torch.nan, True)):
        with torch.no_grad():
            model.bias[1] = value
        if refused:
            with pytest.raises(InputError, match=r"x\.pt holds values in bias that are not finite numbers below 1e15"):
                limits.refuse_broken_weights("x", model)
        else:
            limits.refuse_broken_weights("x", model)


def test_what_the_graph_and_its_metadata_add_counts_too(folder: Path, monkeypatch) -> None:
    path, content = folder / "mf.onnx", (folder / "mf.onnx").read_bytes()
    tensors = [tensor for g in branches(onnx.load(path).graph) for tensor in g.initializer]
    graph = sum(len(tensor.raw_data) or tensor.ByteSize() for tensor in tensors)
    assert 8_448 < graph < len(content) - 2_000, "the metadata are larger than the weights of a model so small"
    path.unlink()
    monkeypatch.setattr(apart, "WEIGHTS", 10)  # all weights stay inside
    for limit in (8_448, graph - 1, graph, graph + 2_000):
        monkeypatch.setattr(modelfile, "LARGEST_FILE", limit)
        with pytest.raises(InputError, match=r"the exported graph has 0\.0 GB, .* the file was not written"):
            export("mf", folder)
    assert not path.exists()
    monkeypatch.setattr(modelfile, "LARGEST_FILE", len(content))
    export("mf", folder)
    assert path.read_bytes() == content
