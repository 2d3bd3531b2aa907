"""Tiny model files whose scores are written down in the test: score of the next item, given the last."""

from pathlib import Path

import numpy as np
import onnx
import polars as pl
from onnx import TensorProto, helper, numpy_helper

from export.guard import Sizes, guard
from export.topk import append_top_k
from infer.model.metadata import Metadata, id_type
from infer.model.modelfile import with_checksum
from infer.system.files import write_bytes
from infer.system.fingerprints import sha256

ITEMS = ["a", "b", "c", "d", "e"]
# Row: newest item (pad, a, b, c, d, e). Column: the item scored (pad, a, b, c, d, e).
NEXT = np.array(
    [
        [9, 0, 0, 0, 0, 0],
        [9, 5, 4, 3, 2, 1],
        [9, 1, 2, 3, 4, 5],
        [9, 7, 7, 7, 7, 7],
        [9, 3, 1, 2, 5, 4],
        [9, -1, -2, -3, -4, -5],
    ]
)


def write_model(
    path: Path,
    item_ids: list,
    scores: np.ndarray,
    table: Path,
    user_ids: list | None = None,
    operator: str = "",
    rules: dict | None = None,
    user_type: str | None = None,
) -> Path:
    """A file that scores items by the row of `scores` for the newest item (or for the user).

    scores: (rows, items + 1); row = index of the newest item, or of the user if user_ids are given.  operator: that
    every score goes through (Log makes broken ones of negative numbers).  rules: that it was trained with.
    """
    name, shape = ("user", ["batch"]) if user_ids else ("window", ["batch", 3])
    nodes = [] if user_ids else [helper.make_node("Gather", [name, "newest"], ["last"], axis=1)]
    nodes.append(helper.make_node("Gather", ["table", name if user_ids else "last"], ["row"]))
    nodes.append(helper.make_node(operator or "Identity", ["row"], ["all_scores"]))
    initializers = [
        numpy_helper.from_array(scores.astype(np.float32), "table"),
        numpy_helper.from_array(np.array(2), "newest"),
    ]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, shape)]
    graph = helper.make_graph(nodes, "markov", inputs, [], initializers)
    append_top_k(graph, len(item_ids))
    guard(graph, Sizes(len(item_ids), len(user_ids or []), window=0 if user_ids else 3))
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    metadata = Metadata(
        kind="markov",
        item_ids=item_ids,
        user_ids=user_ids or [],
        item_type=id_type(item_ids),
        user_type=user_type or id_type(user_ids or _users(table)),
        rules=rules or {},
        window=0 if user_ids else 3,
        rating_levels=[],
        padding="left, index 0",
        precision="fp32",
        attribution="deletion",
        vectors={},
        dataset="by hand",
        dataset_checksum=sha256(table),
        interactions=table.name,
        items="items.parquet",
        seed=0,
        config={},
        metrics={},
        parity={},
        versions={},
    )
    for key, text in metadata.to_properties().items():
        proto.metadata_props.add(key=key, value=text)
    onnx.checker.check_model(proto)
    write_bytes(path, with_checksum(proto.SerializeToString()))
    return path


def _users(table: Path) -> list:
    """The users of the training table, in its own type."""
    frame = pl.read_parquet(table, glob=False) if table.suffix == ".parquet" else pl.read_csv(table, glob=False)
    return frame["user"].to_list() if "user" in frame.columns else [0]
