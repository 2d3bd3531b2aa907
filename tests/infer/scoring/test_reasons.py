"""Reasons: contributions worked out without the code under test, by PyTorch and by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from infer.errors import InputError
from infer.histories.histories import Histories
from infer.histories.windows import windows
from infer.model.session import open_model
from infer.scoring import closed_form, occlusion
from infer.scoring.job import open_job, rows_job
from infer.scoring.lists import model_lists
from infer.scoring.reasons import reasons, with_reasons
from infer.scoring.task import Task, prepare
from tests.helpers.markov import NEXT, write_model
from tests.helpers.networks import write_network
from train.config import LinearConfig, MFConfig
from train.models.base import ScoringModel
from train.models.bert import MiniBERT4Rec
from train.models.linear import Neighbours
from train.models.losses import BLOCKED
from train.models.mf import MF
from train.presets import configuration

ITEMS = 12
# A short history, one as long as the window, one longer, one of a single item, and one without any that is known.
HISTORIES = {1: [3, 1, 4], 2: [9, 2, 6, 5, 3], 3: [8, 7, 10, 11, 12, 1, 2], 4: [5], 5: [99]}
WINDOW = 5
ROWS = pl.DataFrame(
    [(user, item, time) for user, items in HISTORIES.items() for time, item in enumerate(items)],
    schema=["user", "item", "timestamp"],
    orient="row",
)
KNOWN = [user for user in HISTORIES if user != 5]


def prepared(path: Path) -> tuple[Task, pl.DataFrame]:
    task = prepare(open_job(open_model(path)))
    return task, model_lists(task, 4, 8)


def encoder() -> MiniBERT4Rec:
    torch.manual_seed(3)
    small = {"block": "transformer", "layers": 1, "dim": 8, "heads": 2, "feedforward": 16}
    small |= {"max_length": WINDOW, "chain": 4, "initial_std": 0.7}
    model = MiniBERT4Rec(ITEMS, configuration("hybrid", **small), levels=0).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.startswith("encoder"):
                weight += torch.randn(weight.shape) * 0.3
    return model


def neighbours(kind: str) -> Neighbours:
    torch.manual_seed(1)
    config = LinearConfig(kind=kind, neighbours=6, max_length=WINDOW, decay=0.9 if kind == "knn" else 0.8)
    model = Neighbours(ITEMS, config).eval()
    model.neighbours[1:] = torch.stack([torch.randperm(ITEMS)[:6] + 1 for _ in range(ITEMS)]).int()
    model.weights[1:] = torch.rand(ITEMS, 6) + 0.1
    return model


def scored(model: ScoringModel, history: list[int]) -> np.ndarray:
    """Scores of all items by PyTorch."""
    window = torch.tensor([([0] * WINDOW + history)[-WINDOW:]])
    with torch.no_grad():
        return model(window)[0].numpy()


def without(history: list[int], item: int, padding: bool) -> list[int]:
    if padding:
        return [0 if i == item else i for i in history]
    return [i for i in history if i != item]


def expected(model: ScoringModel, lists: pl.DataFrame, padding: bool, n: int) -> list[tuple]:
    """(user, rank, item, because) and contributions, one history at a time."""
    rows = []
    for user, rank, item, _ in lists.iter_rows():
        history = HISTORIES[user]
        whole = scored(model, history)
        told = [(whole[item] - scored(model, without(history, i, padding))[item], i) for i in history[-WINDOW:]]
        best = sorted((pair for pair in told if pair[0] > 1e-4), reverse=True)[:n]
        rows += [(user, rank, item, place, i, value) for place, (value, i) in enumerate(best, 1)]
    return rows


def agree(found: pl.DataFrame, wanted: list[tuple]) -> None:
    assert [row[:5] for row in found.rows()] == [row[:5] for row in wanted]
    np.testing.assert_allclose(found["contribution"].to_numpy(), [row[5] for row in wanted], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", ["markov", "ease", "knn"])
def test_of_item_item_models_each_item_keeps_its_place(tmp_path: Path, kind: str) -> None:
    model = neighbours(kind)
    task, lists = prepared(write_network(tmp_path / "m.onnx", model, ITEMS, ROWS))
    assert task.model.metadata.attribution == "padding"
    found = reasons(task, lists, 3)
    agree(found, expected(model, lists, padding=True, n=3))
    # By hand: the weight of the neighbour, less for older items, is all that an item adds.
    user, _, item, _, because, value = found.row(0)
    age = HISTORIES[user][::-1].index(because)
    weight = model.weights[because][model.neighbours[because] == item].item()
    assert value == pytest.approx(weight * model.config.decay**age, rel=1e-5)


def test_of_an_encoder_the_item_is_taken_out_and_older_ones_move_up(tmp_path: Path) -> None:
    model = encoder()
    task, lists = prepared(write_network(tmp_path / "m.onnx", model, ITEMS, ROWS))
    assert task.model.metadata.attribution == "deletion" and lists["user"].unique().to_list() == KNOWN
    agree(reasons(task, lists, 9), expected(model, lists, padding=False, n=9))
    told = with_reasons(task, lists, 2)
    assert told.drop("because").equals(lists) and told.schema["because"] == pl.List(pl.Int64)
    first = reasons(task, lists, 2).group_by("user", "rank", maintain_order=True).agg("because")
    assert told.filter(pl.col("because").list.len() > 0)["because"].to_list() == first["because"].to_list()


def test_the_chain_alone_is_told_apart_exactly_by_padding(tmp_path: Path) -> None:
    model = encoder()
    with torch.no_grad():
        model.items.weight.zero_()  # of the encoder nothing reaches the scores
        model.bias.zero_()
    task, lists = prepared(write_network(tmp_path / "m.onnx", model, ITEMS, ROWS, attribution="padding"))
    sources, successors = (table.weight.detach().numpy() for table in (model.sources, model.successors))
    for user, _, item, _, because, value in reasons(task, lists, 9).rows():
        age = HISTORIES[user][::-1].index(because)
        assert value == pytest.approx(0.8**age * sources[because] @ successors[item], rel=1e-3, abs=1e-5)


def attention(model: MiniBERT4Rec, window: torch.Tensor) -> torch.Tensor:
    """(length,) how much the last position looks at each, as PyTorch's own attention says."""
    hidden, padding = model.embedded(window), (window == 0) * BLOCKED
    future = torch.full((window.shape[1],) * 2, BLOCKED).triu(1)
    layer = model.encoder.layers[0]
    read = layer.norm1(hidden)
    return layer.self_attn(read, read, read, attn_mask=future, key_padding_mask=padding)[1][0, -1]


@torch.no_grad()
def test_without_the_named_item_scores_fall_by_more_than_without_others(tmp_path: Path) -> None:
    model = encoder()
    rng = np.random.default_rng(0)
    histories = {user: rng.permutation(np.arange(1, ITEMS + 1))[:WINDOW].tolist() for user in range(1, 31)}
    rows = [(user, item, time) for user, items in histories.items() for time, item in enumerate(items)]
    table = pl.DataFrame(rows, schema=ROWS.schema, orient="row")
    task, lists = prepared(write_network(tmp_path / "m.onnx", model, ITEMS, table))
    falls = []
    for user, _, item, _, because, _ in reasons(task, lists, 1).rows():
        history = histories[user]
        looked = history[int(attention(model, torch.tensor([history])).argmax())]
        whole = scored(model, history)[item]
        falls.append(
            [whole - scored(model, without(history, i, False))[item] for i in (because, rng.choice(history), looked)]
        )
    named, random, attended = np.mean(falls, axis=0)
    assert len(falls) > 100 and named > random + 0.1 and named > attended + 0.1


def solved(items: np.ndarray, seen: list[int], confidence: float, penalty: float) -> np.ndarray:
    """(dim,) a user's vector by equation 4 of Hu, Koren & Volinsky (2008), with matrices as they are written there."""
    weights, wanted = np.ones(len(items)), np.zeros(len(items))
    weights[seen], wanted[seen] = confidence, 1
    whole = items.T @ np.diag(weights) @ items + penalty * np.eye(items.shape[1])
    return np.linalg.inv(whole) @ items.T @ np.diag(weights) @ wanted


def test_of_implicit_als_the_contributions_sum_to_the_score(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    items = np.vstack([np.zeros(4), rng.normal(size=(ITEMS, 4))])
    config = MFConfig(dim=4, confidence=6.0, regularization=0.7)
    model = MF(len(HISTORIES), ITEMS, config)
    vectors = [solved(items, HISTORIES[user], 6.0, 0.7) for user in KNOWN]
    with torch.no_grad():
        model.items.weight.copy_(torch.from_numpy(items))
        model.users.weight[1:5] = torch.from_numpy(np.array(vectors)).float()
    stated = {"config": {"confidence": 6.0, "regularization": 0.7}}
    task, lists = prepared(write_network(tmp_path / "m.onnx", model, ITEMS, ROWS, **stated))
    assert task.model.metadata.attribution == "closed form"
    own = Histories(task.histories.users, np.tile([1, 7], 5).astype(np.int32), np.arange(6) * 2)
    (parts,) = closed_form.contributions(task, own)
    for user in KNOWN:
        for item in (1, 7):
            mine = (task.histories.users.to_numpy()[parts.row] == user) & (parts.item == item)
            assert sorted(parts.because[mine]) == sorted(HISTORIES[user])
            assert parts.value[mine].sum() == pytest.approx(vectors[user - 1] @ items[item], rel=1e-4, abs=1e-6)
    found = reasons(task, lists, 1)
    assert found.height and (found["contribution"] > 0).all()
    assert not found.join(ROWS, left_on=["user", "because"], right_on=["user", "item"], how="anti").height


def test_vectors_from_which_no_user_can_be_solved_are_refused_in_a_line(tmp_path: Path) -> None:
    model = MF(len(HISTORIES), ITEMS, MFConfig(dim=4))
    with torch.no_grad():
        model.items.weight.zero_()
    stated = {"config": {"confidence": 6.0, "regularization": 0.0}}
    task, _ = prepared(write_network(tmp_path / "m.onnx", model, ITEMS, ROWS, **stated))
    own = Histories(task.histories.users, np.tile([1, 7], 5).astype(np.int32), np.arange(6) * 2)
    with pytest.raises(
        InputError, match=r"m\.onnx has item vectors from which no user's can be solved: train it with more"
    ):
        list(closed_form.contributions(task, own))


def test_a_model_of_ratings_gives_no_reasons(tmp_path: Path) -> None:
    for config in (MFConfig(dim=2, objective="ratings"), MFConfig(dim=2, ratings="weight")):
        assert MF(2, 3, config).attribution == "none"
    task, lists = prepared(write_network(tmp_path / "m.onnx", MF(2, 3, MFConfig(dim=2, objective="ratings")), 3))
    with pytest.raises(InputError, match=r"^m\.onnx gives no reasons: it was trained on ratings, which are no sum"):
        reasons(task, lists, 1)
    task, lists = prepared(write_network(tmp_path / "m.onnx", MF(2, 3, MFConfig(dim=2)), 3))
    with pytest.raises(InputError, match="does not state confidence and regularization"):
        reasons(task, lists, 1)


def test_reasons_do_not_depend_on_how_many_are_scored_together(tmp_path: Path, monkeypatch) -> None:
    task, lists = prepared(write_network(tmp_path / "m.onnx", encoder(), ITEMS, ROWS))
    whole = reasons(task, lists, 9)
    for rows, block in ((1, 1), (2, 7), (3, 10_000)):
        monkeypatch.setattr(occlusion, "ROWS", rows)
        monkeypatch.setattr(occlusion, "BLOCK", block)
        assert reasons(task, lists, 9).equals(whole)
    alone = task.take(np.array([2]))
    assert reasons(alone, lists.filter(pl.col("user") == 3), 9).equals(whole.filter(pl.col("user") == 3))


@pytest.fixture
def newest(tmp_path: Path) -> Callable[..., Task]:
    """Tasks of a model that scores by the newest item alone: each row of NEXT says how."""
    table = tmp_path / "t.parquet"
    ROWS.write_parquet(table)
    model = open_model(write_model(tmp_path / "m.onnx", list("abcde"), NEXT, table))

    def make(history: list[int], repeats: bool = False) -> Task:
        items = np.array(history, dtype=np.int32)
        histories = Histories(pl.Series("user", ["u"]), items, np.array([0, len(items)]), repeats=repeats)
        return Task(rows_job(model), histories, np.array([0]), None)

    return make


def test_only_what_raises_a_score_is_a_reason(newest) -> None:
    # Of a b: b scores e 5, d 4, c 3; without it a scores them 1, 2, 3. Without a nothing changes.
    task = newest([1, 2])
    lists = model_lists(task, 9, 1)
    assert reasons(task, lists, 3).drop("user").rows() == [(1, "e", 1, "b", 4.0), (2, "d", 1, "b", 2.0)]
    assert with_reasons(task, lists, 3)["because"].to_list() == [["b"], ["b"], []]


def test_an_item_that_comes_twice_is_taken_out_both_times(newest) -> None:
    # Of b a a, a counts: of c 3, d 2, e 1. Without both b is the newest, which scores them 3, 4, 5.
    task = newest([2, 1, 1], repeats=True)
    assert reasons(task, model_lists(task, 9, 1), 3).height == 0
    # Of a b b: as of a b.
    task = newest([1, 2, 2], repeats=True)
    assert reasons(task, model_lists(task, 9, 1), 3)["contribution"].to_list() == [4.0, 2.0]


def test_an_item_that_comes_very_often_costs_no_more_than_windows(newest, monkeypatch) -> None:
    # Behind b stands a 5,000 times, which scores c, d and e 3, 2 and 1. Without it b scores them 3, 4 and 5.
    sizes = []
    monkeypatch.setattr(occlusion, "windows", lambda h, length: sizes.append(length) or windows(h, length))
    task = newest([2, *[1] * 5_000], repeats=True)
    own = Histories(task.histories.users, np.array([3, 4, 5], dtype=np.int32), np.array([0, 3]))
    (found,) = occlusion.contributions(task, own, padding=False)
    assert max(sizes) <= 2 * task.model.metadata.window
    assert found.because.tolist() == [1, 1, 1] and found.value.tolist() == [0.0, -2.0, -4.0]
