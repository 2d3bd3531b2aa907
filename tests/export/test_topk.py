"""The rules inside a graph: what is no item counts for nothing, whatever stands in the inputs."""

import numpy as np
import polars as pl
import pytest

from infer.model.choice import Choice
from infer.model.session import Model, open_model
from infer.model.signature import DROPPED, K_INPUT, WINDOW_INPUT
from tests.helpers.markov import ITEMS, NEXT, write_model

# Newest item a: scores 5 4 3 2 1 of the items 1 to 5; newest item e: -1 to -5.
A, E = [0, 0, 1], [0, 0, 5]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("topk")
    pl.DataFrame({"user": [1], "item": ["a"], "timestamp": [1]}).write_parquet(folder / "t.parquet")
    return open_model(write_model(folder / "m.onnx", ITEMS, NEXT, folder / "t.parquet"), threads=1)


def lists(model: Model, windows: list, k: int = 6, **given) -> list[list[tuple[int, float]]]:
    seen = np.zeros((len(windows), 1), dtype=np.int64)
    values = {
        name: np.array(value, dtype=np.float32 if name == "boosts" else np.int64) for name, value in given.items()
    }
    feeds = {
        WINDOW_INPUT: np.array(windows, dtype=np.int64).reshape(-1, 3),
        K_INPUT: np.array([k]),
        **Choice(seen, **values).inputs,
    }
    items, scores = model.run(feeds)
    return [
        [(int(i), float(s)) for i, s in zip(*row, strict=True) if s > DROPPED]
        for row in zip(items, scores, strict=True)
    ]


@pytest.mark.parametrize("candidates", [[2, 4], [4, 2], [4, 4, 2, 2], [0, 2, -1, 4, 6, 2**62, -(2**62)]])
def test_candidates_in_any_order_twice_or_out_of_range(model: Model, candidates: list) -> None:
    assert lists(model, [A, E], candidates=candidates) == [[(2, 4), (4, 2)], [(2, -2), (4, -4)]]


def test_candidates_that_are_no_items_leave_nothing(model: Model) -> None:
    assert lists(model, [A], candidates=[-3, 0, 99]) == [[]]


@pytest.mark.parametrize("own", [[[4, 2], [3, 0]], [[2, 4], [0, 3]], [[-1, 4, 99, 2], [99, 3, 0, -7]]])
def test_own_candidates_are_each_users_alone(model: Model, own: list) -> None:
    assert lists(model, [A, A], own=own) == [[(2, 4), (4, 2)], [(3, 3)]]


def test_own_candidates_outside_the_candidates_are_none(model: Model) -> None:
    assert lists(model, [A, A], candidates=[2, 3], own=[[2, 4], [4, 5]]) == [[(2, 4)], []]


def test_boosts_divide_what_is_below_zero_and_those_of_no_candidate_or_item_lift_none(model: Model) -> None:
    boosted, boosts = [2, 3], [[2, 0], [4, 1]]
    assert lists(model, [A, E], k=2, boosted=boosted, boosts=boosts) == [[(3, 13), (2, 8)], [(3, 0.25), (1, -1)]]
    some = lists(model, [A], candidates=[1, 3], boosted=boosted, boosts=boosts)
    assert some == [[(3, 13), (1, 5)]]
    some = lists(model, [A], candidates=[1, 3], boosted=[2, 77, -1], boosts=[[9, 9]] * 3)
    assert some == [[(1, 5), (3, 3)]]


def test_nothing_is_no_rule_for_a_batch_of_one_and_for_nobody(model: Model) -> None:
    assert lists(model, [A]) == [[(1, 5), (2, 4), (3, 3), (4, 2), (5, 1)]]
    assert lists(model, [A], k=1, own=[[3]]) == [[(3, 3)]]
    assert lists(model, []) == [] and lists(model, [], candidates=[2]) == []
