"""The blend: standardised scores, fitted weights against those found by another solver, one complete file,
members that do not fit."""

import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from scipy.optimize import minimize

from infer.errors import InputError
from infer.histories.histories import Histories
from train import trainer
from train.data.dataset import Data, load
from train.models import blend as fitting
from train.models.base import ScoringModel
from train.models.blend import Blend, names
from train.models.registry import build, restore
from train.presets import configuration
from train.saved import checkpoint
from train.saved.places import Places


@pytest.fixture(scope="module")
def folder(artifacts: Path, tmp_path_factory) -> Path:
    """Members trained on the checkerboard."""
    folder = tmp_path_factory.mktemp("blend")
    for name in ("interactions.parquet", "items.parquet", "mf.pt"):
        shutil.copy(artifacts / name, folder)
    for kind in ("ease", "markov"):
        trainer.train(kind, configuration(kind, artifacts=folder))
    # Without EASE in its chain, so that it has something to add to ease.
    small = {"block": "hstu", "dim": 8, "max_length": 6, "epochs": 2, "chain_ease": 0.0}
    trainer.train("hybrid", configuration("hybrid", artifacts=folder, **small))
    return folder


def blend(folder: Path, members: str = "ease,markov,hybrid") -> Blend:
    model, _ = build("best", load(folder), configuration("best", artifacts=folder, members=members))
    return model.eval()


@torch.no_grad()
def test_scores_are_standardised_weighed_and_summed(folder: Path) -> None:
    model = blend(folder)
    model.weights.copy_(torch.tensor([0.5, 0.0, 2.0]))
    window = torch.zeros(2, 50, dtype=torch.int64)
    window[:, -3:] = torch.tensor([[3, 4, 5], [0, 0, 9]])
    expected = 0
    for member, weight in ((model.members[0], 0.5), (model.members[2], 2.0)):
        scores = member(window[:, -member.window :])[:, 1:].numpy()
        unit = (scores - scores.mean(1, keepdims=True)) / scores.std(1, keepdims=True)
        expected = expected + weight * np.sign(unit) * np.log1p(np.abs(unit))
    np.testing.assert_allclose(model(window)[:, 1:].numpy(), expected, rtol=1e-4, atol=1e-5)
    assert not model(window)[:, 0].any()


def test_a_member_that_knows_the_answer_gets_the_weight(folder: Path) -> None:
    data = load(folder)

    class Oracle(ScoringModel):
        window = 50

        def __init__(self, right: bool) -> None:
            super().__init__()
            self.right = right

        def forward(self, window: torch.Tensor) -> torch.Tensor:
            scores = torch.randn(len(window), 25, generator=torch.Generator().manual_seed(len(window) + self.right))
            if self.right:
                scores = scores.scatter(1, torch.from_numpy(data.targets)[self.rows][:, None], 2.0)
            return scores

    class Watched(Blend):
        def inputs(self, data, rows):
            self.members[0].rows = rows
            return super().inputs(data, rows)

    model = Watched([Oracle(True), Oracle(False)], 24, configuration("best", members="a,b"))
    model.solve(data)
    assert model.weights[0] > 3 * model.weights[1] > 0


class Table(ScoringModel):
    """Scores by the sum over what the last `window` items lead to."""

    def __init__(self, table: np.ndarray, window: int, content: bool = False) -> None:
        super().__init__()
        self.table, self.window, self.from_content = torch.tensor(table), window, content

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        assert window.shape[1] == self.window and not self.training and not torch.is_grad_enabled()
        return self.table[window].sum(1)


ITEMS, SEED = 9, 7
TABLES = np.random.default_rng(1).normal(size=(3, ITEMS + 1, ITEMS + 1)).astype(np.float32)
TABLES[:, 0] = 0  # of padding


@pytest.fixture(scope="module")
def small() -> Data:
    """90 users, of whom some have no validation item; item 9 is in no history but the next one of some."""
    rng = np.random.default_rng(0)
    histories = [rng.permutation(8)[: rng.integers(1, 5)] + 1 for _ in range(90)]
    # What the first two tables recommend, with noise; item 9 less.
    liking = [TABLES[0][h[-1]] + TABLES[1][h[-3:]].sum(0) + 1.5 * rng.gumbel(size=ITEMS + 1) for h in histories]
    for one in liking:
        one[9] = one[9] / 2 - 1
    targets = [
        max(np.setdiff1d(np.arange(1, 10), history), key=lambda item, own=own: own[item])
        for history, own in zip(histories, liking, strict=True)
    ]
    targets = np.where(rng.random(90) < 0.2, 0, targets)
    flat, offsets = np.concatenate(histories).astype(np.int32), np.cumsum([0, *map(len, histories)])
    found = Histories(pl.Series(range(90)), flat, offsets)
    return Data("d", "", list(range(1, 10)), list(range(90)), None, None, [], found, targets, Path())


def tables(content: bool) -> Blend:
    members = [Table(TABLES[0], 1), Table(TABLES[1], 3, content), Table(TABLES[2], 2)]
    return Blend(members, ITEMS, configuration("best", members="a,b,c", seed=SEED))


def by_another_solver(blend: Blend, data: Data, rows: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Weights and newcomers' offset and weight that minimise the stated objective, found without gradients of ours."""
    histories = np.split(data.histories.items, data.histories.offsets[1:-1])
    users = []
    for row in rows:
        scores = []
        for member in blend.members:
            recent = histories[row][-member.window :]
            raw = member.table.numpy()[recent].sum(0)[1:].astype(float)
            unit = (raw - raw.mean()) / raw.std()
            scores.append(np.sign(unit) * np.log1p(np.abs(unit)))
        unseen = np.setdiff1d(np.arange(1, ITEMS + 1), histories[row])
        users.append((np.array(scores), unseen - 1, data.targets[row] - 1))
    held = set(data.histories.items.tolist())
    unrated = np.array([item not in held for item in range(1, ITEMS + 1)])

    def objective(given: np.ndarray) -> float:
        logs, newcomers = given[:3], given[3:]
        total = 0.0
        for scores, unseen, target in users:
            score = np.exp(logs) @ scores
            if blend.content is not None:
                score = np.where(unrated, newcomers[0] + np.exp(newcomers[1]) * scores[blend.content], score)
            total += np.log(np.exp(score[unseen]).sum()) - score[target]
        return total / len(users) + 1e-3 * (((logs - logs.mean()) ** 2).sum() + (newcomers**2).sum())

    found = minimize(objective, np.zeros(5), options={"gtol": 1e-6}).x
    return np.exp(found[:3]), np.array([found[3], np.exp(found[4])])


@pytest.fixture
def fitted_only(monkeypatch) -> None:
    """Weights are as fitted, without what lists then change of them."""
    monkeypatch.setattr(Blend, "_rank", lambda self, parts: None)


@pytest.mark.usefixtures("fitted_only")
@pytest.mark.parametrize("content", [True, False])
def test_weights_are_those_that_another_solver_finds(small: Data, content: bool) -> None:
    model = tables(content)
    assert model.window == 3 and model.content == (1 if content else None)
    model.solve(small)
    weights, newcomers = by_another_solver(model, small, np.flatnonzero(small.targets).tolist())
    np.testing.assert_allclose(model.weights, weights, rtol=0.02)
    np.testing.assert_allclose(model.newcomers, newcomers, rtol=0.02, atol=0.01)
    assert model.weights[:2].min() > 0.2 and model.weights[2] > 0
    assert model.unrated.tolist() == [True, *[False] * 8, True]
    assert np.abs(newcomers - [0, 1]).max() > 0.1 if content else np.allclose(newcomers, [0, 1], atol=1e-3)


@pytest.mark.usefixtures("fitted_only")
def test_where_memory_is_short_a_seeded_sample_of_users_is_fitted(small: Data, monkeypatch) -> None:
    assert fitting.BUDGET == 300_000_000 and fitting.PENALTY == 1e-3
    monkeypatch.setattr(fitting, "BUDGET", 30 * 3 * 10)  # thirty users' scores by three members
    model, all_of_them = tables(True), tables(True)
    model.solve(small)
    rows = np.random.default_rng(SEED).choice(np.flatnonzero(small.targets), 30, replace=False)
    weights, newcomers = by_another_solver(model, small, rows.tolist())
    np.testing.assert_allclose(model.weights, weights, rtol=0.02)
    np.testing.assert_allclose(model.newcomers, newcomers, rtol=0.02, atol=0.01)
    monkeypatch.undo()
    all_of_them.solve(small)
    assert not np.allclose(model.weights, all_of_them.weights, rtol=0.05)


@torch.no_grad()
def test_an_item_that_nobody_has_rated_is_scored_by_its_content_on_a_scale_of_its_own(small: Data) -> None:
    window = torch.tensor([[0, 2, 5], [1, 4, 3]])
    for content in (True, False):
        model = tables(content).eval()
        model.unrated[9] = True
        model.weights.copy_(torch.tensor([0.5, 1.5, 2.0]))
        model.newcomers.copy_(torch.tensor([-3.0, 0.25]))
        each = model.standardised(window)
        total = 0.5 * each[0] + 1.5 * each[1] + 2.0 * each[2]
        found = model(window)
        torch.testing.assert_close(found[:, :9], total[:, :9])
        torch.testing.assert_close(found[:, 9], -3 + 0.25 * each[1, :, 9] if content else total[:, 9])


def test_the_blend_is_never_below_its_best_member_and_says_what_became_of_each(small: Data, caplog) -> None:
    noise = np.random.default_rng(5).normal(size=(ITEMS + 1, ITEMS + 1)).astype(np.float32)
    right = np.zeros((ITEMS + 1, ITEMS + 1), np.float32)
    members = [Table(noise, 1), Table(right, 2)]
    model = Blend(members, ITEMS, configuration("best", members="noise,good", seed=SEED))
    model.provenances = [{"of": "noise"}, {"of": "good"}]

    def scores(window: torch.Tensor) -> torch.Tensor:
        found = torch.zeros(len(window), ITEMS + 1)
        return found.scatter(1, torch.from_numpy(small.targets)[model.rows][:, None], 1.0)

    members[1].forward = scores

    def inputs(data: Data, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        model.rows = rows
        return (data.windows(rows, model.window),)

    model.inputs = inputs
    with caplog.at_level("INFO"):
        model.solve(small)
    assert names(model.config) == ["good"] and model.chosen == {"members": "good"} and model.window == 2
    assert model.provenances == [{"of": "good"}] and len(model.members) == len(model.weights) == 1
    assert "noise: NDCG@10" in caplog.text and "left out" in caplog.text
    assert "good: NDCG@10 100.00 % alone, weight" in caplog.text and "blend: NDCG@10 100.00 % of" in caplog.text


def test_what_a_member_reaches_alone_is_what_it_reaches_without_the_blend(small: Data, caplog) -> None:
    members = [Table(TABLES[0], 1), Table(TABLES[1], 3, True), Table(TABLES[2], 2)]
    model = Blend(members, ITEMS, configuration("best", members="a,b,c", seed=SEED))
    with caplog.at_level("INFO"):
        model.solve(small)
    rows = torch.from_numpy(np.flatnonzero(small.targets))
    for name, member in zip("abc", members, strict=True):
        with torch.no_grad():
            scores = member(small.windows(rows, member.window))
        blocked = torch.zeros(scores.shape, dtype=torch.bool).scatter(1, small.blocked(rows), True)
        blocked[:, 0] = True
        expected = fitting.ranking.gains(scores, blocked, small.target(rows)).mean()
        assert f"{name}: NDCG@10 {expected * 100:.2f} % alone" in caplog.text


def test_content_stays_since_it_alone_knows_what_nobody_has_rated(small: Data) -> None:
    flat = np.full((ITEMS + 1, ITEMS + 1), 0.3, np.float32)
    for content in (True, False):
        members = [Table(TABLES[0], 1), Table(TABLES[1], 3), Table(flat, 2, content)]
        model = Blend(members, ITEMS, configuration("best", members="a,b,c", seed=SEED))
        model.solve(small)
        assert (names(model.config) == ["a", "b", "c"]) == content


def test_a_reduced_blend_is_one_complete_checkpoint(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(fitting.ranking, "searched", lambda gains, weights, always: weights * torch.tensor([1, 0, 1]))
    # Of each of the three members alone first, then of all: how well they are trained must not decide what is kept.
    calls = count()
    monkeypatch.setattr(fitting.ranking, "gains", lambda scores, *_: np.full(len(scores), float(next(calls) >= 3)))
    run = trainer.train("best", configuration("best", artifacts=folder, members="ease,markov,hybrid"), "less")
    state = checkpoint.read(Places(folder, "less").finished, "")
    assert state["provenance"]["config"]["members"] == "ease,hybrid" and len(state["members"]) == 2
    assert set(state["provenance"]["parents"]) == {"ease.pt", "markov.pt", "hybrid.pt"}, "of which it was chosen"
    inputs = run.model.inputs(load(folder), torch.arange(4))
    with torch.no_grad():
        assert torch.equal(restore(state)(*inputs), run.model.eval()(*inputs))


@torch.no_grad()
def test_a_member_that_prefers_nothing_adds_nothing() -> None:
    flat = np.full((ITEMS + 1, ITEMS + 1), 0.3, np.float32)
    model = Blend([Table(flat, 1)], ITEMS, configuration("best", members="a")).eval()
    assert not model(torch.tensor([[0], [4]])).abs().max() > 0.1


@torch.no_grad()
def test_the_validation_loss_is_the_cross_entropy_of_the_validation_items(small: Data) -> None:
    model = tables(True).eval()
    rows = torch.from_numpy(np.flatnonzero(small.targets)[[4, 1]])
    (window,) = model.inputs(small, rows)
    for row, read in zip(rows.tolist(), window.tolist(), strict=True):
        own = small.histories.items[small.histories.offsets[row] : small.histories.offsets[row + 1]].tolist()
        assert read == ([0, 0, 0, *own])[-3:]
    scores = model(window)
    scores[:, 0] = 50.0  # of padding, which is no item
    chance = scores[:, 1:].softmax(1)
    expected = -sum(chance[n, small.targets[row] - 1].log() for n, row in enumerate(rows.tolist())) / 2
    torch.testing.assert_close(model.validation_loss(scores, small, rows), expected)
    assert (scores[:, 0] == 50.0).all(), "the scores are left as they were"


def test_names_of_members_may_stand_apart() -> None:
    assert names(configuration("best", members=" a, b,")) == ["a", "b"]
    with pytest.raises(InputError, match="different names separated by commas; found 'a, a'"):
        names(configuration("best", members="a, a"))


def test_what_is_learned_from_ends_before_the_validation_items_and_these_before_the_test_items(tmp_path: Path) -> None:
    rows = [(user, item, time, split) for user in "ab" for time, (item, split) in enumerate(HELD[user])]
    table = pl.DataFrame(rows, schema=["user", "item", "timestamp", "split"], orient="row")
    table.write_parquet(tmp_path / "interactions.parquet")
    data = load(tmp_path)
    assert data.item_ids == ["p", "q", "r", "s", "t"] and data.targets.tolist() == [3, 4]
    assert data.counts.tolist() == [0, 2, 1, 0, 0, 0] and data.histories.items.tolist() == [1, 2, 1]


HELD = {
    "a": [("p", "train"), ("q", "train"), ("r", "validation"), ("t", "test")],
    "b": [("p", "train"), ("s", "validation"), ("q", "test")],
}


def test_a_blend_is_complete_in_its_checkpoint_and_its_file(folder: Path, run) -> None:
    done = run("train", "best", f"--artifacts={folder}", "--members=ease,markov,hybrid")
    assert done.returncode == 0, done.stderr
    state = checkpoint.read(folder / "best.pt", "")
    window = torch.randint(1, 25, (3, 50), generator=torch.Generator().manual_seed(0))
    trained = blend(folder)
    trained.solve(load(folder))
    alone = folder / "alone"
    alone.mkdir()
    for name in ("interactions.parquet", "best.pt"):
        shutil.copy(folder / name, alone)
    with torch.no_grad():
        torch.testing.assert_close(restore(state)(window), trained(window))
    with pytest.raises(InputError, match="--members: best is a blend itself; name its members"):
        blend(folder, "ease,best")
    assert run("export", "best", f"--artifacts={alone}").returncode == 0
    assert run("infer.batch", f"--model={alone / 'best.onnx'}").returncode == 0
    assert pl.read_parquet(alone / "best.topk.parquet")["user"].n_unique() == 40


def test_members_that_do_not_fit_are_refused(folder: Path, run, refused) -> None:
    for members, message in {
        "": "--members is empty",
        "ease,ease": "different names separated by commas",
        "ease,nobody": "nobody.pt does not exist: train nobody first",
        "mf": "--members: mf reads user; only windows can be blended",
    }.items():
        refused(run("train", "best", f"--artifacts={folder}", f"--members={members}"), message)
    with pytest.raises(InputError, match="different names"):
        names(configuration("best", members=" , "))


def test_a_member_of_another_table_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "f")
    table = pl.read_parquet(folder / "interactions.parquet").head(300)
    table.write_parquet(tmp_path / "f" / "interactions.parquet")
    with pytest.raises(InputError, match="was trained on another table"):
        blend(tmp_path / "f")


def test_a_member_that_read_another_table_of_items_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "f")
    items = tmp_path / "f" / "items.parquet"
    pl.read_parquet(items).with_columns(title=pl.lit("Anything")).write_parquet(items)
    with pytest.raises(
        InputError, match=r"ease\.pt was trained with another table of items .*train ease first, or leave"
    ):
        blend(tmp_path / "f")
    assert blend(tmp_path / "f", "markov"), "which reads none"


def test_without_validation_items_members_cannot_be_weighed(small: Data) -> None:
    nobody = replace(small, targets=np.zeros_like(small.targets))
    with pytest.raises(
        InputError, match="holds nothing out for validation, by which best weighs its members: train and"
    ):
        tables(True).solve(nobody)
