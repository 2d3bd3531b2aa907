"""Where to drop seen items and take the top k: in the graph with k at run time, in the graph with k
stated at export, or in NumPy on all scores. The answers are checked to be the same.

    pytest --benchmark-only bench/test_topk.py
"""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import numpy_helper

from bench.workloads.cases import K
from export.graph import ALL_SCORES, export_graph
from infer.histories.vocabulary import PAD
from infer.model.choice import Choice
from infer.model.signature import DROPPED
from infer.model.vectors import ITEM_VECTORS, USER_VECTORS, cut
from train.config import MFConfig
from train.models.mf import MF

USERS, SEEN = 256, 128
Lists = Callable[[], tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module", params=[10_000, 90_000], ids=["10k-items", "90k-items"])
def graph(request: pytest.FixtureRequest) -> tuple[onnx.ModelProto, int]:
    """An exported dot-product model of random vectors."""
    torch.manual_seed(0)
    return export_graph(MF(USERS, request.param, MFConfig()), request.param), request.param


def k_at_run_time(proto: onnx.ModelProto, user: np.ndarray, seen: np.ndarray) -> Lists:
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {"user": user, **Choice(seen).inputs, "k": np.array([K])}
    return lambda: session.run(["items", "scores"], feeds)


def k_at_export(proto: onnx.ModelProto, user: np.ndarray, seen: np.ndarray) -> Lists:
    fixed = onnx.ModelProto()
    fixed.CopyFrom(proto)
    fixed.graph.input.remove(next(i for i in fixed.graph.input if i.name == "k"))
    fixed.graph.initializer.append(numpy_helper.from_array(np.array([K]), "k"))
    session = ort.InferenceSession(fixed.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda: session.run(["items", "scores"], {"user": user, **Choice(seen).inputs})


def outside_in_numpy(proto: onnx.ModelProto, user: np.ndarray, seen: np.ndarray) -> Lists:
    whole = onnx.ModelProto()
    whole.CopyFrom(proto)
    whole.graph.node.extend([
        onnx.helper.make_node("Transpose", [ITEM_VECTORS], ["by_dimension"], perm=[1, 0]),
        onnx.helper.make_node("MatMul", [USER_VECTORS, "by_dimension"], [ALL_SCORES]),
    ])  # fmt: skip
    scores_only = cut(whole, ALL_SCORES)
    assert scores_only is not None, "it was just appended"
    session = ort.InferenceSession(scores_only.SerializeToString(), providers=["CPUExecutionProvider"])
    # The graph appends columns of zeros.
    (rows,) = (weights.dims[0] for weights in proto.graph.initializer if weights.name == "items.weight")

    def top() -> tuple[np.ndarray, np.ndarray]:
        scores = session.run(None, {"user": user, "seen": seen})[0][:, :rows]  # the batch is what all inputs say
        np.put_along_axis(scores, seen, DROPPED, axis=1)
        scores[:, PAD] = DROPPED
        best = np.argpartition(-scores, K, axis=1)[:, :K]
        values = np.take_along_axis(scores, best, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        return np.take_along_axis(best, order, axis=1), np.take_along_axis(values, order, axis=1)

    return top


@pytest.mark.parametrize("place", [k_at_run_time, k_at_export, outside_in_numpy])
def test_top_k(benchmark, graph, place, machine) -> None:
    proto, items = graph
    benchmark.group = f"top {K} of {items} items for {USERS} users"
    rng = np.random.default_rng(0)
    user = rng.integers(1, USERS + 1, USERS)
    seen = rng.integers(1, items + 1, (USERS, SEEN))
    top = place(proto, user, seen)
    expected = outside_in_numpy(proto, user, seen)()[1]
    benchmark.extra_info.update(machine, items=items, users=USERS, k=K, seen=SEEN)
    _, scores = benchmark.pedantic(top, rounds=20, warmup_rounds=3)
    np.testing.assert_allclose(scores, expected, atol=1e-5)
