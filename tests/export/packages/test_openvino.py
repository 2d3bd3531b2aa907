"""OpenVINO reads the file as it is, and gives the golden lists."""

import json
import shutil
from pathlib import Path

import pytest

from export.carried import Carried
from export.cells import cells
from export.exporter import export
from infer.model.contract import sidecar_of
from infer.model.golden import array, difference
from tests.helpers.chunked import write_chunked


def test_openvino_gives_the_golden_lists(model: Path) -> None:
    _check(model)


def test_openvino_scores_items_in_chunks(tmp_path: Path) -> None:
    _check(write_chunked(tmp_path)[0])


def test_openvino_searches_cells(models: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(cells, "LARGEST", 2)  # of few items
    for name in ("hybrid.pt", "interactions.parquet"):
        shutil.copy(models / name, tmp_path)
    _check(export("hybrid", tmp_path, largest_loss=1.0, carried=Carried(probes=1))[0])


def _check(model: Path) -> None:
    openvino = pytest.importorskip("openvino", reason="openvino is not installed")
    golden = json.loads(sidecar_of(model).read_text())["golden"]
    core = openvino.Core()
    # Arithmetic in fp32, as in the file, whatever the processor would be faster with.
    found = core.compile_model(core.read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for case in golden["cases"]:
        lists = found({name: array(name, given) for name, given in case["inputs"].items()})
        assert difference(case, lists["items"], lists["scores"], golden["tolerance"]) == "", case["name"]
