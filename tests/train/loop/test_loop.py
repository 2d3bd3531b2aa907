"""The training loop on models of one weight, whose steps, averages and best epochs are worked out by hand."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor, nn

from infer.errors import InputError
from infer.histories.histories import Histories
from infer.system.memory import Trimming
from train.config import BertConfig, MFConfig
from train.data.dataset import Data
from train.loop import loop
from train.loop.loop import fit
from train.loop.run import EpochRecord, Run
from train.loop.validation import target_ranks, validate, validation_rows
from train.models.base import ScoringModel
from train.models.registry import build

CONFIG = BertConfig(epochs=1, patience=0, average=0.0, clip=0.0)


def data(histories: list[list[int]], targets: list[int], items: int) -> Data:
    flat = np.array([item for history in histories for item in history], np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(history) for history in histories])])
    users = list(range(len(histories)))
    found = Histories(pl.Series(users), flat, offsets)
    return Data("d", "", list(range(1, items + 1)), users, None, None, [], found, np.array(targets), Path())


# Two users, each with the target 1, and three items.
DATA = data([[2], [3]], [1, 1], 3)


class Steps(ScoringModel):
    """The loss of a batch is the sum over it of weight times value, over its length, plus `extra`."""

    def __init__(self, *batches: list[list[float]], extra: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(len(batches[0][0])))
        self.batches, self.extra, self.calls = batches, extra, []

    def start_epoch(self, epoch: int) -> None:
        self.calls.append(("epoch", epoch, self.training))

    def training_batches(self, data: Data, generator: torch.Generator) -> Iterator["Batch"]:
        self.calls.append(("batches", torch.rand(1, generator=generator).item()))
        return (Batch(torch.tensor(batch)) for batch in self.batches)

    def loss(self, batch: "Batch") -> Tensor:
        assert batch.device == torch.device("cpu"), "where training runs"
        self.calls.append(("loss", self.training, torch.rand(1).item()))
        return (batch.values @ self.weight).mean() + self.extra * len(batch)

    def inputs(self, data: Data, rows: Tensor) -> tuple[Tensor]:
        return (rows,)

    def forward(self, rows: Tensor) -> Tensor:
        self.calls.append(("forward", self.training, self.weight.tolist(), torch.is_grad_enabled()))
        return torch.zeros(len(rows), 4)

    def of(self, name: str) -> list[tuple]:
        return [call[1:] for call in self.calls if call[0] == name]


class Batch:
    def __init__(self, values: Tensor) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def to(self, device: torch.device) -> "Batch":
        self.device = device
        return self


def trained(model: Steps, rate: float = 1.0, **changes) -> Run:
    run = Run(model, torch.optim.SGD(model.parameters(), lr=rate))
    list(fit(run, DATA, replace(CONFIG, **changes)))
    return run


def test_the_training_loss_is_the_mean_over_rows_not_over_batches() -> None:
    # Three rows with the loss 6 each and one with 2: (3 * 6 + 2) / 4.
    run = trained(Steps([[1.0]] * 3, [[1.0]], extra=2.0), rate=0.0)
    assert run.records[0].train_loss == pytest.approx((3 * 6 + 2) / 4)


def test_an_epoch_without_batches_has_the_loss_zero() -> None:
    model = Steps([[1.0]])
    model.batches = ()
    assert trained(model).records[0].train_loss == 0


def test_every_step_follows_the_gradient_of_its_own_batch() -> None:
    assert trained(Steps([[1.0]], [[2.0]], [[4.0]]), rate=0.5).model.weight.item() == -(1 + 2 + 4) / 2


@pytest.mark.parametrize(("clip", "expected"), [(0.0, [-3, -4]), (10.0, [-3, -4]), (1.0, [-0.6, -0.8])])
def test_a_gradient_longer_than_the_clip_is_shortened_to_it(clip: float, expected: list[float]) -> None:
    assert trained(Steps([[3.0, 4.0]]), clip=clip).model.weight.tolist() == pytest.approx(expected, rel=1e-5)


def test_dropout_is_on_in_training_and_off_in_validation_in_every_epoch() -> None:
    model = Steps([[1.0]], [[1.0]])
    trained(model, epochs=2)
    assert [call[0] for call in model.of("loss")] == [True] * 4
    assert [call[0] for call in model.of("forward")] == [False] * 2
    assert not any(call[2] for call in model.of("forward")), "no gradients in validation"


def test_a_model_is_told_of_each_epoch_before_its_batches() -> None:
    model = Steps([[1.0]])
    trained(model, epochs=3)
    assert model.of("epoch") == [(1, True), (2, True), (3, True)]
    assert [call[0] for call in model.calls[:3]] == ["epoch", "batches", "loss"]


def drawn(seed: int) -> list[float]:
    """The first random numbers of three epochs: two of the batches' generator, then two of dropout."""
    model = Steps([[1.0]])
    trained(model, seed=seed, epochs=3)
    return [call[-1] for name in ("batches", "loss") for call in model.of(name)]


def test_seed_and_epoch_decide_every_random_number_and_nothing_else_does() -> None:
    torch.manual_seed(1)
    first = drawn(0)
    torch.manual_seed(2)
    assert drawn(0) == first
    assert len(set(first + drawn(1) + drawn(2))) == 18, "no stream is used twice"


def test_streams_of_neighbouring_seeds_and_epochs_differ() -> None:
    parts = [(seed, epoch, name) for seed in range(4) for epoch in range(4) for name in ("dropout", "batches")]
    seeds = {loop.stream_seed(*part) for part in parts}
    assert len(seeds) == len(parts) and all(0 <= seed < 2**63 for seed in seeds)


def test_the_average_is_what_is_measured_and_kept_while_training_goes_on_from_the_weights() -> None:
    # The weights are -1, -2, -3; the decay grows: 2/12, then 3/13, as long as it is below the configured one.
    second = -1 * 2 / 12 - 2 * 10 / 12
    third = second * 3 / 13 - 3 * 10 / 13
    model = Steps([[1.0]])
    run = trained(model, epochs=3, average=0.9)
    measured = [call[1][0] for call in model.of("forward")]
    assert measured == pytest.approx([-1, second, third]) and model.weight.item() == pytest.approx(third)
    assert run.steps == 3 and run.average["weight"].item() == pytest.approx(third)
    early = trained(Steps([[1.0]]), epochs=3, average=0.1).model.weight.item()
    assert early == pytest.approx((-1 * 0.1 - 2 * 0.9) * 0.1 - 3 * 0.9)


def test_a_continued_model_is_epoch_0_and_its_average_begins_with_its_weights(monkeypatch) -> None:
    measured(monkeypatch, [0.5, 0.4, 0.3, 0.2])
    model = Steps([[1.0]])
    model.weight.data += 8
    run = Run(model, torch.optim.SGD(model.parameters(), lr=1.0))
    run.carry_on(epoch_steps=1)
    list(fit(run, DATA, replace(CONFIG, epochs=9, average=0.75, patience=2)))
    # The weights are 7 and 6: 8 * 0.75 + 7 * 0.25 = 7.75, then 7.75 * 0.75 + 6 * 0.25.
    assert run.average["weight"].item() == pytest.approx(7.3125)
    assert [(r.epoch, r.train_loss is None) for r in run.records] == [(0, True), (1, False), (2, False)]
    assert run.epochs == 2 and run.best_record.epoch == 0 and model.weight.item() == 8, "what it began with is better"


def test_a_continued_average_moves_by_epochs_where_these_are_of_a_few_steps() -> None:
    moved = []
    for steps in (1, 8, 256, 20_000):
        run = Run(Steps([[1.0]]), None)
        run.model.weight.data.fill_(0)
        run.carry_on(steps)
        run.model.weight.data.fill_(1)
        for _ in range(min(steps, 256)):
            run.follow(0.9998)
        moved.append(run.average["weight"].item())
    # An epoch of any size up to 256 steps moves it by about a fifth, as 256 of 10,000 do.
    assert moved == pytest.approx([10 / 51, 0.216, 0.223, 0.223], abs=0.001)


def test_without_an_average_the_last_weights_are_kept() -> None:
    run = trained(Steps([[1.0]]), epochs=3)
    assert run.average is None and run.steps == 0 and run.model.weight.item() == -3


def test_what_is_fixed_is_not_averaged() -> None:
    model = Steps([[1.0]])
    model.fixed = nn.Parameter(torch.tensor([0.1]), requires_grad=False)
    run = Run(model, torch.optim.SGD([model.weight], lr=1.0))
    config, kept = replace(CONFIG, average=0.9, epochs=2), torch.tensor([7.0])
    iterator = fit(run, DATA, config)
    next(iterator)
    run.average["fixed"] = kept
    list(iterator)
    assert run.average["fixed"] is kept and kept.item() == 7


def measured(monkeypatch, values: list[float]) -> None:
    """Let the epochs have these validation NDCGs."""
    rest = iter(values)
    monkeypatch.setattr(loop, "validate", lambda *given: (None, 0.0, next(rest)))


@pytest.mark.parametrize("average", [0.0, 0.001])
def test_of_equally_good_epochs_the_earliest_is_kept_and_patience_counts_from_it(average: float, monkeypatch) -> None:
    # Means of three: 0.1, 0.2, 0.23, 0.2, 0.13, 0.1; the third is the last that is better in any way.
    measured(monkeypatch, [0.1, 0.3, 0.3, 0.0, 0.1, 0.2, 0.9])
    run = trained(Steps([[1.0]]), epochs=9, patience=3, average=average)
    assert [record.epoch for record in run.records] == [1, 2, 3, 4, 5, 6]
    assert run.best_record.epoch == 2 and run.model.weight.item() == pytest.approx(-2, abs=0.01)
    if not average:
        assert run.best["weight"].item() == -2


def test_a_better_epoch_within_the_patience_renews_it(monkeypatch) -> None:
    measured(monkeypatch, [0.3, 0.2, 0.4, 0.1, 0.1])
    run = trained(Steps([[1.0]]), epochs=9, patience=2)
    assert len(run.records) == 5 and run.best_record.epoch == 3 and run.model.weight.item() == -3


def test_one_high_epoch_by_chance_does_not_end_a_training_that_gets_better(monkeypatch) -> None:
    measured(monkeypatch, [0.1, 0.5, 0.1, 0.2, 0.3, 0.4, 0.45, 0.48, 0.1, 0.1])
    run = trained(Steps([[1.0]]), epochs=20, patience=2)
    # Means of three: 0.1, 0.3, 0.23, 0.27, 0.2, 0.3, 0.38, 0.44, ...; epoch 4 is the second without a better one.
    assert len(run.records) == 4 and run.best_record.epoch == 2
    measured(monkeypatch, [0.1, 0.4, 0.3, 0.3, 0.35, 0.35, 0.3, 0.3])
    run = trained(Steps([[1.0]]), epochs=20, patience=2)
    # 0.1, 0.25, 0.27, 0.33, 0.32, 0.33, 0.33, 0.32: single epochs alone would have ended it after 4.
    assert len(run.records) == 6 and run.best_record.epoch == 2


def test_the_best_epoch_may_be_the_first_or_measure_nothing(monkeypatch) -> None:
    measured(monkeypatch, [0.0, 0.0, 0.0])
    run = trained(Steps([[1.0]]), epochs=9, patience=2)
    assert len(run.records) == 3 and run.best_record.epoch == 1 and run.model.weight.item() == -1


def test_without_patience_every_epoch_is_trained_and_the_last_is_kept(monkeypatch) -> None:
    measured(monkeypatch, [0.4, 0.3, 0.2, 0.1])
    run = trained(Steps([[1.0]]), epochs=4)
    assert len(run.records) == 4 and run.best is None
    assert run.best_record.epoch == 4 and run.model.weight.item() == -4


def test_a_resumed_run_has_everything_of_the_interrupted_one(monkeypatch) -> None:
    values = [0.3, 0.2, 0.25, 0.1]
    measured(monkeypatch, values)
    options = {"epochs": 6, "patience": 3, "average": 0.9}
    whole = trained(Steps([[1.0]], [[2.0]]), **options)
    measured(monkeypatch, values)
    first = trained(Steps([[1.0]], [[2.0]]), **options | {"epochs": 1})
    first.model.load_state_dict({"weight": torch.tensor([-3.0])})  # not the average that is kept after the last epoch
    state = first.state() | {"preparation_seconds": 1.5}
    model = Steps([[1.0]], [[2.0]])
    second = Run(model, torch.optim.SGD(model.parameters(), lr=1.0))
    second.load(state)
    assert second.preparation_seconds == 1.5 and second.steps == 2
    list(fit(second, DATA, replace(CONFIG, **options)))
    assert [replace(r, seconds=0) for r in second.records] == [replace(r, seconds=0) for r in whole.records]
    assert len(second.records) == 4 and second.best_record.epoch == 1
    for one in ("model", "average", "best"):
        assert torch.equal(second.state()[one]["weight"], whole.state()[one]["weight"])


def test_a_state_is_a_copy_that_further_steps_leave_alone() -> None:
    model = Steps([[1.0]])
    run = Run(model, torch.optim.SGD(model.parameters(), lr=1.0))
    records = fit(run, DATA, replace(CONFIG, epochs=2))
    next(records)
    state = run.state()
    list(records)
    assert state["model"]["weight"].item() == -1 and model.weight.item() == -2 and len(state["history"]) == 1


def test_a_model_in_closed_form_is_solved_once() -> None:
    class Solved(Steps):
        closed_form = True

        def solve(self, given: Data) -> None:
            assert given is DATA
            self.calls.append(("solve",))

    model = Solved([[1.0]])
    run = Run(model, None)
    records = list(fit(run, DATA, MFConfig(epochs=7)))
    assert len(records) == 1 and records[0].train_loss is None and records[0].validation_loss is None
    assert len(model.of("solve")) == 1 and not model.of("loss")
    assert not list(fit(run, DATA, MFConfig(epochs=7))), "nothing is left to do"
    resumed = Run(Solved([[1.0]]), None)
    resumed.load(run.state() | {"preparation_seconds": 0.0})
    assert not list(fit(resumed, DATA, MFConfig(epochs=7))) and resumed.records == records


def test_a_model_without_clip_average_and_patience_has_none_of_them(monkeypatch) -> None:
    measured(monkeypatch, [0.4, 0.3, 0.2])
    model = Steps([[30.0, 40.0]])
    run = Run(model, torch.optim.SGD(model.parameters(), lr=1.0))
    assert run.preparation_seconds == 0 and len(list(fit(run, DATA, MFConfig(objective="ratings", epochs=3)))) == 3
    assert model.weight.tolist() == [-90, -120] and run.average is None and run.best is None
    assert run.best_record.epoch == 3


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_refused_with_its_epoch(loss: float) -> None:
    with pytest.raises(InputError, match=f"the loss of epoch 1 is {loss}: try a smaller --learning-rate"):
        trained(Steps([[1.0]], extra=loss))


def test_seconds_are_those_of_training_alone(monkeypatch) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(loop.time, "perf_counter", lambda: clock.now)

    class Slow(Steps):
        def loss(self, batch: Batch) -> Tensor:
            clock.now += 1
            return super().loss(batch)

        def forward(self, rows: Tensor) -> Tensor:
            clock.now += 100
            return super().forward(rows)

    assert [record.seconds for record in trained(Slow([[1.0]], [[1.0]]), epochs=2).records] == [2, 2]


class Given(Steps):
    """Scores that are given, and the number of a part of the users as their loss."""

    def __init__(self, scores: Tensor, losses: bool = True) -> None:
        super().__init__([[1.0]])
        self.scores, self.part, self.losses = scores, 0, losses

    def forward(self, rows: Tensor) -> Tensor:
        return self.scores[rows]

    def validation_loss(self, scores: Tensor, data: Data, rows: Tensor) -> Tensor | None:
        self.part += 1
        return torch.tensor(float(self.part)) if self.losses else None


def test_validation_measures_the_rank_among_what_was_not_seen() -> None:
    # 13 items. The first user's target 5 leads; the second's 5 is third, since 1 and 2 have been seen, padding
    # does not count, and of the equal scores of 4 and 6 only the first stands before it; the third's is eleventh.
    scores = torch.zeros(3, 14)
    scores[0, 5] = 1.0
    scores[1] = torch.tensor([9.0, 9, 9, 3, 2, 2, 2, *[0.0] * 7])
    scores[2, 1:] = torch.arange(13.0, 0, -1)
    before = scores.clone()
    given = data([[1], [1, 2], [13]], [5, 5, 11], 13)
    assert target_ranks(scores.clone(), given, torch.arange(3)).tolist() == [1, 3, 11]
    loss, hit, ndcg = validate(Given(scores), given, torch.arange(3), torch.device("cpu"))
    assert loss == 1 and hit == pytest.approx(2 / 3) and ndcg == pytest.approx((1 + 1 / 2) / 3)
    # The tenth place is the last hit.
    assert target_ranks(scores[[2]], given, torch.tensor([2])).tolist() == [11]
    tenth = data([[1], [1, 2], [1]], [5, 5, 11], 13)
    assert validate(Given(before), tenth, torch.tensor([2]), torch.device("cpu"))[1:] == pytest.approx(
        (1.0, 1 / np.log2(11))
    )


def test_the_validation_loss_is_the_mean_over_users_not_over_parts() -> None:
    users = 300
    given = data([[2]] * users, [1] * users, 3)
    model = Given(torch.zeros(users, 4))
    # Parts of 256 and 44 users with the losses 1 and 2.
    found, _, _ = validate(model, given, torch.arange(users), torch.device("cpu"))
    assert found == pytest.approx((256 * 1 + 44 * 2) / users)
    assert (
        validate(Given(torch.zeros(users, 4), losses=False), given, torch.arange(users), torch.device("cpu"))[0] is None
    )


def test_only_users_with_a_validation_item_are_measured() -> None:
    given = data([[1]] * 6, [2, 0, 2, 3, 0, 3], 3)
    assert validation_rows(given, CONFIG).tolist() == [0, 2, 3, 5]
    assert validation_rows(given, replace(CONFIG, validation_users=4)).tolist() == [0, 2, 3, 5], "all, in order"
    samples = [validation_rows(given, replace(CONFIG, validation_users=3, seed=seed)).tolist() for seed in range(20)]
    assert all(len(set(s)) == 3 and set(s) <= {0, 2, 3, 5} and s == sorted(s) for s in samples)
    assert len({tuple(s) for s in samples}) == 4, "every user can be in it"


def test_the_best_record_is_the_last_where_no_best_weights_are_kept() -> None:
    records = [EpochRecord(n, 0.0, None, 0.0, value, 0.0) for n, value in ((1, 0.5), (2, 0.7), (3, 0.7), (4, 0.1))]
    run = Run(nn.Linear(1, 1), None, records=records)
    assert run.best_record.epoch == 4
    run.best = {}
    assert run.best_record.epoch == 2


def test_padding_is_no_candidate_even_where_no_history_is_padded() -> None:
    # 64 items fill the width to which what was seen is padded.
    given, scores = data([list(range(1, 65))], [66], 66), torch.zeros(1, 67)
    scores[0, 0] = 9.0
    assert target_ranks(scores, given, torch.tensor([0])).tolist() == [2], "behind 65 alone"


UNMEASURED = data([[2], [3]], [0, 0], 3)


@pytest.mark.parametrize(("average", "kept"), [(0.0, -4.0), (0.001, -3.999)])
def test_without_validation_items_every_epoch_is_trained_and_measures_nothing(average: float, kept: float) -> None:
    model = Steps([[1.0]])
    config = replace(CONFIG, epochs=4, patience=1, average=average)
    run = Run(model, torch.optim.SGD(model.parameters(), lr=1.0))
    records = list(fit(run, UNMEASURED, config))
    assert [record.epoch for record in records] == [1, 2, 3, 4] and run.best is None
    assert {(r.validation_loss, r.validation_hit_at_10, r.validation_ndcg_at_10) for r in records} == {(None,) * 3}
    assert run.best_record.epoch == 4 and model.weight.item() == pytest.approx(kept, abs=1e-4)
    assert not model.of("forward"), "nothing is scored"
    again = Run(Steps([[1.0]]), None)
    again.load(run.state() | {"preparation_seconds": 0.0})
    assert not list(fit(again, UNMEASURED, config)) and again.best_record.epoch == 4


def test_whom_the_model_knows_nothing_of_is_a_miss_however_the_items_are_ordered() -> None:
    # Of equal scores the first item leads: the target 1 would be a hit for everyone.
    given = data([[2], []], [1, 1], 3)
    found = validate(Given(torch.zeros(2, 4), losses=False), given, torch.arange(2), torch.device("cpu"))
    assert found == (None, 0.5, 0.5)
    # A history that is read and not trained on is known to what reads windows, and not to what reads users.
    read = replace(given, context=data([[2], [3]], [1, 1], 3).histories)
    assert validate(Given(torch.zeros(2, 4)), read, torch.arange(2), torch.device("cpu"))[1:] == (1.0, 1.0)
    by_user = Given(torch.zeros(2, 4))
    by_user.input_names = ("user",)
    assert validate(by_user, read, torch.arange(2), torch.device("cpu")) == (1.0, 0.5, 0.5)
    assert validate(by_user, read, torch.tensor([1]), torch.device("cpu")) == (None, 0.0, 0.0)


def test_the_validation_loss_leaves_out_whom_the_model_knows_nothing_of() -> None:
    # Parts of 256 and 44 users with the losses 1 and 2; every fourth user has no history.
    users = 300
    given = data([[2] * (user % 4 > 0) for user in range(users)], [1] * users, 3)
    found, _, _ = validate(Given(torch.zeros(users, 4)), given, torch.arange(users), torch.device("cpu"))
    assert found == pytest.approx((192 * 1 + 33 * 2) / 225)


class Planned(Steps):
    """Two steps an epoch are expected."""

    def expected_steps(self, data: Data) -> int:
        return 2


def test_the_learning_rate_follows_the_steps_and_a_resumed_run_goes_on_in_it() -> None:
    # Steps 0 to 3 of 4 with a falling rate: 1, 3/4, 1/2, 1/4, each times the gradient 1.
    whole = trained(Planned([[1.0]], [[1.0]]), epochs=2, schedule="linear", learning_rate=1.0)
    assert whole.model.weight.item() == pytest.approx(-(1 + 3 / 4 + 1 / 2 + 1 / 4))
    config = replace(CONFIG, epochs=2, schedule="linear", learning_rate=1.0)
    cut = Run(Planned([[1.0]], [[1.0]]), None)
    cut.optimizer = torch.optim.SGD(cut.model.parameters(), lr=1.0)
    next(fit(cut, DATA, config))
    resumed = Run(Planned([[1.0]], [[1.0]]), None)
    resumed.optimizer = torch.optim.SGD(resumed.model.parameters(), lr=9.0)
    resumed.load(cut.state() | {"preparation_seconds": 0.0})
    list(fit(resumed, DATA, config))
    assert resumed.model.weight.item() == whole.model.weight.item()
    # More steps than were expected keep the epoch's last rate: 1/2 * 2, then 1 twice.
    longer = trained(Planned([[1.0]], [[1.0]], [[1.0]]), epochs=1, warm_up=2, learning_rate=2.0)
    assert longer.model.weight.item() == pytest.approx(-(1 + 2 + 2))


def test_an_epoch_of_so_many_steps_ends_after_them_and_the_next_draws_others() -> None:
    long = data([[1, 2, 3, 4], [4, 3, 2], [2, 4, 1, 3, 2]], [1, 1, 4], 4)
    config = BertConfig(
        dim=4, heads=1, layers=1, max_length=3, feedforward=8, stride=1, batch_size=2, epochs=3, epoch_steps=2,
        patience=0, block="transformer",
    )  # fmt: skip
    model = build("bert", long, config)[0]
    run = Run(model, model.optimizer())
    assert [record.epoch for record in fit(run, long, config)] == [1, 2, 3]
    assert run.steps == 6 and model.expected_steps(long) == 2
    drawn = [
        [batch.item.tolist() for batch in model.training_batches(long, torch.Generator().manual_seed(seed))]
        for seed in range(5)
    ]
    assert all(len(batches) == 2 for batches in drawn) and len({str(batches) for batches in drawn}) > 1


def test_every_step_asks_whether_freed_memory_is_to_be_given_back(monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(Trimming, "trim", lambda trimming: asked.append(trimming))
    model = Steps([[1.0]], [[2.0]])
    list(fit(Run(model, torch.optim.SGD(model.parameters(), lr=0.1)), DATA, replace(CONFIG, epochs=2)))
    assert len(asked) == 4 and len(set(asked)) == 1, "one clock for all epochs"
