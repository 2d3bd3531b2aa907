"""Vectors to start from: transitions and PPMI by hand, factors that separate what belongs together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
import torch

from infer.errors import InputError
from infer.histories.histories import Histories
from train.data.dataset import Data
from train.models import chain, hybrid, initial
from train.models.bert import MiniBERT4Rec
from train.models.chain import TRANSITIONS, chain_factors, start_chain
from train.models.hybrid import item_vectors
from train.models.initial import (
    als_rounds,
    confidences,
    factorised,
    ials,
    ppmi,
    projected,
    rated,
)
from train.models.linear import markov
from train.presets import configuration


def data(histories: list[list[int]], items: int) -> Data:
    flat = np.concatenate([np.array(h) for h in histories]).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(h) for h in histories])])
    users = list(range(len(histories)))
    found = Histories(pl.Series(users), flat, offsets)
    return Data("d", "", list(range(1, items + 1)), users, None, None, [], found, np.array([]), Path())


def test_what_was_rated_is_one() -> None:
    assert rated(data([[1, 3], [2]], 3)).toarray().tolist() == [[1, 0, 1], [0, 1, 0]]


@pytest.fixture
def groups() -> Data:
    """Two groups of six items that never mix."""
    rng = np.random.default_rng(0)
    return data([list(rng.permutation(6)[:5] + 1 + 6 * (user % 2)) for user in range(40)], 12)


def nearness(vectors: np.ndarray) -> tuple[float, float]:
    """Mean cosine within and between the groups."""
    unit = vectors[1:] / np.linalg.norm(vectors[1:], axis=1, keepdims=True)
    cosine = unit @ unit.T
    return (cosine[:6, :6].mean() + cosine[6:, 6:].mean()) / 2, np.abs(cosine[:6, 6:]).mean()


@pytest.mark.parametrize("make", [lambda d, s: ials(d, 2, 10, 10.0, 0.1, s)[1], lambda d, s: ppmi(d, 2, s)])
def test_items_that_occur_together_point_the_same_way(make, groups: Data) -> None:
    vectors = make(groups, 0)
    within, between = nearness(vectors)
    assert within > 0.9 and between < within / 2
    assert vectors.shape == (13, 2) and not vectors[0].any() and vectors.dtype == np.float32
    np.testing.assert_allclose(make(groups, 0), vectors, atol=1e-6)


def test_ials_users_score_the_items_of_their_group(groups: Data) -> None:
    users, items = ials(groups, 2, 10, 10.0, 0.1, 0)
    scores = users[1:] @ items[1:].T
    assert (scores[::2, :6].mean(), scores[1::2, 6:].mean()) > (0.5, 0.5)
    assert abs(scores[::2, 6:]).mean() < 0.1


def least_squares(table: np.ndarray, others: np.ndarray, confidence: float, penalty: float) -> np.ndarray:
    """Each row's vector, given those of the columns (Hu, Koren & Volinsky 2008, equation 4).

    table: (rows, columns), 0 where not rated; what was rated weighs `confidence` times its entry, all else 1.
    """
    found = []
    for row in table:
        weight = np.where(row > 0, confidence * row, 1)
        matrix = (others * weight[:, None]).T @ others + penalty * np.eye(others.shape[1])
        found.append(np.linalg.solve(matrix, others.T @ (weight * (row > 0))))
    return np.array(found)


def test_ials_solves_users_then_items_in_every_round(groups: Data) -> None:
    table = rated(groups).toarray()
    for confidence, penalty in ((10.0, 0.1), (3.0, 2.0)):
        users, items = (factor[1:] for factor in ials(groups, 2, 1, confidence, penalty, 0))
        np.testing.assert_allclose(least_squares(table.T, users, confidence, penalty), items, atol=1e-4)
        for _ in range(2):
            users = least_squares(table, items, confidence, penalty)
            items = least_squares(table.T, users, confidence, penalty)
        found = ials(groups, 2, 3, confidence, penalty, 0)
        np.testing.assert_allclose(found[0][1:], users, atol=1e-3)
        np.testing.assert_allclose(found[1][1:], items, atol=1e-3)
    assert np.abs(ials(groups, 2, 1, 10.0, 0.1, 1)[1] - ials(groups, 2, 1, 10.0, 0.1, 0)[1]).max() > 1e-2


@pytest.fixture
def described(groups: Data, tmp_path: Path) -> Data:
    """The groups with a genre each, and one film that nobody has rated."""
    genres = ["War"] * 6 + ["Comedy"] * 6 + ["War"]
    pl.DataFrame({"item": range(1, 14), "title": [""] * 13, "genres": genres}).write_parquet(tmp_path / "items.parquet")
    return replace(groups, item_ids=list(range(1, 14)), folder=tmp_path)


@pytest.mark.parametrize("weight", [1, 2])
def test_features_weigh_like_further_users_who_rated_what_has_them(described: Data, weight: int) -> None:
    comedy, war = list(range(7, 13)) * weight, [1, 2, 3, 4, 5, 6, 13] * weight
    own = np.split(described.histories.items, described.histories.offsets[1:-1])
    longer = data([*(list(history) for history in own), comedy, war], 13)
    expected = ials(longer, 2, 3, 10.0, 0.1, 0)
    users, items = ials(described, 2, 3, 10.0, 0.1, 0, content=float(weight))
    np.testing.assert_allclose(items, expected[1], atol=1e-4)
    np.testing.assert_allclose(users, expected[0][:41], atol=1e-4)


def test_the_hybrids_vectors_are_those_of_ials_at_length_1(described: Data) -> None:
    assert (hybrid.ROUNDS, hybrid.CONFIDENCE, hybrid.REGULARIZATION) == (15, 20.0, 1.0)
    for options in ({"seed": 3, "content": 0.5}, {"seed": 0, "content": 0.0}):
        found, parents = item_vectors(described, configuration("hybrid", dim=4, **options))
        vectors = ials(described, 4, 15, 20.0, 1.0, options["seed"], options["content"])[1]
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.testing.assert_allclose(found.numpy(), vectors / np.where(length > 0, length, 1), atol=1e-4)
        assert parents == {} and found.shape == (14, 4) and not found[0].any()
    np.testing.assert_allclose(np.linalg.norm(found[1:13], axis=1), 1, atol=1e-5)


def test_controls_keep_the_norms_alone_or_the_vectors_of_other_items(described: Data) -> None:
    started, norms, placebo, again = (
        item_vectors(described, configuration("hybrid", dim=4, initial=name, seed=seed, content=0.0))[0].numpy()
        for name, seed in (("ials", 3), ("norms", 3), ("shuffled", 3), ("norms", 3))
    )
    # Without content nothing is known of item 13: it has no vector, and keeps none among random directions.
    lengths = np.linalg.norm(started, axis=1)
    assert lengths[13] == 0 and not norms[[0, 13]].any() and (norms == again).all()
    np.testing.assert_allclose(np.linalg.norm(norms, axis=1), lengths, atol=1e-6)
    assert abs((norms[1:13] * started[1:13]).sum(1)).mean() < 0.8, "other directions"
    assert sorted(map(tuple, placebo[1:])) == sorted(map(tuple, started[1:])) and not placebo[0].any()
    assert (placebo[1:] == started[1:]).all(1).sum() < 4, "and for other items"
    other = item_vectors(described, configuration("hybrid", dim=4, initial="norms", seed=4, content=0.0))[0].numpy()
    assert not np.allclose(other, norms), "which the seed decides"


@pytest.mark.parametrize(("dim", "sizes"), [(5, (3, 2)), (1, (1, 0))])
def test_vectors_of_both_kinds_stand_side_by_side_at_the_same_spread(described: Data, dim: int, sizes: tuple) -> None:
    found, parents = item_vectors(described, configuration("hybrid", dim=dim, initial="ials+ppmi", seed=2))
    alone = [
        item_vectors(described, configuration("hybrid", dim=size, initial=name, seed=2))[0].numpy()
        for name, size in zip(("ials", "ppmi"), sizes, strict=True)
        if size
    ]
    assert parents == {} and found.shape == (14, dim)
    expected = np.hstack([half / half.std(ddof=1) for half in alone])
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)
    assert all(half.std() < 0.9 for half in alone), "which they did not have before"
    if dim == 5:
        np.testing.assert_allclose(alone[1], ppmi(described, 2, 2), atol=1e-6)


def test_features_give_items_without_ratings_a_place(described: Data) -> None:
    # Item 13 has never been rated; it shares its genre with the first group.
    users, items = ials(described, 2, 10, 10.0, 0.1, 0, content=1.0)
    assert len(users) == 41 and items.shape == (14, 2)
    unit = items[1:] / np.linalg.norm(items[1:], axis=1, keepdims=True)
    assert (unit[12] @ unit[:6].T).min() > (unit[12] @ unit[6:12].T).max()
    without = ials(described, 2, 10, 10.0, 0.1, 0)[1]
    assert not without[13].any()


def test_ppmi_is_levy_and_goldbergs(groups: Data) -> None:
    mixed = data([[1, 2, 3], [1, 2], [3, 4, 1], [2, 4, 1, 2, 5, 1, 6], [1, 5, 1, 2]], 6)
    counts = np.zeros((6, 6))
    for history in np.split(mixed.histories.items - 1, mixed.histories.offsets[1:-1]):
        for place, one in enumerate(history):
            for distance, other in enumerate(history[place + 1 :]):
                counts[one, other] += 0.8**distance
                counts[other, one] += 0.8**distance
    context = counts.sum(0) ** 0.75 / (counts.sum(0) ** 0.75).sum()
    with np.errstate(divide="ignore"):
        information = np.log(counts / counts.sum(1, keepdims=True) / context)
    assert (information[counts > 0] < 0).any(), "some of it is not positive"
    left, values, _ = np.linalg.svd(np.maximum(information, 0))
    vectors = ppmi(mixed, 3, 0)[1:]
    np.testing.assert_allclose(vectors @ vectors.T, left[:, :3] * values[:3] @ left[:, :3].T, atol=1e-5)


def test_ppmi_of_more_dimensions_than_items_is_refused(groups: Data) -> None:
    with pytest.raises(InputError, match="at most 11 dimensions"):
        ppmi(groups, 12, 0)


def product(data: Data, **changes) -> np.ndarray:
    """(items, items) what the chain's two factors make together."""
    sources, successors = (
        factor.numpy() for factor in chain_factors(data, configuration("hybrid", **{"chain_ease": 0.0} | changes))
    )
    assert sources.shape == successors.shape and not sources[0].any() and not successors[0].any()
    return sources[1:] @ successors[1:].T


@pytest.mark.parametrize("dense", [True, False])
def test_a_chain_starts_from_the_best_approximation_of_the_transitions(groups: Data, dense: bool, monkeypatch) -> None:
    monkeypatch.setattr(initial, "DENSE", 500 if dense else 0)
    full = markov(groups, TRANSITIONS).toarray()
    left, values, right = np.linalg.svd(full)
    for rank in (2, 6):
        # Eckart & Young 1936: what is left over are the smaller singular values.
        rest = np.linalg.norm(full - product(groups, chain=rank, chain_power=1.0))
        assert rest == pytest.approx(np.linalg.norm(values[rank:]), rel=1e-4)
    flat = left[:, :6] * values[:6] ** 0.3 @ right[:6]
    np.testing.assert_allclose(product(groups, chain=6, chain_power=0.3), flat, atol=1e-5)


def test_a_chain_has_ease_beside_its_transitions_where_its_matrix_can_be_inverted(
    groups: Data, monkeypatch, capsys
) -> None:
    left, values, right = np.linalg.svd(markov(groups, replace(TRANSITIONS, ease=0.7)).toarray())
    found = product(groups, chain=4, chain_power=1.0, chain_ease=0.7)
    np.testing.assert_allclose(found, left[:, :4] * values[:4] @ right[:4], atol=1e-5)
    monkeypatch.setattr(chain, "TRANSITIONS", replace(TRANSITIONS, most_items=3))
    alone = product(groups, chain=4, chain_power=1.0, chain_ease=0.7)
    np.testing.assert_allclose(alone, product(groups, chain=4, chain_power=1.0))
    assert "the chain has transitions alone: EASE would invert a matrix of " in capsys.readouterr().out


def test_a_chain_of_many_interactions_counts_fewer_steps(groups: Data, monkeypatch, capsys) -> None:
    monkeypatch.setattr(chain, "MOST_PAIRS", 3 * len(groups.histories.items) + 1)
    left, values, right = np.linalg.svd(markov(groups, replace(TRANSITIONS, lags=3)).toarray())
    found = product(groups, chain=4, chain_power=1.0)
    np.testing.assert_allclose(found, left[:, :4] * values[:4] @ right[:4], atol=1e-5)
    assert "within 3 steps instead of 20" in capsys.readouterr().out


def test_the_sparse_solver_is_asked_for_what_is_needed_from_the_configured_seed(described: Data, monkeypatch) -> None:
    asked, svds = [], initial.svds

    def watched(matrix, k: int, random_state: np.random.Generator) -> tuple:
        asked.append((k, random_state.bit_generator.state))
        return svds(matrix, k=k, random_state=random_state)

    monkeypatch.setattr(initial, "DENSE", 0)
    monkeypatch.setattr(initial, "svds", watched)
    both = configuration("hybrid", initial="ials+ppmi", dim=5, chain=3, seed=6)
    item_vectors(described, both)
    chain_factors(described, both)
    item_vectors(described, replace(both, dim=1))
    assert asked == [
        (2, np.random.default_rng(6).bit_generator.state),
        (3, np.random.default_rng(6).bit_generator.state),
    ]


def test_directions_without_transitions_stay_zero_with_any_power() -> None:
    two = data([[1, 2], [1, 2], [3]], 4)
    found = product(two, chain=50, chain_power=0.0)
    assert found.shape == (4, 4) and found[0, 1] == pytest.approx(1, abs=1e-5)
    assert not found[2:].any() and not found[:, 2:].any()
    assert not product(data([[1], [2], [3]], 4), chain=2).any()


def test_a_chains_scores_vary_as_much_as_asked(groups: Data) -> None:
    config = configuration("hybrid", chain=4, chain_weight=0.7, initial_std=0.25)
    model, factors = MiniBERT4Rec(12, config).eval(), chain_factors(groups, config)
    start_chain(model, factors, groups)
    assert model.successors.weight[1:13].std().item() == pytest.approx(0.25, rel=1e-4)
    with torch.no_grad():
        window = model.inputs(groups, torch.arange(40))[0]
        scores = model.newest_chain(window) @ model.successors.weight[1:13].T
    assert scores.std(1, correction=0).mean().item() == pytest.approx(0.7, rel=1e-4)
    for table, factor in zip((model.sources, model.successors), factors, strict=True):
        own = table.weight[1:13].detach()
        np.testing.assert_allclose(own / own[0, 0], factor[1:] / factor[1, 0], rtol=1e-3, atol=1e-4)
        assert not table.weight[0].any()
    nothing = data([[1], [2], [3]], 12)
    start_chain(model, chain_factors(nothing, config), nothing)
    assert not model.sources.weight[:13].any() and not model.successors.weight[:13].any()


def test_a_chains_scale_is_found_on_a_seeded_sample_of_users_with_a_history(monkeypatch) -> None:
    assert chain.SCALE_USERS == 1_000 and chain.MOST_PAIRS == 100_000_000
    monkeypatch.setattr(chain, "SCALE_USERS", 5)
    rng = np.random.default_rng(1)
    histories = [list(rng.permutation(12)[: user % 4] + 1) for user in range(40)]
    mixed = data(histories, 12)
    factors, means = None, []
    for seed in (3, 4):
        config = configuration("hybrid", chain=4, chain_weight=0.7, initial_std=0.0, seed=seed, chain_decay=0.5)
        model, factors = MiniBERT4Rec(12, config).eval(), chain_factors(mixed, config)
        start_chain(model, factors, mixed)
        np.testing.assert_allclose(model.successors.weight[:13].detach(), factors[1], atol=1e-6)
        spread = []
        for history in histories:
            state = sum(0.5**age * model.sources.weight[item] for age, item in enumerate(reversed(history)))
            spread.append(float((model.successors.weight[1:13] @ state).std(correction=0)) if history else 0.0)
        drawn = np.random.default_rng(seed).permutation([user for user in range(40) if histories[user]])[:5]
        assert np.mean([spread[user] for user in drawn]) == pytest.approx(0.7, rel=1e-4)
        means.append(np.mean(spread))
    assert means[0] != pytest.approx(means[1], rel=1e-3), "another seed draws other users"


def with_ratings(given: Data, ratings: list[float]) -> Data:
    """The same with a rating of each item of each history."""
    users = np.repeat(np.arange(len(given.histories)), given.histories.lengths) + 1
    items = given.histories.items.astype(np.int64)
    return replace(given, ratings=(torch.from_numpy(users), torch.from_numpy(items), torch.tensor(ratings)))


def test_the_confidence_of_a_rating_is_one_and_alpha_times_its_share_of_the_mean() -> None:
    # The mean is 2: 1 + 4 * 1 / 2, 1 + 4 * 3 / 2, 1 + 4 * 2 / 2; an item that comes again adds both its ratings.
    given = with_ratings(data([[1, 3], [2]], 3), [1.0, 3.0, 2.0])
    assert confidences(given, 4.0).toarray().tolist() == [[3, 0, 7], [0, 5, 0]]
    again = with_ratings(data([[1, 1], [2]], 3), [1.0, 3.0, 2.0])
    assert confidences(again, 4.0).toarray().tolist() == [[9, 0, 0], [0, 5, 0]]


def test_equal_ratings_weigh_as_the_same_confidence_without_them(groups: Data, monkeypatch) -> None:
    given = with_ratings(groups, [3.0] * len(groups.histories.items))
    for content, other in ((0.0, 0.0), (1.0, 0.8)):
        # What is no rating weighs 4 * 1 beside 1 + 4, as 5 * 0.8 beside 5.
        monkeypatch.setattr(
            initial, "features", lambda folder, ids: initial.sp.csr_matrix(np.eye(12, dtype=np.float32))
        )
        weighted = ials(given, 3, 4, 4.0, 0.1, 0, content, weighted=True)
        plain = ials(given, 3, 4, 5.0, 0.1, 0, other)
        for one, same in zip(weighted, plain, strict=True):
            np.testing.assert_allclose(one, same, atol=1e-4)
    higher = replace(given, ratings=(*given.ratings[:2], given.ratings[1].float()))
    assert np.abs(ials(higher, 3, 4, 4.0, 0.1, 0, weighted=True)[1] - weighted[1]).max() > 0.01


def test_a_hybrid_starts_from_weighted_vectors_if_ratings_weigh(groups: Data) -> None:
    given = with_ratings(groups, [float(n % 5 + 1) for n in range(len(groups.histories.items))])
    vectors = {
        ratings: item_vectors(given, configuration("hybrid", dim=4, content=0.0, ratings=ratings))[0]
        for ratings in ("off", "embedding", "weight")
    }
    assert torch.equal(vectors["off"], vectors["embedding"]) and not torch.allclose(vectors["off"], vectors["weight"])


def test_a_chains_scale_comes_from_what_is_trained_on(groups: Data) -> None:
    config = configuration("hybrid", dim=4, heads=2, chain=3)
    other = replace(groups.histories, items=groups.histories.items[::-1].copy())
    scales = []
    for given in (groups, replace(groups, context=other)):
        torch.manual_seed(0)
        model = MiniBERT4Rec(12, config)
        start_chain(model, chain_factors(given, config), given)
        scales.append(model.sources.weight)
    assert torch.equal(*scales)


def test_projections_find_the_largest_singular_vectors_of_a_large_matrix() -> None:
    random = np.random.default_rng(0)
    whole = sp.random(700, 700, 0.05, random_state=random, dtype=np.float32).tocsr()
    whole += sp.csr_matrix(sum(np.outer(*random.standard_normal((2, 700))) for _ in range(8)).astype(np.float32))
    left, values, right = projected(whole, 8, seed=0)
    known = np.linalg.svd(whole.toarray().astype(np.float64))
    assert values[:8] == pytest.approx(known[1][:8], rel=1e-4)
    best = known[0][:, :8] * known[1][:8] @ known[2][:8]
    assert np.abs(left[:, :8] * values[:8] @ right[:8] - best).max() < 1e-2 * np.abs(best).max()


def test_a_matrix_of_many_entries_is_factorised_by_its_largest_ones(monkeypatch) -> None:
    random = np.random.default_rng(1)
    low = sum(np.outer(*random.standard_normal((2, 600))) for _ in range(4)).astype(np.float32)
    matrix = sp.csr_matrix(low)
    exact = factorised(matrix, 4, seed=0)
    monkeypatch.setattr("train.models.initial.MOST_ENTRIES", 600 * 600 // 2)
    near = factorised(matrix, 4, seed=0)
    products = [sources[1:] @ successors[1:].T for sources, successors in (exact, near)]
    assert np.abs(products[0] - low).max() < 1e-3
    assert np.corrcoef(products[0].ravel(), products[1].ravel())[0, 1] > 0.95
    assert np.abs(products[1] - low).max() > 1e-2, "small entries did not count"


def test_a_sparse_product_is_that_of_the_whole_matrix() -> None:
    matrix = sp.random(40, 30, 0.1, random_state=np.random.default_rng(2), dtype=np.float32).tocsr()
    dense = torch.randn(30, 5, generator=torch.Generator().manual_seed(0))
    assert (np.diff(matrix.indptr) == 0).any(), "a row without entries"
    np.testing.assert_allclose(initial.product(matrix, dense), matrix.toarray() @ dense.numpy(), rtol=1e-5, atol=1e-6)


def test_als_passes_less_often_over_a_large_table() -> None:
    assert [als_rounds(n, 15) for n in (0, 100_836, 10_000_000, 20_000_000, 32_000_000, 10**9)] == [15, 15, 15, 8, 5, 5]
    assert als_rounds(10**9, 3) == 3
