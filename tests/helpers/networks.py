"""Model files of PyTorch models whose weights a test has set: no training, the export that users have.

In: a `ScoringModel`. Out: a file, and the table beside it that it says it was trained on.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
from onnx import TensorProto, helper, numpy_helper

from export.exporter import file_content
from export.graph import export_graph
from export.guard import Sizes, guard
from export.topk import append_top_k
from infer.model.metadata import Metadata
from infer.system.files import write_bytes
from infer.system.fingerprints import sha256
from infer.tables.columns import INTERACTIONS_FILE
from train.models.base import ScoringModel

ROWS = pl.DataFrame({"user": [1, 1, 2], "item": [1, 2, 3], "timestamp": [1, 2, 3]})


def write_network(path: Path, model: ScoringModel, items: int, rows: pl.DataFrame = ROWS, **stated: Any) -> Path:
    """A file of `model`, which knows the items 1, 2, ... and, if it reads users, those of the table.

    stated: fields of the metadata that are to say something else.
    """
    users = rows["user"].unique().sort().to_list() if model.input_names == ("user",) else []
    told = {
        "user_ids": users,
        "window": model.window,
        "rating_levels": [float(n + 1) for n in range(model.level_count)],
        "attribution": model.attribution,
        "vectors": model.vectors,
    }
    return _write(path, export_graph(model, items, chunk=stated.get("chunk", 0)), items, rows, told | stated)


def write_product(path: Path, users: np.ndarray, items: np.ndarray, parts: dict[str, int]) -> Path:
    """A file that scores by products of the rows of two tables, without a model.

    users: (users + 1, dim), items: (items + 1, dim), both with a row of padding first.  parts: of `items`.
    """
    rows = pl.DataFrame({"user": np.arange(1, len(users)), "item": 1, "timestamp": 1})
    nodes = [
        helper.make_node("Gather", ["users", "user"], ["given"]),
        helper.make_node("Transpose", ["items_table"], ["columns"], perm=[1, 0]),
        helper.make_node("MatMul", ["given", "columns"], ["all_scores"]),
    ]
    tables = {"users": users, "items_table": items}
    weights = [numpy_helper.from_array(table.astype(np.float32), name) for name, table in tables.items()]
    inputs = [helper.make_tensor_value_info("user", TensorProto.INT64, ["batch"])]
    graph = helper.make_graph(nodes, "product", inputs, [], weights)
    append_top_k(graph, len(items) - 1)
    guard(graph, Sizes(len(items) - 1, len(users) - 1))
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    told = {"user_ids": rows["user"].to_list(), "window": 0, "rating_levels": [], "attribution": "none"}
    return _write(path, proto, len(items) - 1, rows, told | {"vectors": parts})


def _write(path: Path, proto: onnx.ModelProto, items: int, rows: pl.DataFrame, told: dict[str, Any]) -> Path:
    table = path.parent / INTERACTIONS_FILE
    rows.write_parquet(table)
    common: dict[str, Any] = {
        "kind": "network",
        "item_ids": list(range(1, items + 1)),
        "item_type": "Int64",
        "user_type": "Int64",
        "rules": {},
        "padding": "left, index 0",
        "precision": "fp32",
        "dataset": "by hand",
        "dataset_checksum": sha256(table),
        "interactions": table.name,
        "items": "items.parquet",
        "seed": 0,
        "config": {},
        "metrics": {},
        "parity": {},
        "versions": {},
    }
    write_bytes(path, file_content(proto, Metadata(**common | told)))
    return path
