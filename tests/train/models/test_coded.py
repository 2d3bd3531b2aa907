"""Item vectors put together from shared parts: the codes, where they come from, and models that have them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from export.exporter import export
from infer.errors import InputError
from tests.helpers.interrupted import equal, interrupted, metrics, train
from tests.helpers.rounds import write
from train import messages, trainer
from train.config import BertConfig
from train.data.dataset import load
from train.models.bert import MiniBERT4Rec
from train.models.coded import CODES, CodedVectors, whole_vectors
from train.models.codes import quantiles, singular_vectors, start_codes, start_vectors
from train.models.registry import build, restore
from train.presets import configuration
from train.saved import checkpoint, earlier

SMALL = {"dim": 4, "max_length": 6, "feedforward": 8, "stride": 3, "epochs": 2, "patience": 5, "codes": 2}


def test_a_vector_is_the_parts_of_its_codes_beside_each_other() -> None:
    table = CodedVectors(3, 4, 2, n=0)
    with torch.no_grad():
        table.weight[0, 7] = torch.tensor([1.0, 2])
        table.weight[1, 255] = torch.tensor([3.0, 4])
        table.weight[1, 0] = torch.tensor([5.0, 6])
    table.codes[1] = torch.tensor([7, 255])
    table.codes[2] = torch.tensor([7, 0])
    assert table(torch.tensor([[1], [2]])).tolist() == [[[1, 2, 3, 4]], [[1, 2, 5, 6]]]
    assert table(slice(1, 2)).tolist() == [[1, 2, 3, 4]]
    near = torch.tensor([[1.1, 1.9, 5.2, 6], [1, 2, 3, 3.9]])
    with torch.no_grad():
        table.weight += 100
        for place, code, part in ((0, 7, [1.0, 2]), (1, 255, [3.0, 4]), (1, 0, [5.0, 6])):
            table.weight[place, code] = torch.tensor(part)
    assert table.encoded(near).tolist() == [[7, 0], [7, 255]]


def test_to_the_parts_a_whole_vector_is_added() -> None:
    table = CodedVectors(2, 4, 2, n=600)
    with torch.no_grad():
        table.weight += 100
        table.whole += 1000
        table.whole[515] = torch.tensor([10.0, 20, 30, 40])
        table.weight[0, 7], table.weight[1, 255] = torch.tensor([0.1, 0.2]), torch.tensor([0.0, 0.1])
    table.codes[1] = torch.tensor([3, 2, 7, 255])
    expected = torch.tensor([[10.1, 20.2, 30, 40.1]])
    torch.testing.assert_close(table(slice(1, 2)), expected)
    assert table.encoded(expected).tolist() == [[3, 2, 7, 255]]


@pytest.mark.parametrize(("rows", "expected"), [(100, 256), (100_000, 390), (1_000_000, 3906), (10**8, 4096)])
def test_more_items_have_more_whole_vectors(rows: int, expected: int) -> None:
    assert whole_vectors(rows) == expected


def test_each_code_of_a_place_has_as_many_items_in_the_order_of_their_numbers() -> None:
    falling = -torch.arange(2.0 * CODES)[:, None]
    assert quantiles(falling, 0).flatten().tolist() == [code for code in reversed(range(CODES)) for _ in range(2)]
    assert quantiles(torch.tensor([[0.3], [0.1], [0.2], [0.4]]), 0).flatten().tolist() == [128, 0, 64, 192]
    assert quantiles(torch.zeros(0, 3), 0).shape == (0, 3)


def test_equal_numbers_are_spread_over_the_codes_by_the_seed() -> None:
    equal_ones = torch.zeros(CODES, 2)
    one, again, other = (quantiles(equal_ones, seed) for seed in (0, 0, 1))
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert [len(set(column)) for column in one.T.tolist()] == [CODES, CODES]


def test_few_vectors_are_their_own_centres_and_many_are_near_to_one() -> None:
    few = torch.tensor([[1.0, 2, 3, 4], [1, 2, 5, 6], [7, 8, 3, 4]])
    for n in (0, 256):
        table = CodedVectors(5, 4, 2, n)
        start_vectors(table, few, np.zeros(3), seed=0)
        assert torch.equal(table(slice(1, 4)), few)
    # 300 places of a grid have few items more than codes; all but those of a shared centre are met.
    grid = torch.cartesian_prod(torch.arange(20.0), torch.arange(15.0))
    tables = [CodedVectors(301, 2, 1, n=0) for _ in range(2)]
    for table in tables:
        start_vectors(table, grid, np.zeros(300), seed=0)
    off = (tables[0](slice(1, 301)) - grid).norm(dim=1)
    assert len(tables[0].codes.unique()) > 200 and off.max() <= 1.5 and off.mean() < 0.3
    assert equal(*(table.state_dict() for table in tables))


@torch.no_grad()
def errors(n: int, counts: np.ndarray) -> torch.Tensor:
    """Of 3,000 vectors around forty others."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 8))[rng.integers(0, 40, 3000)] + 0.3 * rng.normal(size=(3000, 8))
    table, given = CodedVectors(3001, 8, 2, n), torch.from_numpy(vectors).float()
    start_vectors(table, given, counts, seed=0)
    return (table(slice(1, 3001)) - given).norm(dim=1)


def test_what_whole_vectors_leave_is_cut_into_parts() -> None:
    none, few, many = (errors(n, np.ones(3000)).square().mean() for n in (0, 40, 400))
    assert few < 0.8 * none and many < 0.8 * few


def test_items_that_occur_often_are_nearer() -> None:
    often = np.where(np.arange(3000) < 300, 20, 1)
    given, even = errors(256, often), errors(256, np.ones(3000))
    assert given[:300].mean() < 0.7 * even[:300].mean() and given[300:].mean() < 1.6 * even[300:].mean()


def test_items_of_the_same_users_have_codes_near_to_each_other(tmp_path: Path) -> None:
    # Two worlds of ten items, twelve users each, one item of the other world at most.
    rows = [
        (user, 100 * (user % 2) + (user + step) % 10, step, split)
        for user in range(24)
        for step, split in enumerate(["train"] * 7 + ["validation", "test"])
    ]
    pl.DataFrame(rows, ["user", "item", "timestamp", "split"], orient="row").sort("user", "timestamp").write_parquet(
        tmp_path / "interactions.parquet"
    )
    data = load(tmp_path)
    vectors = singular_vectors(data, 2, seed=0)[1:]
    # The first two singular vectors are of the worlds: in that plane worlds lie at right angles, or opposite.
    worlds = vectors[:10].mean(0), vectors[10:].mean(0)
    for vector, world in zip(vectors, [0] * 10 + [1] * 10, strict=True):
        assert (vector - worlds[world]).norm() < (vector - worlds[1 - world]).norm()
    table = CodedVectors(22, 4, 2)
    start_codes(table, data, seed=0)
    assert not table.codes[0].any() and not table.codes[21].any(), "of padding and the mask token"
    number, parts = table.codes[1:21].split([2, 2], dim=1)
    assert all(sorted(column) == [n * CODES // 20 for n in range(20)] for column in parts.T.tolist())
    assert len(number.unique(dim=0)) > 12, "few items are their own clusters, but for those of the same users"
    assert singular_vectors(data, 30, seed=0).isfinite().all(), "a matrix has no more singular vectors than items"


@pytest.mark.parametrize("start", [{}, {"initial": "ials"}])
def test_parts_are_trained_and_codes_stay(start: dict, tmp_path: Path) -> None:
    write(tmp_path, list(range(10, 20)))
    config = configuration("bert", artifacts=tmp_path, **SMALL | start | {"epochs": 30, "dropout": 0.0})
    first, _ = build("bert", load(tmp_path), config)
    again, _ = build("bert", load(tmp_path), config)
    assert equal(first.state_dict(), again.state_dict())
    before = {name: weight.clone() for name, weight in first.state_dict().items()}
    run = trainer.train("bert", config)
    after = run.model.state_dict()
    assert torch.equal(after["items.codes"], before["items.codes"]) and after["items.codes"].dtype == torch.uint8
    assert not torch.equal(after["items.weight"], before["items.weight"])
    assert run.records[-1].train_loss < run.records[0].train_loss
    assert len(after["items.codes"][1:-1].unique(dim=0)) == 10, "ten items, ten vectors"


def test_a_run_is_resumed_to_the_same_weights(tmp_path: Path, monkeypatch, capsys) -> None:
    write(tmp_path, list(range(10, 20)))
    words = ("--codes=2", "--epochs=4", "--patience=4")
    interrupted(tmp_path, monkeypatch, *words, after=2)
    found = train(tmp_path, *words)
    assert "resuming after epoch 2" in capsys.readouterr().out
    expected = train(tmp_path, *words, "--name=whole") and checkpoint.read(tmp_path / "whole.pt", "")
    assert metrics(found) == metrics(expected) and equal(found["model"], expected["model"])
    assert found["provenance"]["config"]["codes"] == 2


@pytest.mark.parametrize("start", [{}, {"initial": "ials"}])
def test_kept_items_keep_their_codes_and_new_ones_get_those_of_their_place(start: dict, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    write(one, list(range(10, 20)))
    write(two, [10, 11, 12, 13, 99, 15, 16, 5, 17, 18, 19], users=14)
    trainer.train("bert", configuration("bert", artifacts=one, **SMALL | start))
    given = earlier.read(one / "bert.pt", "bert")
    data = load(two)
    options = earlier.agreed(replace(earlier.base(given, "bert"), artifacts=two), given)
    model, _ = build("bert", data, earlier.paced(options, True), given.content)
    before, after = given.content["model"], model.state_dict()
    old = [given.content["item_ids"].index(i) + 1 for i in data.item_ids if i not in (5, 99)]
    now = [data.item_ids.index(i) + 1 for i in data.item_ids if i not in (5, 99)]
    assert torch.equal(after["items.codes"][now], before["items.codes"][old])
    assert torch.equal(after["items.weight"], before["items.weight"])
    new = [data.item_ids.index(i) + 1 for i in (5, 99)]
    assert after["items.codes"][new].any(), "their codes are chosen, not left at 0"
    kept = model.items(torch.tensor(now)).norm(dim=1).median()
    assert 0.2 < model.items(torch.tensor(new)).norm(dim=1).max() / kept < 5


def test_a_trained_model_gets_codes_and_its_vectors_are_where_training_goes_on(tmp_path: Path) -> None:
    write(tmp_path, list(range(10, 20)))
    trainer.train("bert", configuration("bert", artifacts=tmp_path, **SMALL | {"codes": 0}))
    given = earlier.read(tmp_path / "bert.pt", "bert")
    del given.content["provenance"]["config"]["codes"]  # as earlier versions wrote it
    options = earlier.agreed(replace(earlier.base(given, "bert"), artifacts=tmp_path, codes=2), given)
    model, _ = build("bert", load(tmp_path), earlier.paced(options, True), given.content)
    # Ten items have ten vectors, so that 256 parts are enough for all.
    torch.testing.assert_close(model.items(torch.arange(1, 11)), given.content["model"]["items.weight"][1:11])
    assert torch.equal(model.bias, given.content["model"]["bias"])
    assert torch.equal(model.positions, given.content["model"]["positions"])
    given.content["provenance"]["config"]["codes"] = 2
    wanted = replace(earlier.base(given, "bert"), codes=4)
    with pytest.raises(InputError, match="--codes=4 contradicts --from"):
        earlier.agreed(wanted, given)


def test_that_codes_are_better_cut_from_a_trained_model_is_said_where_they_are_not(tmp_path: Path, caplog) -> None:
    def said(name: str, manner: trainer.Manner | None = None, **changes) -> bool:
        caplog.clear()
        with caplog.at_level("INFO", "train"):
            trainer.train("bert", configuration("bert", artifacts=tmp_path, **SMALL | changes), name, manner)
        return messages.CODES_FIRST in caplog.messages

    write(tmp_path, list(range(10, 20)))
    assert said("coded") and not said("whole", codes=0)
    assert not said("cut", trainer.Manner(start=earlier.read(tmp_path / "whole.pt", "bert")))


def test_codes_of_parts_alone_are_kept_as_earlier_versions_wrote_them(tmp_path: Path) -> None:
    write(tmp_path, list(range(10, 20)))
    trainer.train("bert", configuration("bert", artifacts=tmp_path, **SMALL))
    content = checkpoint.read(tmp_path / "bert.pt", "")
    del content["model"]["items.whole"]
    content["model"]["items.codes"] = content["model"]["items.codes"][:, 2:].clone()
    checkpoint.save(tmp_path / "old.pt", content)
    model = restore(content)
    parts = content["model"]["items.weight"]
    first, second = content["model"]["items.codes"][1].tolist()
    assert torch.equal(model.items(torch.tensor(1)), torch.cat([parts[0, first], parts[1, second]]))
    given = earlier.read(tmp_path / "old.pt", "bert")
    options = earlier.agreed(replace(earlier.base(given, "bert"), artifacts=tmp_path), given)
    later, _ = build("bert", load(tmp_path), earlier.paced(options, True), given.content)
    assert equal(later.state_dict(), model.state_dict())
    export("old", tmp_path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dim": 6, "codes": 4}, "--dim 6 is not a multiple of --codes 4"),
        ({"head": "separate"}, "--codes is for --head=tied and --masking=causal"),
        ({"masking": "cloze"}, "--codes is for --head=tied and --masking=causal"),
        ({"chain": 8}, "--chain 8 would add 64 bytes to each: give --chain=0"),
        ({"initial_weights": "glorot"}, "--codes has no --initial-weights glorot"),
        ({"sparse_updates": "on"}, "--sparse-updates=on is for"),
    ],
)
def test_what_has_no_codes_is_refused(changes: dict, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        MiniBERT4Rec(10, replace(BertConfig(dim=4, codes=2, heads=2), **changes))


def test_a_million_items_take_a_byte_for_each_part() -> None:
    with torch.device("meta"):
        model = MiniBERT4Rec(10**6, BertConfig(dim=64, codes=8, heads=2))
    table = [*model.items.parameters(), *model.items.buffers()]
    size = sum(tensor.numel() * tensor.element_size() for tensor in table)
    assert size < 10**6 * 10 + (CODES + 3906) * 64 * 4 + 1000


def test_parts_and_whole_vectors_stay_fixed_for_the_first_epochs() -> None:
    config = BertConfig(dim=4, heads=1, feedforward=4, max_length=3, codes=2, initial="ials", frozen_epochs=1, layers=1)
    table = (model := MiniBERT4Rec(300, config).train()).items
    table.codes[1:] = torch.randint(0, CODES, table.codes[1:].shape)
    table.codes[:, 1] = 0  # there are 256 whole vectors
    optimizer = model.optimizer()
    for epoch in (1, 2):
        before = {name: weight.detach().clone() for name, weight in table.named_parameters()}
        model.start_epoch(epoch)
        optimizer.zero_grad()
        model(torch.tensor([[1, 2, 3]])).square().sum().backward()
        optimizer.step()
        assert before.keys() == {"weight", "whole"}
        for name, weight in table.named_parameters():
            assert torch.equal(weight, before[name]) == (epoch == 1), name
