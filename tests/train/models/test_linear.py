"""Item-item models against formulas written out, and their graph against a loop."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import polars as pl
import pytest
import scipy.sparse as sp
import torch

from bench.study.experiments import EXPERIMENTS
from export.graph import export_graph
from export.parity import check_parity
from infer.errors import InputError
from infer.histories.histories import Histories
from infer.model.signature import SAYS_NOTHING
from tests.helpers.cosines import cosines
from tests.helpers.told import bars_told
from train.config import BestConfig, LinearConfig
from train.data.content import load as features
from train.data.dataset import Data
from train.models.blend import Blend
from train.models.chain import TRANSITIONS
from train.models.linear import Neighbours, _reach, by_content, ease, knn, markov
from train.models.transitions import strongest
from train.presets import configuration


def data(histories: list[list[int]], items: int, folder: Path = Path("nowhere")) -> Data:
    flat = np.concatenate([np.array(h) for h in histories]).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(h) for h in histories])])
    users = list(range(len(histories)))
    found = Histories(pl.Series(users), flat, offsets)
    return Data("d", "", list(range(1, items + 1)), users, None, None, [], found, np.array([]), folder)


SMALL = data([[1, 2, 3], [1, 2], [3, 4, 1], [2, 4]], 5)


def filled(kind: str, source: Data = SMALL, **changes) -> Neighbours:
    model = Neighbours(len(source.item_ids), configuration(kind, max_length=4, **changes))
    model.solve(source)
    return model.eval()


def as_matrix(model: Neighbours) -> np.ndarray:
    """(items, items) what the table of neighbours says."""
    size = len(model.neighbours)
    found = np.zeros((size, size))
    np.add.at(found, (np.arange(size)[:, None], model.neighbours.numpy()), model.weights.numpy())
    return found[1:, 1:]


def test_ease_without_locality_is_the_textbooks(monkeypatch: pytest.MonkeyPatch) -> None:
    told = bars_told(monkeypatch)
    matrix = np.array([[1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1, 0, 1, 1, 0], [0, 1, 0, 1, 0]], dtype=float)
    inverse = np.linalg.inv(matrix.T @ matrix + 2.0 * np.eye(5))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    options = {"locality": 1.0, "content": 0.0, "regularization": 2.0, "least_count": 0}
    np.testing.assert_allclose(as_matrix(filled("ease", **options)), expected, atol=1e-5)
    assert ("EASE", 4) in [(bar.desc, bar.n) for bar in told]
    # Items 3 and 4 have been rated exactly twice, item 5 never.
    least = as_matrix(filled("ease", **options | {"least_count": 2}))
    assert least[:4, 3].any() and least[3, :4].any() and not least[4].any() and not least[:, 4].any()
    np.testing.assert_allclose(least[:4, :4], expected[:4, :4], atol=1e-5)


def test_locality_makes_co_occurrence_fade_with_distance() -> None:
    # In 1, 2, 3 the neighbours count once and 1 with 3 a half.
    gram = np.array([[1, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 1]])
    inverse = np.linalg.inv(gram + np.eye(3))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    options = {"locality": 0.5, "content": 0.0, "regularization": 1.0, "least_count": 0}
    np.testing.assert_allclose(as_matrix(filled("ease", data([[1, 2, 3]], 3), **options)), expected, atol=1e-5)


def test_co_occurrence_of_many_histories_adds_up_and_features_join_it(described: Data) -> None:
    histories = np.split(described.histories.items - 1, described.histories.offsets[1:-1])
    gram = np.zeros((5, 5))
    for history in histories:
        for place, one in enumerate(history):
            for other_place, other in enumerate(history):
                gram[one, other] += 0.5 ** abs(place - other_place)
    # Items 1 and 5 share a genre, a word, a year and a decade; 2, 3 and 4 a decade, 2 and 3 a genre.
    known = np.zeros((5, 5))
    known[np.ix_([0, 4], [0, 4])] = 4
    known[1:4, 1:4] = 1
    known[1:3, 1:3] = 2
    for weight in (0.0, 0.25, 3.0):
        inverse = np.linalg.inv(gram + weight * known + 0.7 * np.eye(5))
        expected = -inverse / np.diag(inverse)
        np.fill_diagonal(expected, 0)
        found = as_matrix(filled("ease", described, locality=0.5, content=weight, regularization=0.7))
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_co_occurrence_is_counted_as_far_as_it_does_not_fade_below_a_thousandth() -> None:
    assert [_reach(decay) for decay in (0.95, 0.5, 1e-4)] == [134, 9, 1]
    history = list(range(1, 13))
    options = {"locality": 0.5, "content": 0.0, "regularization": 1.0, "neighbours": 12}
    gram = 0.5 ** np.abs(np.arange(12)[:, None] - np.arange(12))
    gram[gram < 0.5**9] = 0
    inverse = np.linalg.inv(gram + np.eye(12))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(as_matrix(filled("ease", data([history], 12), **options)), expected, atol=2e-6)


@pytest.mark.parametrize("kept", [2, 3])
def test_the_strongest_neighbours_may_be_negative(kept: int) -> None:
    source = data([[1, 2], [1, 2], [1, 3], [1, 3], [1, 3], [4, 2], [5, 3], [4, 5]], 5)
    options = {"regularization": 0.1, "content": 0.0, "locality": 1.0}
    whole = as_matrix(filled("ease", source, **options))
    strength = np.sort(np.abs(whole), 1)[:, -kept]
    expected = np.where(np.abs(whole) >= strength[:, None], whole, 0)
    assert (expected < 0).sum() > 1 and ((expected != 0).sum(1) == kept).all()
    np.testing.assert_allclose(as_matrix(filled("ease", source, **options, neighbours=kept)), expected, atol=1e-6)


def test_equal_neighbours_are_kept_in_ascending_order() -> None:
    histories = [[1, other] for other in range(2, 401)] + [[1, other] for other in range(2, 401, 3)]
    model = filled("markov", data(histories, 400), neighbours=200, popularity=0.0, backward=0.0)
    twice = list(range(2, 401, 3))
    once = [other for other in range(2, 401) if other not in twice]
    assert model.neighbours[1].tolist() == [*twice, *once][:200]


def test_the_table_of_a_large_catalogue_is_filled_to_its_last_row() -> None:
    source = data([[item, item + 1] for item in (1, 1023, 1024, 1025, 1029)], 1030)
    options = {"neighbours": 2, "smoothing": 0.0, "popularity": 0.0, "backward": 0.0}
    model = filled("markov", source, **options)
    first = {row: int(model.neighbours[row, 0]) for row in model.weights[:, 0].nonzero().flatten().tolist()}
    assert first == {1: 2, 1023: 1024, 1024: 1025, 1025: 1026, 1029: 1030}
    assert (model.weights.sum(1)[[1, 1029]] == 1).all()


@pytest.mark.parametrize("kind", ["knn", "markov"])
def test_many_items_take_what_their_histories_take(kind: str) -> None:
    # Rows of all items made dense, in whatever blocks, would be 4 x 10^10 numbers.
    items = 200_000
    started = time.perf_counter()
    model = filled(kind, data([[item, item + 1] for item in range(1, items, 2)], items), neighbours=3)
    assert time.perf_counter() - started < 60
    assert model.neighbours[1::2, 0].tolist() == list(range(2, items + 1, 2)) and (model.weights[1::2, 0] > 0).all()


def test_the_strongest_of_each_row_are_those_of_a_whole_sort() -> None:
    dense = np.random.default_rng(0).integers(-3, 4, (40, 30)).astype(np.float32)
    found = strongest(sp.csr_matrix(dense), 7)
    order = np.argsort(-np.abs(dense), axis=1, kind="stable")[:, :7]
    for row, columns, values in zip(range(40), order, np.take_along_axis(dense, order, 1), strict=True):
        here = slice(found.indptr[row], found.indptr[row + 1])
        assert found.indices[here].tolist() == columns[values != 0].tolist()
        assert found.data[here].tolist() == values[values != 0].tolist()


def test_markov_counts_what_follows() -> None:
    options = {"lags": 2, "lag_decay": 0.5, "backward": 0.0, "smoothing": 1.0, "popularity": 0.0}
    found = markov(SMALL, configuration("markov", **options)).toarray()
    # After 1: 2 twice at once and 3 once two steps later; 2.5 in all, and 1 for smoothing.
    np.testing.assert_allclose(found[0], [0, 2 / 3.5, 0.5 / 3.5, 0, 0], rtol=1e-6)
    both = markov(SMALL, configuration("markov", **options | {"backward": 1.0, "smoothing": 0.0})).toarray()
    np.testing.assert_allclose(both[:4].sum(1), 1, rtol=1e-6)
    assert both[1, 0] > 0 and not found[1, 0]
    # Before 2 stood 1 twice, after it 3 and 4 once each: 2 + .3 * 2 in all.
    weak = markov(SMALL, configuration("markov", **options | {"backward": 0.3, "lags": 1})).toarray()
    np.testing.assert_allclose(weak[1], [0.6 / 3.6, 0, 1 / 3.6, 1 / 3.6, 0], rtol=1e-6)
    fair = markov(SMALL, configuration("markov", **options | {"popularity": 1.0})).toarray()
    np.testing.assert_allclose(fair[0], found[0] / (np.array([3, 3, 2, 2, 0]) + 20), rtol=1e-6)


def test_a_factorised_markov_model_has_the_chains_table() -> None:
    options = {"smoothing": 1.0, "popularity": 0.0}
    whole = markov(SMALL, configuration("markov", **options)).toarray()
    left, values, right = np.linalg.svd(whole)
    found = markov(SMALL, configuration("markov", **options, rank=2, power=0.5))
    np.testing.assert_allclose(found, left[:, :2] * values[:2] ** 0.5 @ right[:2], atol=1e-6)
    with pytest.raises(InputError, match="--rank would fill a matrix of 5 items, above --most-items 4"):
        markov(SMALL, configuration("markov", rank=2, most_items=4))
    assert markov(SMALL, configuration("markov", rank=2, most_items=5)).shape == (5, 5)
    assert markov(SMALL, configuration("markov", most_items=4)).shape == (5, 5), "without a rank it is sparse"


def test_ease_stands_beside_transitions_with_the_same_norm() -> None:
    options = {"smoothing": 1.0, "popularity": 0.0}
    alone = markov(SMALL, configuration("markov", **options)).toarray()
    beside = ease(SMALL, configuration("ease"))
    beside = beside.toarray()
    both = markov(SMALL, configuration("markov", **options, ease=0.5)).toarray()
    scale = np.sqrt((alone**2).sum() / (beside**2).sum())
    np.testing.assert_allclose(both, alone + 0.5 * scale * beside, rtol=1e-6)
    with pytest.raises(InputError, match="ease would invert a matrix of 5 items, above --most-items 4"):
        markov(SMALL, configuration("markov", ease=0.5, most_items=4))


def test_the_studys_chain_alone_is_the_hybrids() -> None:
    (alone, beside) = (e for e in EXPERIMENTS if e.name in ("chain", "scratch-chain"))
    chain = configuration("hybrid")
    same = replace(
        TRANSITIONS, rank=chain.chain, power=chain.chain_power, decay=chain.chain_decay, ease=chain.chain_ease
    )
    assert configuration("markov", **alone.changes) == same and beside.changes == {"members": "scratch,chain"}


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
    assert (scores[2] <= SAYS_NOTHING).all()


@torch.no_grad()
@pytest.mark.parametrize("kind", ["knn", "markov", "ease"])
def test_what_no_recent_item_recommends_follows_by_how_often_it_occurs(kind: str) -> None:
    # The first two items occur least; nothing follows or stands beside the sixth, and nobody has the seventh.
    source = data([[1, 2], [3, 4, 5], [5, 4], [5, 3, 4], [5], [6]], 7)
    changes = {"content": 0.0, "least_count": 0} if kind == "ease" else {}
    model = filled(kind, source, **changes)
    session = ort.InferenceSession(export_graph(model, 7).SerializeToString())
    seen = np.zeros((2, 1), np.int64)
    given = {
        "window": np.array([[0, 0, 6], [0, 0, 1]]),
        "seen": seen,
        "k": np.array([7]),
        "candidates": np.arange(1, 8),
        "own_candidates": seen[:, :0],
        "boosted": np.zeros(0, np.int64),
        "boosts": np.zeros((0, 2), np.float32),
    }
    items, scores = session.run(None, {name.name: given[name.name] for name in session.get_inputs()})
    often = [5, 4, 3, 1, 2, 6, 7]  # 4, 3, 2, 1, 1, 1 and 0 times
    assert items[0].tolist() == often and 0 < scores[0, 0] <= SAYS_NOTHING and scores[0, -1] == 0
    others = [item for item in often if item in items[1][np.abs(scores[1]) <= SAYS_NOTHING]]
    assert items[1, 0] == 2 and items[1].tolist()[1 : 1 + len(others)] == others and len(others) >= 5
    # No score that says something is moved by it.
    without = filled(kind, source, **changes)
    without.popularity.zero_()
    window = torch.tensor([[0, 3, 4], [0, 0, 1]])
    told = without(window) != 0
    assert told.any() and torch.equal(model(window)[told], without(window)[told])


@torch.no_grad()
def test_of_an_earlier_checkpoint_what_nothing_is_known_of_stays_equal() -> None:
    earlier = filled("markov").state_dict()
    del earlier["popularity"]
    model = Neighbours(5, configuration("markov", max_length=4))
    model.load_state_dict(earlier)
    assert not model.popularity.any() and torch.equal(model.weights, earlier["weights"])
    beside = Blend([filled("knn")], 5, BestConfig(members="knn"))
    old = {name: value for name, value in beside.state_dict().items() if not name.endswith("popularity")}
    beside.load_state_dict(old)
    assert not beside.members[0].popularity.any()


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
    assert ease(SMALL, configuration("ease", most_items=4, least_count=1)).shape == (5, 5)


@pytest.fixture
def described(tmp_path: Path) -> Data:
    """Items 1 and 5 share a genre and a word; 5 has never been rated."""
    titles = ["Red Dawn (1999)", "Blue (1950)", "Green (1951)", "Grey (1952)", "Dawn of Day (1999)"]
    genres = ["War", "Comedy", "Comedy", None, "War"]
    pl.DataFrame({"item": range(1, 6), "title": titles, "genres": genres}).write_parquet(tmp_path / "items.parquet")
    return data([[1, 2, 3], [1, 2], [3, 4, 1], [2, 4]], 5, tmp_path)


def test_ease_of_no_item_and_one_that_cannot_be_inverted_are_refused(described: Data) -> None:
    with pytest.raises(InputError, match=r"^--least-count 99: no item is rated so often"):
        ease(described, LinearConfig(kind="ease", least_count=99))
    with pytest.raises(InputError, match=r"^--regularization 0 leaves a matrix that cannot be inverted: raise it"):
        ease(SMALL, LinearConfig(kind="ease", regularization=0.0, content=0.0))  # nobody has item 5


def test_content_recommends_what_nobody_has_rated(described: Data) -> None:
    found = as_matrix(filled("content", described, rare=0))
    assert found[0, 4] > 0 and not found[:, :4].any(), "towards items without ratings only"
    assert found[0].argmax() == 4 and found[0, 4] > found[1, 4]
    options = {"least_count": 0, "regularization": 1.0}
    assert as_matrix(filled("ease", described, **options))[0, 4] > 0
    assert not as_matrix(filled("ease", described, **options, content=0.0))[0, 4]


def test_content_is_the_cosine_towards_what_few_have_rated(described: Data) -> None:
    cosine = cosines(features(described.folder, described.item_ids))
    np.fill_diagonal(cosine, 0)
    assert cosine[1, 2] and cosine[0, 4]
    # The items have been rated 3, 3, 2, 2 and 0 times.
    for rare, listed in ((1, [0, 0, 0, 0, 1]), (2, [0, 0, 1, 1, 1]), (3, [1, 1, 1, 1, 1])):
        found = by_content(described, configuration("content", rare=rare)).toarray()
        np.testing.assert_allclose(found, cosine * listed, atol=1e-6)


def test_what_a_model_reads_are_each_users_latest_items_and_it_has_no_loss() -> None:
    model = filled("knn")
    rows = torch.tensor([2, 0])
    (window,) = model.inputs(SMALL, rows)
    assert window.tolist() == [[0, 3, 4, 1], [0, 1, 2, 3]]
    assert model.validation_loss(model(window), SMALL, rows) is None and model.closed_form


def test_content_without_titles_is_refused() -> None:
    with pytest.raises(InputError, match="content needs items with titles, genres or other columns"):
        filled("content")
