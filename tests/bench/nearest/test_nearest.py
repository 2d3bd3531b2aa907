"""Ways to find the best of many items: all that are exact list the same, and what they cost is told."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("faiss", reason="the extra vectors is not installed")

from bench.nearest import __main__ as command
from bench.nearest import ways
from bench.nearest.world import made
from infer.errors import InputError

WORLD = made(1000, 32, users=5)


def best(items: np.ndarray) -> np.ndarray:
    scores = WORLD.users @ items.T + WORLD.bias
    scores[:, 0] = -np.inf
    return np.argsort(-scores, axis=1)[:, : ways.K]


def test_scores_are_the_logarithms_of_the_held_out_items_chances() -> None:
    world = made(1000, 32, users=2000)
    scores = (world.users @ world.items.T + world.bias)[:, 1:].astype(np.float64)
    chance = np.exp(scores - scores.max(1, keepdims=True))
    chance /= chance.sum(1, keepdims=True)
    # An item with the chance c is held out of c of the users: so often is the sum of the squares met.
    met, expected = chance[np.arange(2000), world.wanted - 1].mean(), (chance**2).sum(1).mean()
    assert met == pytest.approx(expected, abs=0.01) and not world.items[0].any()


def test_exact_ways_list_the_best() -> None:
    expected = best(WORLD.items)
    lists = len(WORLD.items) // 50
    index = ways.Inverted(WORLD, lists)
    for way in (ways.whole(WORLD, "fp32"), index.searching(lists)):
        assert np.array_equal(way.find(WORLD.users), expected)
        assert np.array_equal(way.find(WORLD.users[:1]), expected[:1])
    assert not np.array_equal(index.searching(1).find(WORLD.users), expected), "one list does not hold all"


def test_cells_find_more_of_the_best_the_more_are_searched() -> None:
    world = made(10_000, 32, users=64)
    cells, exact = ways.in_cells(world), ways.whole(world, "fp32").find(world.users)
    found = [
        np.mean([len(np.intersect1d(*rows)) / ways.K for rows in zip(way.find(world.users), exact, strict=True)])
        for way in (ways.searched(world, cells, number) for number in (1, 2, 4))
    ]
    assert 0.3 < found[0] < found[1] < found[2] < 1 and found[2] > 0.7
    scores = world.users @ world.items.T + world.bias
    listed = ways.searched(world, cells, 4).find(world.users)
    ordered = np.take_along_axis(scores, listed, axis=1)
    assert (np.diff(ordered) <= 1e-5).all() and (listed > 0).all()


def test_items_with_codes_are_searched_by_the_vectors_that_they_stand_for() -> None:
    world = made(5_000, 32, users=16)
    table = ways.cut(world, 8)
    cells = ways.in_cells(world, table)
    listed = ways.searched(world, cells, 2, table).find(world.users)
    scores = world.users @ table(slice(0, 5_001)).numpy().T + world.bias.astype(np.float16)
    assert (np.diff(np.take_along_axis(scores, listed, axis=1)) <= 1e-5).all()
    exact = ways.unpacked(world, table).find(world.users)
    assert 0.5 < np.mean([len(np.intersect1d(*rows)) / ways.K for rows in zip(listed, exact, strict=True)]) < 1


@pytest.mark.parametrize("parts", [2, 8])
def test_codes_list_the_best_of_the_vectors_that_they_stand_for(parts: int) -> None:
    table = ways.cut(WORLD, parts)
    vectors = table(slice(0, 1_001)).numpy()
    made_ways = ways.unpacked(WORLD, table), ways.summed(WORLD, table)
    for way in made_ways:
        assert np.array_equal(way.find(WORLD.users), best(vectors))
        assert np.array_equal(way.find(WORLD.users[:1]), best(vectors)[:1])
    assert all(way.size < 1100 * (2 + parts + 4) + 3 * 256 * 32 * 4 + 20_000 for way in made_ways)


def test_gain_is_that_of_the_held_out_place() -> None:
    lists = np.zeros((5, 10), dtype=np.int64)
    lists[0, 0], lists[1, 2] = WORLD.wanted[:2]
    assert command.gain(lists, WORLD) == pytest.approx((1 + 0.5) / 5)


def test_the_record_holds_every_way_beside_the_exact_one(tmp_path: Path, capsys) -> None:
    record = tmp_path / "nearest.json"
    command.main(["--items=1000", "--dim=32", "--users=8", "--batch-size=2", "--rounds=1", f"--record={record}"])
    found = json.loads(record.read_text())["ways"]
    assert {name.split(",")[0] for name in found} == {
        "fp32", "int8", "codes 8", "summed 8", "codes 16", "summed 16", "codes 32", "ivf", "ivfpq 16"
    }  # fmt: skip
    assert "ivf, 32 of 63 lists" in found and "ivf, 128 of 63 lists" not in found
    assert found["fp32"]["recall@10"] == 1 and found["codes 8"]["bytes_per_item"] < found["fp32"]["bytes_per_item"]
    assert all(row["seconds_one"] > 0 and row["ratio_batch"] > 0 for row in found.values())
    assert "recall@10" in capsys.readouterr().out


def test_lengths_that_cannot_be_cut_are_refused() -> None:
    with pytest.raises(InputError, match="--dim is a multiple of 32, for codes of 32 parts; found 40"):
        command.main(["--dim=40"])


def test_a_batch_of_more_users_than_there_are_is_refused() -> None:
    with pytest.raises(InputError, match="a batch has --batch-size=16 of --users=15 users: give more"):
        command.main(["--users=15"])
