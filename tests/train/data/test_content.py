"""Features of titles and genres, with gaps."""

import numpy as np
import polars as pl
import pytest

from train.data.content import features, matrix, similarity

ITEMS = pl.DataFrame(
    {
        "item": ["a", "b", "c", "d"],
        "title": ["Alien (1979)", "Aliens: Alien War (1986)", None, "2001: A Space Odyssey"],
        "genres": ["Horror|Sci-Fi", "Sci-Fi", "Sci-Fi|", None],
    }
)


def test_a_title_gives_year_decade_and_words_and_genres_one_each() -> None:
    found = features(ITEMS).group_by("item").agg("feature").sort("item")
    sets = {item: set(names) for item, names in found.iter_rows()}
    assert sets["a"] == {"genre:Horror", "genre:Sci-Fi", "year:1979", "decade:197", "word:alien"}
    assert sets["b"] == {"genre:Sci-Fi", "year:1986", "decade:198", "word:aliens", "word:alien", "word:war"}
    assert sets["c"] == {"genre:Sci-Fi"}
    assert sets["d"] == {"word:2001", "word:a", "word:space", "word:odyssey"}, "no year in brackets"


def test_only_shared_features_are_kept() -> None:
    found = matrix(ITEMS, ["a", "b", "c", "d", "e"])
    # Sci-Fi of a, b and c; the word alien of a and b.
    assert sorted(found.toarray().tolist()) == [[1, 1, 0, 0, 0], [1, 1, 1, 0, 0]]
    twice = pl.DataFrame({"item": ["a", "b"], "title": ["War War", "War"], "genres": ["", ""]})
    assert matrix(twice, ["a", "b"]).toarray().tolist() == [[1, 1]], "a word counts once"
    assert matrix(ITEMS, [1, 2]).shape == (0, 2), "ids of another type have no features"
    assert matrix(ITEMS.clear(), ["a"]).shape == (0, 1)


def test_rare_features_bring_items_closer() -> None:
    found = similarity(matrix(ITEMS, ["a", "b", "c", "d", "e"])).toarray()
    assert found[0, 1] == pytest.approx(1) and 0 < found[0, 2] < 1 and not found[3].any()
    rarity = np.log(5 / np.array([3, 2]))
    assert found[0, 2] == pytest.approx(rarity[0] / np.linalg.norm(rarity))
