"""A model file of so many items that it scores them in several chunks, with golden vectors.

In: a folder. Out: the files `chunked.onnx` and `at_once.onnx` of one model, whose lists are the same.
"""

import json
from pathlib import Path

import onnx
import polars as pl
import torch

from export.carried import golden_vectors
from export.cases import drawn
from export.chunks import chunk_of
from export.exporter import file_content
from infer.model.contract import sidecar, sidecar_of
from infer.model.modelfile import load
from tests.helpers.networks import write_network
from train.config import MFConfig
from train.models.mf import MF

ITEMS, USERS, CHUNK = 3_000, 8, 1_023


def write_chunked(folder: Path) -> tuple[Path, Path]:
    """The chunked file, and that of all items at once, each with its JSON."""
    torch.manual_seed(0)
    model = MF(USERS, ITEMS, MFConfig(dim=4, initial_std=1.0)).eval()
    rows = pl.DataFrame({"user": range(1, USERS + 1), "item": range(11, 11 + USERS), "timestamp": 1})
    paths = []
    for name, chunk in (("chunked", CHUNK), ("at_once", 0)):
        path = write_network(folder / f"{name}.onnx", model, ITEMS, rows, chunk=chunk_of(ITEMS, chunk))
        content, metadata = load(path)
        proto = onnx.load_model_from_string(content)
        golden = golden_vectors(proto, metadata, *drawn(metadata, USERS, 0), USERS)
        content = file_content(proto, metadata, {"golden": json.dumps(golden)})
        path.write_bytes(content)
        sidecar_of(path).write_text(sidecar(path, content))
        paths.append(path)
    return paths[0], paths[1]
