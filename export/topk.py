"""Seen items dropped and the top k taken, inside the graph.

In: a graph that gives every item's score. Out: the same graph, which gives the k best.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.precision import ROW_SCALE
from infer.histories.vocabulary import PAD
from infer.model.signature import DROPPED, ITEMS_OUTPUT, K_INPUT, SCORES_OUTPUT, SEEN_INPUT

# Items whose largest score is found first: the top k lie in the k blocks with the largest, and a
# maximum over all scores takes a third of the time of a top k over them.
BLOCK = 128
ALL_SCORES = "all_scores"  # the input: (users, items + 1)


def append_top_k(graph: onnx.GraphProto, items: int, block: int = 0) -> None:
    """all_scores (batch, columns), seen, k -> items, scores.

    block: columns of a block, whose multiple the columns then are; 0: they are items + 1.
    Columns of padding join `seen`, so that one scatter drops the seen items and padding itself,
    whatever the width of `seen`.
    """
    columns = -(-(items + 1) // block) * block if block else items + 1
    constants: dict[str, np.ndarray] = {
        "dropped_value": np.array([DROPPED], dtype=np.float32),
        "padding_index": np.array([[PAD, *range(items + 1, columns)]], dtype=np.int64),
        "padding_width": np.array([columns - items], dtype=np.int64),
        "catalogue": np.array([items + 1], dtype=np.int64),
    }
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    graph.node.extend(
        [
            helper.make_node("Shape", [SEEN_INPUT], ["batch_size"], start=0, end=1),
            helper.make_node("Concat", ["batch_size", "padding_width"], ["padding_shape"], axis=0),
            helper.make_node("Expand", ["padding_index", "padding_shape"], ["padding"]),
            helper.make_node("Concat", [SEEN_INPUT, "padding"], ["drop"], axis=1),
            helper.make_node("Shape", ["drop"], ["drop_shape"]),
            helper.make_node("Expand", ["dropped_value", "drop_shape"], ["dropped"]),
            helper.make_node("ScatterElements", [ALL_SCORES, "drop", "dropped"], ["unseen_scores"], axis=1),
            helper.make_node("Min", [K_INPUT, "catalogue"], ["bounded_k"]),
        ]
    )
    scaled = any(ROW_SCALE in node.output for node in graph.node)
    values = "unscaled_scores" if scaled else SCORES_OUTPUT
    if block:
        _append_blocks(graph, columns // block, block, values)
    else:
        graph.node.append(helper.make_node("TopK", ["unseen_scores", "bounded_k"], [values, ITEMS_OUTPUT], axis=1))
    if scaled:
        graph.node.extend(
            [
                helper.make_node("Greater", [values, "dropped_value"], ["is_listed"]),
                helper.make_node("Mul", [values, ROW_SCALE], ["scaled_scores"]),
                helper.make_node("Where", ["is_listed", "scaled_scores", values], [SCORES_OUTPUT]),
            ]
        )
    graph.input.extend(
        [
            helper.make_tensor_value_info(SEEN_INPUT, TensorProto.INT64, ["batch", "seen_width"]),
            helper.make_tensor_value_info(K_INPUT, TensorProto.INT64, [1]),
        ]
    )
    del graph.output[:]
    graph.output.extend(
        [
            helper.make_tensor_value_info(ITEMS_OUTPUT, TensorProto.INT64, ["batch", "top_k"]),
            helper.make_tensor_value_info(SCORES_OUTPUT, TensorProto.FLOAT, ["batch", "top_k"]),
        ]
    )


def _append_blocks(graph: onnx.GraphProto, blocks: int, block: int, values: str) -> None:
    """The top k among the items of the k best blocks, in ascending order of items, so that equal
    scores come out as without blocks."""
    constants = {
        "by_block": np.array([0, blocks, block], dtype=np.int64),
        "last_axis": np.array([2], dtype=np.int64),
        "blocks": np.array([blocks], dtype=np.int64),
        "block_size": np.array(block, dtype=np.int64),
        "within_block": np.arange(block, dtype=np.int64),
        "flat": np.array([0, -1], dtype=np.int64),
    }
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    graph.node.extend(
        [
            helper.make_node("Reshape", ["unseen_scores", "by_block"], ["block_scores"]),
            helper.make_node("ReduceMax", ["block_scores", "last_axis"], ["block_best"], keepdims=0),
            helper.make_node("Min", ["bounded_k", "blocks"], ["best_count"]),
            helper.make_node("TopK", ["block_best", "best_count"], ["best_values", "best_blocks"], axis=1),
            helper.make_node("TopK", ["best_blocks", "best_count"], ["ordered_blocks", "order"], axis=1, largest=0),
            helper.make_node("Mul", ["ordered_blocks", "block_size"], ["block_starts"]),
            helper.make_node("Unsqueeze", ["block_starts", "last_axis"], ["block_columns"]),
            helper.make_node("Add", ["block_columns", "within_block"], ["candidate_blocks"]),
            helper.make_node("Reshape", ["candidate_blocks", "flat"], ["candidates"]),
            helper.make_node("GatherElements", ["unseen_scores", "candidates"], ["candidate_scores"], axis=1),
            helper.make_node("TopK", ["candidate_scores", "bounded_k"], [values, "places"], axis=1),
            helper.make_node("GatherElements", ["candidates", "places"], [ITEMS_OUTPUT], axis=1),
        ]
    )
