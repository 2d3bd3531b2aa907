"""Item vectors put together from shared parts: the codes, where they come from, and models that have them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from infer.errors import InputError
from tests.helpers.interrupted import equal, interrupted, metrics, train
from tests.helpers.rounds import write
from train import trainer
from train.config import BertConfig
from train.data.dataset import load
from train.models.bert import MiniBERT4Rec
from train.models.coded import CODES, CodedVectors
from train.models.codes import clustered, quantiles, singular_vectors, start_codes, start_vectors
from train.models.registry import build
from train.presets import configuration
from train.saved import checkpoint, earlier

SMALL = {"dim": 4, "max_length": 6, "feedforward": 8, "stride": 3, "epochs": 2, "patience": 5, "codes": 2}


def test_a_vector_is_the_parts_of_its_codes_beside_each_other() -> None:
    table = CodedVectors(3, 4, 2)
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
    table = CodedVectors(5, 4, 2)
    start_vectors(table, few, seed=0)
    assert torch.equal(table(slice(1, 4)), few)
    # 300 places of a grid have few items more than codes; all but those of a shared centre are met.
    grid = torch.cartesian_prod(torch.arange(20.0), torch.arange(15.0))
    codes, centres = clustered(grid, 1, seed=0)
    off = (centres[0][codes[:, 0].long()] - grid).norm(dim=1)
    assert len(codes.unique()) > 200 and off.max() <= 1.5 and off.mean() < 0.3
    again = clustered(grid, 1, seed=0)
    assert torch.equal(codes, again[0]) and torch.equal(centres, again[1])


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
    assert table.codes[0].tolist() == [0, 0] and table.codes[21].tolist() == [0, 0], "of padding and the mask token"
    assert all(sorted(column) == [n * CODES // 20 for n in range(20)] for column in table.codes[1:21].T.tolist())
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
    assert size < 10**6 * 8 + CODES * 64 * 4 + 1000
    assert np.isclose(10**6 * 8, size, rtol=0.01)
