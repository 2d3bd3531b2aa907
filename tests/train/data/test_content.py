"""Features of titles and genres, with gaps."""

import hashlib

import numpy as np
import polars as pl
import pytest

from tests.helpers.cosines import cosines
from train.data.content import features, matrix

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
    found = cosines(matrix(ITEMS, ["a", "b", "c", "d", "e"]))
    assert found[0, 1] == pytest.approx(1) and 0 < found[0, 2] < 1 and not found[3].any()
    rarity = np.log(5 / np.array([3, 2]))
    assert found[0, 2] == pytest.approx(rarity[0] / np.linalg.norm(rarity))


def test_further_columns_give_categories_tenths_of_numbers_and_words() -> None:
    table = pl.DataFrame(
        {
            "item": [1, 2, 3],
            "title": ["Hat", None, None],
            "genres": pl.Series([None] * 3, dtype=pl.String),
            "a{}": [["x", "y"], None, ["x"]],
            "price": [1.0, None, 9.0],
            "text": ["A hat!", None, "hat hat"],
        }
    )
    assert sorted(features(table).rows()) == [
        (1, "a{}:x"), (1, "a{}:y"), (1, "price:q1"), (1, "word:a"), (1, "word:hat"),
        (3, "a{}:x"), (3, "price:q10"), (3, "word:hat"),
    ]  # fmt: skip


def test_numbers_fall_into_tenths_of_all_and_equal_ones_into_one() -> None:
    def tenths(numbers: list[float | None]) -> list[str]:
        table = pl.DataFrame({"item": range(len(numbers)), "title": None, "genres": None, "n": numbers})
        found = features(table.cast({"title": pl.String, "genres": pl.String, "n": pl.Float64}))
        return [feature.removeprefix("n:q") for feature in found["feature"]]

    # The edges of 1 to 20 are 2.9, 4.8, ..., 18.1: two numbers between each.
    assert tenths([*range(1, 21)]) == [str(n) for n in range(1, 11) for _ in range(2)]
    assert tenths([5, 5, 5, None]) == ["1"] * 3
    assert tenths([0] * 19 + [7]) == ["1"] * 19 + ["2"], "edges that are equal are one"
    assert tenths([None, None]) == []


DIGEST = "d8f5dbdca7c221a126297658b5913a25ec91d0159917f2b71cd9d21b29b55fed"


def test_features_of_films_are_what_they_have_always_been() -> None:
    """To the byte, since published results rest on them: their digest was taken before there were further columns."""
    number = pl.int_range(300, eager=True)
    films = pl.select(
        item=number,
        title=pl.when(number % 7 > 0).then(
            pl.format("The {} Film, part {} ({})", number % 11, number % 5, number % 90 + 1920)
        ),
        genres=pl.when(number % 5 > 0).then(pl.format("G{}|G{}", number % 4, number % 9)).otherwise(pl.lit("")),
    )
    found = matrix(films, list(range(300))[::-1])
    content = b"".join(part.tobytes() for part in (found.indptr, found.indices, found.data))
    assert hashlib.sha256(content).hexdigest() == DIGEST
