"""The check before a file is written: what differs from PyTorch in a score, a list, a shape or a length is refused."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from export import parity
from export.graph import ALL_SCORES
from export.guard import Sizes, guard
from export.topk import append_top_k
from infer.errors import InputError
from train.models.base import ScoringModel

ITEMS, USERS = 14, 5
rng = np.random.default_rng(0)
TABLE = rng.permutation((USERS + 1) * (ITEMS + 1)).reshape(USERS + 1, ITEMS + 1).astype(np.float32) / 8
NEWEST = rng.permutation((ITEMS + 1) ** 2).reshape(ITEMS + 1, ITEMS + 1).astype(np.float32) / 32


def check_parity(model: ScoringModel, proto: onnx.ModelProto, items: int, users: int, exact: bool = True) -> dict:
    """The check of a graph that is guarded, as all that are exported, and that a test may have changed before."""
    guard(proto.graph, Sizes(items, users, model.level_count, model.window, model.any_length))
    return parity.check_parity(model, proto, items, users, exact=exact)


class Users(ScoringModel):
    """A row of scores for each user."""

    input_names = ("user",)

    def forward(self, user: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(TABLE)[user]


class Windows(ScoringModel):
    """A row of scores for the newest item."""

    window, any_length = 4, True

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(NEWEST)[window[:, -1]]


class Oldest(ScoringModel):
    """A row of scores for the oldest item of a full window, which has no shorter form."""

    window = 4

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(NEWEST)[window[:, 0]]


class Rated(ScoringModel):
    """A row of scores for the rating of the newest item, of four levels and none."""

    input_names, window, level_count = ("window", "levels"), 4, 4

    def forward(self, window: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(TABLE)[levels[:, -1]]


def of_users(table: np.ndarray = TABLE) -> onnx.ModelProto:
    return built([helper.make_node("Gather", ["table", "user"], [ALL_SCORES])], table, ("user", ["batch"]))


def of_windows(table: np.ndarray = NEWEST, place: int = -1, length: int | str = "length") -> onnx.ModelProto:
    nodes = [
        helper.make_node("Constant", [], ["place"], value_int=place),
        helper.make_node("Gather", ["window", "place"], ["item"], axis=1),
        helper.make_node("Gather", ["table", "item"], [ALL_SCORES]),
    ]
    return built(nodes, table, ("window", ["batch", length]))


def built(nodes: list, table: np.ndarray, given: tuple) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info(given[0], TensorProto.INT64, given[1])]
    graph = helper.make_graph(nodes, "rows", inputs, [], [numpy_helper.from_array(table, "table")])
    append_top_k(graph, ITEMS)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def changed(table: np.ndarray, row: int | slice, item: int, difference: float) -> np.ndarray:
    other = table.copy()
    other[row, item] += difference
    return other


def renamed(proto: onnx.ModelProto, output: str, nodes: list, constants: dict) -> onnx.ModelProto:
    """The graph with nodes after an output, which they take as `before`."""
    for node in proto.graph.node:
        node.output[:] = ["before" if name == output else name for name in node.output]
    proto.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    proto.graph.node.extend(nodes)
    return proto


def test_an_equal_graph_passes_and_what_was_measured_is_stated() -> None:
    assert parity.TOLERANCE == 1e-4
    found = {"largest_score_difference": 0.0, "tolerance": 1e-4, "users": 85}
    assert check_parity(Users(), of_users(), ITEMS, USERS) == found
    assert check_parity(Windows(), of_windows(), ITEMS, USERS) == found
    assert check_parity(Oldest(), of_windows(place=0, length=4), ITEMS, USERS) == found
    del found["tolerance"]
    assert check_parity(Users(), of_users(), ITEMS, USERS, exact=False) == found


@pytest.mark.parametrize("user", [0, 1, USERS])
@pytest.mark.parametrize("item", [1, ITEMS])
def test_one_wrong_score_of_one_user_is_refused_unless_it_is_within_the_tolerance(user: int, item: int) -> None:
    with pytest.raises(InputError, match=r"differs from PyTorch by 2\.\d\de-04, above 1e-04"):
        check_parity(Users(), of_users(changed(TABLE, user, item, 2e-4)), ITEMS, USERS)
    with pytest.raises(InputError, match=r"differs from PyTorch by 2\.\d\de-04, above 1e-04"):
        check_parity(Users(), of_users(changed(TABLE, user, item, -2e-4)), ITEMS, USERS)
    near = check_parity(Users(), of_users(changed(TABLE, user, item, 6e-5)), ITEMS, USERS)
    assert near["largest_score_difference"] == pytest.approx(6e-5, rel=0.05)
    far = check_parity(Users(), of_users(changed(TABLE, user, item, 0.5)), ITEMS, USERS, exact=False)
    assert far["largest_score_difference"] == pytest.approx(0.5)


@pytest.mark.parametrize("newest", [0, 1, ITEMS])
def test_empty_windows_and_the_last_item_are_among_what_is_tried(newest: int) -> None:
    with pytest.raises(InputError, match="differs from PyTorch by"):
        check_parity(Windows(), of_windows(changed(NEWEST, newest, 3, 0.5)), ITEMS, USERS)


@pytest.mark.parametrize("oldest", [0, slice(1, None)])
def test_full_windows_and_others_are_among_what_is_tried(oldest: int | slice) -> None:
    with pytest.raises(InputError, match="differs from PyTorch by"):
        check_parity(Oldest(), of_windows(changed(NEWEST, oldest, 3, 0.5), 0, 4), ITEMS, USERS)


@pytest.mark.parametrize("level", range(5))
def test_every_rating_level_is_among_what_is_tried(level: int) -> None:
    def graph(table: np.ndarray) -> onnx.ModelProto:
        proto = of_windows(table, length=4)
        proto.graph.node[1].input[0] = "levels"
        proto.graph.input.append(helper.make_tensor_value_info("levels", TensorProto.INT64, ["batch", 4]))
        return proto

    assert check_parity(Rated(), graph(TABLE), ITEMS, USERS)["largest_score_difference"] == 0
    with pytest.raises(InputError, match="differs from PyTorch by"):
        check_parity(Rated(), graph(changed(TABLE, level, 3, 0.5)), ITEMS, USERS)


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(InputError, match="differs from PyTorch by nan"):
        check_parity(Users(), of_users(changed(TABLE, 2, 3, np.nan)), ITEMS, USERS)


def wrong_at(proto: onnx.ModelProto, given: str, axis: int, size: int, difference: float) -> onnx.ModelProto:
    """The graph whose scores are wrong where what it reads has one size, and right otherwise."""
    constants = {"size": np.array([size]), "difference": np.array([difference], np.float32)}
    nodes = [
        helper.make_node("Shape", [given], ["found_size"], start=axis, end=axis + 1),
        helper.make_node("Equal", ["found_size", "size"], ["is_size"]),
        helper.make_node("Cast", ["is_size"], ["share"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["share", "difference"], ["added"]),
        helper.make_node("Add", ["before", "added"], [ALL_SCORES]),
    ]
    own = list(proto.graph.node)
    (last,) = (place for place, node in enumerate(own) if ALL_SCORES in node.output)
    own[last].output[0] = "before"
    del proto.graph.node[:]
    proto.graph.node.extend([*own[: last + 1], *nodes, *own[last + 1 :]])
    proto.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return proto


@pytest.mark.parametrize("batch", [2, 3, 17, 64])  # one row is read as two
def test_every_batch_size_is_tried_and_the_largest_difference_counts(batch: int) -> None:
    with pytest.raises(InputError, match="differs from PyTorch by"):
        check_parity(Users(), wrong_at(of_users(), "user", 0, batch, 0.5), ITEMS, USERS)
    found = check_parity(Users(), wrong_at(of_users(), "user", 0, batch, 0.5), ITEMS, USERS, exact=False)
    assert found["largest_score_difference"] == pytest.approx(0.5)


def test_windows_half_as_long_are_tried() -> None:
    with pytest.raises(InputError, match="differs from PyTorch by"):
        check_parity(Windows(), wrong_at(of_windows(), "window", 1, 2, -0.5), ITEMS, USERS)
    found = check_parity(Windows(), wrong_at(of_windows(), "window", 1, 2, -0.5), ITEMS, USERS, exact=False)
    assert found["largest_score_difference"] == pytest.approx(0.5)


def test_indexes_that_are_none_and_lists_of_nobody_are_refused() -> None:
    for model, graph, largest in ((Users(), of_users, "users"), (Windows(), of_windows, "items")):
        proto = graph()
        sizes = Sizes(ITEMS, USERS, window=4, any_length=True)
        # One more counts as an item or a user than there are: it reads a row that is not there.
        guard(proto.graph, replace(sizes, **{largest: getattr(sizes, largest) + 1}))
        with pytest.raises(Exception, match=r"out of data bounds|gives a list to nobody"):
            parity.check_parity(model, proto, ITEMS, USERS)
    proto = of_windows()
    guard(proto.graph, Sizes(ITEMS, window=4, any_length=True))
    for tensor in proto.graph.initializer:
        if tensor.name == "nobody":
            tensor.CopyFrom(numpy_helper.from_array(np.ones(1, dtype=np.int64), "nobody"))
    with pytest.raises(InputError, match="gives a list to nobody"):
        parity.check_parity(Windows(), proto, ITEMS, USERS)


def test_full_empty_and_single_histories_come_first() -> None:
    drawn = parity.random_windows(np.random.default_rng(0), 40, 50, 9)
    filled = (drawn > 0).sum(1)
    assert filled[:3].tolist() == [50, 0, 1] and len(set(filled)) > 20
    assert (drawn[np.arange(50) >= 50 - filled[:, None]] > 0).all() and set(drawn.flat) == set(range(10))


def test_an_item_that_is_listed_twice_is_refused() -> None:
    twice = renamed(
        of_users(), "items", [helper.make_node("Min", ["before", "most"], ["items"])], {"most": np.array(9)}
    )
    with pytest.raises(InputError, match="repeats or omits items"):
        check_parity(Users(), twice, ITEMS, USERS)


def all_items(proto: onnx.ModelProto) -> onnx.GraphProto:
    """The branch that takes the list of all items."""
    (decided,) = (node for node in proto.graph.node if node.op_type == "If")
    return next(attribute.g for attribute in decided.attribute if attribute.name == "else_branch")


def before_the_top(proto: onnx.ModelProto, make: Callable[[str], list], constants: dict[str, np.ndarray]) -> None:
    """Let nodes, the last of which makes `changed`, come between the scores and the list."""
    branch = all_items(proto)
    (top,) = (node for node in branch.node if node.op_type == "TopK")
    branch.node.remove(top)
    branch.node.extend([*make(top.input[0]), top])
    branch.node[-1].input[0] = "changed"
    proto.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())


def test_a_graph_that_drops_what_was_not_seen_or_keeps_what_was_is_refused() -> None:
    dropped = np.array([-3.0e38], np.float32)
    for index, value in (([[5]], dropped), ([[0]], np.array([1.0], np.float32))):

        def make(scores: str) -> list:
            return [
                helper.make_node("Shape", ["seen"], ["rows"], start=0, end=1),
                helper.make_node("Concat", ["rows", "one"], ["more_shape"], axis=0),
                helper.make_node("Expand", ["more", "more_shape"], ["more_drop"]),
                helper.make_node("Expand", ["value", "more_shape"], ["more_value"]),
                helper.make_node("ScatterElements", [scores, "more_drop", "more_value"], ["changed"], axis=1),
            ]

        proto = of_users()
        before_the_top(proto, make, {"more": np.array(index), "value": value, "one": np.array([1])})
        with pytest.raises(InputError, match="drops other items than those seen"):
            check_parity(Users(), proto, ITEMS, USERS)


def bounded_by(most: int) -> onnx.ModelProto:
    """A graph whose lists are cut to another length than the catalogue's."""
    proto = of_users()
    (bound,) = (node for node in proto.graph.node if node.op_type == "Min" and node.input[0] == "k")
    proto.graph.initializer.append(numpy_helper.from_array(np.array([most]), "most_k"))
    bound.input[1] = "most_k"
    return proto


@pytest.mark.parametrize("exact", [True, False])
def test_a_list_that_is_not_cut_to_the_catalogue_is_refused(exact: bool) -> None:
    with pytest.raises(InputError, match=r"gives \(1, 14\) for k above 15; expected \(1, 15\)"):
        check_parity(Users(), bounded_by(ITEMS), ITEMS, USERS, exact=exact)


def test_a_graph_that_fails_above_the_catalogue_does_not_pass() -> None:
    with pytest.raises(Exception, match=r"k argument \[20\]"):
        check_parity(Users(), bounded_by(99), ITEMS, USERS)


def test_a_list_that_is_wrong_at_ten_alone_is_refused() -> None:
    # At ten, all scores above 2 count as equal, so that other items lead the list.
    def make(scores: str) -> list:
        return [
            helper.make_node("Equal", ["k", "ten"], ["is_ten"]),
            helper.make_node("Min", [scores, "cap"], ["capped"]),
            helper.make_node("Where", ["is_ten", "capped", scores], ["changed"]),
        ]

    proto = of_users()
    before_the_top(proto, make, {"ten": np.array([10]), "cap": np.array([2.0], np.float32)})
    with pytest.raises(InputError, match="the exported graph's top 10 is not PyTorch's"):
        check_parity(Users(), proto, ITEMS, USERS)


def test_the_same_inputs_are_drawn_again() -> None:
    table = TABLE + np.float32(1e-5) * rng.random(TABLE.shape, np.float32)
    found = [check_parity(Users(), of_users(table), ITEMS, USERS) for _ in range(2)]
    assert found[0] == found[1] and found[0]["largest_score_difference"] > 0
