"""Few cells are searched: lists are the best of these, and those of all items where these would not do."""

from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.cells.cells import Cells, cells_of, item_at
from export.cells.probing import Probes
from export.cells.renumbered import renumbered
from export.graph import ALL_SCORES
from export.topk import append_top_k
from infer.errors import InputError
from infer.model.choice import Choice
from infer.model.signature import DROPPED
from infer.scoring.one import EXCLUDE

ITEMS, USERS, DIM, NUMBER = 20_001, 7, 6, 2
GONE = [3, 500, ITEMS]


@cache
def world() -> tuple[np.ndarray, np.ndarray, Cells]:
    """Vectors of items, row 0 padding, and of users, and cells of all but `GONE`."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(ITEMS + 1, DIM)).astype(np.float32)
    users = rng.normal(size=(USERS, DIM)).astype(np.float32)
    only = np.setdiff1d(np.arange(1, ITEMS + 1), GONE)
    return vectors, users, cells_of(vectors[1:], rng.normal(size=(50, DIM)).astype(np.float32), only)


@cache
def session(chunk: int, probes: int = NUMBER) -> ort.InferenceSession:
    """A product whose items stand in the order of cells, or without probes as they are numbered."""
    vectors, _, cells = world()
    order = item_at(cells, ITEMS) if probes else np.arange(ITEMS + 1)
    state = helper.make_tensor_value_info("state", TensorProto.FLOAT, ["batch", DIM])
    scores = helper.make_tensor_value_info(ALL_SCORES, TensorProto.FLOAT, ["batch", ITEMS + 1])
    nodes = [
        helper.make_node("Transpose", ["stored"], ["weights"], perm=[1, 0]),
        helper.make_node("MatMul", ["state", "weights"], [ALL_SCORES]),
    ]
    stored = numpy_helper.from_array(vectors[order], "stored")
    graph = helper.make_graph(nodes, "product", [state], [scores], [stored])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    gone = np.flatnonzero(np.isin(order, GONE)).tolist()
    append_top_k(proto.graph, ITEMS, chunk=chunk, retired=gone, probes=Probes(cells, probes) if probes else None)
    if probes:
        renumbered(proto.graph, order)
    onnx.checker.check_model(proto, full_check=True)
    return ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])


def listed(
    run: ort.InferenceSession, choice: Choice, k: int, rows: slice | list[int] = slice(None)
) -> tuple[np.ndarray, np.ndarray]:
    given: dict[str, Any] = {"state": world()[1][rows], **choice.inputs, "k": np.array([k])}
    items, scores = run.run(None, given)
    return np.where(scores > DROPPED, items, 0), scores


def best_of_cells(choice: Choice, k: int) -> np.ndarray:
    """What is to be listed, in plain steps."""
    vectors, users, cells = world()
    sizes = np.where(np.arange(len(cells.centres)) < cells.full, cells.size, cells.size - 1)
    edges, found = np.concatenate([[0], np.cumsum(sizes)]), []
    for user, seen in zip(users, choice.seen, strict=True):
        near = np.argsort(-(cells.centres @ user))[: NUMBER * -(-k // 16)]
        items = np.concatenate([cells.order[edges[cell] : edges[cell + 1]] for cell in near])
        items = items[~np.isin(items, seen)]
        if len(choice.candidates):
            items = items[np.isin(items, choice.candidates)]
        found.append(items[np.argsort(-(vectors[items] @ user))][:k])
    return np.stack(found)


def choices() -> dict[str, Choice]:
    """Rules that leave cells to be searched: sets, orders, repetitions, indexes that are none."""
    vectors, users, _ = world()
    rng = np.random.default_rng(1)
    best = np.argsort(-(users @ vectors[1:].T), axis=1)[:, :30] + 1
    odd = np.concatenate([best, best[:, :3], np.tile([0, -1, ITEMS + 1, 2**40, 3], (USERS, 1))], 1)
    half = rng.permutation(ITEMS)[: ITEMS // 2] + 1
    return {
        "nothing seen": Choice(np.zeros((USERS, 0), np.int64)),
        "the best seen": Choice(best),
        "some of the best seen, and what is none": Choice(odd),
        "half of the items": Choice(best[:, :5], half),
        "half of the items, twice, and what is none": Choice(best[:, :5], np.concatenate([half, half, [0, -3, 2**40]])),
    }


@pytest.mark.parametrize("chunk", [0, 4_095])
@pytest.mark.parametrize("name", choices())
def test_lists_are_the_best_of_the_nearest_cells(chunk: int, name: str) -> None:
    choice = choices()[name]
    for k in (1, 10, 16, 17, 40):  # with k the cells become more
        items, scores = listed(session(chunk), choice, k)
        np.testing.assert_array_equal(items, best_of_cells(choice, k))
        vectors, users, _ = world()
        np.testing.assert_allclose(scores, (vectors[items] * users[:, None]).sum(2), atol=1e-5)


def test_cells_are_not_all_items() -> None:
    found, best = (listed(session(0, probes), choices()["nothing seen"], 40)[0] for probes in (NUMBER, 0))
    same = [len(np.intersect1d(*rows)) / 40 for rows in zip(found, best, strict=True)]
    assert 0.2 < np.mean(same) < 1


@pytest.mark.parametrize("chunk", [0, 4_095])
def test_where_cells_would_not_do_all_items_are_scored(chunk: int) -> None:
    rng = np.random.default_rng(2)
    nobody = np.zeros((USERS, 0), np.int64)
    some, own = rng.permutation(ITEMS)[: ITEMS // 5] + 1, np.sort(rng.permutation(ITEMS)[:60] + 1)
    asked = {
        "long lists": (Choice(nobody), 200),
        "few candidates": (Choice(nobody, some), 10),
        "candidates of each user": (Choice(nobody, own=np.tile(own, (USERS, 1))), 10),
        "a boost": (Choice(nobody, boosted=np.array([7]), boosts=np.array([[1, 50]], np.float32)), 10),
    }
    for name, (choice, k) in asked.items():
        items, scores = listed(session(chunk), choice, k)
        expected, values = listed(session(chunk, 0), choice, k)
        np.testing.assert_array_equal(items, expected, name)
        np.testing.assert_allclose(scores, values, atol=1e-5, err_msg=name)


def seen_by_one(user: int) -> np.ndarray:
    """(users, n): all items of the cells nearest to one user, seen by that user alone."""
    _, users, cells = world()
    sizes = np.where(np.arange(len(cells.centres)) < cells.full, cells.size, cells.size - 1)
    edges = np.concatenate([[0], np.cumsum(sizes)])
    near = np.argsort(-(cells.centres @ users[user]))[:NUMBER]
    items = np.concatenate([cells.order[edges[cell] : edges[cell + 1]] for cell in near])
    return np.where(np.arange(USERS)[:, None] == user, items, 0)


@pytest.mark.parametrize("chunk", [0, 4_095])
def test_who_would_get_too_few_gets_the_best_of_all_items_and_nobody_else_other_lists(chunk: int) -> None:
    choice = Choice(seen_by_one(3))
    items, scores = listed(session(chunk), choice, 10)
    expected, best = best_of_cells(Choice(np.zeros((USERS, 0), np.int64)), 10), listed(session(chunk, 0), choice, 10)[0]
    expected[3] = best[3]
    np.testing.assert_array_equal(items, expected)
    assert not np.array_equal(expected, best), "others' lists are not the best of all items"
    for rows in ([0, 1], [6, 3, 2], [3, 5]):
        found, values = listed(session(chunk), Choice(choice.seen[rows]), 10, rows)
        np.testing.assert_array_equal(found, items[rows])
        np.testing.assert_array_equal(values, scores[rows])


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_candidates_and_all_others_seen_give_the_same_lists(more: int) -> None:
    """A table's rules name candidates, a single history's drop the others, from a share of the items on."""
    number = int(np.ceil(EXCLUDE * ITEMS)) + more
    some = np.sort(np.random.default_rng(3).permutation(ITEMS)[:number] + 1)
    others = np.setdiff1d(np.arange(1, ITEMS + 1), some)
    named, dropped = Choice(np.zeros((USERS, 0), np.int64), some), Choice(np.tile(others, (USERS, 1)))
    one, other = (listed(session(0), choice, 10) for choice in (named, dropped))
    same = np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])
    assert same == (more >= 0), "of fewer candidates all are scored, and no history drops so many"


def test_of_no_user_there_is_no_list() -> None:
    items, _ = listed(session(0), Choice(np.zeros((0, 4), np.int64)), 10, slice(0, 0))
    assert items.shape == (0, 10)


def test_what_nobody_gets_is_listed_by_no_rule() -> None:
    for choice in choices().values():
        for k in (10, 300):
            assert not np.isin(listed(session(0), choice, k)[0], GONE).any()


def test_scores_that_are_no_products_have_no_cells() -> None:
    state = helper.make_tensor_value_info("state", TensorProto.FLOAT, ["batch", ITEMS + 1])
    scores = helper.make_tensor_value_info(ALL_SCORES, TensorProto.FLOAT, ["batch", ITEMS + 1])
    graph = helper.make_graph([helper.make_node("Neg", ["state"], [ALL_SCORES])], "none", [state], [scores])
    with pytest.raises(InputError, match="no products"):
        append_top_k(graph, ITEMS, probes=Probes(world()[2], 2))
