"""Item-item models against formulas written out, and their graph against a loop."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from bench.experiments import EXPERIMENTS
from export.graph import export_graph
from export.parity import check_parity
from infer.errors import InputError
from infer.sequences import Histories
from train.batches import Data
from train.hybrid import TRANSITIONS
from train.linear import Neighbours, ease, knn, markov
from train.presets import configuration


def data(histories: list[list[int]], items: int, folder: Path = Path("nowhere")) -> Data:
    flat = np.concatenate([np.array(h) for h in histories]).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(h) for h in histories])])
    users = list(range(len(histories)))
    found = Histories(pl.Series(users), flat, offsets)
    return Data("d", "", list(range(1, items + 1)), users, None, None, [], found, np.array([]), folder)


SMALL = data([[1, 2, 3], [1, 2], [3, 4, 1], [2, 4]], 5)


def filled(kind: str, source: Data = SMALL, **changes) -> Neighbours:
    model = Neighbours(len(source.item_ids), configuration(kind, window=4, **changes))
    model.solve(source)
    return model.eval()


def as_matrix(model: Neighbours) -> np.ndarray:
    """(items, items) what the table of neighbours says."""
    size = len(model.neighbours)
    found = np.zeros((size, size))
    np.add.at(found, (np.arange(size)[:, None], model.neighbours.numpy()), model.weights.numpy())
    return found[1:, 1:]


def test_ease_without_locality_is_the_textbooks() -> None:
    matrix = np.array([[1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1, 0, 1, 1, 0], [0, 1, 0, 1, 0]], dtype=float)
    inverse = np.linalg.inv(matrix.T @ matrix + 2.0 * np.eye(5))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    options = {"locality": 1.0, "content": 0.0, "regularization": 2.0, "least_count": 0}
    np.testing.assert_allclose(as_matrix(filled("ease", **options)), expected, atol=1e-5)
    least = as_matrix(filled("ease", **options | {"least_count": 2}))
    assert least[:4, :4].any() and not least[4].any() and not least[:, 4].any()


def test_locality_makes_co_occurrence_fade_with_distance() -> None:
    # In 1, 2, 3 the neighbours count once and 1 with 3 a half.
    gram = np.array([[1, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 1]])
    inverse = np.linalg.inv(gram + np.eye(3))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    options = {"locality": 0.5, "content": 0.0, "regularization": 1.0, "least_count": 0}
    np.testing.assert_allclose(as_matrix(filled("ease", data([[1, 2, 3]], 3), **options)), expected, atol=1e-5)


def test_markov_counts_what_follows() -> None:
    options = {"lags": 2, "lag_decay": 0.5, "backward": 0.0, "smoothing": 1.0, "popularity": 0.0}
    found = markov(SMALL, configuration("markov", **options)).toarray()
    # After 1: 2 twice at once and 3 once two steps later; 2.5 in all, and 1 for smoothing.
    np.testing.assert_allclose(found[0], [0, 2 / 3.5, 0.5 / 3.5, 0, 0])
    both = markov(SMALL, configuration("markov", **options | {"backward": 1.0, "smoothing": 0.0})).toarray()
    np.testing.assert_allclose(both[:4].sum(1), 1)
    assert both[1, 0] > 0 and not found[1, 0]
    fair = markov(SMALL, configuration("markov", **options | {"popularity": 1.0})).toarray()
    np.testing.assert_allclose(fair[0], found[0] / (np.array([3, 3, 2, 2, 0]) + 20))


def test_a_factorised_markov_model_has_the_chains_table() -> None:
    options = {"smoothing": 1.0, "popularity": 0.0}
    whole = markov(SMALL, configuration("markov", **options)).toarray()
    left, values, right = np.linalg.svd(whole)
    found = markov(SMALL, configuration("markov", **options, rank=2, power=0.5))
    np.testing.assert_allclose(found, left[:, :2] * values[:2] ** 0.5 @ right[:2], atol=1e-6)
    with pytest.raises(InputError, match="--rank would fill a matrix of 5 items, above --most-items 4"):
        markov(SMALL, configuration("markov", rank=2, most_items=4))


def test_the_studys_chain_alone_is_the_hybrids() -> None:
    (alone, beside) = (e for e in EXPERIMENTS if e.name in ("chain", "scratch-chain"))
    chain = configuration("hybrid")
    same = replace(TRANSITIONS, rank=chain.chain, power=chain.chain_power, decay=chain.chain_decay)
    assert configuration("markov", **alone.changes) == same and beside.changes == {"chain": chain.chain}


def test_knn_is_the_cosine_of_users() -> None:
    found = knn(SMALL, configuration("knn")).toarray()
    # 1 and 2 share two users, and each has three.
    assert found[0, 1] == pytest.approx(2 / 3) and found[0, 3] == pytest.approx(1 / np.sqrt(6))
    np.testing.assert_allclose(np.diag(found), 0)


@torch.no_grad()
def test_a_score_is_the_sum_over_recent_items_newest_strongest() -> None:
    model = filled("knn", decay=0.5)
    table = as_matrix(model)
    scores = model(torch.tensor([[0, 0, 2, 4], [1, 2, 3, 4], [0, 0, 0, 0]])).numpy()
    np.testing.assert_allclose(scores[0, 1:], table[3] + 0.5 * table[1], atol=1e-6)
    np.testing.assert_allclose(scores[1, 1:], table[3] + table[2] / 2 + table[1] / 4 + table[0] / 8, atol=1e-6)
    assert not scores[2].any()


def test_only_the_strongest_neighbours_are_kept() -> None:
    whole, kept = as_matrix(filled("knn")), as_matrix(filled("knn", neighbours=1))
    assert ((kept != 0).sum(1) <= 1).all()
    np.testing.assert_allclose(kept.max(1), whole.max(1))


@pytest.mark.parametrize("kind", ["knn", "markov", "ease"])
def test_the_graph_equals_the_model(kind: str) -> None:
    model = filled(kind)
    proto = export_graph(model, 5)
    assert check_parity(model, proto, 5, 4)["largest_score_difference"] < 1e-5
    assert {node.domain for node in proto.graph.node} == {""}


def test_a_catalogue_too_large_to_invert_is_refused() -> None:
    with pytest.raises(InputError, match="a matrix of 4 items, above --most-items 3"):
        ease(SMALL, configuration("ease", most_items=3, least_count=1))
    with pytest.raises(InputError, match="is not above 0 and at most 1"):
        filled("ease", decay=1.5)


@pytest.fixture
def described(tmp_path: Path) -> Data:
    """Items 1 and 5 share a genre and a word; 5 has never been rated."""
    titles = ["Red Dawn (1999)", "Blue (1950)", "Green (1951)", "Grey (1952)", "Dawn of Day (1999)"]
    genres = ["War", "Comedy", "Comedy", None, "War"]
    pl.DataFrame({"item": range(1, 6), "title": titles, "genres": genres}).write_parquet(tmp_path / "items.parquet")
    return data([[1, 2, 3], [1, 2], [3, 4, 1], [2, 4]], 5, tmp_path)


def test_content_recommends_what_nobody_has_rated(described: Data) -> None:
    found = as_matrix(filled("content", described, rare=0))
    assert found[0, 4] > 0 and not found[:, :4].any(), "towards items without ratings only"
    assert found[0].argmax() == 4 and found[0, 4] > found[1, 4]
    options = {"least_count": 0, "regularization": 1.0}
    assert as_matrix(filled("ease", described, **options))[0, 4] > 0
    assert not as_matrix(filled("ease", described, **options, content=0.0))[0, 4]


def test_content_without_titles_is_refused() -> None:
    with pytest.raises(InputError, match="content needs titles or genres"):
        filled("content")
